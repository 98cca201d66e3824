/* Many copies in one call. Each is made as a copy of its own, in order on the stream: the batch promises
 * nothing about the order of its copies, so this order is as good as any. */
#include "cuda_api.h"
#include "guest/context.h"
#include "guest/copy.h"
#include "guest/copy_box.h"
#include "guest/export.h"

#include <stddef.h>

static bool order_is_valid(CUmemcpySrcAccessOrder order)
{
    return order == CU_MEMCPY_SRC_ACCESS_ORDER_STREAM ||
           order == CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL || order == CU_MEMCPY_SRC_ACCESS_ORDER_ANY;
}

/* A batch needs a stream of the program's own. */
static bool stream_is_valid(CUstream stream)
{
    return stream != NULL && stream != CU_STREAM_LEGACY;
}

static void say_failed(size_t *failed, size_t index)
{
    if (failed != NULL)
        *failed = index;
}

struct batch {
    CUdeviceptr *to, *from;
    size_t *bytes;
    size_t count;
    CUmemcpyAttributes *attributes;
    size_t *first_of_attributes; /* the copy from which each of them counts */
    size_t attribute_count;
};

static CUresult check_batch(const struct batch *batch, size_t *failed)
{
    say_failed(failed, SIZE_MAX);
    if (batch->to == NULL || batch->from == NULL || batch->bytes == NULL || batch->count == 0 ||
        batch->attributes == NULL || batch->first_of_attributes == NULL || batch->attribute_count == 0 ||
        batch->attribute_count > batch->count || batch->first_of_attributes[0] != 0)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < batch->attribute_count; i++) {
        const size_t *first = batch->first_of_attributes;
        if (!order_is_valid(batch->attributes[i].srcAccessOrder) || (i > 0 && first[i] <= first[i - 1]) ||
            first[i] >= batch->count)
            return CUDA_ERROR_INVALID_VALUE;
    }
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->bytes[i] == 0 || batch->to[i] == 0 || batch->from[i] == 0) {
            say_failed(failed, i);
            return CUDA_ERROR_INVALID_VALUE;
        }
    }
    return CUDA_SUCCESS;
}

static CUresult copy_batch(const struct batch *batch, size_t *failed, CUstream stream)
{
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    result = stream_is_valid(stream) ? check_batch(batch, failed) : CUDA_ERROR_INVALID_VALUE;
    bool read_at_once = false;
    for (size_t i = 0, attribute = 0; i < batch->count && result == CUDA_SUCCESS; i++) {
        if (attribute + 1 < batch->attribute_count && batch->first_of_attributes[attribute + 1] <= i)
            attribute++;
        read_at_once |=
            batch->attributes[attribute].srcAccessOrder == CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL;
        result = cuMemcpyAsync(batch->to[i], batch->from[i], batch->bytes[i], stream);
        if (result != CUDA_SUCCESS)
            say_failed(failed, i);
    }
    return result == CUDA_SUCCESS && read_at_once ? cuStreamSynchronize(stream) : result;
}

VGPU_EXPORT CUresult cuMemcpyBatchAsync(CUdeviceptr *dsts, CUdeviceptr *srcs, size_t *sizes, size_t count,
                                        CUmemcpyAttributes *attrs, size_t *attrsIdxs, size_t numAttrs,
                                        size_t *failIdx, CUstream hStream)
{
    const struct batch batch = {dsts, srcs, sizes, count, attrs, attrsIdxs, numAttrs};
    return copy_batch(&batch, failIdx, hStream);
}

VGPU_EXPORT CUresult cuMemcpyBatchAsync_v2(CUdeviceptr *dsts, CUdeviceptr *srcs, size_t *sizes, size_t count,
                                           CUmemcpyAttributes *attrs, size_t *attrsIdxs, size_t numAttrs,
                                           CUstream hStream)
{
    const struct batch batch = {dsts, srcs, sizes, count, attrs, attrsIdxs, numAttrs};
    return copy_batch(&batch, NULL, hStream);
}

/* --- three dimensions --- */

static size_t channel_bytes(CUarray_format format)
{
    switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
        return 1;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
        return 2;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
        return 4;
    default:
        return 0;
    }
}

/* Lengths are in elements where an array takes part, and in bytes otherwise. */
static CUresult element_bytes(const CUmemcpy3DOperand *operand, size_t *bytes)
{
    CUDA_ARRAY3D_DESCRIPTOR descriptor;
    if (operand->type == CU_MEMCPY_OPERAND_TYPE_POINTER)
        return CUDA_SUCCESS;
    if (operand->type != CU_MEMCPY_OPERAND_TYPE_ARRAY || operand->op.array.array == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = cuArray3DGetDescriptor_v2(&descriptor, operand->op.array.array);
    if (result != CUDA_SUCCESS)
        return result;
    *bytes = channel_bytes(descriptor.Format) * descriptor.NumChannels;
    return *bytes != 0 ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

static void name_source(CUDA_MEMCPY3D *copy, const CUmemcpy3DOperand *operand, size_t bytes)
{
    if (operand->type == CU_MEMCPY_OPERAND_TYPE_POINTER) {
        copy->srcMemoryType = CU_MEMORYTYPE_UNIFIED;
        copy->srcDevice = operand->op.ptr.ptr;
        copy->srcPitch = operand->op.ptr.rowLength * bytes;
        copy->srcHeight = operand->op.ptr.layerHeight;
        return;
    }
    copy->srcMemoryType = CU_MEMORYTYPE_ARRAY;
    copy->srcArray = operand->op.array.array;
    copy->srcXInBytes = operand->op.array.offset.x * bytes;
    copy->srcY = operand->op.array.offset.y;
    copy->srcZ = operand->op.array.offset.z;
}

static void name_target(CUDA_MEMCPY3D *copy, const CUmemcpy3DOperand *operand, size_t bytes)
{
    if (operand->type == CU_MEMCPY_OPERAND_TYPE_POINTER) {
        copy->dstMemoryType = CU_MEMORYTYPE_UNIFIED;
        copy->dstDevice = operand->op.ptr.ptr;
        copy->dstPitch = operand->op.ptr.rowLength * bytes;
        copy->dstHeight = operand->op.ptr.layerHeight;
        return;
    }
    copy->dstMemoryType = CU_MEMORYTYPE_ARRAY;
    copy->dstArray = operand->op.array.array;
    copy->dstXInBytes = operand->op.array.offset.x * bytes;
    copy->dstY = operand->op.array.offset.y;
    copy->dstZ = operand->op.array.offset.z;
}

static CUresult copy_operation(const CUDA_MEMCPY3D_BATCH_OP *operation, CUstream stream)
{
    size_t bytes = 1;
    if (!order_is_valid(operation->srcAccessOrder) || operation->extent.width == 0 ||
        operation->extent.height == 0 || operation->extent.depth == 0)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = element_bytes(&operation->src, &bytes);
    if (result == CUDA_SUCCESS)
        result = element_bytes(&operation->dst, &bytes);
    if (result != CUDA_SUCCESS)
        return result;
    CUDA_MEMCPY3D copy = {.WidthInBytes = operation->extent.width * bytes,
                          .Height = operation->extent.height,
                          .Depth = operation->extent.depth};
    name_source(&copy, &operation->src, bytes);
    name_target(&copy, &operation->dst, bytes);
    return copy_box(&copy, BOX_3D, stream,
                    operation->srcAccessOrder == CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL);
}

VGPU_EXPORT CUresult cuMemcpy3DBatchAsync(size_t numOps, CUDA_MEMCPY3D_BATCH_OP *opList, size_t *failIdx,
                                          unsigned long long flags, CUstream hStream)
{
    CUresult result = context_required();
    if (result != CUDA_SUCCESS)
        return result;
    say_failed(failIdx, SIZE_MAX);
    if (numOps == 0 || opList == NULL || flags != 0 || !stream_is_valid(hStream))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < numOps && result == CUDA_SUCCESS; i++) {
        result = copy_operation(&opList[i], hStream);
        if (result != CUDA_SUCCESS)
            say_failed(failIdx, i);
    }
    return result;
}

VGPU_EXPORT CUresult cuMemcpy3DBatchAsync_v2(size_t numOps, CUDA_MEMCPY3D_BATCH_OP *opList,
                                             unsigned long long flags, CUstream hStream)
{
    return cuMemcpy3DBatchAsync(numOps, opList, NULL, flags, hStream);
}
