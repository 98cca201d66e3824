/* The functions for nodes of one type: those for any type, with less to say. */
#include <string.h>

#include "cuda_api.h"

#define PARAMS(TYPE, FIELD, FROM)                                                                            \
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_##TYPE};                                          \
    if (!(FROM))                                                                                             \
        return CUDA_ERROR_INVALID_VALUE;                                                                     \
    memcpy(&params.FIELD, FROM, sizeof *(FROM))

/* Adding, and setting in a graph and in an executable one, where the structure says it all. */
#define ADD(NAME, TYPE, FIELD, STRUCTURE)                                                                    \
    CUresult NAME(CUgraphNode *phGraphNode, CUgraph hGraph, const CUgraphNode *dependencies,                 \
                  size_t numDependencies, const STRUCTURE *nodeParams)                                       \
    {                                                                                                        \
        PARAMS(TYPE, FIELD, nodeParams);                                                                     \
        return cuGraphAddNode(phGraphNode, hGraph, dependencies, numDependencies, &params);                  \
    }
#define SET(NAME, TYPE, FIELD, STRUCTURE)                                                                    \
    CUresult NAME(CUgraphNode hNode, const STRUCTURE *nodeParams)                                            \
    {                                                                                                        \
        PARAMS(TYPE, FIELD, nodeParams);                                                                     \
        return cuGraphNodeSetParams(hNode, &params);                                                         \
    }
#define EXEC_SET(NAME, TYPE, FIELD, STRUCTURE)                                                               \
    CUresult NAME(CUgraphExec hGraphExec, CUgraphNode hNode, const STRUCTURE *nodeParams)                    \
    {                                                                                                        \
        PARAMS(TYPE, FIELD, nodeParams);                                                                     \
        return cuGraphExecNodeSetParams(hGraphExec, hNode, &params);                                         \
    }

ADD(cuGraphAddKernelNode, KERNEL, kernel, CUDA_KERNEL_NODE_PARAMS_v1)
ADD(cuGraphAddKernelNode_v2, KERNEL, kernel, CUDA_KERNEL_NODE_PARAMS)
SET(cuGraphKernelNodeSetParams, KERNEL, kernel, CUDA_KERNEL_NODE_PARAMS_v1)
SET(cuGraphKernelNodeSetParams_v2, KERNEL, kernel, CUDA_KERNEL_NODE_PARAMS)
EXEC_SET(cuGraphExecKernelNodeSetParams, KERNEL, kernel, CUDA_KERNEL_NODE_PARAMS_v1)
EXEC_SET(cuGraphExecKernelNodeSetParams_v2, KERNEL, kernel, CUDA_KERNEL_NODE_PARAMS)
ADD(cuGraphAddHostNode, HOST, host, CUDA_HOST_NODE_PARAMS)
SET(cuGraphHostNodeSetParams, HOST, host, CUDA_HOST_NODE_PARAMS)
EXEC_SET(cuGraphExecHostNodeSetParams, HOST, host, CUDA_HOST_NODE_PARAMS)
ADD(cuGraphAddBatchMemOpNode, BATCH_MEM_OP, memOp, CUDA_BATCH_MEM_OP_NODE_PARAMS)
SET(cuGraphBatchMemOpNodeSetParams, BATCH_MEM_OP, memOp, CUDA_BATCH_MEM_OP_NODE_PARAMS)
EXEC_SET(cuGraphExecBatchMemOpNodeSetParams, BATCH_MEM_OP, memOp, CUDA_BATCH_MEM_OP_NODE_PARAMS)
SET(cuGraphMemcpyNodeSetParams, MEMCPY, memcpy.copyParams, CUDA_MEMCPY3D)
SET(cuGraphMemsetNodeSetParams, MEMSET, memset, CUDA_MEMSET_NODE_PARAMS)

CUresult cuGraphAddMemcpyNode(CUgraphNode *phGraphNode, CUgraph hGraph, const CUgraphNode *dependencies,
                              size_t numDependencies, const CUDA_MEMCPY3D *copyParams, CUcontext ctx)
{
    PARAMS(MEMCPY, memcpy.copyParams, copyParams);
    return cuGraphAddNode(phGraphNode, hGraph, dependencies, numDependencies, &params);
}

CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
                                        const CUDA_MEMCPY3D *copyParams, CUcontext ctx)
{
    PARAMS(MEMCPY, memcpy.copyParams, copyParams);
    return cuGraphExecNodeSetParams(hGraphExec, hNode, &params);
}

CUresult cuGraphAddMemsetNode(CUgraphNode *phGraphNode, CUgraph hGraph, const CUgraphNode *dependencies,
                              size_t numDependencies, const CUDA_MEMSET_NODE_PARAMS *memsetParams,
                              CUcontext ctx)
{
    PARAMS(MEMSET, memset, memsetParams);
    return cuGraphAddNode(phGraphNode, hGraph, dependencies, numDependencies, &params);
}

CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
                                        const CUDA_MEMSET_NODE_PARAMS *memsetParams, CUcontext ctx)
{
    PARAMS(MEMSET, memset, memsetParams);
    return cuGraphExecNodeSetParams(hGraphExec, hNode, &params);
}

CUresult cuGraphAddChildGraphNode(CUgraphNode *phGraphNode, CUgraph hGraph, const CUgraphNode *dependencies,
                                  size_t numDependencies, CUgraph childGraph)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_GRAPH};
    params.graph.graph = childGraph;
    return cuGraphAddNode(phGraphNode, hGraph, dependencies, numDependencies, &params);
}

CUresult cuGraphAddEmptyNode(CUgraphNode *phGraphNode, CUgraph hGraph, const CUgraphNode *dependencies,
                             size_t numDependencies)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_EMPTY};
    return cuGraphAddNode(phGraphNode, hGraph, dependencies, numDependencies, &params);
}

CUresult cuGraphAddEventRecordNode(CUgraphNode *phGraphNode, CUgraph hGraph, const CUgraphNode *dependencies,
                                   size_t numDependencies, CUevent event)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_EVENT_RECORD};
    params.eventRecord.event = event;
    return cuGraphAddNode(phGraphNode, hGraph, dependencies, numDependencies, &params);
}

CUresult cuGraphAddEventWaitNode(CUgraphNode *phGraphNode, CUgraph hGraph, const CUgraphNode *dependencies,
                                 size_t numDependencies, CUevent event)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_WAIT_EVENT};
    params.eventWait.event = event;
    return cuGraphAddNode(phGraphNode, hGraph, dependencies, numDependencies, &params);
}

CUresult cuGraphAddMemAllocNode(CUgraphNode *phGraphNode, CUgraph hGraph, const CUgraphNode *dependencies,
                                size_t numDependencies, CUDA_MEM_ALLOC_NODE_PARAMS *nodeParams)
{
    PARAMS(MEM_ALLOC, alloc, nodeParams);
    CUresult result = cuGraphAddNode(phGraphNode, hGraph, dependencies, numDependencies, &params);
    nodeParams->dptr = params.alloc.dptr;
    return result;
}

CUresult cuGraphAddMemFreeNode(CUgraphNode *phGraphNode, CUgraph hGraph, const CUgraphNode *dependencies,
                               size_t numDependencies, CUdeviceptr dptr)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEM_FREE};
    params.free.dptr = dptr;
    return cuGraphAddNode(phGraphNode, hGraph, dependencies, numDependencies, &params);
}
