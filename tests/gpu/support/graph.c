#include "support/graph.h"

void words_change(CUdeviceptr words, uint32_t factor, uint32_t term, CUstream stream)
{
    uint32_t count = WORDS;
    gpu_launch(gpu_kernel(ptx_basics, "affine"), count, stream, ARGUMENTS(&words, &factor, &term, &count));
}

uint32_t words_first(CUdeviceptr words)
{
    uint32_t word = 0;
    REQUIRE(cuMemcpyDtoH(&word, words, sizeof word));
    return word;
}

uint32_t words_value(CUdeviceptr words)
{
    uint32_t all[WORDS], wrong = 0;
    REQUIRE(cuMemcpyDtoH(all, words, sizeof all));
    for (unsigned i = 0; i < WORDS; i++)
        wrong += all[i] != all[0];
    CHECK(wrong == 0);
    return all[0];
}

void words_in_pinned_memory(words_work *work)
{
    gpu_use();
    if (!host_memory_is_mapped())
        SKIP("host memory is not shared here");
    uint32_t *in = host_allocate_pinned(WORDS * 4), *out = host_allocate_pinned(WORDS * 4);
    work(in, out);
    REQUIRE(cuMemFreeHost(in));
    REQUIRE(cuMemFreeHost(out));
}

void words_in_pageable_memory(words_work *work)
{
    uint32_t in[WORDS], out[WORDS];
    gpu_use();
    if (!host_memory_is_mapped())
        SKIP("host memory is not shared here");
    work(in, out);
}

CUDA_KERNEL_NODE_PARAMS affine_params(struct affine *affine)
{
    affine->count = WORDS;
    affine->list[0] = &affine->words;
    affine->list[1] = &affine->factor;
    affine->list[2] = &affine->term;
    affine->list[3] = &affine->count;
    return (CUDA_KERNEL_NODE_PARAMS){.func = gpu_kernel(ptx_basics, "affine"),
                                     .gridDimX = 1,
                                     .gridDimY = 1,
                                     .gridDimZ = 1,
                                     .blockDimX = WORDS,
                                     .blockDimY = 1,
                                     .blockDimZ = 1,
                                     .kernelParams = affine->list};
}

CUgraphNode graph_add_affine(CUgraph graph, CUgraphNode after, CUdeviceptr words, uint32_t factor,
                             uint32_t term)
{
    struct affine affine = {.words = words, .factor = factor, .term = term};
    CUDA_KERNEL_NODE_PARAMS params = affine_params(&affine);
    CUgraphNode node;
    REQUIRE(cuGraphAddKernelNode(&node, graph, after ? &after : NULL, after ? 1 : 0, &params));
    return node;
}

CUgraphNode graph_add_memset(CUgraph graph, CUgraphNode after, CUdeviceptr words, uint32_t value)
{
    CUDA_MEMSET_NODE_PARAMS params = {
        .dst = words, .value = value, .elementSize = 4, .width = WORDS, .height = 1};
    CUcontext context;
    CUgraphNode node;
    REQUIRE(cuCtxGetCurrent(&context));
    REQUIRE(cuGraphAddMemsetNode(&node, graph, after ? &after : NULL, after ? 1 : 0, &params, context));
    return node;
}

size_t graph_node_count(CUgraph graph)
{
    size_t count = 0;
    REQUIRE(cuGraphGetNodes(graph, NULL, &count));
    return count;
}

CUgraphExec graph_executable(CUgraph graph)
{
    CUgraphExec exec;
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    REQUIRE(cuGraphDestroy(graph));
    return exec;
}

uint32_t graph_run(CUgraphExec exec, CUdeviceptr words)
{
    REQUIRE(cuGraphLaunch(exec, NULL));
    REQUIRE(cuStreamSynchronize(NULL));
    return words_value(words);
}

CUstream stream_create(unsigned flags)
{
    CUstream stream;
    REQUIRE(cuStreamCreate(&stream, flags));
    return stream;
}
