/* Attributes of streams and of kernel nodes, and batches of operations on words of memory. */
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/export.h"
#include "guest/kept_answers.h"
#include "wire/own_calls.h"

static CUresult get(uint64_t object, CUlaunchAttributeID attribute, CUlaunchAttributeValue *value)
{
    if (value == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_attribute_get request = {.object = object, .attribute = attribute};
    struct reply_attribute_get reply;
    CUresult result = call_wait(CALL_attribute_get, &request, sizeof request, NULL, 0, &reply, sizeof reply);
    if (result == CUDA_SUCCESS)
        *value = reply.value;
    return result;
}

static CUresult set(uint64_t object, CUlaunchAttributeID attribute, const CUlaunchAttributeValue *value)
{
    if (value == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    struct request_attribute_set request = {.object = object, .attribute = attribute, .value = *value};
    CUresult result = call_wait(CALL_attribute_set, &request, sizeof request, NULL, 0, NULL, 0);
    kept_forget();
    return result;
}

VGPU_EXPORT CUresult cuStreamGetAttribute(CUstream hStream, CUstreamAttrID attr, CUstreamAttrValue *value_out)
{
    return get((uintptr_t)hStream, attr, value_out);
}

VGPU_EXPORT CUresult cuStreamSetAttribute(CUstream hStream, CUstreamAttrID attr,
                                          const CUstreamAttrValue *value)
{
    return set((uintptr_t)hStream, attr, value);
}

VGPU_EXPORT CUresult cuGraphKernelNodeGetAttribute(CUgraphNode hNode, CUkernelNodeAttrID attr,
                                                   CUkernelNodeAttrValue *value_out)
{
    return hNode != NULL ? get((uintptr_t)hNode, attr, value_out) : CUDA_ERROR_INVALID_VALUE;
}

VGPU_EXPORT CUresult cuGraphKernelNodeSetAttribute(CUgraphNode hNode, CUkernelNodeAttrID attr,
                                                   const CUkernelNodeAttrValue *value)
{
    return hNode != NULL ? set((uintptr_t)hNode, attr, value) : CUDA_ERROR_INVALID_VALUE;
}

VGPU_EXPORT CUresult cuStreamBatchMemOp_v2(CUstream stream, unsigned int count,
                                           CUstreamBatchMemOpParams *paramArray, unsigned int flags)
{
    if (count > BATCH_OPERATIONS_MAX || (count > 0 && paramArray == NULL))
        return CUDA_ERROR_INVALID_VALUE;
    struct request_stream_batch request = {.stream = (uintptr_t)stream, .count = count, .flags = flags};
    return call_wait(CALL_stream_batch, &request, sizeof request, paramArray, count * sizeof *paramArray,
                     NULL, 0);
}
