/* Graphs: nodes and their parameters, lists of nodes and edges, executable graphs. */
#include "worker/serve.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver_api.h"
#include "wire/graph_calls.h"
#include "worker/callback.h"
#include "worker/graph.h"
#include "worker/graph_memory.h"
#include "worker/handle_map.h"

static bool look(enum handle_kind kind, uint64_t handle, void **object)
{
    return handle != 0 && handle_look(kind, handle, object);
}

/* A node in a reply: its name, which it gets here when it has none. */
static uint64_t node_name(CUgraphNode node, uint64_t wanted, uint64_t graph)
{
    return node != NULL ? call_name(HANDLE_GRAPH_NODE, wanted, node, graph) : 0;
}

/* Translates `count` nodes. False when one of them is none. */
static bool nodes_of(CUgraphNode *nodes, const uint8_t *handles, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t handle;
        void *node;
        memcpy(&handle, handles + i * sizeof handle, sizeof handle);
        if (!look(HANDLE_GRAPH_NODE, handle, &node))
            return false;
        nodes[i] = node;
    }
    return true;
}

/* --- nodes --- */

static bool names_are_good(enum handle_kind kind, const uint64_t *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (handle_check_name(kind, names[i]) != CUDA_SUCCESS)
            return false;
    return true;
}

static CUresult add(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
                    const CUgraphEdgeData *edges, uint32_t count, CUgraphNodeParams *params)
{
    if (count == 0)
        dependencies = NULL;
    if (driver.cuGraphAddNode_v2 != NULL)
        return driver.cuGraphAddNode_v2(node, graph, dependencies, edges, count, params);
    if (driver.cuGraphAddNode == NULL || edges != NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    return driver.cuGraphAddNode(node, graph, dependencies, count, params);
}

/* The graphs of a conditional node get the names that the guest sent along. */
static CUresult reply_added(struct call *call, const struct request_graph_node_add *request, CUgraphNode node,
                            const struct node_params *params, const uint64_t *names)
{
    struct reply_graph_node_add reply = {.node = node_name(node, request->node, request->graph)};
    if (request->params.type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) {
        reply.address = params->driver.alloc.dptr;
        graph_memory_add(reply.address, request->params.alloc.bytes);
    }
    if (params->function != NULL)
        host_function_keep(params->function);
    call_reply_append(call, &reply, sizeof reply);
    if (request->params.type == CU_GRAPH_NODE_TYPE_CONDITIONAL) {
        for (uint32_t i = 0; i < params->driver.conditional.size; i++) {
            uint64_t name =
                call_name(HANDLE_GRAPH, names[i], params->driver.conditional.phGraph_out[i], reply.node);
            call_reply_append(call, &name, sizeof name);
        }
    }
    return CUDA_SUCCESS;
}

static CUresult add_node(struct call *call, const struct request_graph_node_add *request, void *graph,
                         struct node_params *params)
{
    uint32_t count = request->dependency_count;
    const uint8_t *tail =
        call->tail + count * (sizeof(uint64_t) + (request->has_edges ? sizeof(CUgraphEdgeData) : 0));
    uint32_t tail_bytes = call->tail_bytes - (uint32_t)(tail - call->tail);
    uint64_t names[CONDITIONAL_GRAPHS_MAX] = {0};
    CUgraphNode *nodes = calloc(count + 1, sizeof *nodes);
    CUgraphEdgeData *edges = calloc(count + 1, sizeof *edges);
    CUresult result = nodes == NULL || edges == NULL ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
    if (result == CUDA_SUCCESS && !nodes_of(nodes, call->tail, count))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS && request->has_edges)
        memcpy(edges, call->tail + count * sizeof(uint64_t), count * sizeof *edges);
    if (result == CUDA_SUCCESS)
        result = node_params_read(params, &request->params, tail, tail_bytes);
    if (result == CUDA_SUCCESS && request->params.type == CU_GRAPH_NODE_TYPE_CONDITIONAL) {
        uint32_t graphs = request->params.conditional.count;
        memcpy(names, tail, tail_bytes < sizeof names ? tail_bytes : sizeof names);
        if (!names_are_good(HANDLE_GRAPH, names, graphs))
            result = CUDA_ERROR_INVALID_VALUE;
    }
    CUgraphNode node = NULL;
    if (result == CUDA_SUCCESS)
        result = add(&node, graph, nodes, request->has_edges ? edges : NULL, count, &params->driver);
    if (result == CUDA_SUCCESS) {
        result = reply_added(call, request, node, params, names);
        params->function = NULL;
    }
    node_params_end(params);
    free(nodes);
    free(edges);
    return result;
}

CUresult serve_graph_node_add(struct call *call)
{
    const struct request_graph_node_add *request = call->request;
    uint64_t each = sizeof(uint64_t) + (request->has_edges ? sizeof(CUgraphEdgeData) : 0);
    if (request->dependency_count > GRAPH_DEPENDENCIES_MAX ||
        request->dependency_count * each > call->tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = handle_check_name(HANDLE_GRAPH_NODE, request->node);
    if (result != CUDA_SUCCESS)
        return result;
    struct node_params *params = calloc(1, sizeof *params);
    if (params == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    void *graph;
    graph_lock();
    result = look(HANDLE_GRAPH, request->graph, &graph) ? add_node(call, request, graph, params)
                                                        : CUDA_ERROR_INVALID_VALUE;
    graph_unlock();
    free(params);
    return result;
}

CUresult serve_graph_node_set(struct call *call)
{
    const struct request_graph_node_set *request = call->request;
    void *node, *exec = NULL;
    if (driver.cuGraphNodeSetParams == NULL || driver.cuGraphExecNodeSetParams == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    struct node_params *params = calloc(1, sizeof *params);
    if (params == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    graph_lock();
    CUresult result =
        look(HANDLE_GRAPH_NODE, request->node, &node) && handle_look(HANDLE_GRAPH_EXEC, request->exec, &exec)
            ? CUDA_SUCCESS
            : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = node_params_read(params, &request->params, call->tail, call->tail_bytes);
    if (result == CUDA_SUCCESS)
        result = exec != NULL ? driver.cuGraphExecNodeSetParams(exec, node, &params->driver)
                              : driver.cuGraphNodeSetParams(node, &params->driver);
    if (result == CUDA_SUCCESS && params->function != NULL) {
        host_function_keep(params->function);
        params->function = NULL;
    }
    node_params_end(params);
    graph_unlock();
    free(params);
    return result;
}

CUresult serve_graph_node_get(struct call *call)
{
    const struct request_graph_node_get *request = call->request;
    void *node;
    if (request->type == CU_GRAPH_NODE_TYPE_KERNEL &&
        handle_check_name(HANDLE_FUNCTION, request->function) != CUDA_SUCCESS)
        return CUDA_ERROR_INVALID_VALUE;
    graph_lock();
    CUresult result = look(HANDLE_GRAPH_NODE, request->node, &node)
                          ? node_params_reply(call, node, request->type, request->function)
                          : CUDA_ERROR_INVALID_VALUE;
    graph_unlock();
    return result;
}

/* --- lists --- */

struct node_list {
    CUgraphNode *from, *to; /* to: of edges */
    CUgraphEdgeData *edges;
    size_t count;
};

/* One call of the driver's; NULL arrays ask for the count. */
static CUresult ask_list(uint32_t what, void *object, struct node_list *list)
{
    switch (what) {
    case GRAPH_NODES:
        return driver.cuGraphGetNodes(object, list->from, &list->count);
    case GRAPH_ROOTS:
        return driver.cuGraphGetRootNodes(object, list->from, &list->count);
    case GRAPH_EDGES:
        return driver.cuGraphGetEdges_v2 != NULL
                   ? driver.cuGraphGetEdges_v2(object, list->from, list->to, list->edges, &list->count)
                   : driver.cuGraphGetEdges(object, list->from, list->to, &list->count);
    case GRAPH_NODE_DEPENDENCIES:
        return driver.cuGraphNodeGetDependencies_v2 != NULL
                   ? driver.cuGraphNodeGetDependencies_v2(object, list->from, list->edges, &list->count)
                   : driver.cuGraphNodeGetDependencies(object, list->from, &list->count);
    default:
        return driver.cuGraphNodeGetDependentNodes_v2 != NULL
                   ? driver.cuGraphNodeGetDependentNodes_v2(object, list->from, list->edges, &list->count)
                   : driver.cuGraphNodeGetDependentNodes(object, list->from, &list->count);
    }
}

static CUresult get_list(uint32_t what, void *object, struct node_list *list)
{
    CUresult result = ask_list(what, object, list);
    if (result != CUDA_SUCCESS || list->count == 0)
        return result;
    list->from = calloc(list->count, sizeof *list->from);
    list->to = calloc(list->count, sizeof *list->to);
    list->edges = calloc(list->count, sizeof *list->edges);
    if (list->from == NULL || list->to == NULL || list->edges == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    return ask_list(what, object, list);
}

static void append_names(struct call *call, const CUgraphNode *nodes, uint32_t count, const uint8_t *names,
                         uint64_t graph)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t name;
        memcpy(&name, names + i * sizeof name, sizeof name);
        name = node_name(nodes[i], name, graph);
        call_reply_append(call, &name, sizeof name);
    }
}

static void reply_list(struct call *call, const struct request_graph_list *request,
                       const struct node_list *list, uint64_t graph)
{
    uint64_t left = request->offset < list->count ? list->count - request->offset : 0;
    uint32_t count = left < request->count ? (uint32_t)left : request->count;
    struct reply_graph_list reply = {.total = list->count, .count = count};
    call_reply_append(call, &reply, sizeof reply);
    if (count == 0)
        return;
    append_names(call, list->from + request->offset, count, call->tail, graph);
    if (request->what == GRAPH_EDGES)
        append_names(call, list->to + request->offset, count, call->tail + request->count * sizeof(uint64_t),
                     graph);
    if (request->wants_edges)
        call_reply_append(call, list->edges + request->offset, count * sizeof *list->edges);
}

CUresult serve_graph_list(struct call *call)
{
    const struct request_graph_list *request = call->request;
    bool of_node = request->what == GRAPH_NODE_DEPENDENCIES || request->what == GRAPH_NODE_DEPENDENTS;
    uint64_t names = (uint64_t)request->count * (request->what == GRAPH_EDGES ? 2 : 1);
    void *object;
    if (request->what > GRAPH_NODE_DEPENDENTS || request->count > GRAPH_LIST_MAX ||
        names * sizeof(uint64_t) > call->tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    struct node_list list = {0};
    graph_lock();
    CUresult result = look(of_node ? HANDLE_GRAPH_NODE : HANDLE_GRAPH, request->object, &object)
                          ? get_list(request->what, object, &list)
                          : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        reply_list(call, request, &list, of_node ? handle_parent(request->object) : request->object);
    graph_unlock();
    free(list.from);
    free(list.to);
    free(list.edges);
    return result;
}

static CUresult change_edges(const struct request_graph_edges *request, CUgraph graph,
                             const CUgraphNode *nodes, const CUgraphEdgeData *edges)
{
    const CUgraphNode *from = nodes, *to = nodes + request->count;
    size_t count = request->count;
    if (request->removes)
        return driver.cuGraphRemoveDependencies_v2 != NULL
                   ? driver.cuGraphRemoveDependencies_v2(graph, from, to, edges, count)
                   : driver.cuGraphRemoveDependencies(graph, from, to, count);
    return driver.cuGraphAddDependencies_v2 != NULL
               ? driver.cuGraphAddDependencies_v2(graph, from, to, edges, count)
               : driver.cuGraphAddDependencies(graph, from, to, count);
}

CUresult serve_graph_edges(struct call *call)
{
    const struct request_graph_edges *request = call->request;
    uint64_t each = 2 * sizeof(uint64_t) + (request->has_edges ? sizeof(CUgraphEdgeData) : 0);
    void *graph;
    if (request->count > GRAPH_DEPENDENCIES_MAX || request->count * each > call->tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNode *nodes = calloc(request->count * 2 + 1, sizeof *nodes);
    CUgraphEdgeData *edges = calloc(request->count + 1, sizeof *edges);
    CUresult result = nodes == NULL || edges == NULL ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
    graph_lock();
    if (result == CUDA_SUCCESS &&
        (!look(HANDLE_GRAPH, request->graph, &graph) || !nodes_of(nodes, call->tail, request->count * 2)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) {
        if (request->has_edges)
            memcpy(edges, call->tail + request->count * 2 * sizeof(uint64_t), request->count * sizeof *edges);
        result = change_edges(request, graph, nodes, request->has_edges ? edges : NULL);
    }
    graph_unlock();
    free(nodes);
    free(edges);
    return result;
}

/* --- executable graphs --- */

CUresult serve_graph_instantiate(struct call *call)
{
    const struct request_graph_instantiate *request = call->request;
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = request->flags &
                                                     ~(uint64_t)CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD};
    CUgraphExec exec = NULL;
    void *graph;
    if (driver.cuGraphInstantiateWithParams == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult result = handle_check_name(HANDLE_GRAPH_EXEC, request->exec);
    if (result != CUDA_SUCCESS)
        return result;
    graph_lock();
    result = look(HANDLE_GRAPH, request->graph, &graph)
                 ? driver.cuGraphInstantiateWithParams(&exec, graph, &params)
                 : CUDA_ERROR_INVALID_VALUE;
    struct reply_graph_instantiate reply = {.result = params.result_out};
    if (result == CUDA_SUCCESS)
        reply.exec = call_name(HANDLE_GRAPH_EXEC, request->exec, exec, 0);
    else if (params.hErrNode_out != NULL)
        reply.error_node = node_name(params.hErrNode_out, request->error_node, request->graph);
    graph_unlock();
    call_reply_append(call, &reply, sizeof reply);
    return result;
}

CUresult serve_graph_exec_update(struct call *call)
{
    const struct request_graph_exec_update *request = call->request;
    CUgraphExecUpdateResultInfo info = {.result = CU_GRAPH_EXEC_UPDATE_ERROR};
    void *exec, *graph;
    if (driver.cuGraphExecUpdate_v2 == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    graph_lock();
    CUresult result =
        look(HANDLE_GRAPH_EXEC, request->exec, &exec) && look(HANDLE_GRAPH, request->graph, &graph)
            ? driver.cuGraphExecUpdate_v2(exec, graph, &info)
            : CUDA_ERROR_INVALID_VALUE;
    struct reply_graph_exec_update reply = {.result = info.result};
    if (info.errorNode != NULL)
        reply.error_nodes[0] = node_name(info.errorNode, request->names[0], request->graph);
    if (info.errorFromNode != NULL)
        reply.error_nodes[1] = node_name(info.errorFromNode, request->names[1], request->graph);
    graph_unlock();
    call_reply_append(call, &reply, sizeof reply);
    return result;
}

/* --- the rest --- */

/* The driver writes the graph as text into memory of the worker's; the guest writes its file. */
CUresult serve_graph_dot(struct call *call)
{
    const struct request_graph_dot *request = call->request;
    char path[64];
    void *graph;
    struct stat facts;
    int fd = memfd_create("vgpu-graph", MFD_CLOEXEC);
    if (fd < 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    graph_lock();
    CUresult result = look(HANDLE_GRAPH, request->graph, &graph)
                          ? driver.cuGraphDebugDotPrint(graph, path, request->flags)
                          : CUDA_ERROR_INVALID_VALUE;
    graph_unlock();
    if (result == CUDA_SUCCESS && fstat(fd, &facts) == 0) {
        uint64_t total = (uint64_t)facts.st_size;
        call_reply_append(call, &total, sizeof total);
        ssize_t bytes = pread(fd, (uint8_t *)call->reply + call->reply_bytes,
                              call->reply_room - call->reply_bytes, (off_t)request->offset);
        call->reply_bytes += bytes > 0 ? (uint32_t)bytes : 0;
    }
    close(fd);
    return result;
}

CUresult serve_cuGraphConditionalHandleCreate(struct call *call)
{
    const struct request_cuGraphConditionalHandleCreate *request = call->request;
    struct reply_cuGraphConditionalHandleCreate reply = {0};
    void *graph, *context;
    if (driver.cuGraphConditionalHandleCreate == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!handle_find(HANDLE_CONTEXT, request->ctx, &context))
        return CUDA_ERROR_INVALID_CONTEXT;
    graph_lock();
    CUresult result = look(HANDLE_GRAPH, request->hGraph, &graph)
                          ? driver.cuGraphConditionalHandleCreate(&reply.pHandle_out, graph, context,
                                                                  request->defaultLaunchValue, request->flags)
                          : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        conditional_remember(reply.pHandle_out);
    graph_unlock();
    call_reply_append(call, &reply, sizeof reply);
    return result;
}
