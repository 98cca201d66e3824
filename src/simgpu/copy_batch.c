/* Many copies in one call, made one after another. */
#include "cuda_api.h"
#include "simgpu/array.h"
#include "simgpu/copy.h"

static bool order_is_valid(CUmemcpySrcAccessOrder order)
{
    return order >= CU_MEMCPY_SRC_ACCESS_ORDER_STREAM && order <= CU_MEMCPY_SRC_ACCESS_ORDER_ANY;
}

/* A batch cannot go into the legacy stream. */
static CUresult resolve(CUstream handle, struct CUstream_st **stream)
{
    CUresult result = stream_resolve(handle, stream);
    return !result && (*stream)->kind == STREAM_LEGACY ? CUDA_ERROR_INVALID_VALUE : result;
}

CUresult cuMemcpyBatchAsync(CUdeviceptr *dsts, CUdeviceptr *srcs, size_t *sizes, size_t count,
                            CUmemcpyAttributes *attrs, size_t *attrsIdxs, size_t numAttrs, size_t *failIdx,
                            CUstream hStream)
{
    struct CUstream_st *stream;
    CUresult result = resolve(hStream, &stream);
    if (result)
        return result;
    if (failIdx)
        *failIdx = SIZE_MAX;
    if (!dsts || !srcs || !sizes || !count || !attrs || !attrsIdxs || !numAttrs || numAttrs > count ||
        attrsIdxs[0])
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < numAttrs; i++)
        if (!order_is_valid(attrs[i].srcAccessOrder) || attrsIdxs[i] >= count ||
            (i && attrsIdxs[i] <= attrsIdxs[i - 1]))
            return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && !result; i++) {
        result = sizes[i] ? copy_linear(stream, COPY_UNIFIED, dsts[i], COPY_UNIFIED, srcs[i], sizes[i], true)
                          : CUDA_ERROR_INVALID_VALUE;
        if (result && failIdx)
            *failIdx = i;
    }
    return result;
}

CUresult cuMemcpyBatchAsync_v2(CUdeviceptr *dsts, CUdeviceptr *srcs, size_t *sizes, size_t count,
                               CUmemcpyAttributes *attrs, size_t *attrsIdxs, size_t numAttrs,
                               CUstream hStream)
{
    return cuMemcpyBatchAsync(dsts, srcs, sizes, count, attrs, attrsIdxs, numAttrs, NULL, hStream);
}

/* --- three dimensions --- */

static bool find_element_bytes(const CUmemcpy3DOperand *operand, size_t *bytes)
{
    if (operand->type == CU_MEMCPY_OPERAND_TYPE_POINTER)
        return true;
    struct CUarray_st *array =
        operand->type == CU_MEMCPY_OPERAND_TYPE_ARRAY ? array_find(operand->op.array.array) : NULL;
    if (array)
        *bytes = array->element_bytes;
    return array != NULL;
}

static CUresult copy_operation(struct CUstream_st *stream, const CUDA_MEMCPY3D_BATCH_OP *operation)
{
    size_t bytes = 1;
    const CUmemcpy3DOperand *from = &operation->src, *to = &operation->dst;
    if (!order_is_valid(operation->srcAccessOrder) || !operation->extent.width || !operation->extent.height ||
        !operation->extent.depth || !find_element_bytes(from, &bytes) || !find_element_bytes(to, &bytes))
        return CUDA_ERROR_INVALID_VALUE;
    CUDA_MEMCPY3D copy = {.WidthInBytes = operation->extent.width * bytes,
                          .Height = operation->extent.height,
                          .Depth = operation->extent.depth,
                          .srcMemoryType = CU_MEMORYTYPE_UNIFIED,
                          .dstMemoryType = CU_MEMORYTYPE_UNIFIED};
    if (from->type == CU_MEMCPY_OPERAND_TYPE_ARRAY) {
        copy.srcMemoryType = CU_MEMORYTYPE_ARRAY;
        copy.srcArray = from->op.array.array;
        copy.srcXInBytes = from->op.array.offset.x * bytes;
        copy.srcY = from->op.array.offset.y;
        copy.srcZ = from->op.array.offset.z;
    } else {
        copy.srcDevice = from->op.ptr.ptr;
        copy.srcPitch = from->op.ptr.rowLength * bytes;
        copy.srcHeight = from->op.ptr.layerHeight;
    }
    if (to->type == CU_MEMCPY_OPERAND_TYPE_ARRAY) {
        copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
        copy.dstArray = to->op.array.array;
        copy.dstXInBytes = to->op.array.offset.x * bytes;
        copy.dstY = to->op.array.offset.y;
        copy.dstZ = to->op.array.offset.z;
    } else {
        copy.dstDevice = to->op.ptr.ptr;
        copy.dstPitch = to->op.ptr.rowLength * bytes;
        copy.dstHeight = to->op.ptr.layerHeight;
    }
    return copy_3d(stream, &copy, true);
}

CUresult cuMemcpy3DBatchAsync(size_t numOps, CUDA_MEMCPY3D_BATCH_OP *opList, size_t *failIdx,
                              unsigned long long flags, CUstream hStream)
{
    struct CUstream_st *stream;
    CUresult result = resolve(hStream, &stream);
    if (result)
        return result;
    if (failIdx)
        *failIdx = SIZE_MAX;
    if (!numOps || !opList || flags)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < numOps && !result; i++) {
        result = copy_operation(stream, &opList[i]);
        if (result && failIdx)
            *failIdx = i;
    }
    return result;
}

CUresult cuMemcpy3DBatchAsync_v2(size_t numOps, CUDA_MEMCPY3D_BATCH_OP *opList, unsigned long long flags,
                                 CUstream hStream)
{
    return cuMemcpy3DBatchAsync(numOps, opList, NULL, flags, hStream);
}
