/* Makes every call after its worker has gone: each must return an error, and at once.
 *
 *   every-call             makes objects, says "running", waits until its worker is gone, then makes the
 * calls
 *
 * Exit status 0 when all was as it should be; each call that was not has a line. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/every_call.h"
#include "support/gpu.h"

enum { PLACES = 20, PLACE_BYTES = 65536, SECONDS_MOST = 60 };

struct every_call_objects objects;
static uint8_t *places;
static const char *now;

/* What needs no worker to be answered. */
static const char *const answered_alone[] = {
    "cuGetErrorName",   "cuGetErrorString",    "cuDriverGetVersion",
    "cuGetProcAddress", "cuGetProcAddress_v2", "cuGetExportTable",
};

void *place(unsigned parameter)
{
    return places + (size_t)(parameter % PLACES) * PLACE_BYTES;
}

static void hangs(int number)
{
    static const char text[] = " does not return\n";
    if (write(STDOUT_FILENO, now, strlen(now)) < 0 || write(STDOUT_FILENO, text, sizeof text - 1) < 0)
        _exit(3);
    _exit(2);
}

static void make_objects(void)
{
    static const CUDA_ARRAY_DESCRIPTOR descriptor = {16, 16, CU_AD_FORMAT_FLOAT, 1};
    gpu_use();
    REQUIRE(cuCtxGetCurrent(&objects.context));
    REQUIRE(cuStreamCreate(&objects.stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuEventCreate(&objects.event, CU_EVENT_DEFAULT));
    REQUIRE(cuModuleLoadData(&objects.module, ptx_basics));
    REQUIRE(cuModuleGetFunction(&objects.function, objects.module, "fill"));
    REQUIRE(cuLibraryLoadData(&objects.library, ptx_basics, NULL, NULL, 0, NULL, NULL, 0));
    REQUIRE(cuLibraryGetKernel(&objects.kernel, objects.library, "fill"));
    REQUIRE(cuArrayCreate(&objects.array, &descriptor));
    objects.memory = gpu_allocate(1 << 20);
    if (cuGraphCreate(&objects.graph, 0) == CUDA_SUCCESS)
        cuGraphInstantiateWithFlags(&objects.graph_exec, objects.graph, 0);
    REQUIRE(cuCtxSynchronize());
}

static int needs_worker(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(answered_alone); i++)
        if (strcmp(answered_alone[i], name) == 0)
            return 0;
    return 1;
}

int main(void)
{
    int wrong = 0;
    places = aligned_alloc(4096, (size_t)PLACES * PLACE_BYTES);
    make_objects();
    puts("running");
    fflush(stdout);
    while (cuCtxSynchronize() == CUDA_SUCCESS)
        usleep(1000);
    signal(SIGALRM, hangs);
    for (size_t i = 0; i < every_call_count; i++) {
        memset(places, 0, (size_t)PLACES * PLACE_BYTES);
        now = every_call[i].name;
        alarm(SECONDS_MOST);
        CUresult result = every_call[i].make();
        alarm(0);
        if (result == CUDA_SUCCESS && needs_worker(now)) {
            printf("%s -> CUDA_SUCCESS\n", now);
            wrong++;
        }
    }
    printf("%zu calls, %d wrong\n", every_call_count, wrong);
    fflush(stdout);
    _exit(wrong != 0);
}
