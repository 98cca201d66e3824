/* The functions for nodes of one type each: older than those for any type, and the same underneath. */
#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"
#include "guest/captured_copy.h"
#include "guest/export.h"
#include "guest/function.h"
#include "guest/graph.h"
#include "guest/handle_table.h"

static CUresult add(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                    CUgraphNodeParams params)
{
    return node_add(node, graph, dependencies, NULL, count, &params);
}

/* --- kernels --- */

static CUgraphNodeParams kernel_params(const CUDA_KERNEL_NODE_PARAMS *kernel)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_KERNEL};
    params.kernel = *kernel;
    return params;
}

static CUgraphNodeParams kernel_params_v1(const CUDA_KERNEL_NODE_PARAMS_v1 *kernel)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_KERNEL};
    memcpy(&params.kernel, kernel, sizeof *kernel);
    return params;
}

VGPU_EXPORT CUresult cuGraphAddKernelNode_v2(CUgraphNode *phGraphNode, CUgraph hGraph,
                                             const CUgraphNode *dependencies, size_t numDependencies,
                                             const CUDA_KERNEL_NODE_PARAMS *nodeParams)
{
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    return add(phGraphNode, hGraph, dependencies, numDependencies, kernel_params(nodeParams));
}

VGPU_EXPORT CUresult cuGraphAddKernelNode(CUgraphNode *phGraphNode, CUgraph hGraph,
                                          const CUgraphNode *dependencies, size_t numDependencies,
                                          const CUDA_KERNEL_NODE_PARAMS_v1 *nodeParams)
{
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    return add(phGraphNode, hGraph, dependencies, numDependencies, kernel_params_v1(nodeParams));
}

VGPU_EXPORT CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode hNode,
                                                   const CUDA_KERNEL_NODE_PARAMS *nodeParams)
{
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNodeParams params = kernel_params(nodeParams);
    return node_set(NULL, hNode, &params);
}

VGPU_EXPORT CUresult cuGraphKernelNodeSetParams(CUgraphNode hNode,
                                                const CUDA_KERNEL_NODE_PARAMS_v1 *nodeParams)
{
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNodeParams params = kernel_params_v1(nodeParams);
    return node_set(NULL, hNode, &params);
}

VGPU_EXPORT CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec hGraphExec, CUgraphNode hNode,
                                                       const CUDA_KERNEL_NODE_PARAMS *nodeParams)
{
    if (nodeParams == NULL || hGraphExec == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNodeParams params = kernel_params(nodeParams);
    return node_set(hGraphExec, hNode, &params);
}

VGPU_EXPORT CUresult cuGraphExecKernelNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
                                                    const CUDA_KERNEL_NODE_PARAMS_v1 *nodeParams)
{
    if (nodeParams == NULL || hGraphExec == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNodeParams params = kernel_params_v1(nodeParams);
    return node_set(hGraphExec, hNode, &params);
}

/* Values of parameters and pointers to them, in one piece that lives as long as the node's name. */
static void **unpack(uint64_t node, const struct function_facts *facts, const uint8_t *bytes, uint32_t count)
{
    size_t pointers = facts->info.parameter_count;
    void **list = node_keep(node, pointers * sizeof *list + count);
    if (list == NULL)
        return NULL;
    uint8_t *values = (uint8_t *)(list + pointers);
    memcpy(values, bytes, count);
    for (size_t i = 0; i < pointers; i++)
        list[i] = facts->places[i].offset < count ? values + facts->places[i].offset : NULL;
    return list;
}

VGPU_EXPORT CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode hNode, CUDA_KERNEL_NODE_PARAMS *nodeParams)
{
    struct graph_node_params wire;
    const uint8_t *tail;
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = node_get(hNode, CU_GRAPH_NODE_TYPE_KERNEL, &wire, &tail);
    if (result != CUDA_SUCCESS)
        return result;
    uint8_t *bytes = malloc(wire.tail_bytes + 1);
    if (bytes == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(bytes, tail, wire.tail_bytes); /* asking for the function's facts overwrites the answer */
    const struct function_facts *facts =
        function_facts_of((CUfunction)(uintptr_t)wire.kernel.function, &result);
    void **list = facts != NULL ? unpack((uintptr_t)hNode, facts, bytes, wire.tail_bytes) : NULL;
    free(bytes);
    if (list == NULL)
        return result != CUDA_SUCCESS ? result : CUDA_ERROR_OUT_OF_MEMORY;
    bool is_kernel = handle_value_kind(wire.kernel.function) == HANDLE_KERNEL;
    bool has_function = !is_kernel || wire.kernel.has_function; /* a kernel is taken for its function, too */
    *nodeParams =
        (CUDA_KERNEL_NODE_PARAMS){.func = has_function ? (CUfunction)(uintptr_t)wire.kernel.function : NULL,
                                  .gridDimX = wire.kernel.grid[0],
                                  .gridDimY = wire.kernel.grid[1],
                                  .gridDimZ = wire.kernel.grid[2],
                                  .blockDimX = wire.kernel.block[0],
                                  .blockDimY = wire.kernel.block[1],
                                  .blockDimZ = wire.kernel.block[2],
                                  .sharedMemBytes = wire.kernel.shared_bytes,
                                  .kernelParams = facts->info.parameter_count > 0 ? list : NULL,
                                  .kern = is_kernel ? (CUkernel)(uintptr_t)wire.kernel.function : NULL,
                                  .ctx = (CUcontext)(uintptr_t)wire.context};
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuGraphKernelNodeGetParams(CUgraphNode hNode, CUDA_KERNEL_NODE_PARAMS_v1 *nodeParams)
{
    CUDA_KERNEL_NODE_PARAMS params;
    CUresult result =
        nodeParams != NULL ? cuGraphKernelNodeGetParams_v2(hNode, &params) : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) {
        if (params.func == NULL)
            params.func = (CUfunction)(void *)params.kern;
        memcpy(nodeParams, &params, sizeof *nodeParams);
    }
    return result;
}

/* --- copies --- */

static CUgraphNodeParams copy_params(const CUDA_MEMCPY3D *copy, CUcontext context)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMCPY};
    params.memcpy = (CUDA_MEMCPY_NODE_PARAMS){.copyCtx = context, .copyParams = *copy};
    return params;
}

VGPU_EXPORT CUresult cuGraphAddMemcpyNode(CUgraphNode *phGraphNode, CUgraph hGraph,
                                          const CUgraphNode *dependencies, size_t numDependencies,
                                          const CUDA_MEMCPY3D *copyParams, CUcontext ctx)
{
    if (copyParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    return add(phGraphNode, hGraph, dependencies, numDependencies, copy_params(copyParams, ctx));
}

VGPU_EXPORT CUresult cuGraphMemcpyNodeSetParams(CUgraphNode hNode, const CUDA_MEMCPY3D *nodeParams)
{
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNodeParams params = copy_params(nodeParams, NULL);
    return node_set(NULL, hNode, &params);
}

VGPU_EXPORT CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
                                                    const CUDA_MEMCPY3D *copyParams, CUcontext ctx)
{
    if (copyParams == NULL || hGraphExec == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNodeParams params = copy_params(copyParams, ctx);
    return node_set(hGraphExec, hNode, &params);
}

VGPU_EXPORT CUresult cuGraphMemcpyNodeGetParams(CUgraphNode hNode, CUDA_MEMCPY3D *nodeParams)
{
    struct graph_node_params wire;
    const uint8_t *tail;
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    const CUDA_MEMCPY_NODE_PARAMS *passing = captured_node_params(hNode);
    if (passing != NULL) {
        *nodeParams = passing->copyParams;
        return CUDA_SUCCESS;
    }
    CUresult result = node_get(hNode, CU_GRAPH_NODE_TYPE_MEMCPY, &wire, &tail);
    if (result == CUDA_SUCCESS)
        *nodeParams = wire.copy;
    return result;
}

/* --- memsets --- */

static CUgraphNodeParams memset_params(const CUDA_MEMSET_NODE_PARAMS *from, CUcontext context)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMSET};
    memcpy(&params.memset, from, sizeof *from);
    params.memset.ctx = context;
    return params;
}

VGPU_EXPORT CUresult cuGraphAddMemsetNode(CUgraphNode *phGraphNode, CUgraph hGraph,
                                          const CUgraphNode *dependencies, size_t numDependencies,
                                          const CUDA_MEMSET_NODE_PARAMS *memsetParams, CUcontext ctx)
{
    if (memsetParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    return add(phGraphNode, hGraph, dependencies, numDependencies, memset_params(memsetParams, ctx));
}

VGPU_EXPORT CUresult cuGraphMemsetNodeSetParams(CUgraphNode hNode, const CUDA_MEMSET_NODE_PARAMS *nodeParams)
{
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNodeParams params = memset_params(nodeParams, NULL);
    return node_set(NULL, hNode, &params);
}

VGPU_EXPORT CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
                                                    const CUDA_MEMSET_NODE_PARAMS *memsetParams,
                                                    CUcontext ctx)
{
    if (memsetParams == NULL || hGraphExec == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNodeParams params = memset_params(memsetParams, ctx);
    return node_set(hGraphExec, hNode, &params);
}

VGPU_EXPORT CUresult cuGraphMemsetNodeGetParams(CUgraphNode hNode, CUDA_MEMSET_NODE_PARAMS *nodeParams)
{
    struct graph_node_params wire;
    const uint8_t *tail;
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = node_get(hNode, CU_GRAPH_NODE_TYPE_MEMSET, &wire, &tail);
    if (result == CUDA_SUCCESS)
        *nodeParams = wire.memset;
    return result;
}

/* --- functions of the program --- */

static CUgraphNodeParams host_params(const CUDA_HOST_NODE_PARAMS *host)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_HOST};
    params.host = *host;
    return params;
}

VGPU_EXPORT CUresult cuGraphAddHostNode(CUgraphNode *phGraphNode, CUgraph hGraph,
                                        const CUgraphNode *dependencies, size_t numDependencies,
                                        const CUDA_HOST_NODE_PARAMS *nodeParams)
{
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    return add(phGraphNode, hGraph, dependencies, numDependencies, host_params(nodeParams));
}

VGPU_EXPORT CUresult cuGraphHostNodeSetParams(CUgraphNode hNode, const CUDA_HOST_NODE_PARAMS *nodeParams)
{
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNodeParams params = host_params(nodeParams);
    return node_set(NULL, hNode, &params);
}

VGPU_EXPORT CUresult cuGraphExecHostNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
                                                  const CUDA_HOST_NODE_PARAMS *nodeParams)
{
    if (nodeParams == NULL || hGraphExec == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNodeParams params = host_params(nodeParams);
    return node_set(hGraphExec, hNode, &params);
}

VGPU_EXPORT CUresult cuGraphHostNodeGetParams(CUgraphNode hNode, CUDA_HOST_NODE_PARAMS *nodeParams)
{
    struct graph_node_params wire;
    const uint8_t *tail;
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = node_get(hNode, CU_GRAPH_NODE_TYPE_HOST, &wire, &tail);
    if (result == CUDA_SUCCESS)
        *nodeParams = (CUDA_HOST_NODE_PARAMS){.fn = (CUhostFn)(uintptr_t)wire.host.function,
                                              .userData = (void *)(uintptr_t)wire.host.data};
    return result;
}

/* --- graphs in graphs, empty nodes, events --- */

VGPU_EXPORT CUresult cuGraphAddChildGraphNode(CUgraphNode *phGraphNode, CUgraph hGraph,
                                              const CUgraphNode *dependencies, size_t numDependencies,
                                              CUgraph childGraph)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_GRAPH};
    params.graph.graph = childGraph;
    return add(phGraphNode, hGraph, dependencies, numDependencies, params);
}

VGPU_EXPORT CUresult cuGraphAddEmptyNode(CUgraphNode *phGraphNode, CUgraph hGraph,
                                         const CUgraphNode *dependencies, size_t numDependencies)
{
    return add(phGraphNode, hGraph, dependencies, numDependencies,
               (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_EMPTY});
}

VGPU_EXPORT CUresult cuGraphAddEventRecordNode(CUgraphNode *phGraphNode, CUgraph hGraph,
                                               const CUgraphNode *dependencies, size_t numDependencies,
                                               CUevent event)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_EVENT_RECORD};
    params.eventRecord.event = event;
    return add(phGraphNode, hGraph, dependencies, numDependencies, params);
}

VGPU_EXPORT CUresult cuGraphAddEventWaitNode(CUgraphNode *phGraphNode, CUgraph hGraph,
                                             const CUgraphNode *dependencies, size_t numDependencies,
                                             CUevent event)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_WAIT_EVENT};
    params.eventWait.event = event;
    return add(phGraphNode, hGraph, dependencies, numDependencies, params);
}

/* --- memory --- */

VGPU_EXPORT CUresult cuGraphAddMemAllocNode(CUgraphNode *phGraphNode, CUgraph hGraph,
                                            const CUgraphNode *dependencies, size_t numDependencies,
                                            CUDA_MEM_ALLOC_NODE_PARAMS *nodeParams)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC};
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    params.alloc = *nodeParams;
    CUresult result = node_add(phGraphNode, hGraph, dependencies, NULL, numDependencies, &params);
    if (result == CUDA_SUCCESS)
        nodeParams->dptr = params.alloc.dptr;
    return result;
}

VGPU_EXPORT CUresult cuGraphMemAllocNodeGetParams(CUgraphNode hNode, CUDA_MEM_ALLOC_NODE_PARAMS *params_out)
{
    struct graph_node_params wire;
    const uint8_t *tail;
    if (params_out == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = node_get(hNode, CU_GRAPH_NODE_TYPE_MEM_ALLOC, &wire, &tail);
    if (result != CUDA_SUCCESS)
        return result;
    void *access = node_keep((uintptr_t)hNode, wire.tail_bytes);
    if (access == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(access, tail, wire.tail_bytes);
    *params_out = (CUDA_MEM_ALLOC_NODE_PARAMS){.poolProps = wire.alloc.pool,
                                               .accessDescs = wire.alloc.access_count > 0 ? access : NULL,
                                               .accessDescCount = wire.alloc.access_count,
                                               .bytesize = wire.alloc.bytes,
                                               .dptr = wire.alloc.address};
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuGraphAddMemFreeNode(CUgraphNode *phGraphNode, CUgraph hGraph,
                                           const CUgraphNode *dependencies, size_t numDependencies,
                                           CUdeviceptr dptr)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEM_FREE};
    params.free.dptr = dptr;
    return add(phGraphNode, hGraph, dependencies, numDependencies, params);
}

/* --- operations on words of memory --- */

static CUgraphNodeParams batch_params(const CUDA_BATCH_MEM_OP_NODE_PARAMS *batch)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP};
    params.memOp = *batch;
    return params;
}

VGPU_EXPORT CUresult cuGraphAddBatchMemOpNode(CUgraphNode *phGraphNode, CUgraph hGraph,
                                              const CUgraphNode *dependencies, size_t numDependencies,
                                              const CUDA_BATCH_MEM_OP_NODE_PARAMS *nodeParams)
{
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    return add(phGraphNode, hGraph, dependencies, numDependencies, batch_params(nodeParams));
}

VGPU_EXPORT CUresult cuGraphBatchMemOpNodeSetParams(CUgraphNode hNode,
                                                    const CUDA_BATCH_MEM_OP_NODE_PARAMS *nodeParams)
{
    if (nodeParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNodeParams params = batch_params(nodeParams);
    return node_set(NULL, hNode, &params);
}

VGPU_EXPORT CUresult cuGraphExecBatchMemOpNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
                                                        const CUDA_BATCH_MEM_OP_NODE_PARAMS *nodeParams)
{
    if (nodeParams == NULL || hGraphExec == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNodeParams params = batch_params(nodeParams);
    return node_set(hGraphExec, hNode, &params);
}

VGPU_EXPORT CUresult cuGraphBatchMemOpNodeGetParams(CUgraphNode hNode,
                                                    CUDA_BATCH_MEM_OP_NODE_PARAMS *nodeParams_out)
{
    struct graph_node_params wire;
    const uint8_t *tail;
    if (nodeParams_out == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = node_get(hNode, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, &wire, &tail);
    if (result != CUDA_SUCCESS)
        return result;
    void *operations = node_keep((uintptr_t)hNode, wire.tail_bytes);
    if (operations == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(operations, tail, wire.tail_bytes);
    *nodeParams_out = (CUDA_BATCH_MEM_OP_NODE_PARAMS){.ctx = (CUcontext)(uintptr_t)wire.context,
                                                      .count = wire.batch.count,
                                                      .paramArray = operations,
                                                      .flags = wire.batch.flags};
    return CUDA_SUCCESS;
}
