/* A guest that makes and unmakes everything there is, round after round, until SIGTERM: what its worker, the
 * daemon or the library forgets to give back adds up. A line "round N" after each tenth round; results are
 * checked. Exit status: 0, 1 when a result was wrong, 3 when a call failed, which stdout then names. */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/gpu.h"

enum { WORDS = 4096, BYTES = WORDS * 4, FAILED_CALL = 3, THREADS = 2 };

static volatile sig_atomic_t stop_asked;
static CUcontext context;

/* Always the same: pages that were registered once stay in memory shared with the host (docs/limits.md). */
static void *own;

static void ask_to_stop(int signal_number)
{
    (void)signal_number;
    stop_asked = 1;
}

#define TRY(call) try_call(#call, (call))
static void try_call(const char *call, CUresult result)
{
    if (result == CUDA_SUCCESS)
        return;
    printf("%s -> %s\n", call, result_name(result));
    exit(FAILED_CALL);
}

/* For what a connection over a socket does not have. */
static bool has(const char *call, CUresult result)
{
    if (result == CUDA_ERROR_NOT_SUPPORTED)
        return false;
    try_call(call, result);
    return true;
}
#define HAS(call) has(#call, (call))

static void check_words(const uint32_t *words, uint32_t first, const char *what)
{
    for (uint32_t i = 0; i < WORDS; i++) {
        if (words[i] != first + i) {
            printf("%s: word %u is %u, should be %u\n", what, i, words[i], first + i);
            exit(1);
        }
    }
}

static void fill(CUfunction function, CUdeviceptr memory, uint32_t first, CUstream stream)
{
    uint32_t count = WORDS;
    TRY(cuLaunchKernel(function, WORDS / 256, 1, 1, 256, 1, 1, 0, stream, ARGUMENTS(&memory, &first, &count),
                       NULL));
}

static void copies(CUfunction function, uint32_t round, CUstream stream)
{
    CUdeviceptr memory, other;
    uint32_t *words = malloc(BYTES);
    TRY(cuMemAlloc(&memory, BYTES));
    TRY(cuMemAlloc(&other, BYTES));
    fill(function, memory, round, stream);
    TRY(cuMemcpyDtoDAsync(other, memory, BYTES, stream));
    TRY(cuMemcpyDtoHAsync(words, other, BYTES, stream));
    TRY(cuStreamSynchronize(stream));
    check_words(words, round, "a copy");
    TRY(cuMemFree(memory));
    TRY(cuMemFree(other));
    free(words);
}

static void events(CUstream stream)
{
    CUevent start, end;
    float milliseconds;
    TRY(cuEventCreate(&start, CU_EVENT_DEFAULT));
    TRY(cuEventCreate(&end, CU_EVENT_DEFAULT));
    TRY(cuEventRecord(start, stream));
    TRY(cuEventRecord(end, stream));
    TRY(cuEventSynchronize(end));
    TRY(cuEventElapsedTime(&milliseconds, start, end));
    TRY(cuEventDestroy(start));
    TRY(cuEventDestroy(end));
}

static void host_memory(CUfunction function, uint32_t round, CUstream stream)
{
    CUdeviceptr memory;
    uint32_t *words;
    TRY(cuMemAlloc(&memory, BYTES));
    TRY(cuMemHostAlloc((void **)&words, BYTES, 0));
    fill(function, memory, round, stream);
    TRY(cuMemcpyDtoHAsync(words, memory, BYTES, stream));
    TRY(cuStreamSynchronize(stream));
    check_words(words, round, "pinned memory");
    TRY(cuMemFreeHost(words));
    if (HAS(cuMemHostRegister(own, BYTES, 0))) {
        TRY(cuMemcpyDtoHAsync(own, memory, BYTES, stream));
        TRY(cuStreamSynchronize(stream));
        check_words(own, round, "registered memory");
        TRY(cuMemHostUnregister(own));
    }
    TRY(cuMemFree(memory));
}

static void stream_order(CUfunction function, uint32_t round, CUstream stream)
{
    CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0}};
    CUmemoryPool pool;
    CUdeviceptr memory;
    uint32_t *words = malloc(BYTES);
    TRY(cuMemAllocAsync(&memory, BYTES, stream));
    fill(function, memory, round, stream);
    TRY(cuMemcpyDtoHAsync(words, memory, BYTES, stream));
    TRY(cuMemFreeAsync(memory, stream));
    TRY(cuStreamSynchronize(stream));
    check_words(words, round, "memory in stream order");
    /* Seldom: the simulated driver keeps what it knows of a pool. */
    if (round % 32 == 0 && HAS(cuMemPoolCreate(&pool, &properties))) {
        TRY(cuMemAllocFromPoolAsync(&memory, BYTES, pool, stream));
        TRY(cuMemFreeAsync(memory, stream));
        TRY(cuStreamSynchronize(stream));
        TRY(cuMemPoolDestroy(pool));
    }
    free(words);
}

static void code(uint32_t round, CUstream stream)
{
    CUmodule module;
    CUfunction function;
    CUlibrary library;
    CUkernel kernel;
    CUdeviceptr memory;
    uint32_t *words = malloc(BYTES);
    TRY(cuMemAlloc(&memory, BYTES));
    TRY(cuModuleLoadData(&module, ptx_basics));
    TRY(cuModuleGetFunction(&function, module, "fill"));
    fill(function, memory, round, stream);
    TRY(cuMemcpyDtoHAsync(words, memory, BYTES, stream));
    TRY(cuStreamSynchronize(stream));
    check_words(words, round, "a module");
    TRY(cuModuleUnload(module));
    TRY(cuLibraryLoadData(&library, ptx_basics, NULL, NULL, 0, NULL, NULL, 0));
    TRY(cuLibraryGetKernel(&kernel, library, "fill"));
    TRY(cuKernelGetFunction(&function, kernel));
    fill(function, memory, round + 1, stream);
    TRY(cuMemcpyDtoHAsync(words, memory, BYTES, stream));
    TRY(cuStreamSynchronize(stream));
    check_words(words, round + 1, "a library");
    TRY(cuLibraryUnload(library));
    TRY(cuMemFree(memory));
    free(words);
}

/* What a thread does that lives for one round. */
static void *thread_round(void *argument)
{
    CUstream stream;
    CUfunction function = argument;
    TRY(cuCtxSetCurrent(context));
    TRY(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    copies(function, 7, stream);
    events(stream);
    TRY(cuStreamDestroy(stream));
    return NULL;
}

static void one_round(CUfunction function, uint32_t round)
{
    pthread_t threads[THREADS];
    CUstream stream;
    TRY(cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, 0));
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, thread_round, function);
    copies(function, round, stream);
    events(stream);
    host_memory(function, round, stream);
    stream_order(function, round, stream);
    if (round % 4 == 0)
        code(round, stream);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    TRY(cuStreamDestroy(stream));
}

int main(void)
{
    CUmodule module;
    CUfunction function;
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGTERM, ask_to_stop);
    if (posix_memalign(&own, 4096, BYTES) != 0)
        return 1;
    TRY(cuInit(0));
    TRY(cuDevicePrimaryCtxRetain(&context, 0));
    TRY(cuCtxSetCurrent(context));
    TRY(cuModuleLoadData(&module, ptx_basics));
    TRY(cuModuleGetFunction(&function, module, "fill"));
    for (uint32_t round = 1; !stop_asked; round++) {
        one_round(function, round);
        if (round % 10 == 0)
            printf("round %u\n", round);
    }
    puts("all rounds were right");
    return 0;
}
