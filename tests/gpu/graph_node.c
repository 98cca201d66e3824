/* The kinds of nodes of a graph: what each is made of, does at every launch, and lets itself be given
 * instead. */
#include <string.h>

#include "support/graph.h"

static void kernel_params(void)
{
    CUgraph graph;
    CUgraphExec exec;
    CUDA_KERNEL_NODE_PARAMS params;
    struct affine other = {.factor = 7, .term = 5};
    gpu_use();
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    REQUIRE(cuGraphCreate(&graph, 0));
    CUgraphNode first = graph_add_memset(graph, NULL, words, 2);
    CUgraphNode node = graph_add_affine(graph, first, words, 3, 1);
    EXPECT(CUDA_SUCCESS, cuGraphKernelNodeGetParams(node, &params));
    say("grid %u %u %u block %u %u %u shared %u", params.gridDimX, params.gridDimY, params.gridDimZ,
        params.blockDimX, params.blockDimY, params.blockDimZ, params.sharedMemBytes);
    CHECK(params.func == gpu_kernel(ptx_basics, "affine"));
    CHECK(params.kernelParams != NULL && *(CUdeviceptr *)params.kernelParams[0] == words);
    say("factor %u term %u count %u", *(uint32_t *)params.kernelParams[1],
        *(uint32_t *)params.kernelParams[2], *(uint32_t *)params.kernelParams[3]);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    say("%u", graph_run(exec, words));
    /* In the executable graph alone, with what was got from the node; the list that it was got with is the
     * node's. */
    uint32_t term = 100;
    void *list[4];
    memcpy(list, params.kernelParams, sizeof list);
    list[2] = &term;
    params.kernelParams = list;
    EXPECT(CUDA_SUCCESS, cuGraphExecKernelNodeSetParams(exec, node, &params));
    say("%u", graph_run(exec, words));
    /* In the graph: the executable one stays as it is. */
    other.words = words;
    params = affine_params(&other);
    EXPECT(CUDA_SUCCESS, cuGraphKernelNodeSetParams(node, &params));
    say("%u", graph_run(exec, words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    say("%u", graph_run(exec, words));
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
    CUdeviceptr one = gpu_allocate(WORDS * 4), two = gpu_allocate(WORDS * 4);
    REQUIRE(cuCtxGetCurrent(&context));
    REQUIRE(cuGraphCreate(&graph, 0));
    CUDA_MEMCPY3D copy = plain_copy(one, NULL, 0, in, WORDS * 4);
    EXPECT(CUDA_SUCCESS, cuGraphAddMemcpyNode(&first, graph, NULL, 0, &copy, context));
    CUgraphNodeType type;
    EXPECT(CUDA_SUCCESS, cuGraphNodeGetType(first, &type));
    say("type %d", (int)type);
    EXPECT(CUDA_SUCCESS, cuGraphMemcpyNodeGetParams(first, &copy));
    CHECK(copy.srcHost == in && copy.dstDevice == one && copy.WidthInBytes == WORDS * 4);
    middle = graph_add_affine(graph, first, one, 2, 1);
    copy = plain_copy(two, NULL, one, NULL, WORDS * 4);
    EXPECT(CUDA_SUCCESS, cuGraphAddMemcpyNode(&middle, graph, &middle, 1, &copy, context));
    copy = plain_copy(0, out, two, NULL, WORDS * 4);
    EXPECT(CUDA_SUCCESS, cuGraphAddMemcpyNode(&last, graph, &middle, 1, &copy, context));
    memset(&copy, 0, sizeof copy);
    EXPECT(CUDA_SUCCESS, cuGraphMemcpyNodeGetParams(middle, &copy));
    say("types %d %d, %zu bytes", (int)copy.srcMemoryType, (int)copy.dstMemoryType, copy.WidthInBytes);
    CHECK(copy.srcDevice == one && copy.dstDevice == two);
    EXPECT(CUDA_SUCCESS, cuGraphInstantiateWithFlags(&exec, graph, 0));
    for (uint32_t round = 1; round < 4; round++) {
        uint32_t wrong = 0;
        for (uint32_t i = 0; i < WORDS; i++)
            in[i] = i * round;
        REQUIRE(cuGraphLaunch(exec, NULL));
        REQUIRE(cuStreamSynchronize(NULL));
        for (uint32_t i = 0; i < WORDS; i++)
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
    words_in_pinned_memory(copies_of);
}

static void pageable_copies(void)
{
    words_in_pageable_memory(copies_of);
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

static void events(void)
{
    CUgraph graph;
    CUgraphExec exec;
    CUgraphNode record, wait;
    CUevent done, before, got;
    CUstream stream;
    gpu_use();
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuEventCreate(&done, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuEventCreate(&before, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuGraphCreate(&graph, 0));
    EXPECT(CUDA_SUCCESS, cuGraphAddEventWaitNode(&wait, graph, NULL, 0, before));
    CUgraphNode node = graph_add_affine(graph, wait, words, 3, 1);
    EXPECT(CUDA_SUCCESS, cuGraphAddEventRecordNode(&record, graph, &node, 1, done));
    EXPECT(CUDA_SUCCESS, cuGraphEventRecordNodeGetEvent(record, &got));
    CHECK(got == done);
    EXPECT(CUDA_SUCCESS, cuGraphEventWaitNodeGetEvent(wait, &got));
    CHECK(got == before);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    REQUIRE(cuMemsetD32(words, 2, WORDS));
    REQUIRE(cuEventRecord(before, NULL));
    REQUIRE(cuGraphLaunch(exec, stream));
    REQUIRE(cuStreamSynchronize(stream));
    EXPECT(CUDA_SUCCESS, cuEventSynchronize(done));
    say("%u", words_value(words));
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
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    REQUIRE(cuGraphCreate(&graph, 0));
    params.memset =
        (CUDA_MEMSET_NODE_PARAMS_v2){.dst = words, .value = 6, .elementSize = 4, .width = WORDS, .height = 1};
    REQUIRE(cuCtxGetCurrent(&params.memset.ctx));
    EXPECT(CUDA_SUCCESS, cuGraphAddNode(&nodes[0], graph, NULL, NULL, 0, &params));
    memset(&params, 0, sizeof params);
    params.type = CU_GRAPH_NODE_TYPE_KERNEL;
    affine.words = words;
    params.kernel = affine_params(&affine);
    EXPECT(CUDA_SUCCESS, cuGraphAddNode(&nodes[1], graph, nodes, NULL, 1, &params));
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    say("%u", graph_run(exec, words));
    affine.term = 40;
    EXPECT(CUDA_SUCCESS, cuGraphExecNodeSetParams(exec, nodes[1], &params));
    say("%u", graph_run(exec, words));
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
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    CUDA_MEM_ALLOC_NODE_PARAMS params = {.bytesize = WORDS * 4};
    params.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    params.poolProps.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    REQUIRE(cuGraphCreate(&graph, 0));
    EXPECT(CUDA_SUCCESS, cuGraphAddMemAllocNode(&allocate, graph, NULL, 0, &params));
    CHECK(params.dptr != 0);
    CUgraphNode node = graph_add_memset(graph, allocate, params.dptr, 21);
    node = graph_add_affine(graph, node, params.dptr, 2, 0);
    CUDA_MEMCPY3D copy = plain_copy(words, NULL, params.dptr, NULL, WORDS * 4);
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
    say("%u", graph_run(exec, words));
    say("%u", graph_run(exec, words));
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
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    REQUIRE(cuMemsetD32(words, 1, WORDS));
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
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    REQUIRE(cuGraphCreate(&graph, 0));
    CUgraphNode first = graph_add_affine(graph, NULL, words, 3, 1),
                second = graph_add_affine(graph, first, words, 3, 1);
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

static const struct test_case cases[] = {
    CASE(kernel_params), CASE(copies),       CASE(pageable_copies), CASE(memsets),    CASE(events),
    CASE(any_type),      CASE(memory_nodes), CASE(batch_nodes),     CASE(attributes),
};

int main(int argc, char **argv)
{
    return suite_main("graph_node", cases, COUNT_OF(cases), argc, argv);
}
