/* What streams do besides kernels and copies: functions of the program, batches of operations on words of
 * memory; attributes of streams and kernel nodes; user objects. */
#include "worker/serve.h"

#include <stdbool.h>
#include <string.h>

#include "driver_api.h"
#include "wire/graph_calls.h"
#include "worker/callback.h"
#include "worker/capture.h"
#include "worker/device_memory.h"
#include "worker/drain.h"
#include "worker/gate.h"
#include "worker/graph.h"
#include "worker/handle_map.h"

/* The stream may join a capture by it. */
CUresult serve_cuStreamWaitEvent(struct call *call)
{
    const struct request_cuStreamWaitEvent *request = call->request;
    void *stream, *event;
    if (!handle_find(HANDLE_STREAM, request->hStream, &stream) ||
        !handle_find(HANDLE_EVENT, request->hEvent, &event))
        return CUDA_ERROR_INVALID_HANDLE;
    if (!capture_is_under_way())
        return driver.cuStreamWaitEvent(stream, event, request->Flags);
    gate_contexts_lock();
    CUresult result = drain_mark(stream);
    if (result == CUDA_SUCCESS)
        result = driver.cuStreamWaitEvent(stream, event, request->Flags);
    gate_contexts_unlock();
    return result;
}

CUresult serve_host_function(struct call *call)
{
    const struct request_host_function *request = call->request;
    void *stream;
    if (!handle_find(HANDLE_STREAM, request->stream, &stream))
        return CUDA_ERROR_INVALID_HANDLE;
    if (!callback_may_run()) {
        gate_contexts_lock();
        drain_mark(stream); /* from here on streams are asked one by one */
        gate_contexts_unlock();
    }
    bool is_node = capture_is_under_way() && capture_has(stream);
    struct host_function *function =
        host_function_make(request->function, request->data, is_node ? NULL : stream, request->stream);
    if (function == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (is_node)
        host_function_keep(function);
    CUresult result = request->is_callback
                          ? driver.cuStreamAddCallback(stream, host_function_run_callback, function, 0)
                          : driver.cuLaunchHostFunc(stream, host_function_run, function);
    if (result != CUDA_SUCCESS)
        host_function_free(function);
    return result;
}

CUresult serve_stream_batch(struct call *call)
{
    const struct request_stream_batch *request = call->request;
    CUstreamBatchMemOpParams operations[BATCH_OPERATIONS_MAX];
    void *stream;
    if (driver.cuStreamBatchMemOp_v2 == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!handle_find(HANDLE_STREAM, request->stream, &stream))
        return CUDA_ERROR_INVALID_HANDLE;
    if (request->count > BATCH_OPERATIONS_MAX || request->count * sizeof operations[0] > call->tail_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(operations, call->tail, request->count * sizeof operations[0]);
    CUresult result = batch_check(operations, request->count);
    return result != CUDA_SUCCESS
               ? result
               : driver.cuStreamBatchMemOp_v2(stream, request->count, operations, request->flags);
}

/* --- attributes --- */

/* Of those that streams and kernel nodes have, the ones whose values are plain numbers. The window of the
 * access policy names memory, which is not followed but only preferred in the cache. */
static bool attribute_is_plain(uint32_t attribute)
{
    switch (attribute) {
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    case CU_LAUNCH_ATTRIBUTE_NVLINK_UTIL_CENTRIC_SCHEDULING:
        return true;
    default:
        return false;
    }
}

CUresult serve_attribute_get(struct call *call)
{
    const struct request_attribute_get *request = call->request;
    struct reply_attribute_get reply = {0};
    CUresult result;
    void *object;
    if (!attribute_is_plain(request->attribute))
        return CUDA_ERROR_INVALID_VALUE;
    if (handle_value_kind(request->object) == HANDLE_GRAPH_NODE) {
        graph_lock();
        result = handle_look(HANDLE_GRAPH_NODE, request->object, &object)
                     ? driver.cuGraphKernelNodeGetAttribute(object, request->attribute, &reply.value)
                     : CUDA_ERROR_INVALID_VALUE;
        graph_unlock();
    } else {
        result = handle_find(HANDLE_STREAM, request->object, &object)
                     ? driver.cuStreamGetAttribute(object, request->attribute, &reply.value)
                     : CUDA_ERROR_INVALID_HANDLE;
    }
    call_reply_append(call, &reply, sizeof reply);
    return result;
}

CUresult serve_attribute_set(struct call *call)
{
    const struct request_attribute_set *request = call->request;
    CUlaunchAttributeValue value = request->value;
    CUresult result;
    void *object;
    if (!attribute_is_plain(request->attribute))
        return CUDA_ERROR_INVALID_VALUE;
    if (handle_value_kind(request->object) != HANDLE_GRAPH_NODE)
        return handle_find(HANDLE_STREAM, request->object, &object)
                   ? driver.cuStreamSetAttribute(object, request->attribute, &value)
                   : CUDA_ERROR_INVALID_HANDLE;
    graph_lock();
    result = handle_look(HANDLE_GRAPH_NODE, request->object, &object)
                 ? driver.cuGraphKernelNodeSetAttribute(object, request->attribute, &value)
                 : CUDA_ERROR_INVALID_VALUE;
    graph_unlock();
    return result;
}
