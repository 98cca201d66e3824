/* Events: recording, asking, waiting, and the time between two. */
#include <string.h>

#include "support/gpu.h"

static void life(void)
{
    CUevent event;
    gpu_use();
    EXPECT(CUDA_SUCCESS, cuEventCreate(&event, CU_EVENT_DEFAULT));
    EXPECT(CUDA_SUCCESS, cuEventQuery(event));
    EXPECT(CUDA_SUCCESS, cuEventSynchronize(event));
    EXPECT(CUDA_SUCCESS, cuEventRecord(event, NULL));
    EXPECT(CUDA_SUCCESS, cuEventSynchronize(event));
    EXPECT(CUDA_SUCCESS, cuEventQuery(event));
    EXPECT(CUDA_SUCCESS, cuEventDestroy(event));
    EXPECT(CUDA_SUCCESS, cuEventCreate(&event, CU_EVENT_BLOCKING_SYNC));
    EXPECT(CUDA_SUCCESS, cuEventRecord(event, NULL));
    EXPECT(CUDA_SUCCESS, cuEventSynchronize(event));
    EXPECT(CUDA_SUCCESS, cuEventDestroy(event));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuEventCreate(&event, 0x100));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuEventCreate(&event, CU_EVENT_INTERPROCESS));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuEventCreate(NULL, 0));
    NOTE(cuEventRecord(NULL, NULL));
    NOTE(cuEventDestroy(NULL));
}

static void not_ready_until_done(void)
{
    CUevent event;
    CUstream stream;
    gpu_use();
    struct gate gate = gate_create();
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    gate_close_stream(&gate, stream);
    EXPECT(CUDA_SUCCESS, cuEventRecord(event, stream));
    EXPECT(CUDA_ERROR_NOT_READY, cuEventQuery(event));
    gate_open(&gate);
    EXPECT(CUDA_SUCCESS, cuEventSynchronize(event));
    EXPECT(CUDA_SUCCESS, cuEventQuery(event));
    CHECK(gate_passed(&gate));
    gate_destroy(&gate);
    REQUIRE(cuEventDestroy(event));
    REQUIRE(cuStreamDestroy(stream));
}

static void elapsed_time(void)
{
    CUevent start, middle, end, untimed;
    uint32_t rounds = 2000;
    float first = -1, second = -1, whole = -1;
    gpu_use();
    CUdeviceptr words = gpu_allocate(1024);
    CUfunction grind = gpu_kernel(ptx_basics, "grind");
    REQUIRE(cuMemsetD32(words, 1, 256));
    REQUIRE(cuEventCreate(&start, 0));
    REQUIRE(cuEventCreate(&middle, 0));
    REQUIRE(cuEventCreate(&end, 0));
    REQUIRE(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    EXPECT(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&first, start, end));
    REQUIRE(cuEventRecord(start, NULL));
    gpu_launch(grind, 256, NULL, ARGUMENTS(&words, &rounds));
    REQUIRE(cuEventRecord(middle, NULL));
    gpu_launch(grind, 256, NULL, ARGUMENTS(&words, &rounds));
    REQUIRE(cuEventRecord(end, NULL));
    REQUIRE(cuEventRecord(untimed, NULL));
    EXPECT(CUDA_SUCCESS, cuEventSynchronize(end));
    EXPECT(CUDA_SUCCESS, cuEventElapsedTime(&first, start, middle));
    EXPECT(CUDA_SUCCESS, cuEventElapsedTime(&second, middle, end));
    EXPECT(CUDA_SUCCESS, cuEventElapsedTime(&whole, start, end));
    CHECK(first > 0 && second > 0 && whole >= first && whole >= second && whole < 60000);
    EXPECT(CUDA_SUCCESS, cuEventElapsedTime(&whole, end, start));
    CHECK(whole <= 0);
    REQUIRE(cuEventSynchronize(untimed));
    EXPECT(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&whole, start, untimed));
    EXPECT(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(NULL, start, end));
    REQUIRE(cuEventDestroy(start));
    REQUIRE(cuEventDestroy(middle));
    REQUIRE(cuEventDestroy(end));
    REQUIRE(cuEventDestroy(untimed));
    REQUIRE(cuMemFree(words));
}

static void elapsed_while_running(void)
{
    CUevent start, end;
    CUstream stream;
    float milliseconds = -1;
    gpu_use();
    struct gate gate = gate_create();
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuEventCreate(&start, 0));
    REQUIRE(cuEventCreate(&end, 0));
    REQUIRE(cuEventRecord(start, stream));
    gate_close_stream(&gate, stream);
    REQUIRE(cuEventRecord(end, stream));
    EXPECT(CUDA_ERROR_NOT_READY, cuEventElapsedTime(&milliseconds, start, end));
    gate_open(&gate);
    REQUIRE(cuStreamSynchronize(stream));
    EXPECT(CUDA_SUCCESS, cuEventElapsedTime(&milliseconds, start, end));
    CHECK(milliseconds >= 0);
    gate_destroy(&gate);
    REQUIRE(cuEventDestroy(start));
    REQUIRE(cuEventDestroy(end));
    REQUIRE(cuStreamDestroy(stream));
}

/* The second stream starts only once the first has got where the event was recorded. */
static void wait_across_streams(void)
{
    uint32_t count = 100, first = 7, factor = 2, term = 1, words[100], wrong = 0;
    CUevent filled;
    CUstream producer, consumer;
    gpu_use();
    struct gate gate = gate_create();
    CUfunction fill = gpu_kernel(ptx_basics, "fill"), affine = gpu_kernel(ptx_basics, "affine");
    CUdeviceptr memory = gpu_allocate(sizeof words);
    REQUIRE(cuMemsetD32(memory, 0, count));
    REQUIRE(cuCtxSynchronize()); /* a non-blocking stream does not wait for the default one */
    REQUIRE(cuStreamCreate(&producer, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuStreamCreate(&consumer, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuEventCreate(&filled, CU_EVENT_DISABLE_TIMING));
    gate_close_stream(&gate, producer);
    gpu_launch(fill, count, producer, ARGUMENTS(&memory, &first, &count));
    EXPECT(CUDA_SUCCESS, cuEventRecord(filled, producer));
    EXPECT(CUDA_SUCCESS, cuStreamWaitEvent(consumer, filled, 0));
    gpu_launch(affine, count, consumer, ARGUMENTS(&memory, &factor, &term, &count));
    EXPECT(CUDA_ERROR_NOT_READY, cuStreamQuery(consumer));
    gate_open(&gate);
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(consumer));
    REQUIRE(cuMemcpyDtoH(words, memory, sizeof words));
    for (uint32_t i = 0; i < count; i++)
        wrong += words[i] != (7 + i) * 2 + 1;
    CHECK(wrong == 0);
    CHECK(gate_passed(&gate));
    gate_destroy(&gate);
    REQUIRE(cuEventDestroy(filled));
    REQUIRE(cuStreamDestroy(producer));
    REQUIRE(cuStreamDestroy(consumer));
    REQUIRE(cuMemFree(memory));
}

/* A wait is for what the event held when the wait was given; recording it anew changes nothing. */
static void recorded_again(void)
{
    CUevent event;
    CUstream stream, waiting;
    gpu_use();
    struct gate gate = gate_create();
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuStreamCreate(&waiting, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuEventRecord(event, stream));
    REQUIRE(cuStreamWaitEvent(waiting, event, 0));
    gate_close_stream(&gate, stream);
    REQUIRE(cuEventRecord(event, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(waiting));
    EXPECT(CUDA_ERROR_NOT_READY, cuEventQuery(event));
    gate_open(&gate);
    EXPECT(CUDA_SUCCESS, cuEventSynchronize(event));
    gate_destroy(&gate);
    REQUIRE(cuEventDestroy(event));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuStreamDestroy(waiting));
}

static void waiting_for_nothing(void)
{
    CUevent event;
    CUstream stream;
    gpu_use();
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuEventCreate(&event, 0));
    EXPECT(CUDA_SUCCESS, cuStreamWaitEvent(stream, event, 0)); /* never recorded */
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    EXPECT(CUDA_SUCCESS, cuEventRecordWithFlags(event, stream, 0));
    EXPECT(CUDA_SUCCESS, cuEventDestroy(event)); /* with its record perhaps still to come */
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    NOTE(cuStreamWaitEvent(stream, NULL, 0));
    REQUIRE(cuStreamDestroy(stream));
}

static const struct test_case cases[] = {
    CASE(life),
    CASE(not_ready_until_done),
    CASE(elapsed_time),
    CASE(elapsed_while_running),
    CASE(wait_across_streams),
    CASE(recorded_again),
    CASE(waiting_for_nothing),
};

int main(int argc, char **argv)
{
    return suite_main("event", cases, COUNT_OF(cases), argc, argv);
}
