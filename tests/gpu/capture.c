/* Stream capture: what becomes of what streams are given, and what can be asked about it. */
#include <pthread.h>
#include <string.h>

#include "support/graph.h"

static void replay(void)
{
    CUgraph graph;
    gpu_use();
    CUdeviceptr words = gpu_allocate(WORDS * 4), copy = gpu_allocate(WORDS * 4);
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuMemsetD32(words, 5, WORDS));
    REQUIRE(cuMemsetD32(copy, 0, WORDS));
    REQUIRE(cuCtxSynchronize());
    EXPECT(CUDA_SUCCESS, cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    words_change(words, 3, 1, stream);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoDAsync(copy, words, WORDS * 4, stream));
    EXPECT(CUDA_SUCCESS, cuMemsetD32Async(words, 9, WORDS / 2, stream));
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    say("%zu nodes", graph_node_count(graph));
    say("nothing done: %u %u", words_first(words), words_first(copy));
    CUgraphExec exec = graph_executable(graph);
    for (int i = 0; i < 2; i++) {
        EXPECT(CUDA_SUCCESS, cuGraphLaunch(exec, stream));
        EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
        say("%u %u", words_first(words), words_first(copy));
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
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
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
    words_change(words, 3, 1, stream);
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
    CUdeviceptr words = gpu_allocate(WORDS * 4), others = gpu_allocate(WORDS * 4);
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING), side = stream_create(CU_STREAM_NON_BLOCKING);
    CUstreamCaptureStatus status;
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuEventCreate(&forked, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuEventCreate(&joined, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    REQUIRE(cuMemsetD32Async(words, 1, WORDS, stream));
    EXPECT(CUDA_SUCCESS, cuEventRecord(forked, stream));
    EXPECT(CUDA_SUCCESS, cuStreamWaitEvent(side, forked, 0));
    EXPECT(CUDA_SUCCESS, cuStreamIsCapturing(side, &status));
    say("status %d", (int)status);
    REQUIRE(cuMemcpyDtoDAsync(others, words, WORDS * 4, side));
    words_change(others, 2, 0, side);
    EXPECT(CUDA_SUCCESS, cuEventRecord(joined, side));
    words_change(words, 10, 0, stream);
    EXPECT(CUDA_SUCCESS, cuStreamWaitEvent(stream, joined, 0));
    REQUIRE(cuMemcpyDtoDAsync(words + 4, others, 4, stream));
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    EXPECT(CUDA_SUCCESS, cuStreamIsCapturing(side, &status));
    say("status %d", (int)status);
    REQUIRE(cuGraphGetEdges(graph, NULL, NULL, NULL, &edges));
    say("%zu nodes, %zu edges", graph_node_count(graph), edges);
    CUgraphExec exec = graph_executable(graph);
    REQUIRE(cuGraphLaunch(exec, stream));
    REQUIRE(cuStreamSynchronize(stream));
    say("%u %u", words_first(words), words_first(words + 4));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuEventDestroy(forked));
    REQUIRE(cuEventDestroy(joined));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuStreamDestroy(side));
    REQUIRE(cuMemFree(words));
    REQUIRE(cuMemFree(others));
}

static void allocations(void)
{
    CUgraph graph;
    CUdeviceptr inside = 0;
    gpu_use();
    if (!gpu_attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED))
        SKIP("no memory pools");
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT(CUDA_SUCCESS, cuMemAllocAsync(&inside, WORDS * 4, stream));
    EXPECT(CUDA_SUCCESS, cuMemsetD32Async(inside, 4, WORDS, stream));
    words_change(inside, 5, 1, stream);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoDAsync(words, inside, WORDS * 4, stream));
    EXPECT(CUDA_SUCCESS, cuMemFreeAsync(inside, stream));
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    say("%zu nodes", graph_node_count(graph));
    CUgraphExec exec = graph_executable(graph);
    for (int i = 0; i < 2; i++) {
        REQUIRE(cuMemsetD32(words, 0, WORDS));
        REQUIRE(cuCtxSynchronize());
        REQUIRE(cuGraphLaunch(exec, stream));
        REQUIRE(cuStreamSynchronize(stream));
        say("%u", words_first(words));
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
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuGraphCreate(&graph, 0));
    REQUIRE(cuGraphAddEmptyNode(&node, graph, NULL, 0));
    EXPECT(CUDA_SUCCESS,
           cuStreamBeginCaptureToGraph(stream, graph, &node, NULL, 1, CU_STREAM_CAPTURE_MODE_GLOBAL));
    REQUIRE(cuMemsetD32Async(words, 2, WORDS, stream));
    EXPECT(CUDA_SUCCESS, cuGraphAddEmptyNode(&dependency, graph, &node, 1));
    EXPECT(CUDA_SUCCESS, cuStreamUpdateCaptureDependencies(stream, &dependency, NULL, 1,
                                                           CU_STREAM_ADD_CAPTURE_DEPENDENCIES));
    words_change(words, 3, 1, stream);
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &same));
    CHECK(same == graph);
    REQUIRE(cuGraphGetEdges(graph, NULL, NULL, NULL, &edges));
    say("%zu nodes, %zu edges", graph_node_count(graph), edges);
    CUgraphExec exec = graph_executable(graph);
    REQUIRE(cuGraphLaunch(exec, stream));
    REQUIRE(cuStreamSynchronize(stream));
    say("%u", words_first(words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
}

static void external_events(void)
{
    CUgraph graph;
    CUevent event;
    gpu_use();
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    words_change(words, 3, 1, stream);
    EXPECT(CUDA_SUCCESS, cuEventRecordWithFlags(event, stream, CU_EVENT_RECORD_EXTERNAL));
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    say("%zu nodes", graph_node_count(graph));
    CUgraphExec exec = graph_executable(graph);
    REQUIRE(cuMemsetD32(words, 1, WORDS));
    REQUIRE(cuCtxSynchronize());
    REQUIRE(cuGraphLaunch(exec, stream));
    EXPECT(CUDA_SUCCESS, cuEventSynchronize(event));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    say("%u", words_first(words));
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
    size_t count = 2;
    uint32_t factor = 6, term = 2, elements = WORDS;
    CUDA_KERNEL_NODE_PARAMS params;
    gpu_use();
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    REQUIRE(cuLibraryLoadData(&library, ptx_basics, NULL, NULL, 0, NULL, NULL, 0));
    REQUIRE(cuLibraryGetKernel(&kernel, library, "affine"));
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    REQUIRE(cuMemsetD32Async(words, 1, WORDS, stream));
    gpu_launch((CUfunction)(void *)kernel, WORDS, stream, ARGUMENTS(&words, &factor, &term, &elements));
    REQUIRE(cuStreamEndCapture(stream, &graph));
    CUgraphNode nodes[2];
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
    void *list[4]; /* the one that was got is the node's */
    memcpy(list, params.kernelParams, sizeof list);
    list[2] = &term;
    params.kernelParams = list;
    EXPECT(CUDA_SUCCESS, cuGraphKernelNodeSetParams(node, &params));
    CUgraphExec exec = graph_executable(graph);
    REQUIRE(cuGraphLaunch(exec, stream));
    REQUIRE(cuStreamSynchronize(stream));
    say("%u", words_first(words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuLibraryUnload(library));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
}

/* Copies from and to host memory are made anew at every launch. */
static void host_copies_of(uint32_t *in, uint32_t *out)
{
    CUgraph graph;
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    memset(in, 0, WORDS * 4);
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT(CUDA_SUCCESS, cuMemcpyHtoDAsync(words, in, WORDS * 4, stream));
    words_change(words, 2, 1, stream);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoHAsync(out, words, WORDS * 4, stream));
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    CUgraphExec exec = graph_executable(graph);
    for (uint32_t round = 1; round < 4; round++) {
        uint32_t wrong = 0;
        for (uint32_t i = 0; i < WORDS; i++)
            in[i] = i + round * 1000;
        REQUIRE(cuGraphLaunch(exec, stream));
        REQUIRE(cuStreamSynchronize(stream));
        for (uint32_t i = 0; i < WORDS; i++)
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
    words_in_pinned_memory(host_copies_of);
}

static void pageable_copies(void)
{
    words_in_pageable_memory(host_copies_of);
}

/* Others go on while a stream captures. */
static void *work_elsewhere(void *argument)
{
    CUdeviceptr words = *(CUdeviceptr *)argument;
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    gpu_use();
    REQUIRE(cuThreadExchangeStreamCaptureMode(&mode));
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    for (int i = 0; i < 200; i++) {
        words_change(words, 3, 1, stream);
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
    CUdeviceptr words = gpu_allocate(WORDS * 4), others = gpu_allocate(WORDS * 4);
    CUstream stream = stream_create(CU_STREAM_NON_BLOCKING);
    gpu_kernel(ptx_basics, "affine");
    REQUIRE(cuMemsetD32(others, 1, WORDS));
    REQUIRE(cuCtxSynchronize());
    REQUIRE(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    pthread_create(&thread, NULL, work_elsewhere, &others);
    REQUIRE(cuMemsetD32Async(words, 1, WORDS, stream));
    for (int i = 0; i < 200; i++) {
        words_change(words, 3, 1, stream);
        expected = expected * 3 + 1;
    }
    pthread_join(thread, NULL);
    EXPECT(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    say("%zu nodes", graph_node_count(graph));
    CUgraphExec exec = graph_executable(graph);
    REQUIRE(cuGraphLaunch(exec, stream));
    REQUIRE(cuStreamSynchronize(stream));
    CHECK(words_first(words) == expected && words_first(others) == expected);
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
    REQUIRE(cuMemFree(others));
}

static const struct test_case cases[] = {
    CASE(replay),          CASE(asking),          CASE(fork_and_join),       CASE(allocations),
    CASE(into_a_graph),    CASE(external_events), CASE(kernel_of_a_library), CASE(pinned_copies),
    CASE(pageable_copies), CASE(beside_others),
};

int main(int argc, char **argv)
{
    return suite_main("capture", cases, COUNT_OF(cases), argc, argv);
}
