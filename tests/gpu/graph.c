/* Graphs made node by node: what is in them, what launches of them do, and what can be changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/gpu.h"

#define COUNT 256u

/* words[i] = words[i] * factor + term */
struct affine {
    CUdeviceptr words;
    uint32_t factor, term, count;
    void *list[4];
};

static CUDA_KERNEL_NODE_PARAMS affine_params(struct affine *affine)
{
    affine->count = COUNT;
    affine->list[0] = &affine->words;
    affine->list[1] = &affine->factor;
    affine->list[2] = &affine->term;
    affine->list[3] = &affine->count;
    return (CUDA_KERNEL_NODE_PARAMS){.func = gpu_kernel(ptx_basics, "affine"),
                                     .gridDimX = 1,
                                     .gridDimY = 1,
                                     .gridDimZ = 1,
                                     .blockDimX = COUNT,
                                     .blockDimY = 1,
                                     .blockDimZ = 1,
                                     .kernelParams = affine->list};
}

static CUgraphNode add_affine(CUgraph graph, CUgraphNode after, CUdeviceptr words, uint32_t factor,
                              uint32_t term)
{
    struct affine affine = {.words = words, .factor = factor, .term = term};
    CUDA_KERNEL_NODE_PARAMS params = affine_params(&affine);
    CUgraphNode node;
    REQUIRE(cuGraphAddKernelNode(&node, graph, after ? &after : NULL, after ? 1 : 0, &params));
    return node;
}

static CUgraphNode add_memset(CUgraph graph, CUgraphNode after, CUdeviceptr words, uint32_t value)
{
    CUDA_MEMSET_NODE_PARAMS params = {
        .dst = words, .value = value, .elementSize = 4, .width = COUNT, .height = 1};
    CUcontext context;
    CUgraphNode node;
    REQUIRE(cuCtxGetCurrent(&context));
    REQUIRE(cuGraphAddMemsetNode(&node, graph, after ? &after : NULL, after ? 1 : 0, &params, context));
    return node;
}

static uint32_t first_word(CUdeviceptr words)
{
    uint32_t all[COUNT], wrong = 0;
    REQUIRE(cuMemcpyDtoH(all, words, sizeof all));
    for (unsigned i = 0; i < COUNT; i++)
        wrong += all[i] != all[0];
    CHECK(wrong == 0);
    return all[0];
}

static uint32_t run_once(CUgraphExec exec, CUdeviceptr words)
{
    REQUIRE(cuGraphLaunch(exec, NULL));
    REQUIRE(cuStreamSynchronize(NULL));
    return first_word(words);
}

static void empty(void)
{
    CUgraph graph;
    CUgraphExec exec;
    size_t count = 7;
    gpu_use();
    EXPECT(CUDA_SUCCESS, cuGraphCreate(&graph, 0));
    EXPECT(CUDA_SUCCESS, cuGraphGetNodes(graph, NULL, &count));
    say("%zu nodes", count);
    EXPECT(CUDA_SUCCESS, cuGraphInstantiateWithFlags(&exec, graph, 0));
    EXPECT(CUDA_SUCCESS, cuGraphLaunch(exec, NULL));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(NULL));
    EXPECT(CUDA_SUCCESS, cuGraphExecDestroy(exec));
    EXPECT(CUDA_SUCCESS, cuGraphDestroy(graph));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphCreate(&graph, 1));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphCreate(NULL, 0));
}

static void chain(void)
{
    CUgraph graph;
    CUgraphExec exec;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    REQUIRE(cuGraphCreate(&graph, 0));
    CUgraphNode node = add_memset(graph, NULL, words, 1);
    for (uint32_t i = 0; i < 20; i++)
        node = add_affine(graph, node, words, 3, i);
    EXPECT(CUDA_SUCCESS, cuGraphInstantiateWithFlags(&exec, graph, 0));
    REQUIRE(cuGraphDestroy(graph)); /* the executable one stands for itself */
    for (int i = 0; i < 3; i++)
        say("%u", run_once(exec, words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuMemFree(words));
}

/* Without a memset in front, what each launch finds is what the one before left. */
static void launches_in_order(void)
{
    CUgraph graph;
    CUgraphExec exec;
    CUstream streams[2];
    CUevent between;
    uint32_t expected = 1;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    REQUIRE(cuMemsetD32(words, 1, COUNT));
    REQUIRE(cuCtxSynchronize());
    REQUIRE(cuEventCreate(&between, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuStreamCreate(&streams[0], CU_STREAM_NON_BLOCKING));
    REQUIRE(cuStreamCreate(&streams[1], CU_STREAM_NON_BLOCKING));
    REQUIRE(cuGraphCreate(&graph, 0));
    CUgraphNode node = add_affine(graph, NULL, words, 3, 1);
    add_affine(graph, node, words, 5, 2);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    EXPECT(CUDA_SUCCESS, cuGraphUpload(exec, streams[0]));
    for (int i = 0; i < 300; i++) {
        CUstream stream = streams[i / 7 % 2];
        REQUIRE(cuStreamWaitEvent(stream, between, 0));
        REQUIRE(cuGraphLaunch(exec, stream));
        REQUIRE(cuEventRecord(between, stream));
        expected = (expected * 3 + 1) * 5 + 2;
    }
    REQUIRE(cuStreamSynchronize(streams[0]));
    REQUIRE(cuStreamSynchronize(streams[1]));
    say("%u", first_word(words));
    CHECK(first_word(words) == expected);
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuEventDestroy(between));
    REQUIRE(cuStreamDestroy(streams[0]));
    REQUIRE(cuStreamDestroy(streams[1]));
    REQUIRE(cuMemFree(words));
}

static int position(CUgraphNode node, const CUgraphNode *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (nodes[i] == node)
            return (int)i;
    return -1;
}

static void structure(void)
{
    CUgraph graph;
    CUgraphNode nodes[4], found[6], from[8], to[8];
    CUgraphNodeType type;
    size_t count;
    gpu_use();
    REQUIRE(cuGraphCreate(&graph, 0));
    EXPECT(CUDA_SUCCESS, cuGraphAddEmptyNode(&nodes[0], graph, NULL, 0));
    EXPECT(CUDA_SUCCESS, cuGraphAddEmptyNode(&nodes[1], graph, nodes, 1));
    EXPECT(CUDA_SUCCESS, cuGraphAddEmptyNode(&nodes[2], graph, nodes, 1));
    EXPECT(CUDA_SUCCESS, cuGraphAddEmptyNode(&nodes[3], graph, &nodes[1], 2));
    EXPECT(CUDA_SUCCESS, cuGraphNodeGetType(nodes[3], &type));
    say("type %d", (int)type);
    count = 6;
    EXPECT(CUDA_SUCCESS, cuGraphGetNodes(graph, found, &count));
    say("%zu nodes", count);
    for (int i = 0; i < 4; i++)
        CHECK(position(nodes[i], found, count) >= 0);
    CHECK(found[4] == NULL && found[5] == NULL);
    count = 2;
    EXPECT(CUDA_SUCCESS, cuGraphGetRootNodes(graph, found, &count));
    CHECK(count == 1 && found[0] == nodes[0]);
    count = 0;
    EXPECT(CUDA_SUCCESS, cuGraphGetEdges(graph, NULL, NULL, NULL, &count));
    say("%zu edges", count);
    count = 8;
    EXPECT(CUDA_SUCCESS, cuGraphGetEdges(graph, from, to, NULL, &count));
    uint32_t seen = 0;
    for (size_t i = 0; i < count; i++)
        seen |= 1u << (position(from[i], nodes, 4) * 4 + position(to[i], nodes, 4));
    say("edges %08x", seen);
    count = 4;
    EXPECT(CUDA_SUCCESS, cuGraphNodeGetDependencies(nodes[3], found, NULL, &count));
    CHECK(count == 2 && position(nodes[1], found, 2) >= 0 && position(nodes[2], found, 2) >= 0);
    count = 4;
    EXPECT(CUDA_SUCCESS, cuGraphNodeGetDependentNodes(nodes[0], found, NULL, &count));
    CHECK(count == 2 && position(nodes[1], found, 2) >= 0 && position(nodes[2], found, 2) >= 0);
    EXPECT(CUDA_SUCCESS, cuGraphRemoveDependencies(graph, &nodes[2], &nodes[3], NULL, 1));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphRemoveDependencies(graph, &nodes[2], &nodes[3], NULL, 1));
    EXPECT(CUDA_SUCCESS, cuGraphAddDependencies(graph, &nodes[2], &nodes[3], NULL, 1));
    EXPECT(CUDA_SUCCESS, cuGraphDestroyNode(nodes[1]));
    count = 0;
    EXPECT(CUDA_SUCCESS, cuGraphGetEdges(graph, NULL, NULL, NULL, &count));
    say("%zu edges", count);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphGetNodes(graph, found, NULL));
    REQUIRE(cuGraphDestroy(graph));
}

static void circle(void)
{
    CUgraph graph;
    CUgraphExec exec = NULL;
    CUgraphNode nodes[2];
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {0};
    gpu_use();
    REQUIRE(cuGraphCreate(&graph, 0));
    REQUIRE(cuGraphAddEmptyNode(&nodes[0], graph, NULL, 0));
    REQUIRE(cuGraphAddEmptyNode(&nodes[1], graph, nodes, 1));
    NOTE(cuGraphAddDependencies(graph, &nodes[1], &nodes[0], NULL, 1));
    NOTE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    NOTE(cuGraphInstantiateWithParams(&exec, graph, &params));
    REQUIRE(cuGraphDestroy(graph));
}

static void kernel_params(void)
{
    CUgraph graph;
    CUgraphExec exec;
    CUDA_KERNEL_NODE_PARAMS params;
    struct affine other = {.factor = 7, .term = 5};
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    REQUIRE(cuGraphCreate(&graph, 0));
    CUgraphNode first = add_memset(graph, NULL, words, 2);
    CUgraphNode node = add_affine(graph, first, words, 3, 1);
    EXPECT(CUDA_SUCCESS, cuGraphKernelNodeGetParams(node, &params));
    say("grid %u %u %u block %u %u %u shared %u", params.gridDimX, params.gridDimY, params.gridDimZ,
        params.blockDimX, params.blockDimY, params.blockDimZ, params.sharedMemBytes);
    CHECK(params.func == gpu_kernel(ptx_basics, "affine"));
    CHECK(params.kernelParams != NULL && *(CUdeviceptr *)params.kernelParams[0] == words);
    say("factor %u term %u count %u", *(uint32_t *)params.kernelParams[1],
        *(uint32_t *)params.kernelParams[2], *(uint32_t *)params.kernelParams[3]);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    say("%u", run_once(exec, words));
    /* In the executable graph alone, with what was got from the node. */
    uint32_t term = 100;
    params.kernelParams[2] = &term;
    EXPECT(CUDA_SUCCESS, cuGraphExecKernelNodeSetParams(exec, node, &params));
    say("%u", run_once(exec, words));
    /* In the graph: the executable one stays as it is. */
    other.words = words;
    params = affine_params(&other);
    EXPECT(CUDA_SUCCESS, cuGraphKernelNodeSetParams(node, &params));
    say("%u", run_once(exec, words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    say("%u", run_once(exec, words));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphKernelNodeGetParams(first, &params));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuMemFree(words));
}

static CUDA_MEMCPY3D plain_copy(CUdeviceptr to, void *to_host, CUdeviceptr from, void *from_host,
                                size_t bytes)
{
    return (CUDA_MEMCPY3D){.srcMemoryType = from_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE,
                           .srcHost = from_host,
                           .srcDevice = from,
                           .dstMemoryType = to_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE,
                           .dstHost = to_host,
                           .dstDevice = to,
                           .WidthInBytes = bytes,
                           .Height = 1,
                           .Depth = 1};
}

/* Copies read and write their memory at every launch. */
static void copies_of(uint32_t *in, uint32_t *out)
{
    CUgraph graph;
    CUgraphExec exec;
    CUgraphNode first, middle, last;
    CUcontext context;
    CUdeviceptr one = gpu_allocate(COUNT * 4), two = gpu_allocate(COUNT * 4);
    REQUIRE(cuCtxGetCurrent(&context));
    REQUIRE(cuGraphCreate(&graph, 0));
    CUDA_MEMCPY3D copy = plain_copy(one, NULL, 0, in, COUNT * 4);
    EXPECT(CUDA_SUCCESS, cuGraphAddMemcpyNode(&first, graph, NULL, 0, &copy, context));
    CUgraphNodeType type;
    EXPECT(CUDA_SUCCESS, cuGraphNodeGetType(first, &type));
    say("type %d", (int)type);
    EXPECT(CUDA_SUCCESS, cuGraphMemcpyNodeGetParams(first, &copy));
    CHECK(copy.srcHost == in && copy.dstDevice == one && copy.WidthInBytes == COUNT * 4);
    middle = add_affine(graph, first, one, 2, 1);
    copy = plain_copy(two, NULL, one, NULL, COUNT * 4);
    EXPECT(CUDA_SUCCESS, cuGraphAddMemcpyNode(&middle, graph, &middle, 1, &copy, context));
    copy = plain_copy(0, out, two, NULL, COUNT * 4);
    EXPECT(CUDA_SUCCESS, cuGraphAddMemcpyNode(&last, graph, &middle, 1, &copy, context));
    memset(&copy, 0, sizeof copy);
    EXPECT(CUDA_SUCCESS, cuGraphMemcpyNodeGetParams(middle, &copy));
    say("types %d %d, %zu bytes", (int)copy.srcMemoryType, (int)copy.dstMemoryType, copy.WidthInBytes);
    CHECK(copy.srcDevice == one && copy.dstDevice == two);
    EXPECT(CUDA_SUCCESS, cuGraphInstantiateWithFlags(&exec, graph, 0));
    for (uint32_t round = 1; round < 4; round++) {
        uint32_t wrong = 0;
        for (uint32_t i = 0; i < COUNT; i++)
            in[i] = i * round;
        REQUIRE(cuGraphLaunch(exec, NULL));
        REQUIRE(cuStreamSynchronize(NULL));
        for (uint32_t i = 0; i < COUNT; i++)
            wrong += out[i] != i * round * 2 + 1;
        say("round %u: %u wrong", round, wrong);
        CHECK(wrong == 0);
    }
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuMemFree(one));
    REQUIRE(cuMemFree(two));
}

static void copies(void)
{
    gpu_use();
    if (!host_memory_is_mapped())
        SKIP("host memory is not shared here");
    uint32_t *in = host_allocate_pinned(COUNT * 4), *out = host_allocate_pinned(COUNT * 4);
    copies_of(in, out);
    REQUIRE(cuMemFreeHost(in));
    REQUIRE(cuMemFreeHost(out));
}

static void pageable_copies(void)
{
    uint32_t in[COUNT], out[COUNT];
    gpu_use();
    if (!host_memory_is_mapped())
        SKIP("host memory is not shared here");
    copies_of(in, out);
}

static void memsets(void)
{
    CUgraph graph;
    CUgraphExec exec;
    CUgraphNode node;
    CUcontext context;
    uint8_t bytes[64];
    gpu_use();
    CUdeviceptr memory = gpu_allocate(64);
    REQUIRE(cuCtxGetCurrent(&context));
    CUDA_MEMSET_NODE_PARAMS params = {
        .dst = memory, .pitch = 16, .value = 0xab, .elementSize = 1, .width = 5, .height = 4};
    REQUIRE(cuMemsetD8(memory, 0, 64));
    REQUIRE(cuGraphCreate(&graph, 0));
    EXPECT(CUDA_SUCCESS, cuGraphAddMemsetNode(&node, graph, NULL, 0, &params, context));
    memset(&params, 0, sizeof params);
    EXPECT(CUDA_SUCCESS, cuGraphMemsetNodeGetParams(node, &params));
    say("value %x element %u width %zu height %zu pitch %zu", params.value, params.elementSize, params.width,
        params.height, params.pitch);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    REQUIRE(cuGraphLaunch(exec, NULL));
    REQUIRE(cuMemcpyDtoH(bytes, memory, sizeof bytes));
    say("%016llx", (unsigned long long)checksum(bytes, sizeof bytes));
    params.value = 0x12;
    EXPECT(CUDA_SUCCESS, cuGraphExecMemsetNodeSetParams(exec, node, &params, context));
    REQUIRE(cuGraphLaunch(exec, NULL));
    REQUIRE(cuMemcpyDtoH(bytes, memory, sizeof bytes));
    say("%016llx", (unsigned long long)checksum(bytes, sizeof bytes));
    params.elementSize = 3;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphMemsetNodeSetParams(node, &params));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuMemFree(memory));
}

static void children_and_clones(void)
{
    CUgraph child, graph, clone, inside;
    CUgraphExec exec;
    CUgraphNode node, found, nodes[4];
    CUgraphNodeType type;
    size_t count = 4;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    REQUIRE(cuGraphCreate(&child, 0));
    CUgraphNode first = add_affine(child, NULL, words, 2, 3);
    add_affine(child, first, words, 5, 7);
    REQUIRE(cuGraphCreate(&graph, 0));
    CUgraphNode start = add_memset(graph, NULL, words, 1);
    EXPECT(CUDA_SUCCESS, cuGraphAddChildGraphNode(&node, graph, &start, 1, child));
    CUgraphNode last = add_affine(graph, node, words, 11, 1);
    REQUIRE(cuGraphDestroy(child)); /* the node has a copy */
    EXPECT(CUDA_SUCCESS, cuGraphNodeGetType(node, &type));
    say("type %d", (int)type);
    EXPECT(CUDA_SUCCESS, cuGraphChildGraphNodeGetGraph(node, &inside));
    EXPECT(CUDA_SUCCESS, cuGraphGetNodes(inside, nodes, &count));
    say("%zu nodes inside", count);
    EXPECT(CUDA_SUCCESS, cuGraphClone(&clone, graph));
    EXPECT(CUDA_SUCCESS, cuGraphNodeFindInClone(&found, last, clone));
    CHECK(found != last);
    EXPECT(CUDA_SUCCESS, cuGraphNodeGetType(found, &type));
    say("type %d", (int)type);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    say("%u", run_once(exec, words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuGraphInstantiateWithFlags(&exec, clone, 0));
    say("%u", run_once(exec, words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(clone));
    REQUIRE(cuMemFree(words));
}

static void update(void)
{
    CUgraph graph, other;
    CUgraphExec exec;
    CUgraphExecUpdateResultInfo info;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    REQUIRE(cuGraphCreate(&graph, 0));
    add_affine(graph, add_memset(graph, NULL, words, 1), words, 3, 1);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    say("%u", run_once(exec, words));
    REQUIRE(cuGraphCreate(&other, 0));
    CUgraphNode last = add_affine(other, add_memset(other, NULL, words, 10), words, 4, 2);
    memset(&info, 0, sizeof info);
    EXPECT(CUDA_SUCCESS, cuGraphExecUpdate(exec, other, &info));
    say("result %d", (int)info.result);
    say("%u", run_once(exec, words));
    add_affine(other, last, words, 5, 5);
    memset(&info, 0, sizeof info);
    EXPECT(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, cuGraphExecUpdate(exec, other, &info));
    say("result %d", (int)info.result);
    say("%u", run_once(exec, words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuGraphDestroy(other));
    REQUIRE(cuMemFree(words));
}

static void disabled_nodes(void)
{
    CUgraph graph;
    CUgraphExec exec;
    unsigned enabled = 9;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    REQUIRE(cuGraphCreate(&graph, 0));
    CUgraphNode node = add_affine(graph, add_memset(graph, NULL, words, 1), words, 3, 1);
    add_affine(graph, node, words, 7, 0);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    EXPECT(CUDA_SUCCESS, cuGraphNodeGetEnabled(exec, node, &enabled));
    say("enabled %u", enabled);
    EXPECT(CUDA_SUCCESS, cuGraphNodeSetEnabled(exec, node, 0));
    EXPECT(CUDA_SUCCESS, cuGraphNodeGetEnabled(exec, node, &enabled));
    say("enabled %u: %u", enabled, run_once(exec, words));
    EXPECT(CUDA_SUCCESS, cuGraphNodeSetEnabled(exec, node, 1));
    say("%u", run_once(exec, words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuMemFree(words));
}

static void events(void)
{
    CUgraph graph;
    CUgraphExec exec;
    CUgraphNode record, wait;
    CUevent done, before, got;
    CUstream stream;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuEventCreate(&done, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuEventCreate(&before, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuGraphCreate(&graph, 0));
    EXPECT(CUDA_SUCCESS, cuGraphAddEventWaitNode(&wait, graph, NULL, 0, before));
    CUgraphNode node = add_affine(graph, wait, words, 3, 1);
    EXPECT(CUDA_SUCCESS, cuGraphAddEventRecordNode(&record, graph, &node, 1, done));
    EXPECT(CUDA_SUCCESS, cuGraphEventRecordNodeGetEvent(record, &got));
    CHECK(got == done);
    EXPECT(CUDA_SUCCESS, cuGraphEventWaitNodeGetEvent(wait, &got));
    CHECK(got == before);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    REQUIRE(cuMemsetD32(words, 2, COUNT));
    REQUIRE(cuEventRecord(before, NULL));
    REQUIRE(cuGraphLaunch(exec, stream));
    REQUIRE(cuStreamSynchronize(stream));
    EXPECT(CUDA_SUCCESS, cuEventSynchronize(done));
    say("%u", first_word(words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuEventDestroy(done));
    REQUIRE(cuEventDestroy(before));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(words));
}

static void any_type(void)
{
    CUgraph graph;
    CUgraphExec exec;
    CUgraphNode nodes[2];
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMSET};
    struct affine affine = {.factor = 3, .term = 4};
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    REQUIRE(cuGraphCreate(&graph, 0));
    params.memset =
        (CUDA_MEMSET_NODE_PARAMS_v2){.dst = words, .value = 6, .elementSize = 4, .width = COUNT, .height = 1};
    REQUIRE(cuCtxGetCurrent(&params.memset.ctx));
    EXPECT(CUDA_SUCCESS, cuGraphAddNode(&nodes[0], graph, NULL, NULL, 0, &params));
    memset(&params, 0, sizeof params);
    params.type = CU_GRAPH_NODE_TYPE_KERNEL;
    affine.words = words;
    params.kernel = affine_params(&affine);
    EXPECT(CUDA_SUCCESS, cuGraphAddNode(&nodes[1], graph, nodes, NULL, 1, &params));
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    say("%u", run_once(exec, words));
    affine.term = 40;
    EXPECT(CUDA_SUCCESS, cuGraphExecNodeSetParams(exec, nodes[1], &params));
    say("%u", run_once(exec, words));
    EXPECT(CUDA_SUCCESS, cuGraphNodeSetParams(nodes[1], &params));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphExecNodeSetParams(exec, nodes[0], &params));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuMemFree(words));
}

static void memory_nodes(void)
{
    CUgraph graph;
    CUgraphExec exec;
    CUgraphNode allocate, release;
    CUdeviceptr got = 0;
    gpu_use();
    if (!gpu_attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED))
        SKIP("no memory pools");
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    CUDA_MEM_ALLOC_NODE_PARAMS params = {.bytesize = COUNT * 4};
    params.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    params.poolProps.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    REQUIRE(cuGraphCreate(&graph, 0));
    EXPECT(CUDA_SUCCESS, cuGraphAddMemAllocNode(&allocate, graph, NULL, 0, &params));
    CHECK(params.dptr != 0);
    CUgraphNode node = add_memset(graph, allocate, params.dptr, 21);
    node = add_affine(graph, node, params.dptr, 2, 0);
    CUDA_MEMCPY3D copy = plain_copy(words, NULL, params.dptr, NULL, COUNT * 4);
    CUcontext context;
    REQUIRE(cuCtxGetCurrent(&context));
    EXPECT(CUDA_SUCCESS, cuGraphAddMemcpyNode(&node, graph, &node, 1, &copy, context));
    EXPECT(CUDA_SUCCESS, cuGraphAddMemFreeNode(&release, graph, &node, 1, params.dptr));
    EXPECT(CUDA_SUCCESS, cuGraphMemFreeNodeGetParams(release, &got));
    CHECK(got == params.dptr);
    memset(&params, 0, sizeof params);
    EXPECT(CUDA_SUCCESS, cuGraphMemAllocNodeGetParams(allocate, &params));
    say("%zu bytes", params.bytesize);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    say("%u", run_once(exec, words));
    say("%u", run_once(exec, words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuMemFree(words));
}

static void batch_nodes(void)
{
    CUgraph graph;
    CUgraphExec exec;
    CUgraphNode node;
    CUstreamBatchMemOpParams operations[2] = {{.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32},
                                              {.operation = CU_STREAM_MEM_OP_WAIT_VALUE_32}};
    gpu_use();
    if (!gpu_attribute(CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS))
        SKIP("no operations on words of memory");
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    REQUIRE(cuMemsetD32(words, 1, COUNT));
    operations[0].writeValue.address = words;
    operations[0].writeValue.value = 77;
    operations[1].waitValue.address = words;
    operations[1].waitValue.value = 77;
    operations[1].waitValue.flags = CU_STREAM_WAIT_VALUE_EQ;
    CUDA_BATCH_MEM_OP_NODE_PARAMS params = {.count = 2, .paramArray = operations}, got;
    REQUIRE(cuCtxGetCurrent(&params.ctx));
    REQUIRE(cuGraphCreate(&graph, 0));
    EXPECT(CUDA_SUCCESS, cuGraphAddBatchMemOpNode(&node, graph, NULL, 0, &params));
    EXPECT(CUDA_SUCCESS, cuGraphBatchMemOpNodeGetParams(node, &got));
    say("%u operations, %d %d", got.count, (int)got.paramArray[0].operation,
        (int)got.paramArray[1].operation);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    REQUIRE(cuGraphLaunch(exec, NULL));
    REQUIRE(cuStreamSynchronize(NULL));
    uint32_t word = 0;
    REQUIRE(cuMemcpyDtoH(&word, words, 4));
    say("%u", word);
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuMemFree(words));
}

static void attributes(void)
{
    CUgraph graph;
    CUkernelNodeAttrValue value;
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    REQUIRE(cuGraphCreate(&graph, 0));
    CUgraphNode first = add_affine(graph, NULL, words, 3, 1), second = add_affine(graph, first, words, 3, 1);
    memset(&value, 0, sizeof value);
    EXPECT(CUDA_SUCCESS, cuGraphKernelNodeGetAttribute(first, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &value));
    say("cooperative %d", value.cooperative);
    memset(&value, 0, sizeof value);
    value.priority = -1;
    EXPECT(CUDA_SUCCESS, cuGraphKernelNodeSetAttribute(first, CU_LAUNCH_ATTRIBUTE_PRIORITY, &value));
    EXPECT(CUDA_SUCCESS, cuGraphKernelNodeCopyAttributes(second, first));
    memset(&value, 0, sizeof value);
    EXPECT(CUDA_SUCCESS, cuGraphKernelNodeGetAttribute(second, CU_LAUNCH_ATTRIBUTE_PRIORITY, &value));
    say("priority %d", value.priority);
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuMemFree(words));
}

static void as_text(void)
{
    CUgraph graph;
    char path[] = "/tmp/gpu-graph-XXXXXX", start[8] = "";
    int fd = mkstemp(path);
    gpu_use();
    CUdeviceptr words = gpu_allocate(COUNT * 4);
    REQUIRE(cuGraphCreate(&graph, 0));
    add_affine(graph, add_memset(graph, NULL, words, 1), words, 3, 1);
    EXPECT(CUDA_SUCCESS, cuGraphDebugDotPrint(graph, path, 0));
    CHECK(read(fd, start, 7) == 7 && strcmp(start, "digraph") == 0);
    close(fd);
    unlink(path);
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuMemFree(words));
}

#define MANY 9000

static void many_nodes(void)
{
    CUgraph graph;
    CUgraphExec exec;
    gpu_use();
    CUgraphNode *nodes = calloc(MANY + 1, sizeof *nodes), *found = calloc(MANY + 1, sizeof *found);
    size_t count = MANY + 1;
    REQUIRE(cuGraphCreate(&graph, 0));
    for (int i = 0; i < MANY; i++)
        REQUIRE(cuGraphAddEmptyNode(&nodes[i], graph, i % 100 ? &nodes[i - 1] : NULL, i % 100 ? 1 : 0));
    EXPECT(CUDA_SUCCESS, cuGraphAddEmptyNode(&nodes[MANY], graph, nodes, MANY));
    EXPECT(CUDA_SUCCESS, cuGraphGetNodes(graph, found, &count));
    say("%zu nodes", count);
    CHECK(found[0] == nodes[0] && found[MANY] == nodes[MANY]);
    count = MANY;
    EXPECT(CUDA_SUCCESS, cuGraphNodeGetDependencies(nodes[MANY], found, NULL, &count));
    say("%zu dependencies", count);
    EXPECT(CUDA_SUCCESS, cuGraphInstantiateWithFlags(&exec, graph, 0));
    EXPECT(CUDA_SUCCESS, cuGraphLaunch(exec, NULL));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(NULL));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    free(nodes);
    free(found);
}

static void wrong_values(void)
{
    CUgraph graph, other;
    CUgraphNode node, own;
    CUgraphExec exec;
    gpu_use();
    REQUIRE(cuGraphCreate(&graph, 0));
    REQUIRE(cuGraphCreate(&other, 0));
    REQUIRE(cuGraphAddEmptyNode(&own, graph, NULL, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphAddEmptyNode(&node, other, &own, 1));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphAddEmptyNode(NULL, graph, NULL, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphAddEmptyNode(&node, graph, NULL, 1));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphAddKernelNode(&node, graph, NULL, 0, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphInstantiateWithFlags(NULL, graph, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphInstantiateWithFlags(&exec, NULL, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphLaunch(NULL, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphDestroy(NULL));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuGraphDestroy(other));
}

static const struct test_case cases[] = {
    CASE(empty),
    CASE(chain),
    CASE(launches_in_order),
    CASE(structure),
    CASE(circle),
    CASE(kernel_params),
    CASE(copies),
    CASE(pageable_copies),
    CASE(memsets),
    CASE(children_and_clones),
    CASE(update),
    CASE(disabled_nodes),
    CASE(events),
    CASE(any_type),
    CASE(memory_nodes),
    CASE(batch_nodes),
    CASE(attributes),
    CASE(as_text),
    CASE(many_nodes),
    CASE(wrong_values),
};

int main(int argc, char **argv)
{
    return suite_main("graph", cases, COUNT_OF(cases), argc, argv);
}
