/* Streams: order within one, independence of several, the two kinds of default stream. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/gpu.h"

static void properties(void)
{
    CUstream stream;
    CUcontext current, owner;
    unsigned flags = 9;
    int priority = 9, least = 0, greatest = 0;
    unsigned long long first = 0, second = 0;
    gpu_use();
    REQUIRE(cuCtxGetCurrent(&current));
    EXPECT(CUDA_SUCCESS, cuStreamCreate(&stream, CU_STREAM_DEFAULT));
    EXPECT(CUDA_SUCCESS, cuStreamGetFlags(stream, &flags));
    say("flags %u", flags);
    EXPECT(CUDA_SUCCESS, cuStreamGetPriority(stream, &priority));
    say("priority %d", priority);
    EXPECT(CUDA_SUCCESS, cuStreamGetCtx(stream, &owner));
    CHECK(owner == current);
    EXPECT(CUDA_SUCCESS, cuStreamGetId(stream, &first));
    EXPECT(CUDA_SUCCESS, cuStreamDestroy(stream));
    EXPECT(CUDA_SUCCESS, cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    EXPECT(CUDA_SUCCESS, cuStreamGetFlags(stream, &flags));
    say("flags %u", flags);
    EXPECT(CUDA_SUCCESS, cuStreamGetId(stream, &second));
    CHECK(first != second);
    EXPECT(CUDA_SUCCESS, cuStreamDestroy(stream));
    EXPECT(CUDA_SUCCESS, cuCtxGetStreamPriorityRange(&least, &greatest));
    for (int asked = least + 1; asked >= greatest - 1; asked--) {
        REQUIRE(cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, asked));
        REQUIRE(cuStreamGetPriority(stream, &priority));
        say("asked for priority %d, got %d", asked, priority);
        REQUIRE(cuStreamDestroy(stream));
    }
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuStreamCreate(&stream, 0x40));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuStreamCreate(NULL, 0));
    NOTE(cuStreamDestroy(NULL));
    EXPECT(CUDA_SUCCESS, cuStreamQuery(NULL));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(NULL));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(CU_STREAM_LEGACY));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(CU_STREAM_PER_THREAD));
}

/* x -> x * 3 + 1 and x -> x * 5 + 7 in turn: any other order ends elsewhere. */
static void order_within(void)
{
    uint32_t count = 512, expected = 1, words[512], wrong = 0;
    uint32_t factors[2] = {3, 5}, terms[2] = {1, 7};
    CUstream stream;
    gpu_use();
    CUfunction affine = gpu_kernel(ptx_basics, "affine");
    CUdeviceptr memory = gpu_allocate(sizeof words);
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuMemsetD32Async(memory, 1, 512, stream));
    for (int i = 0; i < 1000; i++) {
        gpu_launch(affine, count, stream, ARGUMENTS(&memory, &factors[i % 2], &terms[i % 2], &count));
        expected = expected * factors[i % 2] + terms[i % 2];
    }
    REQUIRE(cuMemcpyDtoHAsync(words, memory, sizeof words, stream));
    REQUIRE(cuStreamSynchronize(stream));
    for (uint32_t i = 0; i < count; i++)
        wrong += words[i] != expected;
    say("%u", words[0]);
    CHECK(wrong == 0);
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(memory));
}

/* While one stream waits at its gate, another works and finishes. */
static void independence(void)
{
    uint32_t first = 3, count = 1000, words[1000];
    CUstream waiting, working;
    gpu_use();
    struct gate gate = gate_create();
    CUdeviceptr memory = gpu_allocate(sizeof words);
    CUfunction fill = gpu_kernel(ptx_basics, "fill");
    REQUIRE(cuStreamCreate(&waiting, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuStreamCreate(&working, CU_STREAM_NON_BLOCKING));
    EXPECT(CUDA_SUCCESS, cuStreamQuery(waiting));
    gate_close_stream(&gate, waiting);
    EXPECT(CUDA_ERROR_NOT_READY, cuStreamQuery(waiting));
    gpu_launch(fill, count, working, ARGUMENTS(&memory, &first, &count));
    REQUIRE(cuMemcpyDtoHAsync(words, memory, sizeof words, working));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(working));
    CHECK(words[0] == 3 && words[999] == 1002);
    EXPECT(CUDA_SUCCESS, cuStreamQuery(working));
    EXPECT(CUDA_ERROR_NOT_READY, cuStreamQuery(waiting));
    gate_open(&gate);
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(waiting));
    EXPECT(CUDA_SUCCESS, cuStreamQuery(waiting));
    CHECK(gate_passed(&gate));
    gate_destroy(&gate);
    REQUIRE(cuStreamDestroy(waiting));
    REQUIRE(cuStreamDestroy(working));
    REQUIRE(cuMemFree(memory));
}

/* The legacy default stream waits for blocking streams and they for it; non-blocking ones stand apart. */
static void legacy_default_stream(void)
{
    uint32_t count = 16, factor = 2, term = 1, words[16];
    CUstream blocking, apart;
    gpu_use();
    struct gate gate = gate_create();
    CUfunction affine = gpu_kernel(ptx_basics, "affine");
    CUdeviceptr memory = gpu_allocate(sizeof words), other = gpu_allocate(sizeof words);
    REQUIRE(cuMemsetD32(memory, 1, count));
    REQUIRE(cuMemsetD32(other, 1, count));
    REQUIRE(cuCtxSynchronize()); /* a non-blocking stream does not wait for the default one */
    REQUIRE(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    REQUIRE(cuStreamCreate(&apart, CU_STREAM_NON_BLOCKING));
    gate_close_stream(&gate, blocking);
    gpu_launch(affine, count, NULL, ARGUMENTS(&memory, &factor, &term, &count));
    EXPECT(CUDA_ERROR_NOT_READY, cuStreamQuery(NULL));
    gpu_launch(affine, count, apart, ARGUMENTS(&other, &factor, &term, &count));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(apart));
    EXPECT(CUDA_ERROR_NOT_READY, cuStreamQuery(CU_STREAM_LEGACY));
    factor = 10; /* after the default stream's launch, again in the blocking stream */
    gpu_launch(affine, count, blocking, ARGUMENTS(&memory, &factor, &term, &count));
    gate_open(&gate);
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(blocking));
    EXPECT(CUDA_SUCCESS, cuStreamQuery(NULL));
    CHECK(gate_passed(&gate));
    REQUIRE(cuMemcpyDtoH(words, memory, sizeof words));
    say("%u", words[0]);
    CHECK(words[0] == 31 && words[15] == 31);
    gate_destroy(&gate);
    REQUIRE(cuStreamDestroy(blocking));
    REQUIRE(cuStreamDestroy(apart));
    REQUIRE(cuMemFree(memory));
    REQUIRE(cuMemFree(other));
}

typedef CUresult launch_function(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                                 unsigned, CUstream, void **, void **);
typedef CUresult query_function(CUstream);

/* Programs built for per-thread default streams get functions for which stream 0 is the thread's own: that
 * one does not wait for the legacy stream's neighbours unless those are blocking streams of another kind. */
static void per_thread_default_stream(void)
{
    uint32_t first = 8, count = 64, words[64];
    launch_function *launch = NULL;
    query_function *synchronize = NULL, *query = NULL;
    CUresult (*copy_back)(void *, CUdeviceptr, size_t) = NULL;
    CUstream other;
    gpu_use();
    REQUIRE(cuGetProcAddress("cuLaunchKernel", (void **)&launch, 7000,
                             CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, NULL));
    REQUIRE(cuGetProcAddress("cuStreamSynchronize", (void **)&synchronize, 7000,
                             CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, NULL));
    REQUIRE(cuGetProcAddress("cuStreamQuery", (void **)&query, 7000,
                             CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, NULL));
    REQUIRE(cuGetProcAddress("cuMemcpyDtoH", (void **)&copy_back, 7000,
                             CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, NULL));
    struct gate gate = gate_create();
    CUdeviceptr memory = gpu_allocate(sizeof words);
    CUfunction fill = gpu_kernel(ptx_basics, "fill");
    REQUIRE(cuStreamCreate(&other, CU_STREAM_DEFAULT));
    gate_close_stream(&gate, other);
    EXPECT(CUDA_SUCCESS, launch(fill, 1, 1, 1, 64, 1, 1, 0, NULL, ARGUMENTS(&memory, &first, &count), NULL));
    EXPECT(CUDA_SUCCESS, synchronize(NULL));
    EXPECT(CUDA_SUCCESS, query(NULL));
    EXPECT(CUDA_SUCCESS, cuStreamQuery(CU_STREAM_PER_THREAD));
    EXPECT(CUDA_ERROR_NOT_READY, cuStreamQuery(other));
    EXPECT(CUDA_SUCCESS, copy_back(words, memory, sizeof words));
    CHECK(words[0] == 8 && words[63] == 71);
    gate_open(&gate);
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(other));
    CHECK(gate_passed(&gate));
    gate_destroy(&gate);
    REQUIRE(cuStreamDestroy(other));
    REQUIRE(cuMemFree(memory));
}

/* Destroying a stream with work in it returns; the work is still done. */
static void destroyed_with_work(void)
{
    uint32_t first = 40, count = 256, words[256];
    CUstream stream;
    gpu_use();
    CUdeviceptr memory = gpu_allocate(sizeof words);
    struct gate gate = gate_create();
    CUfunction fill = gpu_kernel(ptx_basics, "fill");
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    gate_close_stream(&gate, stream);
    gpu_launch(fill, count, stream, ARGUMENTS(&memory, &first, &count));
    EXPECT(CUDA_SUCCESS, cuStreamDestroy(stream));
    gate_open(&gate);
    EXPECT(CUDA_SUCCESS, cuCtxSynchronize());
    CHECK(gate_passed(&gate));
    REQUIRE(cuMemcpyDtoH(words, memory, sizeof words));
    CHECK(words[0] == 40 && words[255] == 295);
    gate_destroy(&gate);
    REQUIRE(cuMemFree(memory));
}

/* 16 streams, each with a chain of its own, all at once. */
static void many_at_once(void)
{
    enum { STREAMS = 16, STEPS = 50, WORDS = 256 };
    CUstream streams[STREAMS];
    CUdeviceptr memory[STREAMS];
    uint32_t count = WORDS, wrong = 0, words[WORDS];
    gpu_use();
    CUfunction affine = gpu_kernel(ptx_basics, "affine");
    for (uint32_t s = 0; s < STREAMS; s++) {
        REQUIRE(cuStreamCreate(&streams[s], CU_STREAM_NON_BLOCKING));
        memory[s] = gpu_allocate(sizeof words);
        REQUIRE(cuMemsetD32Async(memory[s], s, WORDS, streams[s]));
    }
    for (uint32_t step = 0; step < STEPS; step++)
        for (uint32_t s = 0; s < STREAMS; s++) {
            uint32_t factor = 3 + s, term = step;
            gpu_launch(affine, count, streams[s], ARGUMENTS(&memory[s], &factor, &term, &count));
        }
    for (uint32_t s = 0; s < STREAMS; s++) {
        uint32_t expected = s;
        for (uint32_t step = 0; step < STEPS; step++)
            expected = expected * (3 + s) + step;
        REQUIRE(cuMemcpyDtoHAsync(words, memory[s], sizeof words, streams[s]));
        REQUIRE(cuStreamSynchronize(streams[s]));
        for (uint32_t i = 0; i < WORDS; i++)
            wrong += words[i] != expected;
        say("stream %u: %u", s, words[0]);
        REQUIRE(cuStreamDestroy(streams[s]));
        REQUIRE(cuMemFree(memory[s]));
    }
    CHECK(wrong == 0);
}

static void note_call(void *data)
{
    __atomic_fetch_add((int *)data, 1, __ATOMIC_SEQ_CST);
}

static void host_function(void)
{
    int calls = 0;
    CUstream stream;
    gpu_use();
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CUresult result = cuLaunchHostFunc(stream, note_call, &calls);
    if (result == CUDA_ERROR_NOT_SUPPORTED) {
        REQUIRE(cuStreamDestroy(stream));
        SKIP("cuLaunchHostFunc is not supported here");
    }
    say("cuLaunchHostFunc -> %s", result_name(result));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    CHECK(__atomic_load_n(&calls, __ATOMIC_SEQ_CST) == 1);
    REQUIRE(cuStreamDestroy(stream));
}

static const struct test_case cases[] = {
    CASE(properties),
    CASE(order_within),
    CASE(independence),
    CASE(legacy_default_stream),
    CASE(per_thread_default_stream),
    CASE(destroyed_with_work),
    CASE(many_at_once),
    CASE(host_function),
};

int main(int argc, char **argv)
{
    return suite_main("stream", cases, COUNT_OF(cases), argc, argv);
}
