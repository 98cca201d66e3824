/* Textures and surfaces: of every kind of memory, as kernels read them with each filter and address mode, and
 * what can be asked about them. Coordinates are such that the filter's weights are exact. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/gpu.h"

enum { WIDTH = 16, HEIGHT = 8, DEPTH = 4 };

struct reading {
    float start, step, extra;
    uint32_t count, across;
};

/* Runs a kernel of ptx_texture; four words a thread. */
static void run(const char *kernel, unsigned long long object, const struct reading *reading, void *seen)
{
    struct reading how = *reading;
    size_t bytes = (size_t)how.count * 16;
    CUdeviceptr output = gpu_allocate(bytes);
    REQUIRE(cuMemsetD8(output, 0, bytes));
    gpu_launch(gpu_kernel(ptx_texture, kernel), how.count, NULL,
               ARGUMENTS(&object, &output, &how.count, &how.across, &how.start, &how.step, &how.extra));
    REQUIRE(cuMemcpyDtoH(seen, output, bytes));
    REQUIRE(cuMemFree(output));
}

/* One line of transcript with the first channel of each value. */
static void say_values(const char *what, const float (*values)[4], uint32_t count)
{
    char line[1024];
    size_t used = 0;
    for (uint32_t i = 0; i < count && used < sizeof line - 16; i++)
        used += (size_t)snprintf(line + used, sizeof line - used, " %g", (double)values[i][0]);
    say("%s:%s", what, line);
}

static CUarray array_of(CUarray_format format, unsigned channels, size_t width, size_t height, size_t depth,
                        unsigned flags, const void *data, size_t element_bytes)
{
    CUarray array;
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {width, height, depth, format, channels, flags};
    REQUIRE(cuArray3DCreate(&array, &descriptor));
    CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = data,
                          .srcPitch = width * element_bytes,
                          .srcHeight = height > 0 ? height : 1,
                          .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                          .dstArray = array,
                          .WidthInBytes = width * element_bytes,
                          .Height = height > 0 ? height : 1,
                          .Depth = depth > 0 ? depth : 1};
    if (data != NULL)
        REQUIRE(cuMemcpy3D(&copy));
    return array;
}

static CUtexObject texture_of(CUarray array, CUaddress_mode mode, CUfilter_mode filter, unsigned flags)
{
    CUtexObject object;
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = array};
    CUDA_TEXTURE_DESC description = {.addressMode = {mode, mode, mode},
                                     .filterMode = filter,
                                     .flags = flags,
                                     .borderColor = {0.5f, 0, 0, 0}};
    REQUIRE(cuTexObjectCreate(&object, &resource, &description, NULL));
    return object;
}

static void ramp(float *data, size_t count)
{
    for (size_t i = 0; i < count; i++)
        data[i] = (float)(i * i % 64);
}

static void one_dimension(void)
{
    static const char *const names[] = {"wrap", "clamp", "mirror", "border"};
    float data[WIDTH], seen[48][4];
    const struct reading texels = {-4.0f, 0.5f, 0, 48, 48}, parts = {-0.25f, 1.0f / 32, 0, 48, 48};
    gpu_use();
    ramp(data, WIDTH);
    CUarray array = array_of(CU_AD_FORMAT_FLOAT, 1, WIDTH, 0, 0, 0, data, 4);
    for (unsigned mode = 0; mode < 4; mode++) {
        for (unsigned filter = 0; filter < 2; filter++) {
            for (unsigned normalized = 0; normalized < 2; normalized++) {
                CUtexObject object = texture_of(array, (CUaddress_mode)mode, (CUfilter_mode)filter,
                                                normalized ? CU_TRSF_NORMALIZED_COORDINATES : 0);
                run("read_1d", object, normalized ? &parts : &texels, seen);
                say("%s, %s, %s", names[mode], filter ? "linear" : "point", normalized ? "0 to 1" : "texels");
                say_values("seen", (const float(*)[4])seen, 48);
                EXPECT(CUDA_SUCCESS, cuTexObjectDestroy(object));
            }
        }
    }
    CUtexObject object = texture_of(array, CU_TR_ADDRESS_MODE_CLAMP, CU_TR_FILTER_MODE_POINT, 0);
    run("read_1d", object, &texels, seen);
    for (int i = 0; i < 48; i++) {
        int index = i < 8 ? 0 : (i - 8) / 2;
        CHECK(seen[i][0] == data[index < WIDTH ? index : WIDTH - 1]);
    }
    REQUIRE(cuTexObjectDestroy(object));
    REQUIRE(cuArrayDestroy(array));
}

static void two_dimensions(void)
{
    float data[HEIGHT][WIDTH], seen[64][4];
    const struct reading middle = {0.5f, 1.0f, 0, 64, 8}, between = {1.0f, 0.75f, 0, 64, 8};
    gpu_use();
    ramp(&data[0][0], WIDTH * HEIGHT);
    CUarray array = array_of(CU_AD_FORMAT_FLOAT, 1, WIDTH, HEIGHT, 0, 0, data, 4);
    CUtexObject object = texture_of(array, CU_TR_ADDRESS_MODE_CLAMP, CU_TR_FILTER_MODE_POINT, 0);
    run("read_2d", object, &middle, seen);
    for (int i = 0; i < 64; i++)
        CHECK(seen[i][0] == data[i / 8][i % 8]);
    REQUIRE(cuTexObjectDestroy(object));
    object = texture_of(array, CU_TR_ADDRESS_MODE_CLAMP, CU_TR_FILTER_MODE_LINEAR, 0);
    run("read_2d", object, &middle, seen); /* in the middle of texels nothing is mixed */
    for (int i = 0; i < 64; i++)
        CHECK(seen[i][0] == data[i / 8][i % 8]);
    run("read_2d", object, &between, seen);
    say_values("between", (const float(*)[4])seen, 64);
    CHECK(seen[0][0] == (data[0][0] + data[0][1] + data[1][0] + data[1][1]) / 4);
    REQUIRE(cuTexObjectDestroy(object));
    REQUIRE(cuArrayDestroy(array));
}

static void formats(void)
{
    static const struct {
        CUarray_format format;
        unsigned channels, bytes, flags;
        int integers;
    } kinds[] = {
        {CU_AD_FORMAT_UNSIGNED_INT8, 4, 4, 0, 0},
        {CU_AD_FORMAT_SIGNED_INT8, 2, 2, 0, 0},
        {CU_AD_FORMAT_UNSIGNED_INT16, 1, 2, 0, 0},
        {CU_AD_FORMAT_SIGNED_INT16, 2, 4, 0, 0},
        {CU_AD_FORMAT_HALF, 2, 4, 0, 0},
        {CU_AD_FORMAT_FLOAT, 4, 16, 0, 0},
        {CU_AD_FORMAT_UNSIGNED_INT8, 2, 2, CU_TRSF_READ_AS_INTEGER, 1},
        {CU_AD_FORMAT_SIGNED_INT16, 4, 8, CU_TRSF_READ_AS_INTEGER, 1},
        {CU_AD_FORMAT_UNSIGNED_INT32, 2, 8, CU_TRSF_READ_AS_INTEGER, 1},
        {CU_AD_FORMAT_SIGNED_INT32, 1, 4, CU_TRSF_READ_AS_INTEGER, 1},
    };
    uint8_t data[4 * 4 * 16];
    const struct reading all = {0.5f, 1.0f, 0, 16, 4};
    gpu_use();
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        union {
            float floats[16][4];
            uint32_t words[16][4];
        } seen;
        fill_pattern(data, sizeof data, (uint32_t)(100 + i));
        for (size_t byte = 1; byte < sizeof data; byte += 2)
            data[byte] &= kinds[i].format == CU_AD_FORMAT_HALF ? 0xbb : 0xff; /* no infinities */
        CUarray array = array_of(kinds[i].format, kinds[i].channels, 4, 4, 0, 0, data, kinds[i].bytes);
        CUtexObject object =
            texture_of(array, CU_TR_ADDRESS_MODE_CLAMP, CU_TR_FILTER_MODE_POINT, kinds[i].flags);
        run(kinds[i].integers ? "read_2d_integers" : "read_2d", object, &all, &seen);
        say("format %#x, %u channels", (unsigned)kinds[i].format, kinds[i].channels);
        for (int texel = 0; texel < 16; texel += 5)
            for (unsigned channel = 0; channel < kinds[i].channels; channel++)
                say("%08x", seen.words[texel][channel]);
        REQUIRE(cuTexObjectDestroy(object));
        REQUIRE(cuArrayDestroy(array));
    }
}

static void volumes_and_layers(void)
{
    float data[DEPTH][HEIGHT][WIDTH], seen[32][4];
    gpu_use();
    ramp(&data[0][0][0], WIDTH * HEIGHT * DEPTH);
    CUarray volume = array_of(CU_AD_FORMAT_FLOAT, 1, WIDTH, HEIGHT, DEPTH, 0, data, 4);
    CUarray layers = array_of(CU_AD_FORMAT_FLOAT, 1, WIDTH, HEIGHT, DEPTH, CUDA_ARRAY3D_LAYERED, data, 4);
    for (int z = 0; z < DEPTH; z++) {
        const struct reading slice = {0.5f, 1.0f, (float)z + 0.5f, 32, 8},
                             layer = {0.5f, 1.0f, (float)z, 32, 8};
        CUtexObject object = texture_of(volume, CU_TR_ADDRESS_MODE_CLAMP, CU_TR_FILTER_MODE_POINT, 0);
        run("read_3d", object, &slice, seen);
        for (int i = 0; i < 32; i++)
            CHECK(seen[i][0] == data[z][i / 8][i % 8]);
        REQUIRE(cuTexObjectDestroy(object));
        object = texture_of(layers, CU_TR_ADDRESS_MODE_CLAMP, CU_TR_FILTER_MODE_POINT, 0);
        run("read_layer", object, &layer, seen);
        for (int i = 0; i < 32; i++)
            CHECK(seen[i][0] == data[z][i / 8][i % 8]);
        REQUIRE(cuTexObjectDestroy(object));
    }
    CUtexObject object = texture_of(volume, CU_TR_ADDRESS_MODE_CLAMP, CU_TR_FILTER_MODE_LINEAR, 0);
    const struct reading between = {1.0f, 0.5f, 1.25f, 32, 8};
    run("read_3d", object, &between, seen);
    say_values("between", (const float(*)[4])seen, 32);
    REQUIRE(cuTexObjectDestroy(object));
    REQUIRE(cuArrayDestroy(volume));
    REQUIRE(cuArrayDestroy(layers));
}

static void plain_memory(void)
{
    enum { PITCH = 512 };
    static uint8_t rows[HEIGHT][PITCH];
    float data[64], seen[64][4];
    gpu_use();
    ramp(data, 64);
    CUdeviceptr memory = gpu_allocate(sizeof rows);
    REQUIRE(cuMemcpyHtoD(memory, data, sizeof data));
    CUtexObject object;
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_LINEAR,
                                   .res.linear = {memory, CU_AD_FORMAT_FLOAT, 1, sizeof data}};
    CUDA_TEXTURE_DESC description = {.addressMode = {CU_TR_ADDRESS_MODE_CLAMP, CU_TR_ADDRESS_MODE_CLAMP}};
    EXPECT(CUDA_SUCCESS, cuTexObjectCreate(&object, &resource, &description, NULL));
    const struct reading all = {0, 1.0f, 0, 64, 64};
    run("read_1d_whole", object, &all, seen);
    for (int i = 0; i < 64; i++)
        CHECK(seen[i][0] == data[i]);
    REQUIRE(cuTexObjectDestroy(object));
    for (int y = 0; y < HEIGHT; y++)
        memcpy(rows[y], data + y, WIDTH * sizeof(float));
    REQUIRE(cuMemcpyHtoD(memory, rows, sizeof rows));
    resource = (CUDA_RESOURCE_DESC){.resType = CU_RESOURCE_TYPE_PITCH2D,
                                    .res.pitch2D = {memory, CU_AD_FORMAT_FLOAT, 1, WIDTH, HEIGHT, PITCH}};
    EXPECT(CUDA_SUCCESS, cuTexObjectCreate(&object, &resource, &description, NULL));
    const struct reading square = {0.5f, 1.0f, 0, 64, 8};
    run("read_2d", object, &square, seen);
    for (int i = 0; i < 64; i++)
        CHECK(seen[i][0] == data[i / 8 + i % 8]);
    REQUIRE(cuTexObjectDestroy(object));
    REQUIRE(cuMemFree(memory));
}

static void mipmaps(void)
{
    CUmipmappedArray mipmap;
    float seen[16][4];
    gpu_use();
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {16, 16, 0, CU_AD_FORMAT_FLOAT, 1, 0};
    REQUIRE(cuMipmappedArrayCreate(&mipmap, &descriptor, 3));
    for (unsigned level = 0; level < 3; level++) {
        float data[16 * 16];
        CUarray array;
        size_t size = 16u >> level;
        for (size_t i = 0; i < size * size; i++)
            data[i] = (float)(level * 100);
        REQUIRE(cuMipmappedArrayGetLevel(&array, mipmap, level));
        CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                              .srcHost = data,
                              .srcPitch = size * 4,
                              .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                              .dstArray = array,
                              .WidthInBytes = size * 4,
                              .Height = size};
        REQUIRE(cuMemcpy2D(&copy));
    }
    CUtexObject object;
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY,
                                   .res.mipmap.hMipmappedArray = mipmap};
    CUDA_TEXTURE_DESC description = {.addressMode = {CU_TR_ADDRESS_MODE_CLAMP, CU_TR_ADDRESS_MODE_CLAMP},
                                     .flags = CU_TRSF_NORMALIZED_COORDINATES,
                                     .maxMipmapLevelClamp = 2};
    for (unsigned filter = 0; filter < 2; filter++) {
        description.mipmapFilterMode = (CUfilter_mode)filter;
        EXPECT(CUDA_SUCCESS, cuTexObjectCreate(&object, &resource, &description, NULL));
        static const float levels[] = {-1, 0, 0.25f, 0.75f, 1, 1.5f, 2, 5};
        for (size_t i = 0; i < COUNT_OF(levels); i++) {
            const struct reading reading = {0.25f, 0.125f, levels[i], 16, 4};
            run("read_level", object, &reading, seen);
            say("level %g: %g", (double)levels[i], (double)seen[0][0]);
        }
        REQUIRE(cuTexObjectDestroy(object));
    }
    REQUIRE(cuMipmappedArrayDestroy(mipmap));
}

static void surfaces(void)
{
    uint32_t data[HEIGHT][WIDTH], back[HEIGHT][WIDTH], seen[64][4], wrong = 0;
    gpu_use();
    fill_pattern(data, sizeof data, 11);
    CUarray array =
        array_of(CU_AD_FORMAT_UNSIGNED_INT32, 1, WIDTH, HEIGHT, 0, CUDA_ARRAY3D_SURFACE_LDST, data, 4);
    CUsurfObject object;
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = array}, told;
    EXPECT(CUDA_SUCCESS, cuSurfObjectCreate(&object, &resource));
    memset(&told, 0, sizeof told);
    EXPECT(CUDA_SUCCESS, cuSurfObjectGetResourceDesc(&told, object));
    CHECK(told.resType == CU_RESOURCE_TYPE_ARRAY && told.res.array.hArray == array);
    const struct reading half = {0, 1.0f, 0, 64, 8}; /* 8 x 8 of the 16 x 8 */
    run("surface_2d", object, &half, seen);
    CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                          .srcArray = array,
                          .dstMemoryType = CU_MEMORYTYPE_HOST,
                          .dstHost = back,
                          .dstPitch = sizeof back[0],
                          .WidthInBytes = sizeof back[0],
                          .Height = HEIGHT};
    REQUIRE(cuMemcpy2D(&copy));
    for (int i = 0; i < 64; i++)
        wrong += seen[i][0] != data[i / 8][i % 8];
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            wrong += back[y][x] != (x < 8 ? ~data[y][x] : data[y][x]);
    const struct reading beyond = {12, 1.0f, 0, 64, 8}; /* mostly outside, where reads give zero */
    run("surface_2d", object, &beyond, seen);
    wrong += seen[63][0] != 0;
    CHECK(wrong == 0);
    EXPECT(CUDA_SUCCESS, cuSurfObjectDestroy(object));
    REQUIRE(cuArrayDestroy(array));
}

static void surface_volumes(void)
{
    uint32_t data[DEPTH][HEIGHT][WIDTH][2], seen[32][4], wrong = 0;
    gpu_use();
    fill_pattern(data, sizeof data, 12);
    CUarray array =
        array_of(CU_AD_FORMAT_UNSIGNED_INT32, 2, WIDTH, HEIGHT, DEPTH, CUDA_ARRAY3D_SURFACE_LDST, data, 8);
    CUsurfObject object;
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = array};
    REQUIRE(cuSurfObjectCreate(&object, &resource));
    const struct reading slice = {0, 1.0f, 2.0f, 32, 8};
    for (uint32_t times = 0; times < 2; times++) {
        run("surface_vectors", object, &slice, seen);
        for (int i = 0; i < 32; i++)
            wrong += seen[i][1] != data[2][i / 8][i % 8][0] + times ||
                     seen[i][2] != data[2][i / 8][i % 8][1] + 2 * times;
    }
    CHECK(wrong == 0);
    REQUIRE(cuSurfObjectDestroy(object));
    REQUIRE(cuArrayDestroy(array));
}

static void asked(void)
{
    float data[HEIGHT][WIDTH];
    uint32_t seen[1][4];
    size_t width = 0;
    gpu_use();
    ramp(&data[0][0], WIDTH * HEIGHT);
    CUarray array = array_of(CU_AD_FORMAT_FLOAT, 1, WIDTH, HEIGHT, 0, 0, data, 4);
    CUtexObject object, viewed;
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = array}, told;
    CUDA_TEXTURE_DESC description = {.addressMode = {CU_TR_ADDRESS_MODE_BORDER, CU_TR_ADDRESS_MODE_MIRROR},
                                     .filterMode = CU_TR_FILTER_MODE_LINEAR,
                                     .flags = CU_TRSF_NORMALIZED_COORDINATES,
                                     .borderColor = {1, 2, 3, 4}},
                      described;
    CUDA_RESOURCE_VIEW_DESC view = {.format = CU_RES_VIEW_FORMAT_FLOAT_1X32,
                                    .width = WIDTH,
                                    .height = HEIGHT},
                            seen_view;
    EXPECT(CUDA_SUCCESS, cuTexObjectCreate(&object, &resource, &description, NULL));
    EXPECT(CUDA_SUCCESS, cuTexObjectCreate(&viewed, &resource, &description, &view));
    EXPECT(CUDA_SUCCESS, cuTexObjectGetResourceDesc(&told, object));
    CHECK(told.resType == CU_RESOURCE_TYPE_ARRAY && told.res.array.hArray == array);
    EXPECT(CUDA_SUCCESS, cuTexObjectGetTextureDesc(&described, object));
    say("modes %d %d, filter %d, flags %u", described.addressMode[0], described.addressMode[1],
        described.filterMode, described.flags); /* the real driver leaves the border as it was in memory */
    NOTE(cuTexObjectGetResourceViewDesc(&seen_view, object));
    EXPECT(CUDA_SUCCESS, cuTexObjectGetResourceViewDesc(&seen_view, viewed));
    say("view %#x, %zu x %zu", (unsigned)seen_view.format, seen_view.width, seen_view.height);
    const struct reading one = {0, 0, 0, 1, 1};
    run("sizes", object, &one, seen);
    CHECK(seen[0][0] == WIDTH && seen[0][1] == HEIGHT);
    EXPECT(CUDA_SUCCESS, cuDeviceGetTexture1DLinearMaxWidth(&width, CU_AD_FORMAT_FLOAT, 4, 0));
    say("%zu elements", width);
    NOTE(cuDeviceGetTexture1DLinearMaxWidth(&width, CU_AD_FORMAT_FLOAT, 3, 0));
    REQUIRE(cuTexObjectDestroy(object));
    REQUIRE(cuTexObjectDestroy(viewed));
    REQUIRE(cuArrayDestroy(array));
}

static void refused(void)
{
    CUtexObject object;
    CUsurfObject surface;
    gpu_use();
    CUarray array = array_of(CU_AD_FORMAT_FLOAT, 1, WIDTH, HEIGHT, 0, 0, NULL, 4);
    CUarray integers = array_of(CU_AD_FORMAT_UNSIGNED_INT8, 1, WIDTH, HEIGHT, 0, 0, NULL, 1);
    CUdeviceptr memory = gpu_allocate(8192);
    const CUDA_RESOURCE_DESC good = {.resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = array};
    const CUDA_TEXTURE_DESC plain = {.filterMode = CU_TR_FILTER_MODE_POINT};
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuTexObjectCreate(NULL, &good, &plain, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuTexObjectCreate(&object, NULL, &plain, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuTexObjectCreate(&object, &good, NULL, NULL));
    CUDA_RESOURCE_DESC bad = good;
    bad.resType = (CUresourcetype)9;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuTexObjectCreate(&object, &bad, &plain, NULL));
    bad = good;
    bad.res.array.hArray = NULL;
    NOTE(cuTexObjectCreate(&object, &bad, &plain, NULL));
    bad = (CUDA_RESOURCE_DESC){.resType = CU_RESOURCE_TYPE_LINEAR,
                               .res.linear = {memory + 4, CU_AD_FORMAT_FLOAT, 1, 256}};
    NOTE(cuTexObjectCreate(&object, &bad, &plain, NULL));
    bad.res.linear.devPtr = memory;
    bad.res.linear.numChannels = 3;
    NOTE(cuTexObjectCreate(&object, &bad, &plain, NULL));
    bad.res.linear.numChannels = 1;
    bad.res.linear.sizeInBytes = 0;
    NOTE(cuTexObjectCreate(&object, &bad, &plain, NULL));
    CUDA_TEXTURE_DESC wrong = plain;
    wrong.filterMode = (CUfilter_mode)5;
    NOTE(cuTexObjectCreate(&object, &good, &wrong, NULL));
    wrong = plain;
    wrong.addressMode[0] = (CUaddress_mode)7;
    NOTE(cuTexObjectCreate(&object, &good, &wrong, NULL));
    wrong = (CUDA_TEXTURE_DESC){.filterMode = CU_TR_FILTER_MODE_LINEAR, .flags = CU_TRSF_READ_AS_INTEGER};
    bad = good;
    bad.res.array.hArray = integers;
    NOTE(cuTexObjectCreate(&object, &bad, &wrong, NULL));
    EXPECT(CUDA_SUCCESS, cuSurfObjectCreate(&surface, &good)); /* though not made for surfaces */
    EXPECT(CUDA_SUCCESS, cuSurfObjectDestroy(surface));
    REQUIRE(cuArrayDestroy(array));
    REQUIRE(cuArrayDestroy(integers));
    REQUIRE(cuMemFree(memory));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        CASE(one_dimension), CASE(two_dimensions), CASE(formats),  CASE(volumes_and_layers),
        CASE(plain_memory),  CASE(mipmaps),        CASE(surfaces), CASE(surface_volumes),
        CASE(asked),         CASE(refused),
    };
    return suite_main("texture", cases, COUNT_OF(cases), argc, argv);
}
