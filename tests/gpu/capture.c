/* Stream capture: what becomes of what streams are given, and what a capture forbids. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/gpu.h"

#define COUNT 256u

static void affine(CUdeviceptr words, uint32_t factor, uint32_t term, CUstream stream)
{
    uint32_t count = COUNT;
    gpu_launch(gpu_kernel(ptx_basics, "affine"), count, stream, ARGUMENTS(&words, &factor, &term, &count));
}

static uint32_t first_word(CUdeviceptr words)
{
    uint32_t word = 0;
    REQUIRE(cuMemcpyDtoH(&word, words, sizeof word));
    return word;
}

static CUstream new_stream(unsigned flags)
{
    CUstream stream;
    REQUIRE(cuStreamCreate(&stream, flags));
    return stream;
}

static CUgraphExec executable(CUgraph graph)
{
    CUgraphExec exec;
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    REQUIRE(cuGraphDestroy(graph));
    return exec;
}

static size_t node_count(CUgraph graph)
{
    size_t count = 0;
    REQUIRE(cuGraphGetNodes(graph, NULL, &count));
    return count;
}

static void replay(void)
{
    CUgraph graph;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4), copy = gpu_allocate(COUNT * 4);
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuMemsetD32(words, 5, COUNT));
    REQUIRE(cuMemsetD32(copy, 0, COUNT));
    REQUIRE(cuCtxSynchronize());
    EXPECT(CUDA_SUCCESS, cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    affine(words, 3, 1, stream);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoDAsync(copy, words, COUNT * 4, stream));
    EXPECT(CUDA_SUCCESS, cuMemsetD32Async(words, 9, COUNT / 2, stream));
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    say("%zu nodes", node_count(graph));
    say("nothing done: %u %u", first_word(words), first_word(copy));
    CUgraphExec exec = executable(graph);
    for (int i = 0; i < 2; i++) {
        EXPECT(CUDA_SUCCESS, cuGraphLaunch(exec, stream));
        EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
        say("%u %u", first_word(words), first_word(copy));
    }
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
    REQUIRE(cuMemFree(copy));
}

static void asking(void)
{
    CUstreamCaptureStatus status = 9;
    cuuint64_t first = 0, id = 0;
    CUgraph graph = NULL, ended = NULL;
    const CUgraphNode *nodes = NULL;
    const CUgraphEdgeData *edges = NULL;
    size_t count = 9;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    EXPECT(CUDA_SUCCESS, cuStreamIsCapturing(stream, &status));
    say("status %d", (int)status);
    EXPECT(CUDA_SUCCESS, cuStreamIsCapturing(NULL, &status));
    EXPECT(CUDA_SUCCESS, cuStreamGetCaptureInfo_v2(stream, &status, &id, &graph, &nodes, &count));
    say("status %d", (int)status);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuStreamIsCapturing(stream, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuStreamGetCaptureInfo_v2(stream, NULL, &id, NULL, NULL, NULL));
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    EXPECT(CUDA_SUCCESS, cuStreamGetCaptureInfo_v2(stream, &status, &first, &graph, &nodes, &count));
    say("status %d, %zu nodes before", (int)status, count);
    affine(words, 3, 1, stream);
    EXPECT(CUDA_SUCCESS, cuStreamGetCaptureInfo_v3(stream, &status, &id, &graph, &nodes, &edges, &count));
    say("status %d, %zu nodes before", (int)status, count);
    CHECK(id == first && id != 0 && graph != NULL && nodes != NULL);
    CUgraphNodeType type;
    EXPECT(CUDA_SUCCESS, cuGraphNodeGetType(nodes[0], &type));
    say("type %d", (int)type);
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &ended));
    CHECK(ended == graph);
    EXPECT(CUDA_SUCCESS, cuStreamIsCapturing(stream, &status));
    say("status %d", (int)status);
    REQUIRE(cuGraphDestroy(ended));
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    EXPECT(CUDA_SUCCESS, cuStreamGetCaptureInfo_v2(stream, &status, &id, NULL, NULL, NULL));
    CHECK(id != first);
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &ended));
    REQUIRE(cuGraphDestroy(ended));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
}

static void fork_and_join(void)
{
    CUgraph graph;
    CUevent forked, joined;
    size_t edges = 0;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4), others = gpu_allocate(COUNT * 4);
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING), side = new_stream(CU_STREAM_NON_BLOCKING);
    CUstreamCaptureStatus status;
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuEventCreate(&forked, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuEventCreate(&joined, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    REQUIRE(cuMemsetD32Async(words, 1, COUNT, stream));
    EXPECT(CUDA_SUCCESS, cuEventRecord(forked, stream));
    EXPECT(CUDA_SUCCESS, cuStreamWaitEvent(side, forked, 0));
    EXPECT(CUDA_SUCCESS, cuStreamIsCapturing(side, &status));
    say("status %d", (int)status);
    REQUIRE(cuMemcpyDtoDAsync(others, words, COUNT * 4, side));
    affine(others, 2, 0, side);
    EXPECT(CUDA_SUCCESS, cuEventRecord(joined, side));
    affine(words, 10, 0, stream);
    EXPECT(CUDA_SUCCESS, cuStreamWaitEvent(stream, joined, 0));
    REQUIRE(cuMemcpyDtoDAsync(words + 4, others, 4, stream));
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    EXPECT(CUDA_SUCCESS, cuStreamIsCapturing(side, &status));
    say("status %d", (int)status);
    REQUIRE(cuGraphGetEdges(graph, NULL, NULL, NULL, &edges));
    say("%zu nodes, %zu edges", node_count(graph), edges);
    CUgraphExec exec = executable(graph);
    REQUIRE(cuGraphLaunch(exec, stream));
    REQUIRE(cuStreamSynchronize(stream));
    say("%u %u", first_word(words), first_word(words + 4));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuEventDestroy(forked));
    REQUIRE(cuEventDestroy(joined));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuStreamDestroy(side));
    REQUIRE(cuMemFree(words));
    REQUIRE(cuMemFree(others));
}

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
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING), side = new_stream(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    EXPECT(CUDA_ERROR_ILLEGAL_STATE, cuStreamEndCapture(stream, &graph));
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
    affine(words, 1, 1, side);
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
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING);
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
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamBeginCapture(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CUstream stream = new_stream(CU_STREAM_DEFAULT), apart = new_stream(CU_STREAM_NON_BLOCKING);
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, cuStreamIsCapturing(NULL, &status));
    EXPECT(CUDA_SUCCESS, cuStreamIsCapturing(stream, &status));
    say("status %d", (int)status);
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, cuMemsetD32Async(words, 1, COUNT, NULL));
    end_invalid(stream);
    /* A non-blocking stream leaves the legacy stream alone. */
    REQUIRE(cuStreamBeginCapture(apart, CU_STREAM_CAPTURE_MODE_RELAXED));
    EXPECT(CUDA_SUCCESS, cuMemsetD32Async(words, 1, COUNT, NULL));
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
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING);
    EXPECT(CUDA_SUCCESS, cuThreadExchangeStreamCaptureMode(&mode));
    say("was %d", (int)mode);
    EXPECT(CUDA_SUCCESS, cuThreadExchangeStreamCaptureMode(&mode));
    say("was %d", (int)mode);
    for (unsigned capture = 0; capture < 3; capture++) {
        for (unsigned own = 0; own < 3; own++) {
            for (unsigned elsewhere = 0; elsewhere < 2; elsewhere++) {
                CUstreamCaptureMode wanted = own, saved = own;
                CUgraph graph = NULL;
                void *result;
                REQUIRE(cuStreamBeginCapture(stream, capture));
                if (elsewhere) {
                    pthread_t thread;
                    pthread_create(&thread, NULL, allocate_elsewhere, &wanted);
                    pthread_join(thread, &result);
                } else {
                    result = allocate_elsewhere(&wanted);
                    saved = CU_STREAM_CAPTURE_MODE_GLOBAL;
                    REQUIRE(cuThreadExchangeStreamCaptureMode(&saved));
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
    CUstream one = new_stream(CU_STREAM_NON_BLOCKING), two = new_stream(CU_STREAM_NON_BLOCKING);
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

static void allocations(void)
{
    CUgraph graph;
    CUdeviceptr inside = 0;
    gpu_use();
    if (!gpu_attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED))
        SKIP("no memory pools");
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT(CUDA_SUCCESS, cuMemAllocAsync(&inside, COUNT * 4, stream));
    EXPECT(CUDA_SUCCESS, cuMemsetD32Async(inside, 4, COUNT, stream));
    affine(inside, 5, 1, stream);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoDAsync(words, inside, COUNT * 4, stream));
    EXPECT(CUDA_SUCCESS, cuMemFreeAsync(inside, stream));
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    say("%zu nodes", node_count(graph));
    CUgraphExec exec = executable(graph);
    for (int i = 0; i < 2; i++) {
        REQUIRE(cuMemsetD32(words, 0, COUNT));
        REQUIRE(cuCtxSynchronize());
        REQUIRE(cuGraphLaunch(exec, stream));
        REQUIRE(cuStreamSynchronize(stream));
        say("%u", first_word(words));
    }
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
}

static void into_a_graph(void)
{
    CUgraph graph, same;
    CUgraphNode node, dependency;
    size_t edges = 0;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuGraphCreate(&graph, 0));
    REQUIRE(cuGraphAddEmptyNode(&node, graph, NULL, 0));
    EXPECT(CUDA_SUCCESS,
           cuStreamBeginCaptureToGraph(stream, graph, &node, NULL, 1, CU_STREAM_CAPTURE_MODE_GLOBAL));
    REQUIRE(cuMemsetD32Async(words, 2, COUNT, stream));
    EXPECT(CUDA_SUCCESS, cuGraphAddEmptyNode(&dependency, graph, &node, 1));
    EXPECT(CUDA_SUCCESS, cuStreamUpdateCaptureDependencies(stream, &dependency, NULL, 1,
                                                           CU_STREAM_ADD_CAPTURE_DEPENDENCIES));
    affine(words, 3, 1, stream);
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &same));
    CHECK(same == graph);
    REQUIRE(cuGraphGetEdges(graph, NULL, NULL, NULL, &edges));
    say("%zu nodes, %zu edges", node_count(graph), edges);
    CUgraphExec exec = executable(graph);
    REQUIRE(cuGraphLaunch(exec, stream));
    REQUIRE(cuStreamSynchronize(stream));
    say("%u", first_word(words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
}

static void external_events(void)
{
    CUgraph graph;
    CUevent event;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    affine(words, 3, 1, stream);
    EXPECT(CUDA_SUCCESS, cuEventRecordWithFlags(event, stream, CU_EVENT_RECORD_EXTERNAL));
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    say("%zu nodes", node_count(graph));
    CUgraphExec exec = executable(graph);
    REQUIRE(cuMemsetD32(words, 1, COUNT));
    REQUIRE(cuCtxSynchronize());
    REQUIRE(cuGraphLaunch(exec, stream));
    EXPECT(CUDA_SUCCESS, cuEventSynchronize(event));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    say("%u", first_word(words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuEventDestroy(event));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
}

/* A library's kernel, launched without ever asking for its function. */
static void kernel_of_a_library(void)
{
    CUlibrary library;
    CUkernel kernel;
    CUgraph graph;
    CUgraphNode node;
    size_t count = 1;
    uint32_t factor = 6, term = 2, elements = COUNT;
    CUDA_KERNEL_NODE_PARAMS params;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING);
    REQUIRE(cuLibraryLoadData(&library, ptx_basics, NULL, NULL, 0, NULL, NULL, 0));
    REQUIRE(cuLibraryGetKernel(&kernel, library, "affine"));
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    REQUIRE(cuMemsetD32Async(words, 1, COUNT, stream));
    gpu_launch((CUfunction)(void *)kernel, COUNT, stream, ARGUMENTS(&words, &factor, &term, &elements));
    REQUIRE(cuStreamEndCapture(stream, &graph));
    CUgraphNode nodes[2];
    count = 2;
    REQUIRE(cuGraphGetNodes(graph, nodes, &count));
    CUgraphNodeType type;
    REQUIRE(cuGraphNodeGetType(nodes[0], &type));
    node = nodes[type == CU_GRAPH_NODE_TYPE_KERNEL ? 0 : 1];
    EXPECT(CUDA_SUCCESS, cuGraphKernelNodeGetParams(node, &params));
    say("factor %u term %u, %s", *(uint32_t *)params.kernelParams[1], *(uint32_t *)params.kernelParams[2],
        params.func   ? "a function"
        : params.kern ? "a kernel"
                      : "nothing");
    term = 5;
    params.kernelParams[2] = &term;
    EXPECT(CUDA_SUCCESS, cuGraphKernelNodeSetParams(node, &params));
    CUgraphExec exec = executable(graph);
    REQUIRE(cuGraphLaunch(exec, stream));
    REQUIRE(cuStreamSynchronize(stream));
    say("%u", first_word(words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuLibraryUnload(library));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
}

/* A graph is no work that could be captured. */
static void graph_in_graph(void)
{
    CUgraph graph = NULL;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    affine(words, 3, 1, stream);
    REQUIRE(cuStreamEndCapture(stream, &graph));
    CUgraphExec exec = executable(graph);
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuGraphLaunch(exec, stream));
    end_invalid(stream);
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
}

/* Copies from and to host memory are made anew at every launch. */
static void host_copies_of(uint32_t *in, uint32_t *out)
{
    CUgraph graph;
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    memset(in, 0, COUNT * 4);
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT(CUDA_SUCCESS, cuMemcpyHtoDAsync(words, in, COUNT * 4, stream));
    affine(words, 2, 1, stream);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoHAsync(out, words, COUNT * 4, stream));
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    CUgraphExec exec = executable(graph);
    for (uint32_t round = 1; round < 4; round++) {
        uint32_t wrong = 0;
        for (uint32_t i = 0; i < COUNT; i++)
            in[i] = i + round * 1000;
        REQUIRE(cuGraphLaunch(exec, stream));
        REQUIRE(cuStreamSynchronize(stream));
        for (uint32_t i = 0; i < COUNT; i++)
            wrong += out[i] != (i + round * 1000) * 2 + 1;
        say("round %u: %u wrong", round, wrong);
        CHECK(wrong == 0);
    }
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
}

static void pinned_copies(void)
{
    gpu_use();
    if (!host_memory_is_mapped())
        SKIP("host memory is not shared here");
    uint32_t *in = host_allocate_pinned(COUNT * 4), *out = host_allocate_pinned(COUNT * 4);
    host_copies_of(in, out);
    REQUIRE(cuMemFreeHost(in));
    REQUIRE(cuMemFreeHost(out));
}

static void pageable_copies(void)
{
    uint32_t in[COUNT], out[COUNT];
    gpu_use();
    if (!host_memory_is_mapped())
        SKIP("host memory is not shared here");
    host_copies_of(in, out);
}

/* Others go on while a stream captures. */
static void *work_elsewhere(void *argument)
{
    CUdeviceptr words = *(CUdeviceptr *)argument;
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    gpu_use();
    REQUIRE(cuThreadExchangeStreamCaptureMode(&mode));
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING);
    for (int i = 0; i < 200; i++) {
        affine(words, 3, 1, stream);
        if (i % 50 == 49)
            REQUIRE(cuStreamSynchronize(stream));
    }
    REQUIRE(cuStreamDestroy(stream));
    return NULL;
}

static void beside_others(void)
{
    CUgraph graph;
    pthread_t thread;
    uint32_t expected = 1;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4), others = gpu_allocate(COUNT * 4);
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuMemsetD32(others, 1, COUNT));
    REQUIRE(cuCtxSynchronize());
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    pthread_create(&thread, NULL, work_elsewhere, &others);
    REQUIRE(cuMemsetD32Async(words, 1, COUNT, stream));
    for (int i = 0; i < 200; i++) {
        affine(words, 3, 1, stream);
        expected = expected * 3 + 1;
    }
    pthread_join(thread, NULL);
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    say("%zu nodes", node_count(graph));
    CUgraphExec exec = executable(graph);
    REQUIRE(cuGraphLaunch(exec, stream));
    REQUIRE(cuStreamSynchronize(stream));
    CHECK(first_word(words) == expected && first_word(others) == expected);
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
    REQUIRE(cuMemFree(others));
}

static const struct test_case cases[] = {
    CASE(replay),         CASE(asking),        CASE(fork_and_join),   CASE(wrong_ends),
    CASE(forbidden),      CASE(legacy_stream), CASE(modes),           CASE(merge),
    CASE(allocations),    CASE(into_a_graph),  CASE(external_events), CASE(kernel_of_a_library),
    CASE(graph_in_graph), CASE(pinned_copies), CASE(pageable_copies), CASE(beside_others),
};

int main(int argc, char **argv)
{
    return suite_main("capture", cases, COUNT_OF(cases), argc, argv);
}
