/* Tensor maps. The driver's part is arithmetic: it writes down what it is given, in the GPU's own form. The
 * address in a map is used by kernels alone, and reaches what any pointer of theirs would. */
#include "worker/serve.h"

#include <string.h>

#include "driver_api.h"
#include "wire/own_calls.h"

static CUresult encode_tiled(CUtensorMap *map, const struct request_tensor_map *request)
{
    if (driver.cuTensorMapEncodeTiled == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    return driver.cuTensorMapEncodeTiled(
        map, (CUtensorMapDataType)request->data_type, request->rank, (void *)(uintptr_t)request->address,
        request->dimensions, request->strides, request->box, request->element_strides,
        (CUtensorMapInterleave)request->interleave, (CUtensorMapSwizzle)request->swizzle,
        (CUtensorMapL2promotion)request->l2_promotion, (CUtensorMapFloatOOBfill)request->out_of_bounds_fill);
}

static CUresult encode_im2col(CUtensorMap *map, const struct request_tensor_map *request)
{
    if (driver.cuTensorMapEncodeIm2col == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    return driver.cuTensorMapEncodeIm2col(
        map, (CUtensorMapDataType)request->data_type, request->rank, (void *)(uintptr_t)request->address,
        request->dimensions, request->strides, request->lower, request->upper, request->channels_per_pixel,
        request->pixels_per_column, request->element_strides, (CUtensorMapInterleave)request->interleave,
        (CUtensorMapSwizzle)request->swizzle, (CUtensorMapL2promotion)request->l2_promotion,
        (CUtensorMapFloatOOBfill)request->out_of_bounds_fill);
}

static CUresult encode_im2col_wide(CUtensorMap *map, const struct request_tensor_map *request)
{
    if (driver.cuTensorMapEncodeIm2colWide == NULL)
        return CUDA_ERROR_NOT_SUPPORTED;
    return driver.cuTensorMapEncodeIm2colWide(
        map, (CUtensorMapDataType)request->data_type, request->rank, (void *)(uintptr_t)request->address,
        request->dimensions, request->strides, request->lower[0], request->upper[0],
        request->channels_per_pixel, request->pixels_per_column, request->element_strides,
        (CUtensorMapInterleave)request->interleave, (CUtensorMapIm2ColWideMode)request->wide_mode,
        (CUtensorMapSwizzle)request->swizzle, (CUtensorMapL2promotion)request->l2_promotion,
        (CUtensorMapFloatOOBfill)request->out_of_bounds_fill);
}

static CUresult replace_address(CUtensorMap *map, const struct request_tensor_map *request)
{
    memcpy(map->opaque, request->map, sizeof map->opaque);
    return driver.cuTensorMapReplaceAddress != NULL
               ? driver.cuTensorMapReplaceAddress(map, (void *)(uintptr_t)request->address)
               : CUDA_ERROR_NOT_SUPPORTED;
}

CUresult serve_tensor_map(struct call *call)
{
    static CUresult (*const make[])(CUtensorMap *, const struct request_tensor_map *) = {
        [TENSOR_MAP_TILED] = encode_tiled,
        [TENSOR_MAP_IM2COL] = encode_im2col,
        [TENSOR_MAP_IM2COL_WIDE] = encode_im2col_wide,
        [TENSOR_MAP_REPLACE_ADDRESS] = replace_address,
    };
    const struct request_tensor_map *request = call->request;
    /* The driver reads as many numbers as the rank says. */
    if (request->kind >= sizeof make / sizeof *make || request->rank > TENSOR_MAP_RANK_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    CUtensorMap map;
    memset(&map, 0, sizeof map);
    CUresult result = make[request->kind](&map, request);
    if (result == CUDA_SUCCESS)
        call_reply_append(call, &map, sizeof map);
    return result;
}
