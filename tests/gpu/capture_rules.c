/* The rules of stream capture: where it may begin and end, and which calls it forbids to whom. */
#include <pthread.h>

#include "support/graph.h"

static void *end_elsewhere(void *stream)
{
    CUgraph graph = NULL;
    gpu_use();
    return (void *)(uintptr_t)cuStreamEndCapture(stream, &graph);
}

static void wrong_ends(void)
{
    CUgraph graph = NULL;
    CUevent event;
    void *result;
    pthread_t thread;
    gpu_use();
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING), side = stream_create(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    EXPECT(CUDA_ERROR_ILLEGAL_STATE, cuStreamEndCapture(stream, &graph));
    EXPECT(CUDA_ERROR_INVALID_VALUE,
           cuStreamBeginCaptureToGraph(stream, NULL, NULL, NULL, 0, CU_STREAM_CAPTURE_MODE_GLOBAL));
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT(CUDA_ERROR_ILLEGAL_STATE, cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    pthread_create(&thread, NULL, end_elsewhere, stream);
    pthread_join(thread, &result);
    say("ended elsewhere: %s", result_name((CUresult)(uintptr_t)result));
    CHECK((CUresult)(uintptr_t)result == CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
    EXPECT(CUDA_ERROR_ILLEGAL_STATE, cuStreamEndCapture(stream, &graph));
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    /* Work left behind in another stream. */
    REQUIRE(cuEventRecord(event, stream));
    REQUIRE(cuStreamWaitEvent(side, event, 0));
    words_change(words, 1, 1, side);
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, cuStreamEndCapture(stream, &graph));
    CHECK(graph == NULL);
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(side));
    /* Ended where it was not begun. */
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    REQUIRE(cuEventRecord(event, stream));
    REQUIRE(cuStreamWaitEvent(side, event, 0));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, cuStreamEndCapture(side, &graph));
    NOTE(cuStreamEndCapture(stream, &graph));
    if (graph)
        REQUIRE(cuGraphDestroy(graph));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    REQUIRE(cuEventDestroy(event));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuStreamDestroy(side));
    REQUIRE(cuMemFree(words));
}

/* A stream that forks off need not join back before it has captured anything, nor once nothing is to come
 * behind it. */
static void left_behind(void)
{
    CUgraph graph = NULL;
    CUevent event;
    gpu_use();
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING), side = stream_create(CU_STREAM_NON_BLOCKING);
    REQUIRE(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    REQUIRE(cuMemsetD32Async(words, 2, WORDS, stream));
    REQUIRE(cuEventRecord(event, stream));
    REQUIRE(cuStreamWaitEvent(side, event, 0));
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    say("%zu nodes", graph_node_count(graph));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    REQUIRE(cuMemsetD32Async(words, 2, WORDS, stream));
    REQUIRE(cuEventRecord(event, stream));
    REQUIRE(cuStreamWaitEvent(side, event, 0));
    REQUIRE(cuMemsetD32Async(words, 3, WORDS, side));
    REQUIRE(cuStreamUpdateCaptureDependencies(side, NULL, NULL, 0, CU_STREAM_SET_CAPTURE_DEPENDENCIES));
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    say("%zu nodes", graph_node_count(graph));
    CUgraphExec exec = graph_executable(graph);
    REQUIRE(cuGraphLaunch(exec, stream));
    REQUIRE(cuStreamSynchronize(stream));
    say("%u", words_first(words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuEventDestroy(event));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuStreamDestroy(side));
    REQUIRE(cuMemFree(words));
}

/* Each forbidden call ends the capture; after its end the stream is as before. */
static void end_invalid(CUstream stream)
{
    CUgraph graph = (CUgraph)&graph;
    CUstreamCaptureStatus status = 9;
    REQUIRE(cuStreamIsCapturing(stream, &status));
    say("status %d", (int)status);
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(stream, &graph));
    CHECK(graph == NULL);
    REQUIRE(cuStreamSynchronize(stream));
}

static void forbidden(void)
{
    CUevent event;
    gpu_use();
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamSynchronize(stream));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuMemsetD32Async(words, 1, 1, stream));
    end_invalid(stream);
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamQuery(stream));
    end_invalid(stream);
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuCtxSynchronize());
    end_invalid(stream);
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    REQUIRE(cuEventRecord(event, stream));
    EXPECT(CUDA_ERROR_CAPTURED_EVENT, cuEventQuery(event));
    end_invalid(stream);
    /* What was recorded before counts for nothing in a capture. */
    REQUIRE(cuEventRecord(event, NULL));
    REQUIRE(cuEventSynchronize(event));
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, cuStreamWaitEvent(stream, event, 0));
    end_invalid(stream);
    REQUIRE(cuEventDestroy(event));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
}

static void legacy_stream(void)
{
    CUstreamCaptureStatus status;
    CUgraph graph = NULL;
    gpu_use();
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamBeginCapture(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CUstream stream = stream_create(CU_STREAM_DEFAULT), apart = stream_create(CU_STREAM_NON_BLOCKING);
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, cuStreamIsCapturing(NULL, &status));
    EXPECT(CUDA_SUCCESS, cuStreamIsCapturing(stream, &status));
    say("status %d", (int)status);
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, cuMemsetD32Async(words, 1, WORDS, NULL));
    end_invalid(stream);
    /* A non-blocking stream leaves the legacy stream alone. */
    REQUIRE(cuStreamBeginCapture(apart, CU_STREAM_CAPTURE_MODE_RELAXED));
    EXPECT(CUDA_SUCCESS, cuMemsetD32Async(words, 1, WORDS, NULL));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(NULL));
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(apart, &graph));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuStreamDestroy(apart));
    REQUIRE(cuMemFree(words));
}

static void *allocate_elsewhere(void *mode)
{
    CUstreamCaptureMode own = *(CUstreamCaptureMode *)mode;
    CUdeviceptr words = 0;
    gpu_use();
    REQUIRE(cuThreadExchangeStreamCaptureMode(&own));
    CUresult result = cuMemAlloc(&words, 1 << 20);
    if (result == CUDA_SUCCESS)
        REQUIRE(cuMemFree(words));
    return (void *)(uintptr_t)result;
}

/* Allocating during a capture, in this thread or another, under the modes of capture and thread. */
static void modes(void)
{
    static const char *const names[] = {"global", "thread-local", "relaxed"};
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    gpu_use();
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    EXPECT(CUDA_SUCCESS, cuThreadExchangeStreamCaptureMode(&mode));
    say("was %d", (int)mode);
    EXPECT(CUDA_SUCCESS, cuThreadExchangeStreamCaptureMode(&mode));
    say("was %d", (int)mode);
    for (unsigned capture = 0; capture < 3; capture++) {
        for (unsigned own = 0; own < 3; own++) {
            for (unsigned elsewhere = 0; elsewhere < 2; elsewhere++) {
                CUstreamCaptureMode wanted = own;
                CUgraph graph = NULL;
                void *result;
                REQUIRE(cuStreamBeginCapture(stream, capture));
                if (elsewhere) {
                    pthread_t thread;
                    pthread_create(&thread, NULL, allocate_elsewhere, &wanted);
                    pthread_join(thread, &result);
                } else {
                    result = allocate_elsewhere(&wanted);
                    CUstreamCaptureMode usual = CU_STREAM_CAPTURE_MODE_GLOBAL;
                    REQUIRE(cuThreadExchangeStreamCaptureMode(&usual));
                }
                CUresult end = cuStreamEndCapture(stream, &graph);
                say("%s capture, %s %s thread: %s, %s", names[capture], elsewhere ? "another" : "its",
                    names[own], result_name((CUresult)(uintptr_t)result), result_name(end));
                if (graph)
                    REQUIRE(cuGraphDestroy(graph));
            }
        }
    }
    REQUIRE(cuStreamDestroy(stream));
}

static void merge(void)
{
    CUgraph graph = NULL;
    CUevent event;
    gpu_use();
    CUstream one = stream_create(CU_STREAM_NON_BLOCKING), two = stream_create(CU_STREAM_NON_BLOCKING);
    REQUIRE(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuStreamBeginCapture(one, CU_STREAM_CAPTURE_MODE_RELAXED));
    REQUIRE(cuStreamBeginCapture(two, CU_STREAM_CAPTURE_MODE_RELAXED));
    REQUIRE(cuEventRecord(event, one));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_MERGE, cuStreamWaitEvent(two, event, 0));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(one, &graph));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(two, &graph));
    REQUIRE(cuEventDestroy(event));
    REQUIRE(cuStreamDestroy(one));
    REQUIRE(cuStreamDestroy(two));
}

/* A graph is no work that could be captured. */
static void graph_in_graph(void)
{
    CUgraph graph = NULL;
    gpu_use();
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    words_change(words, 3, 1, stream);
    REQUIRE(cuStreamEndCapture(stream, &graph));
    CUgraphExec exec = graph_executable(graph);
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuGraphLaunch(exec, stream));
    end_invalid(stream);
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
}

static const struct test_case cases[] = {
    CASE(wrong_ends), CASE(left_behind), CASE(forbidden),      CASE(legacy_stream),
    CASE(modes),      CASE(merge),       CASE(graph_in_graph),
};

int main(int argc, char **argv)
{
    return suite_main("capture_rules", cases, COUNT_OF(cases), argc, argv);
}
