/* Texture and surface references: found in a module by name, bound to memory, asked about, and read by
 * kernels. CUDA has objects in their place for long, but modules of old still load. */
#include <string.h>

#include "support/gpu.h"

enum { WIDTH = 32, HEIGHT = 4 };

/* 0: this driver does not have them. */
static int load(CUmodule *module)
{
    gpu_use();
    return cuModuleLoadData(module, ptx_texture_reference) == CUDA_SUCCESS;
}

static CUarray picture_of(float data[HEIGHT][WIDTH])
{
    CUarray array;
    const CUDA_ARRAY_DESCRIPTOR descriptor = {WIDTH, HEIGHT, CU_AD_FORMAT_FLOAT, 1};
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            data[y][x] = (float)(y * 100 + x);
    REQUIRE(cuArrayCreate(&array, &descriptor));
    CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = data,
                          .srcPitch = sizeof data[0],
                          .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                          .dstArray = array,
                          .WidthInBytes = sizeof data[0],
                          .Height = HEIGHT};
    REQUIRE(cuMemcpy2D(&copy));
    return array;
}

static void read_by_kernels(void)
{
    float data[HEIGHT][WIDTH], seen[WIDTH];
    CUmodule module;
    CUtexref reference, again;
    CUfunction function;
    CUarray bound;
    if (!load(&module))
        SKIP("the simulated driver has no texture references");
    CUarray array = picture_of(data);
    CUdeviceptr output = gpu_allocate(sizeof seen);
    EXPECT(CUDA_SUCCESS, cuModuleGetTexRef(&reference, module, "picture"));
    EXPECT(CUDA_SUCCESS, cuModuleGetTexRef(&again, module, "picture"));
    CHECK(reference == again);
    NOTE(cuModuleGetTexRef(&again, module, "nothing"));
    EXPECT(CUDA_SUCCESS, cuTexRefSetFormat(reference, CU_AD_FORMAT_FLOAT, 1));
    EXPECT(CUDA_SUCCESS, cuTexRefSetAddressMode(reference, 0, CU_TR_ADDRESS_MODE_CLAMP));
    EXPECT(CUDA_SUCCESS, cuTexRefSetAddressMode(reference, 1, CU_TR_ADDRESS_MODE_CLAMP));
    EXPECT(CUDA_SUCCESS, cuTexRefSetFilterMode(reference, CU_TR_FILTER_MODE_POINT));
    EXPECT(CUDA_SUCCESS, cuTexRefSetArray(reference, array, CU_TRSA_OVERRIDE_FORMAT));
    EXPECT(CUDA_SUCCESS, cuTexRefGetArray(&bound, reference));
    CHECK(bound == array);
    REQUIRE(cuModuleGetFunction(&function, module, "read_reference"));
    for (int y = 0; y < HEIGHT; y++) {
        float x = 0.5f, row = (float)y + 0.5f;
        EXPECT(CUDA_SUCCESS,
               cuLaunchKernel(function, 1, 1, 1, WIDTH, 1, 1, 0, NULL, ARGUMENTS(&output, &x, &row), NULL));
        REQUIRE(cuMemcpyDtoH(seen, output, sizeof seen));
        for (int column = 0; column < WIDTH; column++)
            CHECK(seen[column] == data[y][column]);
    }
    REQUIRE(cuMemFree(output));
    REQUIRE(cuModuleUnload(module));
    REQUIRE(cuArrayDestroy(array));
}

static void asked(void)
{
    CUmodule module;
    CUtexref reference;
    CUaddress_mode mode;
    CUfilter_mode filter;
    CUarray_format format;
    unsigned flags = 77;
    int channels = 77, anisotropy = 77;
    float bias, least, most, border[4] = {1, 2, 3, 4}, told[4] = {0};
    size_t offset = 77;
    CUdeviceptr bound;
    if (!load(&module))
        SKIP("the simulated driver has no texture references");
    CUdeviceptr memory = gpu_allocate(65536);
    REQUIRE(cuModuleGetTexRef(&reference, module, "picture"));
    NOTE(cuTexRefSetFormat(reference, CU_AD_FORMAT_HALF, 2));
    NOTE(cuTexRefGetFormat(&format, &channels, reference));
    say("format %#x, %d channels", (unsigned)format, channels);
    NOTE(cuTexRefSetAddressMode(reference, 1, CU_TR_ADDRESS_MODE_MIRROR));
    NOTE(cuTexRefGetAddressMode(&mode, reference, 1));
    NOTE(cuTexRefSetFilterMode(reference, CU_TR_FILTER_MODE_LINEAR));
    NOTE(cuTexRefGetFilterMode(&filter, reference));
    NOTE(cuTexRefSetFlags(reference, CU_TRSF_NORMALIZED_COORDINATES));
    NOTE(cuTexRefGetFlags(&flags, reference));
    NOTE(cuTexRefSetMaxAnisotropy(reference, 4));
    NOTE(cuTexRefGetMaxAnisotropy(&anisotropy, reference));
    say("mode %d, filter %d, flags %u, anisotropy %d", (int)mode, (int)filter, flags, anisotropy);
    NOTE(cuTexRefSetMipmapLevelBias(reference, 0.5f));
    NOTE(cuTexRefGetMipmapLevelBias(&bias, reference));
    NOTE(cuTexRefSetMipmapLevelClamp(reference, 1, 3));
    NOTE(cuTexRefGetMipmapLevelClamp(&least, &most, reference));
    NOTE(cuTexRefSetMipmapFilterMode(reference, CU_TR_FILTER_MODE_LINEAR));
    NOTE(cuTexRefGetMipmapFilterMode(&filter, reference));
    NOTE(cuTexRefSetBorderColor(reference, border));
    NOTE(cuTexRefGetBorderColor(told, reference));
    say("bias %g, from %g to %g, filter %d, border %g", (double)bias, (double)least, (double)most,
        (int)filter, (double)told[3]);
    NOTE(cuTexRefSetAddress(&offset, reference, memory, 4096));
    say("offset %zu", offset);
    NOTE(cuTexRefGetAddress(&bound, reference));
    CHECK(bound == memory);
    const CUDA_ARRAY_DESCRIPTOR rows = {64, 16, CU_AD_FORMAT_HALF, 2};
    NOTE(cuTexRefSetAddress2D(reference, &rows, memory, 512));
    REQUIRE(cuModuleUnload(module));
    REQUIRE(cuMemFree(memory));
}

static void surfaces(void)
{
    uint32_t seen[WIDTH], wrong = 0;
    CUmodule module;
    CUsurfref reference;
    CUfunction function;
    CUarray array, bound;
    if (!load(&module))
        SKIP("the simulated driver has no surface references");
    const CUDA_ARRAY3D_DESCRIPTOR descriptor = {
        WIDTH, HEIGHT, 0, CU_AD_FORMAT_UNSIGNED_INT32, 1, CUDA_ARRAY3D_SURFACE_LDST};
    REQUIRE(cuArray3DCreate(&array, &descriptor));
    memset(seen, 0, sizeof seen);
    CUDA_MEMCPY2D row = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                         .srcHost = seen,
                         .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                         .dstArray = array,
                         .WidthInBytes = sizeof seen,
                         .Height = 1};
    REQUIRE(cuMemcpy2D(&row));
    EXPECT(CUDA_SUCCESS, cuModuleGetSurfRef(&reference, module, "board"));
    EXPECT(CUDA_SUCCESS, cuSurfRefSetArray(reference, array, 0));
    EXPECT(CUDA_SUCCESS, cuSurfRefGetArray(&bound, reference));
    CHECK(bound == array);
    REQUIRE(cuModuleGetFunction(&function, module, "count_on_board"));
    for (int i = 0; i < 3; i++)
        EXPECT(CUDA_SUCCESS, cuLaunchKernel(function, 1, 1, 1, WIDTH, 1, 1, 0, NULL, NULL, NULL));
    row = (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                          .srcArray = array,
                          .dstMemoryType = CU_MEMORYTYPE_HOST,
                          .dstHost = seen,
                          .WidthInBytes = sizeof seen,
                          .Height = 1};
    REQUIRE(cuMemcpy2D(&row));
    for (int i = 0; i < WIDTH; i++)
        wrong += seen[i] != 3;
    CHECK(wrong == 0);
    REQUIRE(cuModuleUnload(module));
    REQUIRE(cuArrayDestroy(array));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {CASE(read_by_kernels), CASE_IN_OWN_PROCESS(asked),
                                             CASE(surfaces)};
    return suite_main("texture_reference", cases, COUNT_OF(cases), argc, argv);
}
