/* Graphs made node by node: how nodes hang together, what launches of them do, and what can be changed. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/graph.h"

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
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    REQUIRE(cuGraphCreate(&graph, 0));
    CUgraphNode node = graph_add_memset(graph, NULL, words, 1);
    for (uint32_t i = 0; i < 20; i++)
        node = graph_add_affine(graph, node, words, 3, i);
    EXPECT(CUDA_SUCCESS, cuGraphInstantiateWithFlags(&exec, graph, 0));
    REQUIRE(cuGraphDestroy(graph)); /* the executable one stands for itself */
    for (int i = 0; i < 3; i++)
        say("%u", graph_run(exec, words));
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
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    REQUIRE(cuMemsetD32(words, 1, WORDS));
    REQUIRE(cuCtxSynchronize());
    REQUIRE(cuEventCreate(&between, CU_EVENT_DISABLE_TIMING));
    REQUIRE(cuStreamCreate(&streams[0], CU_STREAM_NON_BLOCKING));
    REQUIRE(cuStreamCreate(&streams[1], CU_STREAM_NON_BLOCKING));
    REQUIRE(cuGraphCreate(&graph, 0));
    CUgraphNode node = graph_add_affine(graph, NULL, words, 3, 1);
    graph_add_affine(graph, node, words, 5, 2);
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
    say("%u", words_value(words));
    CHECK(words_value(words) == expected);
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
    for (size_t i = 0; i < count; i++) {
        int start = position(from[i], nodes, 4), end = position(to[i], nodes, 4);
        if (CHECK(start >= 0 && end >= 0))
            seen |= 1u << (start * 4 + end);
    }
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

static void children_and_clones(void)
{
    CUgraph child, graph, clone, inside;
    CUgraphExec exec;
    CUgraphNode node, found, nodes[4];
    CUgraphNodeType type;
    size_t count = 4;
    gpu_use();
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    REQUIRE(cuGraphCreate(&child, 0));
    CUgraphNode first = graph_add_affine(child, NULL, words, 2, 3);
    graph_add_affine(child, first, words, 5, 7);
    REQUIRE(cuGraphCreate(&graph, 0));
    CUgraphNode start = graph_add_memset(graph, NULL, words, 1);
    EXPECT(CUDA_SUCCESS, cuGraphAddChildGraphNode(&node, graph, &start, 1, child));
    CUgraphNode last = graph_add_affine(graph, node, words, 11, 1);
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
    say("%u", graph_run(exec, words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuGraphInstantiateWithFlags(&exec, clone, 0));
    say("%u", graph_run(exec, words));
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
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    REQUIRE(cuGraphCreate(&graph, 0));
    graph_add_affine(graph, graph_add_memset(graph, NULL, words, 1), words, 3, 1);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    say("%u", graph_run(exec, words));
    REQUIRE(cuGraphCreate(&other, 0));
    CUgraphNode last = graph_add_affine(other, graph_add_memset(other, NULL, words, 10), words, 4, 2);
    memset(&info, 0, sizeof info);
    EXPECT(CUDA_SUCCESS, cuGraphExecUpdate(exec, other, &info));
    say("result %d", (int)info.result);
    say("%u", graph_run(exec, words));
    graph_add_affine(other, last, words, 5, 5);
    memset(&info, 0, sizeof info);
    EXPECT(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, cuGraphExecUpdate(exec, other, &info));
    say("result %d", (int)info.result);
    say("%u", graph_run(exec, words));
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
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    REQUIRE(cuGraphCreate(&graph, 0));
    CUgraphNode node = graph_add_affine(graph, graph_add_memset(graph, NULL, words, 1), words, 3, 1);
    graph_add_affine(graph, node, words, 7, 0);
    REQUIRE(cuGraphInstantiateWithFlags(&exec, graph, 0));
    EXPECT(CUDA_SUCCESS, cuGraphNodeGetEnabled(exec, node, &enabled));
    say("enabled %u", enabled);
    EXPECT(CUDA_SUCCESS, cuGraphNodeSetEnabled(exec, node, 0));
    EXPECT(CUDA_SUCCESS, cuGraphNodeGetEnabled(exec, node, &enabled));
    say("enabled %u: %u", enabled, graph_run(exec, words));
    EXPECT(CUDA_SUCCESS, cuGraphNodeSetEnabled(exec, node, 1));
    say("%u", graph_run(exec, words));
    REQUIRE(cuGraphExecDestroy(exec));
    REQUIRE(cuGraphDestroy(graph));
    REQUIRE(cuMemFree(words));
}

static void as_text(void)
{
    CUgraph graph;
    char path[] = "/tmp/gpu-graph-XXXXXX", start[8] = "";
    int fd = mkstemp(path);
    gpu_use();
    CUdeviceptr words = gpu_allocate(WORDS * 4);
    REQUIRE(cuGraphCreate(&graph, 0));
    graph_add_affine(graph, graph_add_memset(graph, NULL, words, 1), words, 3, 1);
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
    CASE(empty),      CASE(chain),          CASE(launches_in_order),
    CASE(structure),  CASE(circle),         CASE(children_and_clones),
    CASE(update),     CASE(disabled_nodes), CASE(as_text),
    CASE(many_nodes), CASE(wrong_values),
};

int main(int argc, char **argv)
{
    return suite_main("graph", cases, COUNT_OF(cases), argc, argv);
}
