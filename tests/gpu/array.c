/* Arrays: made and described, copied to and from, with mipmaps, refused. */
#include <string.h>

#include "support/gpu.h"

static void say_descriptor(CUarray array)
{
    CUDA_ARRAY3D_DESCRIPTOR three;
    CUDA_ARRAY_DESCRIPTOR two;
    memset(&three, 0, sizeof three);
    memset(&two, 0, sizeof two);
    EXPECT(CUDA_SUCCESS, cuArray3DGetDescriptor(&three, array));
    say("%zu x %zu x %zu, format %#x, %u channels, flags %#x", three.Width, three.Height, three.Depth,
        (unsigned)three.Format, three.NumChannels, three.Flags);
    NOTE(cuArrayGetDescriptor(&two, array));
    say("%zu x %zu, format %#x, %u channels", two.Width, two.Height, (unsigned)two.Format, two.NumChannels);
}

static void described(void)
{
    static const CUDA_ARRAY3D_DESCRIPTOR descriptors[] = {
        {1000, 0, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0},
        {64, 32, 0, CU_AD_FORMAT_FLOAT, 4, 0},
        {16, 8, 4, CU_AD_FORMAT_HALF, 2, 0},
        {64, 0, 5, CU_AD_FORMAT_SIGNED_INT16, 1, CUDA_ARRAY3D_LAYERED},
        {64, 16, 5, CU_AD_FORMAT_UNSIGNED_INT32, 2, CUDA_ARRAY3D_LAYERED},
        {16, 16, 6, CU_AD_FORMAT_FLOAT, 1, CUDA_ARRAY3D_CUBEMAP},
        {32, 32, 0, CU_AD_FORMAT_UNSIGNED_INT8, 4, CUDA_ARRAY3D_SURFACE_LDST},
    };
    gpu_use();
    for (size_t i = 0; i < COUNT_OF(descriptors); i++) {
        CUarray array;
        EXPECT(CUDA_SUCCESS, cuArray3DCreate(&array, &descriptors[i]));
        say_descriptor(array);
        EXPECT(CUDA_SUCCESS, cuArrayDestroy(array));
    }
    CUDA_ARRAY_DESCRIPTOR flat = {128, 4, CU_AD_FORMAT_SIGNED_INT8, 2};
    CUarray array;
    EXPECT(CUDA_SUCCESS, cuArrayCreate(&array, &flat));
    say_descriptor(array);
    EXPECT(CUDA_SUCCESS, cuArrayDestroy(array));
}

static void refused(void)
{
    CUarray array;
    const CUDA_ARRAY_DESCRIPTOR good = {64, 4, CU_AD_FORMAT_FLOAT, 1};
    CUDA_ARRAY_DESCRIPTOR bad = good;
    gpu_use();
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuArrayCreate(NULL, &good));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuArrayCreate(&array, NULL));
    bad.Width = 0;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuArrayCreate(&array, &bad));
    bad = good;
    bad.NumChannels = 3;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuArrayCreate(&array, &bad));
    bad = good;
    bad.NumChannels = 0;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuArrayCreate(&array, &bad));
    bad = good;
    bad.Format = (CUarray_format)0x77;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuArrayCreate(&array, &bad));
    bad = good;
    bad.Width = 1u << 30;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuArrayCreate(&array, &bad));
    CUDA_ARRAY3D_DESCRIPTOR cube = {16, 15, 6, CU_AD_FORMAT_FLOAT, 1, CUDA_ARRAY3D_CUBEMAP};
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuArray3DCreate(&array, &cube));
    EXPECT(CUDA_SUCCESS, cuArrayCreate(&array, &good));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuArrayGetDescriptor(NULL, array));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuArray3DGetDescriptor(NULL, array));
    CUDA_ARRAY_MEMORY_REQUIREMENTS requirements;
    CUDA_ARRAY_SPARSE_PROPERTIES sparse;
    CUarray plane;
    NOTE(cuArrayGetMemoryRequirements(&requirements, array, 0));
    NOTE(cuArrayGetSparseProperties(&sparse, array));
    NOTE(cuArrayGetPlane(&plane, array, 0));
    EXPECT(CUDA_SUCCESS, cuArrayDestroy(array));
    EXPECT(CUDA_ERROR_INVALID_HANDLE, cuArrayDestroy(NULL));
}

static void one_dimension(void)
{
    enum { BYTES = 2000 };
    uint8_t data[BYTES], back[BYTES];
    CUarray first, second;
    CUstream stream;
    gpu_use();
    CUDA_ARRAY_DESCRIPTOR descriptor = {BYTES, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1};
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    REQUIRE(cuArrayCreate(&first, &descriptor));
    REQUIRE(cuArrayCreate(&second, &descriptor));
    CUdeviceptr memory = gpu_allocate(BYTES);
    fill_pattern(data, BYTES, 8);
    memset(back, 0, BYTES);
    EXPECT(CUDA_SUCCESS, cuMemcpyHtoA(first, 0, data, BYTES));
    EXPECT(CUDA_SUCCESS, cuMemcpyAtoH(back, first, 0, BYTES));
    CHECK(memcmp(data, back, BYTES) == 0);
    EXPECT(CUDA_SUCCESS, cuMemcpyAtoA(second, 100, first, 300, 1000));
    EXPECT(CUDA_SUCCESS, cuMemcpyAtoD(memory, second, 100, 1000));
    REQUIRE(cuMemcpyDtoH(back, memory, 1000));
    CHECK(memcmp(data + 300, back, 1000) == 0);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoA(second, 500, memory + 10, 200));
    REQUIRE(cuCtxSynchronize()); /* the stream does not wait for the default one */
    EXPECT(CUDA_SUCCESS, cuMemcpyAtoHAsync(back, second, 500, 200, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    CHECK(memcmp(data + 310, back, 200) == 0);
    EXPECT(CUDA_SUCCESS, cuMemcpyHtoAAsync(first, 7, back, 100, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    EXPECT(CUDA_SUCCESS, cuMemcpyAtoH(back, first, 7, 100));
    CHECK(memcmp(data + 310, back, 100) == 0);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpyAtoH(back, first, BYTES - 10, 20));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoA(first, 0, NULL, 20));
    REQUIRE(cuArrayDestroy(first));
    REQUIRE(cuArrayDestroy(second));
    REQUIRE(cuMemFree(memory));
    REQUIRE(cuStreamDestroy(stream));
}

static void two_dimensions(void)
{
    enum { WIDTH = 40, HEIGHT = 12 };
    uint32_t data[HEIGHT][WIDTH], back[HEIGHT][WIDTH];
    CUarray array;
    gpu_use();
    CUDA_ARRAY_DESCRIPTOR descriptor = {WIDTH, HEIGHT, CU_AD_FORMAT_UNSIGNED_INT32, 1};
    REQUIRE(cuArrayCreate(&array, &descriptor));
    fill_pattern(data, sizeof data, 9);
    memset(back, 0, sizeof back);
    CUDA_MEMCPY2D in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                        .srcHost = data,
                        .srcPitch = sizeof data[0],
                        .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                        .dstArray = array,
                        .WidthInBytes = sizeof data[0],
                        .Height = HEIGHT};
    CUDA_MEMCPY2D out = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                         .srcArray = array,
                         .srcXInBytes = 16,
                         .srcY = 3,
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = back,
                         .dstPitch = sizeof back[0],
                         .WidthInBytes = 64,
                         .Height = 5};
    EXPECT(CUDA_SUCCESS, cuMemcpy2D(&in));
    EXPECT(CUDA_SUCCESS, cuMemcpy2D(&out));
    for (int y = 0; y < 5; y++)
        CHECK(memcmp(back[y], &data[y + 3][4], 64) == 0);
    EXPECT(CUDA_SUCCESS, cuMemcpy2DUnaligned(&out));
    EXPECT(CUDA_SUCCESS, cuMemcpy2DAsync(&out, NULL));
    out.srcY = HEIGHT - 2; /* beyond the last row */
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&out));
    REQUIRE(cuArrayDestroy(array));
}

static void mipmaps(void)
{
    CUmipmappedArray mipmap;
    CUarray level, again;
    uint8_t data[8 * 4], back[8 * 4];
    gpu_use();
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {32, 16, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0};
    EXPECT(CUDA_SUCCESS, cuMipmappedArrayCreate(&mipmap, &descriptor, 4));
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(CUDA_SUCCESS, cuMipmappedArrayGetLevel(&level, mipmap, i));
        say_descriptor(level);
    }
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMipmappedArrayGetLevel(&level, mipmap, 4));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMipmappedArrayGetLevel(NULL, mipmap, 0));
    EXPECT(CUDA_SUCCESS, cuMipmappedArrayGetLevel(&level, mipmap, 2));
    EXPECT(CUDA_SUCCESS, cuMipmappedArrayGetLevel(&again, mipmap, 2));
    fill_pattern(data, sizeof data, 10);
    memset(back, 0, sizeof back);
    CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = data,
                          .srcPitch = 8,
                          .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                          .dstArray = level,
                          .WidthInBytes = 8,
                          .Height = 4};
    EXPECT(CUDA_SUCCESS, cuMemcpy2D(&copy));
    copy = (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                           .srcArray = again,
                           .dstMemoryType = CU_MEMORYTYPE_HOST,
                           .dstHost = back,
                           .dstPitch = 8,
                           .WidthInBytes = 8,
                           .Height = 4};
    EXPECT(CUDA_SUCCESS, cuMemcpy2D(&copy));
    CHECK(memcmp(data, back, sizeof data) == 0);
    EXPECT(CUDA_SUCCESS, cuArrayDestroy(level)); /* the memory is the mipmap's */
    EXPECT(CUDA_SUCCESS, cuMipmappedArrayDestroy(mipmap));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMipmappedArrayCreate(NULL, &descriptor, 4));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMipmappedArrayCreate(&mipmap, NULL, 4));
    EXPECT(CUDA_SUCCESS, cuMipmappedArrayCreate(&mipmap, &descriptor, 0)); /* one level */
    REQUIRE(cuMipmappedArrayDestroy(mipmap));
}

/* Arrays hold memory of the device, and give it back. */
static void memory_held(void)
{
    size_t before, during, after, total;
    CUarray array;
    gpu_use();
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {1024, 1024, 64, CU_AD_FORMAT_FLOAT, 1, 0};
    REQUIRE(cuMemGetInfo(&before, &total));
    REQUIRE(cuArray3DCreate(&array, &descriptor));
    REQUIRE(cuMemGetInfo(&during, &total));
    REQUIRE(cuArrayDestroy(array));
    REQUIRE(cuMemGetInfo(&after, &total));
    CHECK(before - during >= (size_t)256 << 20);
    CHECK(after > during);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        CASE(described),      CASE(refused), CASE(one_dimension),
        CASE(two_dimensions), CASE(mipmaps), CASE_IN_OWN_PROCESS(memory_held),
    };
    return suite_main("array", cases, COUNT_OF(cases), argc, argv);
}
