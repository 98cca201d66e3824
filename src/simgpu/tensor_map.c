/* Tensor maps: the checks that the driver API documents, and a form of our own for what passes them. The
 * engine has no copies by tensor map, so nothing reads one but cuTensorMapReplaceAddress. */
#include <string.h>

#include "cuda_api.h"
#include "simgpu/driver.h"

#define RANK_MAX           5u
#define DIMENSION_MAX      (1ull << 32)
#define STRIDE_MAX         (1ull << 40)
#define BOX_MAX            256u
#define ELEMENT_STRIDE_MAX 8u
#define MAP_ALIGNMENT      64u

struct contents {
    uint64_t address;
    uint64_t strides[RANK_MAX - 1];
    uint32_t dimensions[RANK_MAX]; /* less one */
    uint16_t box[RANK_MAX];
    int16_t lower[RANK_MAX - 2], upper[RANK_MAX - 2];
    uint16_t channels, pixels;
    uint8_t element_strides[RANK_MAX];
    uint8_t rank, type, interleave, swizzle, promotion, fill, wide;
};
_Static_assert(sizeof(struct contents) <= sizeof(CUtensorMap), "a tensor map is 128 bytes");

/* What all three kinds are given. */
struct common {
    CUtensorMap *map;
    CUtensorMapDataType type;
    cuuint32_t rank;
    const void *address;
    const cuuint64_t *dimensions, *strides;
    const cuuint32_t *element_strides;
    CUtensorMapInterleave interleave;
    CUtensorMapSwizzle swizzle;
    CUtensorMapL2promotion promotion;
    CUtensorMapFloatOOBfill fill;
};

static uint32_t element_bits(CUtensorMapDataType type)
{
    static const uint8_t bits[] = {8, 16, 32, 32, 64, 64, 16, 32, 64, 16, 32, 32, 32, 4, 4, 6};
    return (unsigned)type < sizeof bits ? bits[type] : 0;
}

static bool is_float(CUtensorMapDataType type)
{
    return type >= CU_TENSOR_MAP_DATA_TYPE_FLOAT16 && type <= CU_TENSOR_MAP_DATA_TYPE_TFLOAT32_FTZ;
}

static CUresult read_common(const struct common *common, struct contents *contents)
{
    uint64_t alignment = common->interleave == CU_TENSOR_MAP_INTERLEAVE_32B ? 32 : 16;
    CUresult result = driver_check();
    if (result)
        return result;
    if (!common->map || (uintptr_t)common->map % MAP_ALIGNMENT || !common->dimensions ||
        !common->element_strides || common->rank == 0 || common->rank > RANK_MAX ||
        (common->rank > 1 && !common->strides) || !element_bits(common->type) || !common->address ||
        (uintptr_t)common->address % alignment ||
        (unsigned)common->interleave > CU_TENSOR_MAP_INTERLEAVE_32B ||
        (unsigned)common->swizzle > CU_TENSOR_MAP_SWIZZLE_128B_ATOM_64B ||
        (unsigned)common->promotion > CU_TENSOR_MAP_L2_PROMOTION_L2_256B ||
        (unsigned)common->fill > CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA ||
        (common->fill && !is_float(common->type)) ||
        (common->interleave == CU_TENSOR_MAP_INTERLEAVE_32B &&
         common->swizzle != CU_TENSOR_MAP_SWIZZLE_32B) ||
        (common->interleave && common->rank < 3))
        return CUDA_ERROR_INVALID_VALUE;
    memset(contents, 0, sizeof *contents);
    contents->address = (uintptr_t)common->address;
    for (cuuint32_t i = 0; i < common->rank; i++) {
        if (!common->dimensions[i] || common->dimensions[i] > DIMENSION_MAX || !common->element_strides[i] ||
            common->element_strides[i] > ELEMENT_STRIDE_MAX)
            return CUDA_ERROR_INVALID_VALUE;
        contents->dimensions[i] = (uint32_t)(common->dimensions[i] - 1);
        contents->element_strides[i] = (uint8_t)common->element_strides[i];
    }
    for (cuuint32_t i = 0; i + 1 < common->rank; i++) {
        if (common->strides[i] % alignment || common->strides[i] >= STRIDE_MAX)
            return CUDA_ERROR_INVALID_VALUE;
        contents->strides[i] = common->strides[i];
    }
    contents->rank = (uint8_t)common->rank;
    contents->type = (uint8_t)common->type;
    contents->interleave = (uint8_t)common->interleave;
    contents->swizzle = (uint8_t)common->swizzle;
    contents->promotion = (uint8_t)common->promotion;
    contents->fill = (uint8_t)common->fill;
    return CUDA_SUCCESS;
}

static void store(CUtensorMap *map, const struct contents *contents)
{
    memset(map->opaque, 0, sizeof map->opaque);
    memcpy(map->opaque, contents, sizeof *contents);
}

/* Most bytes of the innermost dimension that a swizzle can take. */
static uint32_t swizzle_bytes(CUtensorMapSwizzle swizzle)
{
    return swizzle == CU_TENSOR_MAP_SWIZZLE_NONE  ? UINT32_MAX
           : swizzle == CU_TENSOR_MAP_SWIZZLE_32B ? 32
           : swizzle == CU_TENSOR_MAP_SWIZZLE_64B ? 64
                                                  : 128;
}

CUresult cuTensorMapEncodeTiled(CUtensorMap *tensorMap, CUtensorMapDataType tensorDataType,
                                cuuint32_t tensorRank, void *globalAddress, const cuuint64_t *globalDim,
                                const cuuint64_t *globalStrides, const cuuint32_t *boxDim,
                                const cuuint32_t *elementStrides, CUtensorMapInterleave interleave,
                                CUtensorMapSwizzle swizzle, CUtensorMapL2promotion l2Promotion,
                                CUtensorMapFloatOOBfill oobFill)
{
    struct contents contents;
    struct common common = {tensorMap, tensorDataType, tensorRank,     globalAddress,
                            globalDim, globalStrides,  elementStrides, interleave,
                            swizzle,   l2Promotion,    oobFill};
    CUresult result = read_common(&common, &contents);
    if (result || !boxDim)
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    for (cuuint32_t i = 0; i < tensorRank; i++) {
        if (!boxDim[i] || boxDim[i] > BOX_MAX)
            return CUDA_ERROR_INVALID_VALUE;
        contents.box[i] = (uint16_t)boxDim[i];
    }
    uint32_t inner_bits = boxDim[0] * element_bits(tensorDataType);
    if (interleave == CU_TENSOR_MAP_INTERLEAVE_NONE &&
        (inner_bits % 128 || inner_bits / 8 > swizzle_bytes(swizzle)))
        return CUDA_ERROR_INVALID_VALUE;
    store(tensorMap, &contents);
    return CUDA_SUCCESS;
}

static CUresult encode_im2col(const struct common *common, const int *lower, const int *upper, size_t corners,
                              cuuint32_t channels, cuuint32_t pixels, uint8_t wide)
{
    struct contents contents;
    CUresult result = read_common(common, &contents);
    if (result)
        return result;
    if (common->rank < 3 || channels > 256 || pixels > 1024)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < corners; i++) {
        if (lower[i] < -32768 || lower[i] > 32767 || upper[i] < -32768 || upper[i] > 32767)
            return CUDA_ERROR_INVALID_VALUE;
        contents.lower[i] = (int16_t)lower[i];
        contents.upper[i] = (int16_t)upper[i];
    }
    contents.channels = (uint16_t)channels;
    contents.pixels = (uint16_t)pixels;
    contents.wide = wide;
    store(common->map, &contents);
    return CUDA_SUCCESS;
}

CUresult cuTensorMapEncodeIm2col(CUtensorMap *tensorMap, CUtensorMapDataType tensorDataType,
                                 cuuint32_t tensorRank, void *globalAddress, const cuuint64_t *globalDim,
                                 const cuuint64_t *globalStrides, const int *pixelBoxLowerCorner,
                                 const int *pixelBoxUpperCorner, cuuint32_t channelsPerPixel,
                                 cuuint32_t pixelsPerColumn, const cuuint32_t *elementStrides,
                                 CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                 CUtensorMapL2promotion l2Promotion, CUtensorMapFloatOOBfill oobFill)
{
    struct common common = {tensorMap, tensorDataType, tensorRank,     globalAddress,
                            globalDim, globalStrides,  elementStrides, interleave,
                            swizzle,   l2Promotion,    oobFill};
    if (!pixelBoxLowerCorner || !pixelBoxUpperCorner || tensorRank < 3 || tensorRank > RANK_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    return encode_im2col(&common, pixelBoxLowerCorner, pixelBoxUpperCorner, tensorRank - 2, channelsPerPixel,
                         pixelsPerColumn, 0);
}

CUresult cuTensorMapEncodeIm2colWide(CUtensorMap *tensorMap, CUtensorMapDataType tensorDataType,
                                     cuuint32_t tensorRank, void *globalAddress, const cuuint64_t *globalDim,
                                     const cuuint64_t *globalStrides, int pixelBoxLowerCornerWidth,
                                     int pixelBoxUpperCornerWidth, cuuint32_t channelsPerPixel,
                                     cuuint32_t pixelsPerColumn, const cuuint32_t *elementStrides,
                                     CUtensorMapInterleave interleave, CUtensorMapIm2ColWideMode mode,
                                     CUtensorMapSwizzle swizzle, CUtensorMapL2promotion l2Promotion,
                                     CUtensorMapFloatOOBfill oobFill)
{
    struct common common = {tensorMap, tensorDataType, tensorRank,     globalAddress,
                            globalDim, globalStrides,  elementStrides, interleave,
                            swizzle,   l2Promotion,    oobFill};
    if ((unsigned)mode > CU_TENSOR_MAP_IM2COL_WIDE_MODE_W128)
        return CUDA_ERROR_INVALID_VALUE;
    return encode_im2col(&common, &pixelBoxLowerCornerWidth, &pixelBoxUpperCornerWidth, 1, channelsPerPixel,
                         pixelsPerColumn, (uint8_t)(mode + 1));
}

CUresult cuTensorMapReplaceAddress(CUtensorMap *tensorMap, void *globalAddress)
{
    struct contents contents;
    CUresult result = driver_check();
    if (result)
        return result;
    if (!tensorMap || (uintptr_t)tensorMap % MAP_ALIGNMENT || !globalAddress)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&contents, tensorMap->opaque, sizeof contents);
    if (!contents.rank || (uintptr_t)globalAddress % (contents.interleave == 2 ? 32 : 16))
        return CUDA_ERROR_INVALID_VALUE;
    contents.address = (uintptr_t)globalAddress;
    store(tensorMap, &contents);
    return CUDA_SUCCESS;
}
