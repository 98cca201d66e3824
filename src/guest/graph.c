/* Graphs as wholes: making and destroying them, what is in them, executable graphs. */
#include "guest/graph.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "guest/call.h"
#include "guest/export.h"
#include "guest/handle_table.h"
#include "guest/lock.h"
#include "guest_forward.h"

/* --- names of nodes --- */

/* Attached to a graph's name. */
struct owned {
    uint64_t *names;
    size_t count, room;
};

static struct lock owned_lock;

void graph_owns(uint64_t graph, uint64_t node)
{
    if (node == 0)
        return;
    lock_take(&owned_lock);
    struct owned *owned = handle_data(graph);
    if (owned == NULL && handle_alive(HANDLE_GRAPH, graph))
        owned = handle_attach(graph, calloc(1, sizeof *owned));
    if (owned != NULL && owned->count == owned->room) {
        size_t room = owned->room > 0 ? owned->room * 2 : 16;
        uint64_t *names = realloc(owned->names, room * sizeof *names);
        if (names != NULL) {
            owned->names = names;
            owned->room = room;
        }
    }
    if (owned != NULL && owned->count < owned->room)
        owned->names[owned->count++] = node;
    lock_give(&owned_lock);
}

VGPU_EXPORT CUresult cuGraphDestroy(CUgraph hGraph)
{
    lock_take(&owned_lock);
    struct owned *data =
        handle_alive(HANDLE_GRAPH, (uintptr_t)hGraph) ? handle_data((uintptr_t)hGraph) : NULL;
    struct owned owned = data != NULL ? *data : (struct owned){0};
    if (data != NULL)
        *data = (struct owned){0};
    lock_give(&owned_lock);
    CUresult result = forward_cuGraphDestroy(hGraph);
    for (size_t i = 0; i < owned.count; i++) {
        if (result == CUDA_SUCCESS)
            handle_release(owned.names[i]);
    }
    free(owned.names);
    return result;
}

/* --- lists --- */

struct list_question {
    enum graph_list what;
    uint64_t object;
    CUgraphNode *from, *to;
    CUgraphEdgeData *edges;
    size_t room; /* of the arrays */
};

/* One part, from offset on. *total is of the whole. */
static CUresult ask_part(const struct list_question *question, size_t offset, uint32_t count, uint64_t *total)
{
    uint32_t name_count = question->what == GRAPH_EDGES ? 2 * count : count;
    struct request_graph_list request = {.object = question->object,
                                         .offset = offset,
                                         .what = question->what,
                                         .count = count,
                                         .wants_edges = question->edges != NULL};
    uint64_t *names = calloc(name_count + 1, sizeof *names);
    struct message message;
    struct reply_graph_list reply = {0};
    if (names == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < name_count; i++)
        names[i] = handle_reserve(HANDLE_GRAPH_NODE);
    CUresult result = message_begin(&message, CALL_graph_list, sizeof request + name_count * sizeof *names);
    if (result == CUDA_SUCCESS) {
        memcpy(message.body, &request, sizeof request);
        memcpy((uint8_t *)message.body + sizeof request, names, name_count * sizeof *names);
        result = message_wait(&message, &reply, sizeof reply);
    }
    size_t bytes = 0;
    const uint8_t *body = result == CUDA_SUCCESS ? message_reply(&message, &bytes) : NULL;
    const uint64_t *given = result == CUDA_SUCCESS ? (const uint64_t *)(body + sizeof reply) : NULL;
    uint32_t arrays = question->what == GRAPH_EDGES ? 2 : 1;
    size_t each = arrays * sizeof *given + (request.wants_edges ? sizeof(CUgraphEdgeData) : 0);
    if (result == CUDA_SUCCESS && (reply.count > count || bytes < sizeof reply + reply.count * each))
        result = CUDA_ERROR_UNKNOWN;
    if (result != CUDA_SUCCESS)
        reply.count = 0;
    for (uint32_t i = 0; i < reply.count; i++) {
        question->from[offset + i] = (CUgraphNode)(uintptr_t)given[i];
        if (question->what == GRAPH_EDGES)
            question->to[offset + i] = (CUgraphNode)(uintptr_t)given[reply.count + i];
    }
    if (reply.count > 0 && request.wants_edges)
        memcpy(question->edges + offset, given + arrays * reply.count, reply.count * sizeof(CUgraphEdgeData));
    /* A reserved name stays with the node that got it; the others are free again. */
    for (uint32_t i = 0; i < name_count; i++) {
        uint32_t array = i / (count > 0 ? count : 1), at = i % (count > 0 ? count : 1);
        uint64_t name = at < reply.count ? given[array * reply.count + at] : 0;
        handle_settle(names[i], name);
        if (name == names[i] && name != 0 && question->what <= GRAPH_EDGES)
            graph_owns(question->object, name);
    }
    free(names);
    *total = reply.total;
    return result;
}

static CUresult get_list(struct list_question *question, size_t *count)
{
    if (count == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    question->room = question->from != NULL ? *count : 0;
    uint64_t total = 0;
    size_t done = 0;
    do {
        size_t left = question->room - done;
        uint32_t part = left < GRAPH_LIST_MAX ? (uint32_t)left : GRAPH_LIST_MAX;
        CUresult result = ask_part(question, done, part, &total);
        if (result != CUDA_SUCCESS)
            return result;
        done += part;
    } while (done < question->room && done < total);
    for (size_t i = total; i < question->room; i++) {
        question->from[i] = NULL;
        if (question->what == GRAPH_EDGES)
            question->to[i] = NULL;
    }
    *count = question->from == NULL || total < question->room ? total : question->room;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuGraphGetNodes(CUgraph hGraph, CUgraphNode *nodes, size_t *numNodes)
{
    struct list_question question = {.what = GRAPH_NODES, .object = (uintptr_t)hGraph, .from = nodes};
    return get_list(&question, numNodes);
}

VGPU_EXPORT CUresult cuGraphGetRootNodes(CUgraph hGraph, CUgraphNode *rootNodes, size_t *numRootNodes)
{
    struct list_question question = {.what = GRAPH_ROOTS, .object = (uintptr_t)hGraph, .from = rootNodes};
    return get_list(&question, numRootNodes);
}

VGPU_EXPORT CUresult cuGraphGetEdges_v2(CUgraph hGraph, CUgraphNode *from, CUgraphNode *to,
                                        CUgraphEdgeData *edgeData, size_t *numEdges)
{
    struct list_question question = {
        .what = GRAPH_EDGES, .object = (uintptr_t)hGraph, .from = from, .to = to, .edges = edgeData};
    return (from == NULL) != (to == NULL) ? CUDA_ERROR_INVALID_VALUE : get_list(&question, numEdges);
}

VGPU_EXPORT CUresult cuGraphGetEdges(CUgraph hGraph, CUgraphNode *from, CUgraphNode *to, size_t *numEdges)
{
    return cuGraphGetEdges_v2(hGraph, from, to, NULL, numEdges);
}

VGPU_EXPORT CUresult cuGraphNodeGetDependencies_v2(CUgraphNode hNode, CUgraphNode *dependencies,
                                                   CUgraphEdgeData *edgeData, size_t *numDependencies)
{
    struct list_question question = {
        .what = GRAPH_NODE_DEPENDENCIES, .object = (uintptr_t)hNode, .from = dependencies, .edges = edgeData};
    return get_list(&question, numDependencies);
}

VGPU_EXPORT CUresult cuGraphNodeGetDependencies(CUgraphNode hNode, CUgraphNode *dependencies,
                                                size_t *numDependencies)
{
    return cuGraphNodeGetDependencies_v2(hNode, dependencies, NULL, numDependencies);
}

VGPU_EXPORT CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode hNode, CUgraphNode *dependentNodes,
                                                     CUgraphEdgeData *edgeData, size_t *numDependentNodes)
{
    struct list_question question = {
        .what = GRAPH_NODE_DEPENDENTS, .object = (uintptr_t)hNode, .from = dependentNodes, .edges = edgeData};
    return get_list(&question, numDependentNodes);
}

VGPU_EXPORT CUresult cuGraphNodeGetDependentNodes(CUgraphNode hNode, CUgraphNode *dependentNodes,
                                                  size_t *numDependentNodes)
{
    return cuGraphNodeGetDependentNodes_v2(hNode, dependentNodes, NULL, numDependentNodes);
}

/* --- dependencies --- */

static CUresult change_part(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                            const CUgraphEdgeData *edges, uint32_t count, int removes)
{
    struct request_graph_edges request = {
        .graph = (uintptr_t)graph, .count = count, .has_edges = edges != NULL, .removes = removes != 0};
    size_t nodes_bytes = count * sizeof *from, edges_bytes = edges != NULL ? count * sizeof *edges : 0;
    struct message message;
    CUresult result =
        message_begin(&message, CALL_graph_edges, sizeof request + 2 * nodes_bytes + edges_bytes);
    if (result != CUDA_SUCCESS)
        return result;
    uint8_t *body = message.body;
    memcpy(body, &request, sizeof request);
    memcpy(body + sizeof request, from, nodes_bytes);
    memcpy(body + sizeof request + nodes_bytes, to, nodes_bytes);
    if (edges_bytes > 0)
        memcpy(body + sizeof request + 2 * nodes_bytes, edges, edges_bytes);
    return message_wait(&message, NULL, 0);
}

CUresult edges_change(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                      const CUgraphEdgeData *edges, size_t count, int removes)
{
    if (count > 0 && (from == NULL || to == NULL))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t at = 0; at < count;) {
        uint32_t part = count - at < GRAPH_DEPENDENCIES_MAX ? (uint32_t)(count - at) : GRAPH_DEPENDENCIES_MAX;
        CUresult result =
            change_part(graph, from + at, to + at, edges != NULL ? edges + at : NULL, part, removes);
        if (result != CUDA_SUCCESS)
            return result;
        at += part;
    }
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuGraphAddDependencies_v2(CUgraph hGraph, const CUgraphNode *from, const CUgraphNode *to,
                                               const CUgraphEdgeData *edgeData, size_t numDependencies)
{
    return edges_change(hGraph, from, to, edgeData, numDependencies, 0);
}

VGPU_EXPORT CUresult cuGraphAddDependencies(CUgraph hGraph, const CUgraphNode *from, const CUgraphNode *to,
                                            size_t numDependencies)
{
    return edges_change(hGraph, from, to, NULL, numDependencies, 0);
}

VGPU_EXPORT CUresult cuGraphRemoveDependencies_v2(CUgraph hGraph, const CUgraphNode *from,
                                                  const CUgraphNode *to, const CUgraphEdgeData *edgeData,
                                                  size_t numDependencies)
{
    return edges_change(hGraph, from, to, edgeData, numDependencies, 1);
}

VGPU_EXPORT CUresult cuGraphRemoveDependencies(CUgraph hGraph, const CUgraphNode *from, const CUgraphNode *to,
                                               size_t numDependencies)
{
    return edges_change(hGraph, from, to, NULL, numDependencies, 1);
}

/* --- as text --- */

VGPU_EXPORT CUresult cuGraphDebugDotPrint(CUgraph hGraph, const char *path, unsigned int flags)
{
    if (path == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    FILE *file = NULL;
    uint64_t written = 0, total = 1;
    CUresult result = CUDA_SUCCESS;
    while (result == CUDA_SUCCESS && written < total) {
        struct request_graph_dot request = {.graph = (uintptr_t)hGraph, .offset = written, .flags = flags};
        struct message message;
        result = message_begin(&message, CALL_graph_dot, sizeof request);
        if (result != CUDA_SUCCESS)
            break;
        memcpy(message.body, &request, sizeof request);
        result = message_wait(&message, &total, sizeof total);
        if (result != CUDA_SUCCESS)
            break;
        if (file == NULL && (file = fopen(path, "w")) == NULL)
            return CUDA_ERROR_OPERATING_SYSTEM;
        size_t bytes;
        const uint8_t *body = message_reply(&message, &bytes);
        if (bytes <= sizeof total)
            break;
        if (fwrite(body + sizeof total, 1, bytes - sizeof total, file) != bytes - sizeof total)
            result = CUDA_ERROR_OPERATING_SYSTEM;
        written += bytes - sizeof total;
    }
    if (file != NULL && fclose(file) != 0 && result == CUDA_SUCCESS)
        result = CUDA_ERROR_OPERATING_SYSTEM;
    return result;
}
