/* Nodes of all types: adding them, setting and getting their parameters, in graphs and in executable ones. */
#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "simgpu/graph.h"
#include "simgpu/handle.h"
#include "simgpu/pool.h"

/* What parameters make of a node. */
struct content {
    struct graph_template *template;
    CUevent event;
    struct CUgraph_st *child;
};

static CUresult make_template(CUresult result, struct work *work, struct content *content)
{
    struct CUctx_st *context;
    if (result)
        return result;
    if (!work->context && !context_current(&context))
        work->context = context;
    content->template = template_create(work);
    return content->template ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult read_event(CUevent event, struct content *content)
{
    if (!handle_is(event, HANDLE_EVENT))
        return CUDA_ERROR_INVALID_HANDLE;
    content->event = event;
    return CUDA_SUCCESS;
}

static CUresult read_child(const CUDA_CHILD_GRAPH_NODE_PARAMS *params, struct content *content)
{
    if (!handle_is(params->graph, HANDLE_GRAPH) || params->ownership != CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE)
        return CUDA_ERROR_INVALID_VALUE;
    content->child = graph_copy(params->graph);
    if (!content->child)
        return CUDA_ERROR_OUT_OF_MEMORY;
    content->child->is_child = true;
    return CUDA_SUCCESS;
}

/* Work for the node, of the types that have some. */
static CUresult make_work(CUgraphNodeParams *params, struct work **work)
{
    struct CUctx_st *context;
    CUresult result;
    switch (params->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        result = context_of(params->kernel.ctx, &context);
        return result ? result : kernel_work_make(context, &params->kernel, work);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return box_work_make(&params->memcpy.copyParams, work);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return memset_work_make(&params->memset, work);
    case CU_GRAPH_NODE_TYPE_HOST:
        return host_work_make(params->host.fn, params->host.userData, work);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return batch_work_make(&params->memOp, work);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        return alloc_work_make(&params->alloc, work);
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        return free_work_make(params->free.dptr, work);
    default:
        return CUDA_ERROR_NOT_SUPPORTED;
    }
}

static CUresult read_params(CUgraphNodeParams *params, struct content *content)
{
    struct work *work = NULL;
    CUresult result;
    switch (params->type) {
    case CU_GRAPH_NODE_TYPE_EMPTY:
        return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_GRAPH:
        return read_child(&params->graph, content);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        return read_event(params->eventWait.event, content);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        return read_event(params->eventRecord.event, content);
    default:
        result = make_work(params, &work);
        return make_template(result, work, content);
    }
}

/* --- adding --- */

static CUresult check_dependencies(CUgraph graph, const CUgraphNode *dependencies, size_t count)
{
    if (count && !dependencies)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; i++) {
        if (!handle_is(dependencies[i], HANDLE_GRAPH_NODE) || dependencies[i]->graph != graph)
            return CUDA_ERROR_INVALID_VALUE;
        for (size_t k = 0; k < i; k++)
            if (dependencies[k] == dependencies[i])
                return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

CUresult cuGraphAddNode_v2(CUgraphNode *phGraphNode, CUgraph hGraph, const CUgraphNode *dependencies,
                           const CUgraphEdgeData *dependencyData, size_t numDependencies,
                           CUgraphNodeParams *nodeParams)
{
    struct content content = {0};
    CUresult result = driver_check();
    if (!result && (!phGraphNode || !nodeParams || !handle_is(hGraph, HANDLE_GRAPH)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = check_dependencies(hGraph, dependencies, numDependencies);
    if (!result)
        result = read_params(nodeParams, &content);
    if (result)
        return result;
    struct CUgraphNode_st *node = graph_add(hGraph, nodeParams->type, content.template);
    if (!node) {
        if (content.child)
            graph_destroy(content.child);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    node->event = content.event;
    node->child = content.child;
    for (size_t i = 0; i < numDependencies && !result; i++)
        result = graph_depend(node, dependencies[i], dependencyData ? &dependencyData[i] : NULL);
    *phGraphNode = node;
    return result;
}

CUresult cuGraphAddNode(CUgraphNode *phGraphNode, CUgraph hGraph, const CUgraphNode *dependencies,
                        size_t numDependencies, CUgraphNodeParams *nodeParams)
{
    return cuGraphAddNode_v2(phGraphNode, hGraph, dependencies, NULL, numDependencies, nodeParams);
}

/* --- setting --- */

/* Other nodes of a kind of node may have other work, but not another shape. */
static CUresult replace(struct CUgraphNode_st *node, CUgraphNodeParams *params)
{
    struct content content = {0};
    if (!params || params->type != node->type || node->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC ||
        node->type == CU_GRAPH_NODE_TYPE_MEM_FREE)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = read_params(params, &content);
    if (result)
        return result;
    template_release(node->template);
    if (node->child)
        graph_destroy(node->child);
    node->template = content.template;
    node->event = content.event;
    node->child = content.child;
    return CUDA_SUCCESS;
}

static CUresult find_in_exec(CUgraphExec exec, CUgraphNode node, struct CUgraphNode_st **found)
{
    CUresult result = driver_check();
    if (!result && (!handle_is(exec, HANDLE_GRAPH_EXEC) || !handle_is(node, HANDLE_GRAPH_NODE)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    *found = graph_find(exec->copy, node);
    return *found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphNodeSetParams(CUgraphNode hNode, CUgraphNodeParams *nodeParams)
{
    CUresult result = driver_check();
    if (!result && !handle_is(hNode, HANDLE_GRAPH_NODE))
        result = CUDA_ERROR_INVALID_VALUE;
    return result ? result : replace(hNode, nodeParams);
}

CUresult cuGraphExecNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode, CUgraphNodeParams *nodeParams)
{
    struct CUgraphNode_st *node;
    CUresult result = find_in_exec(hGraphExec, hNode, &node);
    return result ? result : replace(node, nodeParams);
}

CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode, CUgraph childGraph)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_GRAPH};
    params.graph.graph = childGraph;
    return cuGraphExecNodeSetParams(hGraphExec, hNode, &params);
}

CUresult cuGraphNodeSetEnabled(CUgraphExec hGraphExec, CUgraphNode hNode, unsigned int isEnabled)
{
    struct CUgraphNode_st *node;
    CUresult result = find_in_exec(hGraphExec, hNode, &node);
    if (!result && node->type != CU_GRAPH_NODE_TYPE_KERNEL && node->type != CU_GRAPH_NODE_TYPE_MEMCPY &&
        node->type != CU_GRAPH_NODE_TYPE_MEMSET)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        node->is_disabled = !isEnabled;
    return result;
}

CUresult cuGraphNodeGetEnabled(CUgraphExec hGraphExec, CUgraphNode hNode, unsigned int *isEnabled)
{
    struct CUgraphNode_st *node;
    CUresult result = find_in_exec(hGraphExec, hNode, &node);
    if (!result && !isEnabled)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *isEnabled = !node->is_disabled;
    return result;
}

/* --- getting --- */

static CUresult get(CUgraphNode node, CUgraphNodeType type, CUgraphNodeParams *params)
{
    CUresult result = driver_check();
    if (!result && (!handle_is(node, HANDLE_GRAPH_NODE) || node->type != type))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    *params = (CUgraphNodeParams){.type = type};
    if (node->template && node->template->work->describe)
        node->template->work->describe(node->template->work, params);
    return CUDA_SUCCESS;
}

#define GETTER(NAME, TYPE, KIND, FROM)                                                                       \
    CUresult NAME(CUgraphNode hNode, TYPE *nodeParams)                                                       \
    {                                                                                                        \
        CUgraphNodeParams params;                                                                            \
        CUresult result =                                                                                    \
            nodeParams ? get(hNode, CU_GRAPH_NODE_TYPE_##KIND, &params) : CUDA_ERROR_INVALID_VALUE;          \
        if (!result)                                                                                         \
            memcpy(nodeParams, &params.FROM, sizeof *nodeParams);                                            \
        return result;                                                                                       \
    }

GETTER(cuGraphKernelNodeGetParams, CUDA_KERNEL_NODE_PARAMS_v1, KERNEL, kernel)
GETTER(cuGraphKernelNodeGetParams_v2, CUDA_KERNEL_NODE_PARAMS, KERNEL, kernel)
GETTER(cuGraphMemcpyNodeGetParams, CUDA_MEMCPY3D, MEMCPY, memcpy.copyParams)
GETTER(cuGraphMemsetNodeGetParams, CUDA_MEMSET_NODE_PARAMS, MEMSET, memset)
GETTER(cuGraphHostNodeGetParams, CUDA_HOST_NODE_PARAMS, HOST, host)
GETTER(cuGraphMemAllocNodeGetParams, CUDA_MEM_ALLOC_NODE_PARAMS, MEM_ALLOC, alloc)
GETTER(cuGraphMemFreeNodeGetParams, CUdeviceptr, MEM_FREE, free.dptr)
GETTER(cuGraphBatchMemOpNodeGetParams, CUDA_BATCH_MEM_OP_NODE_PARAMS, BATCH_MEM_OP, memOp)

CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode hNode, CUgraph *phGraph)
{
    CUgraphNodeParams params;
    CUresult result = phGraph ? get(hNode, CU_GRAPH_NODE_TYPE_GRAPH, &params) : CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *phGraph = hNode->child;
    return result;
}

static CUresult get_event(CUgraphNode node, CUgraphNodeType type, CUevent *event)
{
    CUgraphNodeParams params;
    CUresult result = event ? get(node, type, &params) : CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *event = node->event;
    return result;
}

static CUgraphNodeParams event_params(CUgraphNodeType type, CUevent event)
{
    CUgraphNodeParams params = {.type = type};
    params.eventRecord.event = event; /* at the same place for one that waits */
    return params;
}

#define EVENT_NODE(NAME, KIND)                                                                               \
    CUresult cuGraph##NAME##NodeGetEvent(CUgraphNode hNode, CUevent *event_out)                              \
    {                                                                                                        \
        return get_event(hNode, CU_GRAPH_NODE_TYPE_##KIND, event_out);                                       \
    }                                                                                                        \
    CUresult cuGraph##NAME##NodeSetEvent(CUgraphNode hNode, CUevent event)                                   \
    {                                                                                                        \
        CUgraphNodeParams params = event_params(CU_GRAPH_NODE_TYPE_##KIND, event);                           \
        return cuGraphNodeSetParams(hNode, &params);                                                         \
    }                                                                                                        \
    CUresult cuGraphExec##NAME##NodeSetEvent(CUgraphExec hGraphExec, CUgraphNode hNode, CUevent event)       \
    {                                                                                                        \
        CUgraphNodeParams params = event_params(CU_GRAPH_NODE_TYPE_##KIND, event);                           \
        return cuGraphExecNodeSetParams(hGraphExec, hNode, &params);                                         \
    }

EVENT_NODE(EventRecord, EVENT_RECORD)
EVENT_NODE(EventWait, WAIT_EVENT)

/* --- attributes of kernel nodes: kept, and without effect on a slower GPU --- */

static CUresult check_attribute(CUgraphNode node, CUkernelNodeAttrID attribute)
{
    CUresult result = driver_check();
    if (!result && (!handle_is(node, HANDLE_GRAPH_NODE) || node->type != CU_GRAPH_NODE_TYPE_KERNEL ||
                    (unsigned int)attribute >= NODE_ATTRIBUTES))
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

CUresult cuGraphKernelNodeGetAttribute(CUgraphNode hNode, CUkernelNodeAttrID attr,
                                       CUkernelNodeAttrValue *value_out)
{
    CUresult result = check_attribute(hNode, attr);
    if (!result && !value_out)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *value_out = hNode->attributes[attr];
    return result;
}

CUresult cuGraphKernelNodeSetAttribute(CUgraphNode hNode, CUkernelNodeAttrID attr,
                                       const CUkernelNodeAttrValue *value)
{
    CUresult result = check_attribute(hNode, attr);
    if (!result && !value)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    hNode->attributes[attr] = *value;
    hNode->has_attribute[attr] = true;
    return CUDA_SUCCESS;
}

CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode dst, CUgraphNode src)
{
    CUresult result = check_attribute(dst, CU_LAUNCH_ATTRIBUTE_PRIORITY);
    if (!result)
        result = check_attribute(src, CU_LAUNCH_ATTRIBUTE_PRIORITY);
    if (result)
        return result;
    memcpy(dst->attributes, src->attributes, sizeof dst->attributes);
    memcpy(dst->has_attribute, src->has_attribute, sizeof dst->has_attribute);
    return CUDA_SUCCESS;
}
