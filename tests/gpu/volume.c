/* Many of everything: what a long-running program does in an hour, in seconds. */
#include <stdlib.h>

#include "support/gpu.h"

/* The n-th power of the map x -> x * factor + term, applied to x, modulo 2^32. */
static uint32_t affine_power(uint32_t x, uint32_t factor, uint32_t term, uint32_t times)
{
    while (times--)
        x = x * factor + term;
    return x;
}

static void a_hundred_thousand_launches(void)
{
    enum { LAUNCHES = 100000 };
    uint32_t factor = 3, term = 1, count = 1, value = 5;
    CUstream stream;
    gpu_use();
    CUfunction affine = gpu_kernel(ptx_basics, "affine");
    CUdeviceptr memory = gpu_allocate(4);
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuMemsetD32(memory, value, 1));
    REQUIRE(cuCtxSynchronize());
    for (int i = 0; i < LAUNCHES; i++)
        REQUIRE(cuLaunchKernel(affine, 1, 1, 1, 1, 1, 1, 0, stream,
                               ARGUMENTS(&memory, &factor, &term, &count), NULL));
    REQUIRE(cuStreamSynchronize(stream));
    REQUIRE(cuMemcpyDtoH(&value, memory, 4));
    say("%u", value);
    CHECK(value == affine_power(5, 3, 1, LAUNCHES));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(memory));
}

static void launch_and_wait(void)
{
    enum { LAUNCHES = 5000 };
    uint32_t factor = 5, term = 7, count = 1, value = 1;
    gpu_use();
    CUfunction affine = gpu_kernel(ptx_basics, "affine");
    CUdeviceptr memory = gpu_allocate(4);
    REQUIRE(cuMemsetD32(memory, value, 1));
    for (int i = 0; i < LAUNCHES; i++) {
        REQUIRE(cuLaunchKernel(affine, 1, 1, 1, 1, 1, 1, 0, NULL, ARGUMENTS(&memory, &factor, &term, &count),
                               NULL));
        REQUIRE(cuCtxSynchronize());
    }
    REQUIRE(cuMemcpyDtoH(&value, memory, 4));
    say("%u", value);
    CHECK(value == affine_power(1, 5, 7, LAUNCHES));
    REQUIRE(cuMemFree(memory));
}

static void small_copies(void)
{
    enum { COPIES = 20000 };
    uint32_t wrong = 0;
    gpu_use();
    CUdeviceptr memory = gpu_allocate(4 * 64);
    for (uint32_t i = 0; i < COPIES; i++) {
        uint32_t seen = 0;
        REQUIRE(cuMemcpyHtoD(memory + 4 * (i % 64), &i, 4));
        REQUIRE(cuMemcpyDtoH(&seen, memory + 4 * (i % 64), 4));
        wrong += seen != i;
    }
    CHECK(wrong == 0);
    REQUIRE(cuMemFree(memory));
}

static void a_thousand_streams(void)
{
    enum { STREAMS = 1000 };
    uint32_t first = 1, count = 1, factor = 2, term = 1, value = 0;
    gpu_use();
    CUfunction fill = gpu_kernel(ptx_basics, "fill"), affine = gpu_kernel(ptx_basics, "affine");
    CUdeviceptr memory = gpu_allocate(4);
    for (int i = 0; i < STREAMS; i++) {
        CUstream stream;
        REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
        gpu_launch(fill, 1, stream, ARGUMENTS(&memory, &first, &count));
        gpu_launch(affine, 1, stream, ARGUMENTS(&memory, &factor, &term, &count));
        REQUIRE(cuStreamSynchronize(stream));
        REQUIRE(cuStreamDestroy(stream));
    }
    REQUIRE(cuMemcpyDtoH(&value, memory, 4));
    CHECK(value == 3);
    REQUIRE(cuMemFree(memory));
}

static void many_streams_at_once(void)
{
    enum { STREAMS = 200 };
    CUstream streams[STREAMS];
    uint32_t count = 1, words[STREAMS], wrong = 0;
    gpu_use();
    CUfunction fill = gpu_kernel(ptx_basics, "fill");
    CUdeviceptr memory = gpu_allocate(sizeof words);
    for (uint32_t i = 0; i < STREAMS; i++)
        REQUIRE(cuStreamCreate(&streams[i], CU_STREAM_NON_BLOCKING));
    for (uint32_t i = 0; i < STREAMS; i++) {
        CUdeviceptr word = memory + 4 * i;
        gpu_launch(fill, 1, streams[i], ARGUMENTS(&word, &i, &count));
    }
    for (uint32_t i = 0; i < STREAMS; i++) {
        REQUIRE(cuStreamSynchronize(streams[i]));
        REQUIRE(cuStreamDestroy(streams[i]));
    }
    REQUIRE(cuMemcpyDtoH(words, memory, sizeof words));
    for (uint32_t i = 0; i < STREAMS; i++)
        wrong += words[i] != i;
    CHECK(wrong == 0);
    REQUIRE(cuMemFree(memory));
}

static void a_thousand_events(void)
{
    enum { EVENTS = 1000 };
    static CUevent events[EVENTS];
    gpu_use();
    for (int i = 0; i < EVENTS; i++) {
        REQUIRE(cuEventCreate(&events[i], i % 2 ? CU_EVENT_DISABLE_TIMING : CU_EVENT_DEFAULT));
        REQUIRE(cuEventRecord(events[i], NULL));
    }
    for (int i = 0; i < EVENTS; i++)
        REQUIRE(cuEventSynchronize(events[i]));
    float milliseconds = -1;
    REQUIRE(cuEventElapsedTime(&milliseconds, events[0], events[EVENTS - 2]));
    CHECK(milliseconds >= 0);
    for (int i = 0; i < EVENTS; i++)
        REQUIRE(cuEventDestroy(events[i]));
}

static void a_thousand_modules(void)
{
    enum { MODULES = 1000 };
    static const char ptx[] = ".version 7.0\n.target sm_75\n.address_size 64\n"
                              ".visible .global .align 4 .u32 number = 3;\n"
                              ".visible .entry nothing() { ret; }\n";
    uint32_t wrong = 0, value;
    gpu_use();
    for (int i = 0; i < MODULES; i++) {
        CUmodule module;
        CUfunction function;
        CUdeviceptr number;
        REQUIRE(cuModuleLoadData(&module, ptx));
        REQUIRE(cuModuleGetFunction(&function, module, "nothing"));
        if (i % 100 == 0) {
            REQUIRE(cuModuleGetGlobal(&number, NULL, module, "number"));
            REQUIRE(cuMemcpyDtoH(&value, number, 4));
            wrong += value != 3;
            REQUIRE(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
            REQUIRE(cuCtxSynchronize());
        }
        REQUIRE(cuModuleUnload(module));
    }
    CHECK(wrong == 0);
}

static void many_allocations(void)
{
    enum { BLOCKS = 2000 };
    static CUdeviceptr blocks[BLOCKS];
    uint32_t wrong = 0, value;
    gpu_use();
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < BLOCKS; i++) {
            blocks[i] = gpu_allocate(4 + i * 13 % 70000);
            if (i % 50 == 0)
                REQUIRE(cuMemsetD32(blocks[i], i, 1));
        }
        for (uint32_t i = 0; i < BLOCKS; i++) {
            if (i % 50 == 0) {
                REQUIRE(cuMemcpyDtoH(&value, blocks[i], 4));
                wrong += value != i;
            }
            REQUIRE(cuMemFree(blocks[i]));
        }
    }
    CHECK(wrong == 0);
}

static void contexts_in_turn(void)
{
    enum { CONTEXTS = 12 };
    REQUIRE(cuInit(0));
    for (uint32_t i = 0; i < CONTEXTS; i++) {
        CUcontext context;
        CUdeviceptr memory;
        uint32_t value = 0;
        REQUIRE(cuCtxCreate(&context, NULL, 0, 0));
        REQUIRE(cuMemAlloc(&memory, 4));
        REQUIRE(cuMemsetD32(memory, i, 1));
        REQUIRE(cuMemcpyDtoH(&value, memory, 4));
        CHECK(value == i);
        REQUIRE(cuCtxDestroy(context));
    }
}

static const struct test_case cases[] = {
    CASE(a_hundred_thousand_launches), CASE(launch_and_wait),      CASE(small_copies),
    CASE(a_thousand_streams),          CASE(many_streams_at_once), CASE(a_thousand_events),
    CASE(a_thousand_modules),          CASE(many_allocations),     CASE_IN_OWN_PROCESS(contexts_in_turn),
};

int main(int argc, char **argv)
{
    return suite_main("volume", cases, COUNT_OF(cases), argc, argv);
}
