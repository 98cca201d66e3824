/* Tensor maps are made by the host's driver: their form is the GPU's. What is in one follows from the
 * arguments alone, so a map made before is not asked for again: libraries make the same few before every
 * launch. */
#include "cuda_api.h"
#include "guest/call.h"
#include "guest/export.h"
#include "guest/init.h"
#include "guest/lock.h"
#include "wire/own_calls.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAPS_REMEMBERED 256u /* a power of two */

struct remembered_map {
    struct request_tensor_map request;
    CUtensorMap map;
};

static struct lock remembered_lock;
static struct remembered_map *remembered[MAPS_REMEMBERED]; /* by the request's hash */

static uint32_t place_of(const struct request_tensor_map *request)
{
    const uint64_t *words = (const void *)request;
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof *request / sizeof *words; i++)
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(hash >> 32) % MAPS_REMEMBERED;
}

static bool recall(uint32_t place, const struct request_tensor_map *request, CUtensorMap *map)
{
    lock_take(&remembered_lock);
    const struct remembered_map *known = remembered[place];
    bool found = known != NULL && memcmp(&known->request, request, sizeof *request) == 0;
    if (found)
        memcpy(map->opaque, known->map.opaque, sizeof map->opaque);
    lock_give(&remembered_lock);
    return found;
}

static void remember(uint32_t place, const struct request_tensor_map *request, const CUtensorMap *map)
{
    lock_take(&remembered_lock);
    if (remembered[place] == NULL)
        remembered[place] = aligned_alloc(_Alignof(struct remembered_map), sizeof *remembered[place]);
    if (remembered[place] != NULL) {
        memcpy(&remembered[place]->request, request, sizeof *request);
        memcpy(remembered[place]->map.opaque, map->opaque, sizeof map->opaque);
    }
    lock_give(&remembered_lock);
}

static CUresult make(CUtensorMap *map, const struct request_tensor_map *request)
{
    uint32_t place = place_of(request);
    CUresult result = library_state();
    if (result != CUDA_SUCCESS)
        return result;
    if (recall(place, request, map))
        return CUDA_SUCCESS;
    CUtensorMap made;
    result = call_wait(CALL_tensor_map, request, sizeof *request, NULL, 0, made.opaque, sizeof made.opaque);
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(map->opaque, made.opaque, sizeof made.opaque);
    remember(place, request, &made);
    return CUDA_SUCCESS;
}

/* What all kinds have. The request's padding is cleared too: requests are compared whole. */
static CUresult begin(struct request_tensor_map *request, enum tensor_map_kind kind, uint32_t rank,
                      const void *address, const cuuint64_t *dimensions, const cuuint64_t *strides,
                      const cuuint32_t *element_strides)
{
    memset(request, 0, sizeof *request);
    if (rank == 0 || rank > TENSOR_MAP_RANK_MAX || dimensions == NULL || element_strides == NULL ||
        (strides == NULL && rank > 1))
        return CUDA_ERROR_INVALID_VALUE;
    request->kind = kind;
    request->rank = rank;
    request->address = (uintptr_t)address;
    memcpy(request->dimensions, dimensions, rank * sizeof *dimensions);
    if (rank > 1)
        memcpy(request->strides, strides, (rank - 1) * sizeof *strides);
    memcpy(request->element_strides, element_strides, rank * sizeof *element_strides);
    return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuTensorMapEncodeTiled(CUtensorMap *tensorMap, CUtensorMapDataType tensorDataType,
                                            cuuint32_t tensorRank, void *globalAddress,
                                            const cuuint64_t *globalDim, const cuuint64_t *globalStrides,
                                            const cuuint32_t *boxDim, const cuuint32_t *elementStrides,
                                            CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                            CUtensorMapL2promotion l2Promotion,
                                            CUtensorMapFloatOOBfill oobFill)
{
    struct request_tensor_map request;
    if (tensorMap == NULL || boxDim == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = begin(&request, TENSOR_MAP_TILED, tensorRank, globalAddress, globalDim, globalStrides,
                            elementStrides);
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(request.box, boxDim, tensorRank * sizeof *boxDim);
    request.data_type = tensorDataType;
    request.interleave = interleave;
    request.swizzle = swizzle;
    request.l2_promotion = l2Promotion;
    request.out_of_bounds_fill = oobFill;
    return make(tensorMap, &request);
}

VGPU_EXPORT CUresult cuTensorMapEncodeIm2col(
    CUtensorMap *tensorMap, CUtensorMapDataType tensorDataType, cuuint32_t tensorRank, void *globalAddress,
    const cuuint64_t *globalDim, const cuuint64_t *globalStrides, const int *pixelBoxLowerCorner,
    const int *pixelBoxUpperCorner, cuuint32_t channelsPerPixel, cuuint32_t pixelsPerColumn,
    const cuuint32_t *elementStrides, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
    CUtensorMapL2promotion l2Promotion, CUtensorMapFloatOOBfill oobFill)
{
    struct request_tensor_map request;
    if (tensorMap == NULL || pixelBoxLowerCorner == NULL || pixelBoxUpperCorner == NULL || tensorRank < 3)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = begin(&request, TENSOR_MAP_IM2COL, tensorRank, globalAddress, globalDim, globalStrides,
                            elementStrides);
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(request.lower, pixelBoxLowerCorner, (tensorRank - 2) * sizeof *pixelBoxLowerCorner);
    memcpy(request.upper, pixelBoxUpperCorner, (tensorRank - 2) * sizeof *pixelBoxUpperCorner);
    request.data_type = tensorDataType;
    request.channels_per_pixel = channelsPerPixel;
    request.pixels_per_column = pixelsPerColumn;
    request.interleave = interleave;
    request.swizzle = swizzle;
    request.l2_promotion = l2Promotion;
    request.out_of_bounds_fill = oobFill;
    return make(tensorMap, &request);
}

VGPU_EXPORT CUresult cuTensorMapEncodeIm2colWide(
    CUtensorMap *tensorMap, CUtensorMapDataType tensorDataType, cuuint32_t tensorRank, void *globalAddress,
    const cuuint64_t *globalDim, const cuuint64_t *globalStrides, int pixelBoxLowerCornerWidth,
    int pixelBoxUpperCornerWidth, cuuint32_t channelsPerPixel, cuuint32_t pixelsPerColumn,
    const cuuint32_t *elementStrides, CUtensorMapInterleave interleave, CUtensorMapIm2ColWideMode mode,
    CUtensorMapSwizzle swizzle, CUtensorMapL2promotion l2Promotion, CUtensorMapFloatOOBfill oobFill)
{
    struct request_tensor_map request;
    if (tensorMap == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = begin(&request, TENSOR_MAP_IM2COL_WIDE, tensorRank, globalAddress, globalDim,
                            globalStrides, elementStrides);
    if (result != CUDA_SUCCESS)
        return result;
    request.lower[0] = pixelBoxLowerCornerWidth;
    request.upper[0] = pixelBoxUpperCornerWidth;
    request.data_type = tensorDataType;
    request.channels_per_pixel = channelsPerPixel;
    request.pixels_per_column = pixelsPerColumn;
    request.interleave = interleave;
    request.wide_mode = mode;
    request.swizzle = swizzle;
    request.l2_promotion = l2Promotion;
    request.out_of_bounds_fill = oobFill;
    return make(tensorMap, &request);
}

VGPU_EXPORT CUresult cuTensorMapReplaceAddress(CUtensorMap *tensorMap, void *globalAddress)
{
    struct request_tensor_map request;
    if (tensorMap == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    memset(&request, 0, sizeof request);
    request.kind = TENSOR_MAP_REPLACE_ADDRESS;
    request.address = (uintptr_t)globalAddress;
    memcpy(request.map, tensorMap->opaque, sizeof request.map);
    return make(tensorMap, &request);
}
