/* A guest with one habit, for tests of what a guest may do to itself and must not do to others:
 *
 *   guest-work steady       checked work until SIGTERM; a line "round N" after each tenth round
 *   guest-work flood        launches without end and without looking back
 *   guest-work until-error  launches and waits until a call fails; checks that all further calls fail at once
 *   guest-work leave        leaves in the middle of its work, freeing nothing
 *   guest-work fault        stores where it must not
 *   guest-work probe        a little checked work
 *   guest-work idle         a little checked work, then nothing until SIGTERM
 *
 * Each says "running" once it has a kernel's result. Exit status: 0 when all went as it should, 1 when a
 * result was wrong or a call succeeded that should not have, 3 when a call failed, which stdout then names.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/gpu.h"

enum { WORDS = 1024, FAILED_CALL = 3 };

static volatile sig_atomic_t stop_asked;

struct guest {
    CUcontext context;
    CUmodule module;
    CUfunction fill, affine;
    CUdeviceptr memory;
    CUstream stream;
};

static void ask_to_stop(int signal_number)
{
    (void)signal_number;
    stop_asked = 1;
}

/* Ends the program when a call fails: what a user's own macro does. */
#define TRY(call) try_call(#call, (call))
static void try_call(const char *call, CUresult result)
{
    if (result == CUDA_SUCCESS)
        return;
    printf("%s -> %s\n", call, result_name(result));
    exit(FAILED_CALL);
}

static void guest_start(struct guest *guest)
{
    CUdevice device;
    TRY(cuInit(0));
    TRY(cuDeviceGet(&device, 0));
    TRY(cuDevicePrimaryCtxRetain(&guest->context, device));
    TRY(cuCtxSetCurrent(guest->context));
    TRY(cuModuleLoadData(&guest->module, ptx_basics));
    TRY(cuModuleGetFunction(&guest->fill, guest->module, "fill"));
    TRY(cuModuleGetFunction(&guest->affine, guest->module, "affine"));
    TRY(cuMemAlloc(&guest->memory, WORDS * 4));
    TRY(cuStreamCreate(&guest->stream, CU_STREAM_NON_BLOCKING));
}

static CUresult guest_launch(struct guest *guest, CUfunction function, void **arguments)
{
    return cuLaunchKernel(function, WORDS / 256, 1, 1, 256, 1, 1, 0, guest->stream, arguments, NULL);
}

/* One round of work with a result that depends on every launch in it. */
static void checked_round(struct guest *guest, uint32_t round)
{
    uint32_t words[WORDS], count = WORDS, factor = 3, term = 1;
    uint32_t power = 1, offset = 0;
    TRY(guest_launch(guest, guest->fill, ARGUMENTS(&guest->memory, &round, &count)));
    for (int i = 0; i < 20; i++) {
        TRY(guest_launch(guest, guest->affine, ARGUMENTS(&guest->memory, &factor, &term, &count)));
        power *= factor;
        offset = offset * factor + term;
    }
    TRY(cuMemcpyDtoHAsync(words, guest->memory, sizeof words, guest->stream));
    TRY(cuStreamSynchronize(guest->stream));
    for (uint32_t i = 0; i < WORDS; i++)
        if (words[i] != (round + i) * power + offset) {
            printf("round %u: word %u is %u, should be %u\n", round, i, words[i],
                   (round + i) * power + offset);
            exit(1);
        }
}

static int work_steadily(struct guest *guest)
{
    signal(SIGTERM, ask_to_stop);
    for (uint32_t round = 1; !stop_asked; round++) {
        checked_round(guest, round);
        if (round % 10 == 0)
            printf("round %u\n", round);
    }
    puts("all rounds were right");
    return 0;
}

static int flood(struct guest *guest)
{
    uint32_t count = WORDS, factor = 3, term = 1;
    CUresult result;
    do
        result = guest_launch(guest, guest->affine, ARGUMENTS(&guest->memory, &factor, &term, &count));
    while (result == CUDA_SUCCESS);
    printf("ended with %s\n", result_name(result));
    return FAILED_CALL;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int work_until_error(struct guest *guest)
{
    uint32_t count = WORDS, factor = 3, term = 1, word;
    CUresult result;
    CUdeviceptr memory;
    do {
        result = guest_launch(guest, guest->affine, ARGUMENTS(&guest->memory, &factor, &term, &count));
        if (result == CUDA_SUCCESS)
            result = cuStreamSynchronize(guest->stream);
    } while (result == CUDA_SUCCESS);
    printf("ended with %s\n", result_name(result));
    double start = seconds_now();
    int succeeded = 0;
    for (int i = 0; i < 100; i++) {
        succeeded += cuCtxSynchronize() == CUDA_SUCCESS;
        succeeded += cuMemcpyDtoH(&word, guest->memory, sizeof word) == CUDA_SUCCESS;
        succeeded += cuMemAlloc(&memory, 4096) == CUDA_SUCCESS;
    }
    double seconds = seconds_now() - start;
    printf("then %d calls succeeded, %s\n", succeeded, seconds < 2 ? "at once" : "slowly");
    return succeeded == 0 && seconds < 2 ? 0 : 1;
}

static int leave(struct guest *guest)
{
    uint32_t count = WORDS, factor = 3, term = 1;
    CUdeviceptr memory;
    TRY(cuMemAlloc(&memory, (size_t)256 << 20));
    for (int i = 0; i < 1000; i++)
        TRY(guest_launch(guest, guest->affine, ARGUMENTS(&guest->memory, &factor, &term, &count)));
    fflush(stdout);
    _exit(0);
}

static int fault(struct guest *guest)
{
    CUmodule module;
    CUfunction poke;
    uint64_t address = 16;
    uint32_t value = 1;
    TRY(cuModuleLoadData(&module, ptx_fault));
    TRY(cuModuleGetFunction(&poke, module, "poke"));
    TRY(cuLaunchKernel(poke, 1, 1, 1, 1, 1, 1, 0, guest->stream, ARGUMENTS(&address, &value), NULL));
    CUresult result = cuStreamSynchronize(guest->stream);
    printf("ended with %s\n", result_name(result));
    return result == CUDA_ERROR_ILLEGAL_ADDRESS ? 0 : 1;
}

static int probe(struct guest *guest)
{
    for (uint32_t round = 1; round < 5; round++)
        checked_round(guest, round);
    puts("fine");
    return 0;
}

static int idle(struct guest *guest)
{
    signal(SIGTERM, ask_to_stop);
    while (!stop_asked)
        pause();
    return 0;
}

static const struct {
    const char *name;
    int (*run)(struct guest *guest);
} habits[] = {
    {"steady", work_steadily},
    {"flood", flood},
    {"until-error", work_until_error},
    {"leave", leave},
    {"fault", fault},
    {"probe", probe},
    {"idle", idle},
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; argc == 2 && i < COUNT_OF(habits); i++)
        if (strcmp(argv[1], habits[i].name) == 0) {
            struct guest guest;
            guest_start(&guest);
            checked_round(&guest, 0);
            puts("running");
            return habits[i].run(&guest);
        }
    fputs("usage: guest-work steady|flood|until-error|leave|fault|probe|idle\n", stderr);
    return 2;
}
