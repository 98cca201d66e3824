/* Executable graphs. A launch that cannot be refused is sent and forgotten, like that of a kernel. */
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/export.h"
#include "guest/graph.h"
#include "guest/handle_table.h"
#include "guest/managed_variables.h"
#include "guest_forward.h"

/* *error_node and *why may be NULL. */
static CUresult instantiate(CUgraphExec *exec, CUgraph graph, uint64_t flags, CUgraphNode *error_node,
                            CUgraphInstantiateResult *why)
{
    if (exec == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_graph_instantiate request = {.exec = handle_reserve(HANDLE_GRAPH_EXEC),
                                                .graph = (uintptr_t)graph,
                                                .flags = flags,
                                                .error_node = handle_reserve(HANDLE_GRAPH_NODE)};
    struct reply_graph_instantiate reply = {.result = CUDA_GRAPH_INSTANTIATE_ERROR};
    CUresult result = request.exec == 0 || request.error_node == 0 ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
    if (result == CUDA_SUCCESS)
        result = call_wait(CALL_graph_instantiate, &request, sizeof request, NULL, 0, &reply, sizeof reply);
    handle_settle(request.exec, result == CUDA_SUCCESS ? reply.exec : 0);
    handle_settle(request.error_node, reply.error_node);
    graph_owns((uintptr_t)graph, reply.error_node == request.error_node ? reply.error_node : 0);
    if (error_node != NULL)
        *error_node = (CUgraphNode)(uintptr_t)reply.error_node;
    if (why != NULL)
        *why = reply.result;
    if (result == CUDA_SUCCESS)
        *exec = (CUgraphExec)(uintptr_t)reply.exec;
    return result;
}

VGPU_EXPORT CUresult cuGraphInstantiateWithFlags(CUgraphExec *phGraphExec, CUgraph hGraph,
                                                 unsigned long long flags)
{
    return instantiate(phGraphExec, hGraph, flags, NULL, NULL);
}

VGPU_EXPORT CUresult cuGraphInstantiate_v2(CUgraphExec *phGraphExec, CUgraph hGraph, CUgraphNode *phErrorNode,
                                           char *logBuffer, size_t bufferSize)
{
    if (logBuffer != NULL && bufferSize > 0)
        logBuffer[0] = '\0';
    return instantiate(phGraphExec, hGraph, 0, phErrorNode, NULL);
}

VGPU_EXPORT CUresult cuGraphInstantiate(CUgraphExec *phGraphExec, CUgraph hGraph, CUgraphNode *phErrorNode,
                                        char *logBuffer, size_t bufferSize)
{
    return cuGraphInstantiate_v2(phGraphExec, hGraph, phErrorNode, logBuffer, bufferSize);
}

/* The upload is a call of its own: it needs the grant, the rest does not. */
VGPU_EXPORT CUresult cuGraphInstantiateWithParams(CUgraphExec *phGraphExec, CUgraph hGraph,
                                                  CUDA_GRAPH_INSTANTIATE_PARAMS *instantiateParams)
{
    if (instantiateParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = instantiate(phGraphExec, hGraph, instantiateParams->flags,
                                  &instantiateParams->hErrNode_out, &instantiateParams->result_out);
    if (result == CUDA_SUCCESS && (instantiateParams->flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD))
        result = cuGraphUpload(*phGraphExec, instantiateParams->hUploadStream);
    return result;
}

VGPU_EXPORT CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec *phGraphExec, CUgraph hGraph,
                                                       CUDA_GRAPH_INSTANTIATE_PARAMS *instantiateParams)
{
    if (instantiateParams == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUstream stream = instantiateParams->hUploadStream;
    instantiateParams->hUploadStream = per_thread(stream);
    CUresult result = cuGraphInstantiateWithParams(phGraphExec, hGraph, instantiateParams);
    instantiateParams->hUploadStream = stream;
    return result;
}

VGPU_EXPORT CUresult cuGraphExecUpdate_v2(CUgraphExec hGraphExec, CUgraph hGraph,
                                          CUgraphExecUpdateResultInfo *resultInfo)
{
    if (resultInfo == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_graph_exec_update request = {
        .exec = (uintptr_t)hGraphExec,
        .graph = (uintptr_t)hGraph,
        .names = {handle_reserve(HANDLE_GRAPH_NODE), handle_reserve(HANDLE_GRAPH_NODE)}};
    struct reply_graph_exec_update reply = {.result = CU_GRAPH_EXEC_UPDATE_ERROR};
    CUresult result =
        request.names[0] == 0 || request.names[1] == 0 ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
    if (result == CUDA_SUCCESS)
        result = call_wait(CALL_graph_exec_update, &request, sizeof request, NULL, 0, &reply, sizeof reply);
    for (int i = 0; i < 2; i++) {
        handle_settle(request.names[i], reply.error_nodes[i]);
        graph_owns((uintptr_t)hGraph, reply.error_nodes[i] == request.names[i] ? reply.error_nodes[i] : 0);
    }
    resultInfo->result = reply.result;
    resultInfo->errorNode = (CUgraphNode)(uintptr_t)reply.error_nodes[0];
    resultInfo->errorFromNode = (CUgraphNode)(uintptr_t)reply.error_nodes[1];
    return result;
}

VGPU_EXPORT CUresult cuGraphExecUpdate(CUgraphExec hGraphExec, CUgraph hGraph, CUgraphNode *hErrorNode_out,
                                       CUgraphExecUpdateResult *updateResult_out)
{
    CUgraphExecUpdateResultInfo info = {0};
    CUresult result = cuGraphExecUpdate_v2(hGraphExec, hGraph, &info);
    if (hErrorNode_out != NULL)
        *hErrorNode_out = info.errorNode;
    if (updateResult_out != NULL)
        *updateResult_out = info.result;
    return result;
}

VGPU_EXPORT CUresult cuGraphLaunch(CUgraphExec hGraphExec, CUstream hStream)
{
    uint64_t stream = (uintptr_t)hStream;
    bool known = handle_alive(HANDLE_GRAPH_EXEC, (uintptr_t)hGraphExec) &&
                 (stream <= (uintptr_t)CU_STREAM_PER_THREAD || handle_alive(HANDLE_STREAM, stream));
    if (managed_variables_exist())
        managed_variables_send();
    return forward_cuGraphLaunch(!known, hGraphExec, hStream);
}
