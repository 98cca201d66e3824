/* Tensor maps: made, refused, given another address, and read by a kernel's copies. The real driver does not
 * survive a NULL in the place of a map to be changed, or of the corners of a box. */
#include <stdlib.h>
#include <string.h>

#include "support/gpu.h"

enum { WIDTH = 64, HEIGHT = 32, BOX = 8 };

static const cuuint64_t dimensions[] = {WIDTH, HEIGHT}, strides[] = {WIDTH * 4};
static const cuuint32_t box[] = {BOX, BOX}, element_strides[] = {1, 1};

static CUresult encode(CUtensorMap *map, CUdeviceptr address, cuuint32_t rank)
{
    return cuTensorMapEncodeTiled(map, CU_TENSOR_MAP_DATA_TYPE_UINT32, rank, (void *)(uintptr_t)address,
                                  dimensions, strides, box, element_strides, CU_TENSOR_MAP_INTERLEAVE_NONE,
                                  CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                                  CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}

static int same(const CUtensorMap *a, const CUtensorMap *b)
{
    return memcmp(a->opaque, b->opaque, sizeof a->opaque) == 0;
}

static int hopper(void)
{
    gpu_use();
    return gpu_attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) >= 9;
}

static void encoded(void)
{
    CUtensorMap first, again, other;
    if (!hopper())
        SKIP("needs compute capability 9.0");
    CUdeviceptr memory = gpu_allocate(WIDTH * HEIGHT * 4 + 4096);
    memset(&first, 0, sizeof first);
    memset(&again, 0xff, sizeof again);
    EXPECT(CUDA_SUCCESS, encode(&first, memory, 2));
    EXPECT(CUDA_SUCCESS, encode(&again, memory, 2));
    CHECK(same(&first, &again));
    EXPECT(CUDA_SUCCESS, encode(&other, memory + 256, 2));
    CHECK(!same(&first, &other));
    EXPECT(CUDA_SUCCESS, cuTensorMapReplaceAddress(&again, (void *)(uintptr_t)(memory + 256)));
    CHECK(same(&again, &other));
    EXPECT(CUDA_SUCCESS, encode(&other, memory, 1));
    CHECK(!same(&first, &other));
    REQUIRE(cuMemFree(memory));
}

static void refused(void)
{
    CUtensorMap map;
    const cuuint64_t odd_strides[] = {WIDTH * 4 + 4}, no_dimensions[] = {0, 1};
    const cuuint32_t large_box[] = {257, 1}, no_box[] = {0, 1}, odd_box[] = {3, 1}, wide[] = {9, 1};
    if (!hopper())
        SKIP("needs compute capability 9.0");
    CUdeviceptr memory = gpu_allocate(WIDTH * HEIGHT * 4);
    void *address = (void *)(uintptr_t)memory;
#define REFUSED(TYPE, RANK, ADDRESS, DIMENSIONS, STRIDES, BOX_SIZE, ELEMENTS, INTERLEAVE, SWIZZLE)           \
    EXPECT(CUDA_ERROR_INVALID_VALUE,                                                                         \
           cuTensorMapEncodeTiled(&map, TYPE, RANK, ADDRESS, DIMENSIONS, STRIDES, BOX_SIZE, ELEMENTS,        \
                                  INTERLEAVE, SWIZZLE, CU_TENSOR_MAP_L2_PROMOTION_NONE,                      \
                                  CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE))
    const CUtensorMapDataType word = CU_TENSOR_MAP_DATA_TYPE_UINT32;
    REFUSED(word, 0, address, dimensions, strides, box, element_strides, 0, 0);
    REFUSED(word, 6, address, dimensions, strides, box, element_strides, 0, 0);
    REFUSED(word, 2, (void *)((uintptr_t)address + 4), dimensions, strides, box, element_strides, 0, 0);
    REFUSED(word, 2, address, NULL, strides, box, element_strides, 0, 0);
    REFUSED(word, 2, address, dimensions, NULL, box, element_strides, 0, 0);
    REFUSED(word, 2, address, dimensions, strides, NULL, element_strides, 0, 0);
    REFUSED(word, 2, address, dimensions, strides, box, NULL, 0, 0);
    REFUSED(word, 2, address, no_dimensions, strides, box, element_strides, 0, 0);
    REFUSED(word, 2, address, dimensions, odd_strides, box, element_strides, 0, 0);
    REFUSED(word, 2, address, dimensions, strides, large_box, element_strides, 0, 0);
    REFUSED(word, 2, address, dimensions, strides, no_box, element_strides, 0, 0);
    REFUSED(word, 2, address, dimensions, strides, odd_box, element_strides, 0, 0);
    REFUSED(word, 2, address, dimensions, strides, box, wide, 0, 0);
    REFUSED((CUtensorMapDataType)99, 2, address, dimensions, strides, box, element_strides, 0, 0);
    REFUSED(word, 2, address, dimensions, strides, box, element_strides, (CUtensorMapInterleave)9, 0);
    REFUSED(word, 2, address, dimensions, strides, box, element_strides, 0, (CUtensorMapSwizzle)99);
    EXPECT(CUDA_ERROR_INVALID_VALUE, encode(NULL, memory, 2));
    NOTE(encode(&map, 0, 2));
    NOTE(encode(&map, 0x1000, 2)); /* nobody's memory */
    NOTE(cuTensorMapReplaceAddress(&map, NULL));
    REQUIRE(cuMemFree(memory));
}

static void im2col(void)
{
    CUtensorMap first, again;
    const cuuint64_t sizes[] = {16, 32, 32, 4}, pitches[] = {64, 64 * 32, 64 * 32 * 32};
    const cuuint32_t each[] = {1, 1, 1, 1};
    const int lower[] = {-1, -1}, upper[] = {-1, -1};
    if (!hopper())
        SKIP("needs compute capability 9.0");
    CUdeviceptr memory = gpu_allocate(64 * 32 * 32 * 4);
    void *address = (void *)(uintptr_t)memory;
    for (int i = 0; i < 2; i++)
        EXPECT(CUDA_SUCCESS, cuTensorMapEncodeIm2col(i ? &again : &first, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4,
                                                     address, sizes, pitches, lower, upper, 16, 64, each,
                                                     CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_64B,
                                                     CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
                                                     CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
    CHECK(same(&first, &again));
    EXPECT(CUDA_ERROR_INVALID_VALUE,
           cuTensorMapEncodeIm2col(&first, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2, address, sizes, pitches, lower,
                                   upper, 16, 64, each, CU_TENSOR_MAP_INTERLEAVE_NONE,
                                   CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                                   CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
    REQUIRE(cuMemFree(memory));
}

/* The map as a parameter of the kernel, which has the GPU fetch a box by it: the tensor's words, and zeros
 * where the box leaves it. */
static void boxes_fetched(void)
{
    static uint32_t tensor[HEIGHT][WIDTH];
    uint32_t seen[BOX][BOX], wrong = 0;
    static const struct {
        int32_t x, y;
    } places[] = {{0, 0}, {24, 16}, {60, 30}, {-4, -2}};
    CUmodule module;
    CUfunction function;
    CUtensorMap map;
    if (!hopper())
        SKIP("needs compute capability 9.0");
    if (cuModuleLoadData(&module, ptx_tensor_map) != CUDA_SUCCESS)
        SKIP("the simulated driver has no copies by tensor map");
    REQUIRE(cuModuleGetFunction(&function, module, "fetch_box"));
    CUdeviceptr memory = gpu_allocate(sizeof tensor), output = gpu_allocate(sizeof seen);
    fill_pattern(tensor, sizeof tensor, 77);
    REQUIRE(cuMemcpyHtoD(memory, tensor, sizeof tensor));
    REQUIRE(encode(&map, memory, 2));
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        int32_t x = places[i].x, y = places[i].y;
        EXPECT(CUDA_SUCCESS,
               cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, ARGUMENTS(&map, &output, &x, &y), NULL));
        REQUIRE(cuMemcpyDtoH(seen, output, sizeof seen));
        for (int row = 0; row < BOX; row++)
            for (int column = 0; column < BOX; column++) {
                int inside = x + column >= 0 && x + column < WIDTH && y + row >= 0 && y + row < HEIGHT;
                wrong += seen[row][column] != (inside ? tensor[y + row][x + column] : 0);
            }
    }
    CHECK(wrong == 0);
    REQUIRE(cuMemFree(memory));
    REQUIRE(cuMemFree(output));
    REQUIRE(cuModuleUnload(module));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {CASE(encoded), CASE(refused), CASE(im2col), CASE(boxes_fetched)};
    return suite_main("tensor_map", cases, COUNT_OF(cases), argc, argv);
}
