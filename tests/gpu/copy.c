/* Copies: every direction, from 1 byte to 64 MiB, odd offsets, rectangles, pageable and pinned memory. */
#include <stdlib.h>
#include <string.h>

#include "support/gpu.h"

#define MIB ((size_t)1 << 20)

static const size_t sizes[] = {1,     3,     4,     63,      64,  65,          4095,     4096,
                               65535, 65536, 65537, MIB - 1, MIB, 4 * MIB + 7, 16 * MIB, 64 * MIB};

/* There and back through device memory that starts at an odd place; compares every byte. */
static void there_and_back(uint8_t *source, uint8_t *back, CUdeviceptr memory, size_t bytes, size_t offset)
{
    fill_pattern(source + offset, bytes, (uint32_t)bytes);
    memset(back + offset, 0, bytes);
    REQUIRE(cuMemcpyHtoD(memory + offset, source + offset, bytes));
    REQUIRE(cuMemcpyDtoH(back + offset, memory + offset, bytes));
    say("%zu bytes at offset %zu: %016llx", bytes, offset,
        (unsigned long long)checksum(back + offset, bytes < MIB ? bytes : MIB));
    CHECK(memcmp(source + offset, back + offset, bytes) == 0);
}

static void pageable(void)
{
    uint8_t *source = malloc(64 * MIB + 8), *back = malloc(64 * MIB + 8);
    gpu_use();
    CUdeviceptr memory = gpu_allocate(64 * MIB + 8);
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        there_and_back(source, back, memory, sizes[i], i % 8);
    REQUIRE(cuMemFree(memory));
    free(source);
    free(back);
}

static void pinned(void)
{
    gpu_use();
    uint8_t *source = host_allocate_pinned(64 * MIB + 8), *back = host_allocate_pinned(64 * MIB + 8);
    CUdeviceptr memory = gpu_allocate(64 * MIB + 8);
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        there_and_back(source, back, memory, sizes[i], (i + 3) % 8);
    REQUIRE(cuMemFree(memory));
    REQUIRE(cuMemFreeHost(source));
    REQUIRE(cuMemFreeHost(back));
}

static void neighbours_untouched(void)
{
    enum { BYTES = 1000 };
    uint8_t data[BYTES], seen[BYTES];
    gpu_use();
    CUdeviceptr memory = gpu_allocate(BYTES);
    fill_pattern(data, BYTES, 9);
    REQUIRE(cuMemsetD8(memory, 0xee, BYTES));
    EXPECT(CUDA_SUCCESS, cuMemcpyHtoD(memory + 17, data + 17, 101));
    REQUIRE(cuMemcpyDtoH(seen, memory, BYTES));
    for (size_t i = 0; i < BYTES; i++)
        CHECK(seen[i] == (i >= 17 && i < 118 ? data[i] : 0xee));
    memset(seen, 0x77, BYTES);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(seen + 301, memory + 17, 101));
    for (size_t i = 0; i < BYTES; i++)
        CHECK(seen[i] == (i >= 301 && i < 402 ? data[i - 284] : 0x77));
    REQUIRE(cuMemFree(memory));
}

static void on_the_device(void)
{
    enum { BYTES = 3 << 20 };
    uint8_t *data = malloc(BYTES), *back = malloc(BYTES);
    CUstream stream;
    gpu_use();
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CUdeviceptr from = gpu_allocate(BYTES), to = gpu_allocate(BYTES);
    fill_pattern(data, BYTES, 21);
    REQUIRE(cuMemcpyHtoD(from, data, BYTES));
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoD(to, from, BYTES));
    REQUIRE(cuMemcpyDtoH(back, to, BYTES));
    CHECK(memcmp(data, back, BYTES) == 0);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoD(to + 1, from + 1001, 77777));
    memcpy(data + 1, back + 1001, 77777);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoDAsync(to + 1000001, from + 5, 123456, stream));
    memcpy(data + 1000001, back + 5, 123456);
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    REQUIRE(cuMemcpyDtoH(back, to, BYTES));
    CHECK(memcmp(data, back, BYTES) == 0);
    say("checksum %016llx", (unsigned long long)checksum(back, BYTES));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(from));
    REQUIRE(cuMemFree(to));
    free(data);
    free(back);
}

/* cuMemcpy finds out itself which side each pointer is on. */
static void unified(void)
{
    enum { BYTES = 100001 };
    uint8_t *data = malloc(BYTES), *back = malloc(BYTES);
    CUstream stream;
    gpu_use();
    uint8_t *staging = host_allocate_pinned(BYTES);
    CUdeviceptr first = gpu_allocate(BYTES), second = gpu_allocate(BYTES);
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    fill_pattern(data, BYTES, 33);
    EXPECT(CUDA_SUCCESS, cuMemcpy(first, (CUdeviceptr)(uintptr_t)data, BYTES));
    EXPECT(CUDA_SUCCESS, cuMemcpy(second, first, BYTES));
    EXPECT(CUDA_SUCCESS, cuMemcpy((CUdeviceptr)(uintptr_t)staging, second, BYTES));
    EXPECT(CUDA_SUCCESS, cuMemcpy((CUdeviceptr)(uintptr_t)back, (CUdeviceptr)(uintptr_t)staging, BYTES));
    CHECK(memcmp(data, back, BYTES) == 0);
    memset(back, 0, BYTES);
    fill_pattern(staging, BYTES, 34);
    EXPECT(CUDA_SUCCESS, cuMemcpyAsync(first, (CUdeviceptr)(uintptr_t)staging, BYTES, stream));
    EXPECT(CUDA_SUCCESS, cuMemcpyAsync(second, first, BYTES, stream));
    EXPECT(CUDA_SUCCESS, cuMemcpyAsync((CUdeviceptr)(uintptr_t)back, second, BYTES, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    CHECK(memcmp(staging, back, BYTES) == 0);
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(first));
    REQUIRE(cuMemFree(second));
    REQUIRE(cuMemFreeHost(staging));
    free(data);
    free(back);
}

enum { WIDTH = 300, HEIGHT = 40, HOST_PITCH = 512, DEVICE_PITCH = 1024 };

/* What the copy of a rectangle should leave in `target`. */
static void copy_rows(uint8_t *target, size_t target_pitch, const uint8_t *source, size_t source_pitch,
                      size_t width, size_t height)
{
    for (size_t row = 0; row < height; row++)
        memcpy(target + row * target_pitch, source + row * source_pitch, width);
}

static void rectangles(void)
{
    static uint8_t source[HOST_PITCH * HEIGHT], back[HOST_PITCH * HEIGHT], expected[HOST_PITCH * HEIGHT];
    CUstream stream;
    gpu_use();
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CUdeviceptr memory = gpu_allocate(DEVICE_PITCH * HEIGHT), other = gpu_allocate(DEVICE_PITCH * HEIGHT);
    fill_pattern(source, sizeof source, 55);
    REQUIRE(cuMemsetD8(memory, 0xcc, DEVICE_PITCH * HEIGHT));
    REQUIRE(cuMemsetD8(other, 0xdd, DEVICE_PITCH * HEIGHT));
    memset(back, 0xbb, sizeof back);
    memset(expected, 0xbb, sizeof expected);

    CUDA_MEMCPY2D in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                        .srcHost = source,
                        .srcPitch = HOST_PITCH,
                        .srcXInBytes = 3,
                        .srcY = 2,
                        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                        .dstDevice = memory,
                        .dstPitch = DEVICE_PITCH,
                        .dstXInBytes = 100,
                        .dstY = 5,
                        .WidthInBytes = WIDTH,
                        .Height = 30};
    EXPECT(CUDA_SUCCESS, cuMemcpy2D(&in));
    EXPECT(CUDA_SUCCESS, cuCtxSynchronize()); /* a non-blocking stream does not wait for the default one */
    CUDA_MEMCPY2D across = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                            .srcDevice = memory,
                            .srcPitch = DEVICE_PITCH,
                            .srcXInBytes = 100,
                            .srcY = 5,
                            .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                            .dstDevice = other,
                            .dstPitch = DEVICE_PITCH,
                            .dstXInBytes = 7,
                            .dstY = 1,
                            .WidthInBytes = WIDTH,
                            .Height = 30};
    EXPECT(CUDA_SUCCESS, cuMemcpy2DAsync(&across, stream));
    CUDA_MEMCPY2D out = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                         .srcDevice = other,
                         .srcPitch = DEVICE_PITCH,
                         .srcXInBytes = 7,
                         .srcY = 1,
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = back,
                         .dstPitch = HOST_PITCH,
                         .dstXInBytes = 11,
                         .dstY = 4,
                         .WidthInBytes = WIDTH,
                         .Height = 30};
    EXPECT(CUDA_SUCCESS, cuMemcpy2DAsync(&out, stream));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    copy_rows(expected + 4 * HOST_PITCH + 11, HOST_PITCH, source + 2 * HOST_PITCH + 3, HOST_PITCH, WIDTH, 30);
    CHECK(memcmp(back, expected, sizeof back) == 0);
    say("checksum %016llx", (unsigned long long)checksum(back, sizeof back));

    /* The rest of the device's rows is as it was. */
    uint8_t row[DEVICE_PITCH];
    REQUIRE(cuMemcpyDtoH(row, memory + 6 * DEVICE_PITCH, sizeof row));
    CHECK(row[99] == 0xcc && row[100] == source[3 * HOST_PITCH + 3] && row[100 + WIDTH] == 0xcc);
    EXPECT(CUDA_SUCCESS, cuMemcpy2DUnaligned(&in));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(memory));
    REQUIRE(cuMemFree(other));
}

static void refused_rectangles(void)
{
    static uint8_t data[4096];
    gpu_use();
    CUdeviceptr memory = gpu_allocate(4096);
    CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = data,
                          .srcPitch = 64,
                          .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                          .dstDevice = memory,
                          .dstPitch = 64,
                          .WidthInBytes = 64,
                          .Height = 8};
    EXPECT(CUDA_SUCCESS, cuMemcpy2D(&copy));
    copy.WidthInBytes = 65;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&copy));
    copy.WidthInBytes = 0;
    EXPECT(CUDA_SUCCESS, cuMemcpy2D(&copy));
    copy.WidthInBytes = 64;
    copy.srcMemoryType = (CUmemorytype)77;
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&copy));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(NULL));
    REQUIRE(cuMemFree(memory));
}

static void refused_copies(void)
{
    static uint8_t data[64];
    gpu_use();
    CUdeviceptr memory = gpu_allocate(64);
    EXPECT(CUDA_SUCCESS, cuMemcpyHtoD(memory, data, 0));
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(data, memory, 0));
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoD(memory, memory + 32, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(0, data, 16));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(data, 0, 16));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(memory, NULL, 16));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(NULL, memory, 16));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(data, 0x1234567, 16));
    EXPECT(CUDA_SUCCESS, cuMemcpyHtoD(memory, data, 64));
    REQUIRE(cuMemFree(memory));
}

/* Past the end of what was allocated: the driver sees it before anything is copied. */
static void past_the_end(void)
{
    uint8_t *data = calloc(1, 64 * MIB);
    gpu_use();
    CUdeviceptr memory = gpu_allocate(4 * MIB);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(memory, data, 64 * MIB));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(data, memory, 64 * MIB));
    NOTE(cuMemsetD8(memory, 1, 64 * MIB));
    NOTE(cuCtxSynchronize());
    free(data);
}

/* A pageable source may be reused as soon as the call returns, however large it is; a pageable target is
 * filled. */
static void pageable_asynchronous(void)
{
    static const size_t amounts[] = {16, 1000, 65536, 65537, 5 * MIB + 3};
    uint8_t *data = malloc(8 * MIB), *expected = malloc(8 * MIB), *back = malloc(8 * MIB);
    CUstream stream;
    gpu_use();
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CUdeviceptr memory = gpu_allocate(8 * MIB);
    for (size_t i = 0; i < COUNT_OF(amounts); i++) {
        size_t bytes = amounts[i];
        fill_pattern(data, bytes, (uint32_t)i + 70);
        memcpy(expected, data, bytes);
        REQUIRE(cuMemcpyHtoDAsync(memory, data, bytes, stream));
        memset(data, 0xff, bytes);
        memset(back, 0, bytes);
        REQUIRE(cuMemcpyDtoHAsync(back, memory, bytes, stream));
        CHECK(memcmp(back, expected, bytes) == 0);
        say("%zu bytes: %016llx", bytes, (unsigned long long)checksum(back, bytes));
    }
    REQUIRE(cuStreamSynchronize(stream));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(memory));
    free(data);
    free(expected);
    free(back);
}

/* Two pinned buffers used in turn, each written again only after the copy out of it is known to be done. */
static void pinned_double_buffer(void)
{
    enum { BYTES = 1 << 20, ROUNDS = 24 };
    uint8_t *buffers[2], *back = malloc(BYTES), *expected = malloc(BYTES);
    CUevent done[2];
    CUstream stream;
    gpu_use();
    CUdeviceptr memory = gpu_allocate((size_t)BYTES * ROUNDS);
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < 2; i++) {
        buffers[i] = host_allocate_pinned(BYTES);
        REQUIRE(cuEventCreate(&done[i], CU_EVENT_DISABLE_TIMING));
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        REQUIRE(cuEventSynchronize(done[round % 2]));
        fill_pattern(buffers[round % 2], BYTES, round);
        REQUIRE(cuMemcpyHtoDAsync(memory + (size_t)round * BYTES, buffers[round % 2], BYTES, stream));
        REQUIRE(cuEventRecord(done[round % 2], stream));
    }
    REQUIRE(cuStreamSynchronize(stream));
    for (unsigned round = 0; round < ROUNDS; round++) {
        REQUIRE(cuMemcpyDtoH(back, memory + (size_t)round * BYTES, BYTES));
        fill_pattern(expected, BYTES, round);
        CHECK(memcmp(back, expected, BYTES) == 0);
    }
    for (int i = 0; i < 2; i++) {
        REQUIRE(cuMemFreeHost(buffers[i]));
        REQUIRE(cuEventDestroy(done[i]));
    }
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(memory));
    free(back);
    free(expected);
}

/* Copies and kernels in one stream take place in the order in which they were given. */
static void between_kernels(void)
{
    enum { WORDS = 10000 };
    uint32_t count = WORDS, first = 0, factor = 3, term = 1, wrong = 0;
    CUstream stream;
    gpu_use();
    uint32_t *words = host_allocate_pinned(WORDS * 4);
    CUdeviceptr memory = gpu_allocate(WORDS * 4), copy = gpu_allocate(WORDS * 4);
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (int round = 0; round < 20; round++) {
        gpu_launch(gpu_kernel(ptx_basics, "fill"), WORDS, stream, ARGUMENTS(&memory, &first, &count));
        REQUIRE(cuMemcpyDtoDAsync(copy, memory, WORDS * 4, stream));
        gpu_launch(gpu_kernel(ptx_basics, "affine"), WORDS, stream, ARGUMENTS(&copy, &factor, &term, &count));
        REQUIRE(cuMemsetD32Async(memory, 0, WORDS, stream));
        REQUIRE(cuMemcpyDtoHAsync(words, copy, WORDS * 4, stream));
        REQUIRE(cuStreamSynchronize(stream));
        for (uint32_t i = 0; i < WORDS; i++)
            wrong += words[i] != 3 * (first + i) + 1;
        first += 1000;
    }
    CHECK(wrong == 0);
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFreeHost(words));
    REQUIRE(cuMemFree(memory));
    REQUIRE(cuMemFree(copy));
}

static const struct test_case cases[] = {
    CASE(pageable),
    CASE(pinned),
    CASE(neighbours_untouched),
    CASE(on_the_device),
    CASE(unified),
    CASE(rectangles),
    CASE(refused_rectangles),
    CASE(refused_copies),
    CASE_IN_OWN_PROCESS(past_the_end),
    CASE(pageable_asynchronous),
    CASE(pinned_double_buffer),
    CASE(between_kernels),
};

int main(int argc, char **argv)
{
    return suite_main("copy", cases, COUNT_OF(cases), argc, argv);
}
