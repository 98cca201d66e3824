/* Nodes of any type: adding them, setting and getting their parameters. */
#include "guest/graph.h"

#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "guest/call.h"
#include "guest/callback.h"
#include "guest/captured_copy.h"
#include "guest/export.h"
#include "guest/handle_table.h"
#include "guest/launch.h"
#include "guest_forward.h"

/* --- from the program --- */

static CUresult fill_kernel(struct node_wire *wire, const CUDA_KERNEL_NODE_PARAMS *kernel)
{
    CUfunction function = kernel->func != NULL ? kernel->func : (CUfunction)(void *)kernel->kern;
    uint32_t bytes = 0;
    CUresult result =
        launch_pack(function, kernel->kernelParams, kernel->extra, wire->room.parameters, &bytes);
    wire->params.context = (uintptr_t)kernel->ctx;
    wire->params.kernel.function = (uintptr_t)function;
    memcpy(wire->params.kernel.grid, (uint32_t[]){kernel->gridDimX, kernel->gridDimY, kernel->gridDimZ},
           sizeof wire->params.kernel.grid);
    memcpy(wire->params.kernel.block, (uint32_t[]){kernel->blockDimX, kernel->blockDimY, kernel->blockDimZ},
           sizeof wire->params.kernel.block);
    wire->params.kernel.shared_bytes = kernel->sharedMemBytes;
    wire->params.kernel.parameter_bytes = bytes;
    wire->params.tail_bytes = bytes;
    wire->tail = wire->room.parameters;
    return result;
}

static CUresult fill_alloc(struct node_wire *wire, const CUDA_MEM_ALLOC_NODE_PARAMS *alloc)
{
    if (alloc->accessDescCount > ALLOC_ACCESS_MAX ||
        (alloc->accessDescCount > 0 && alloc->accessDescs == NULL))
        return CUDA_ERROR_INVALID_VALUE;
    wire->params.alloc.pool = alloc->poolProps;
    wire->params.alloc.bytes = alloc->bytesize;
    wire->params.alloc.access_count = (uint32_t)alloc->accessDescCount;
    wire->params.tail_bytes = (uint32_t)(alloc->accessDescCount * sizeof alloc->accessDescs[0]);
    wire->tail = alloc->accessDescs;
    return CUDA_SUCCESS;
}

static CUresult fill_batch(struct node_wire *wire, const CUDA_BATCH_MEM_OP_NODE_PARAMS *batch)
{
    if (batch->count > BATCH_OPERATIONS_MAX || (batch->count > 0 && batch->paramArray == NULL))
        return CUDA_ERROR_INVALID_VALUE;
    wire->params.context = (uintptr_t)batch->ctx;
    wire->params.batch.count = batch->count;
    wire->params.batch.flags = batch->flags;
    wire->params.tail_bytes = batch->count * (uint32_t)sizeof batch->paramArray[0];
    wire->tail = batch->paramArray;
    return CUDA_SUCCESS;
}

static void fill_memset(struct node_wire *wire, const CUDA_MEMSET_NODE_PARAMS_v2 *from)
{
    wire->params.context = (uintptr_t)from->ctx;
    wire->params.memset = (CUDA_MEMSET_NODE_PARAMS){.dst = from->dst,
                                                    .pitch = from->pitch,
                                                    .value = from->value,
                                                    .elementSize = from->elementSize,
                                                    .width = from->width,
                                                    .height = from->height};
}

/* The names of its graphs; node_add() settles them. */
static CUresult fill_conditional(struct node_wire *wire, const CUDA_CONDITIONAL_NODE_PARAMS *from)
{
    if (from->size == 0 || from->size > CONDITIONAL_GRAPHS_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    wire->params.context = (uintptr_t)from->ctx;
    wire->params.conditional.handle = from->handle;
    wire->params.conditional.type = from->type;
    wire->params.conditional.count = from->size;
    for (unsigned i = 0; i < from->size; i++)
        wire->room.names[i] = handle_reserve(HANDLE_GRAPH);
    wire->params.tail_bytes = from->size * (uint32_t)sizeof(uint64_t);
    wire->tail = wire->room.names;
    return CUDA_SUCCESS;
}

CUresult node_wire_fill(struct node_wire *wire, const CUgraphNodeParams *params)
{
    memset(&wire->params, 0, sizeof wire->params);
    wire->tail = NULL;
    wire->params.type = params->type;
    switch (params->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return fill_kernel(wire, &params->kernel);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        wire->params.context = (uintptr_t)params->memcpy.copyCtx;
        wire->params.copy = params->memcpy.copyParams;
        return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_MEMSET:
        fill_memset(wire, &params->memset);
        return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_HOST:
        wire->params.host.function = (uintptr_t)params->host.fn;
        wire->params.host.data = (uintptr_t)params->host.userData;
        return params->host.fn != NULL ? callback_ready() : CUDA_ERROR_INVALID_VALUE;
    case CU_GRAPH_NODE_TYPE_GRAPH:
        wire->params.child.graph = (uintptr_t)params->graph.graph;
        wire->params.child.ownership = params->graph.ownership;
        return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_EMPTY:
        return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        wire->params.event = (uintptr_t)params->eventWait.event;
        return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        wire->params.event = (uintptr_t)params->eventRecord.event;
        return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        return fill_alloc(wire, &params->alloc);
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        wire->params.free_address = params->free.dptr;
        return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return fill_batch(wire, &params->memOp);
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
        return fill_conditional(wire, &params->conditional);
    default:
        return CUDA_ERROR_NOT_SUPPORTED;
    }
}

/* --- what programs read through pointers --- */

struct kept {
    uint64_t bytes;
    uint8_t memory[];
};

void *node_keep(uint64_t node, size_t bytes)
{
    struct kept *kept = handle_data(node);
    if (kept != NULL && kept->bytes == bytes)
        return kept->memory;
    kept = malloc(sizeof *kept + bytes);
    if (kept == NULL)
        return NULL;
    kept->bytes = bytes;
    handle_replace(node, kept);
    return kept->memory;
}

const void *node_kept(uint64_t node, size_t bytes)
{
    const struct kept *kept = handle_alive(HANDLE_GRAPH_NODE, node) ? handle_data(node) : NULL;
    return kept != NULL && kept->bytes == bytes ? kept->memory : NULL;
}

/* --- adding --- */

/* The program's array of a conditional node's graphs lives as long as the node. */
static CUresult settle_conditional(const struct node_wire *wire, uint64_t node, const uint64_t *given,
                                   CUgraphNodeParams *params)
{
    uint32_t count = wire->params.conditional.count;
    CUgraph *graphs = given != NULL ? node_keep(node, count * sizeof *graphs) : NULL;
    for (uint32_t i = 0; i < count; i++) {
        handle_settle(wire->room.names[i], given != NULL ? given[i] : 0);
        if (graphs != NULL)
            graphs[i] = (CUgraph)(uintptr_t)given[i];
    }
    if (given == NULL)
        return CUDA_SUCCESS;
    if (graphs == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    params->conditional.phGraph_out = graphs;
    return CUDA_SUCCESS;
}

static CUresult send_add(struct message *message, const struct request_graph_node_add *request,
                         const CUgraphNode *dependencies, const CUgraphEdgeData *edges,
                         const struct node_wire *wire)
{
    uint32_t count = request->dependency_count;
    size_t nodes_bytes = count * sizeof *dependencies,
           edges_bytes = edges != NULL ? count * sizeof *edges : 0;
    CUresult result = message_begin(message, CALL_graph_node_add,
                                    sizeof *request + nodes_bytes + edges_bytes + wire->params.tail_bytes);
    if (result != CUDA_SUCCESS)
        return result;
    uint8_t *body = message->body;
    memcpy(body, request, sizeof *request);
    body += sizeof *request;
    if (nodes_bytes > 0)
        memcpy(body, dependencies, nodes_bytes);
    if (edges_bytes > 0)
        memcpy(body + nodes_bytes, edges, edges_bytes);
    if (wire->tail != NULL && wire->params.tail_bytes > 0)
        memcpy(body + nodes_bytes + edges_bytes, wire->tail, wire->params.tail_bytes);
    return message_wait(message, NULL, 0);
}

static CUresult add(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
                    const CUgraphEdgeData *edges, uint32_t count, CUgraphNodeParams *params,
                    const struct node_wire *wire)
{
    struct request_graph_node_add request = {.graph = (uintptr_t)graph,
                                             .node = handle_reserve(HANDLE_GRAPH_NODE),
                                             .dependency_count = count,
                                             .has_edges = edges != NULL,
                                             .params = wire->params};
    struct reply_graph_node_add reply = {0};
    struct message message;
    if (request.node == 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = send_add(&message, &request, dependencies, edges, wire);
    size_t bytes = 0;
    const uint8_t *body = result == CUDA_SUCCESS ? message_reply(&message, &bytes) : NULL;
    if (bytes >= sizeof reply)
        memcpy(&reply, body, sizeof reply);
    handle_settle(request.node, reply.node);
    graph_owns((uintptr_t)graph, reply.node);
    if (wire->params.type == CU_GRAPH_NODE_TYPE_CONDITIONAL) {
        bool enough = bytes >= sizeof reply + wire->params.tail_bytes;
        const uint64_t *given = enough ? (const uint64_t *)(body + sizeof reply) : NULL;
        CUresult settled = settle_conditional(wire, reply.node, given, params);
        result = result != CUDA_SUCCESS ? result : settled;
    }
    if (wire->params.type == CU_GRAPH_NODE_TYPE_MEM_ALLOC && result == CUDA_SUCCESS)
        params->alloc.dptr = reply.address;
    *node = (CUgraphNode)(uintptr_t)reply.node;
    return result;
}

/* What does not go with the node itself follows. */
static CUresult add_rest(CUgraphNode node, CUgraph graph, const CUgraphNode *dependencies,
                         const CUgraphEdgeData *edges, size_t count)
{
    CUgraphNode *targets = calloc(count, sizeof *targets);
    if (targets == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++)
        targets[i] = node;
    CUresult result = edges_change(graph, dependencies, targets, edges, count, 0);
    free(targets);
    return result;
}

CUresult node_add(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
                  const CUgraphEdgeData *edges, size_t count, CUgraphNodeParams *params)
{
    if (node == NULL || params == NULL || (count > 0 && dependencies == NULL))
        return CUDA_ERROR_INVALID_VALUE;
    if (params->type == CU_GRAPH_NODE_TYPE_MEMCPY && captured_node_wanted(&params->memcpy.copyParams))
        return captured_node_add(node, graph, dependencies, edges, count, &params->memcpy);
    struct node_wire *wire = malloc(sizeof *wire);
    if (wire == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    uint32_t first = count < GRAPH_DEPENDENCIES_MAX ? (uint32_t)count : GRAPH_DEPENDENCIES_MAX;
    CUresult result = node_wire_fill(wire, params);
    if (result == CUDA_SUCCESS)
        result = add(node, graph, dependencies, edges, first, params, wire);
    if (result == CUDA_SUCCESS && count > first)
        result =
            add_rest(*node, graph, dependencies + first, edges != NULL ? edges + first : NULL, count - first);
    free(wire);
    return result;
}

/* --- setting and getting --- */

CUresult node_set(CUgraphExec exec, CUgraphNode node, const CUgraphNodeParams *params)
{
    if (params == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    if (params->type == CU_GRAPH_NODE_TYPE_MEMCPY && captured_node_params(node) != NULL)
        return exec != NULL ? captured_node_set(exec, node, &params->memcpy) : CUDA_ERROR_NOT_SUPPORTED;
    struct node_wire *wire = malloc(sizeof *wire);
    if (wire == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = params->type == CU_GRAPH_NODE_TYPE_CONDITIONAL ? CUDA_ERROR_NOT_SUPPORTED
                                                                     : node_wire_fill(wire, params);
    if (result == CUDA_SUCCESS) {
        struct request_graph_node_set request = {
            .exec = (uintptr_t)exec, .node = (uintptr_t)node, .params = wire->params};
        result = call_wait(CALL_graph_node_set, &request, sizeof request, wire->tail, wire->params.tail_bytes,
                           NULL, 0);
    }
    free(wire);
    return result;
}

CUresult node_get(CUgraphNode node, CUgraphNodeType type, struct graph_node_params *params,
                  const uint8_t **tail)
{
    bool is_kernel = type == CU_GRAPH_NODE_TYPE_KERNEL;
    struct request_graph_node_get request = {
        .node = (uintptr_t)node, .function = is_kernel ? handle_reserve(HANDLE_FUNCTION) : 0, .type = type};
    struct message message;
    CUresult result = message_begin(&message, CALL_graph_node_get, sizeof request);
    if (result == CUDA_SUCCESS) {
        memcpy(message.body, &request, sizeof request);
        result = message_wait(&message, params, sizeof *params);
    }
    if (is_kernel)
        handle_settle(request.function, result == CUDA_SUCCESS ? params->kernel.function : 0);
    if (result != CUDA_SUCCESS)
        return result;
    size_t bytes;
    const uint8_t *body = message_reply(&message, &bytes);
    if (bytes < sizeof *params || bytes - sizeof *params < params->tail_bytes)
        return CUDA_ERROR_UNKNOWN;
    *tail = body + sizeof *params;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuGraphNodeGetType(CUgraphNode hNode, CUgraphNodeType *type)
{
    if (type == NULL || captured_node_params(hNode) == NULL)
        return forward_cuGraphNodeGetType(hNode, type);
    *type = CU_GRAPH_NODE_TYPE_MEMCPY;
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuGraphAddNode_v2(CUgraphNode *phGraphNode, CUgraph hGraph,
                                       const CUgraphNode *dependencies, const CUgraphEdgeData *dependencyData,
                                       size_t numDependencies, CUgraphNodeParams *nodeParams)
{
    return node_add(phGraphNode, hGraph, dependencies, dependencyData, numDependencies, nodeParams);
}

VGPU_EXPORT CUresult cuGraphAddNode(CUgraphNode *phGraphNode, CUgraph hGraph, const CUgraphNode *dependencies,
                                    size_t numDependencies, CUgraphNodeParams *nodeParams)
{
    return node_add(phGraphNode, hGraph, dependencies, NULL, numDependencies, nodeParams);
}

VGPU_EXPORT CUresult cuGraphNodeSetParams(CUgraphNode hNode, CUgraphNodeParams *nodeParams)
{
    return node_set(NULL, hNode, nodeParams);
}

VGPU_EXPORT CUresult cuGraphExecNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
                                              CUgraphNodeParams *nodeParams)
{
    return hGraphExec != NULL ? node_set(hGraphExec, hNode, nodeParams) : CUDA_ERROR_INVALID_VALUE;
}
