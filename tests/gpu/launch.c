/* Launches: parameters of every kind, grids and blocks, dynamic shared memory, refused configurations. */
#include <stdlib.h>
#include <string.h>

#include "support/gpu.h"

struct three_words {
    uint64_t words[3];
};

/* What parameters_mixed writes. */
struct parameters_seen {
    uint8_t byte;
    uint16_t half;
    uint32_t word;
    uint64_t quad;
    float single;
    double twice;
    struct three_words structure;
};

static void check_parameters(CUdeviceptr output)
{
    struct parameters_seen seen;
    REQUIRE(cuMemcpyDtoH(&seen, output, sizeof seen));
    say("%u %u %u %llu %g %g %llu %llu %llu", seen.byte, seen.half, seen.word, (unsigned long long)seen.quad,
        (double)seen.single, seen.twice, (unsigned long long)seen.structure.words[0],
        (unsigned long long)seen.structure.words[1], (unsigned long long)seen.structure.words[2]);
    CHECK(seen.byte == 250 && seen.half == 65000 && seen.word == 4000000000u);
    CHECK(seen.quad == 18000000000000000000u && seen.single == 1.5f && seen.twice == -2.25);
    CHECK(seen.structure.words[0] == 1 && seen.structure.words[1] == 2 && seen.structure.words[2] == 3);
}

static void parameters_by_pointer(void)
{
    uint8_t byte = 250;
    uint16_t half = 65000;
    uint32_t word = 4000000000u;
    uint64_t quad = 18000000000000000000u;
    float single = 1.5f;
    double twice = -2.25;
    struct three_words structure = {{1, 2, 3}};
    CUdeviceptr output;
    gpu_use();
    output = gpu_allocate(sizeof(struct parameters_seen));
    REQUIRE(cuMemsetD8(output, 0, sizeof(struct parameters_seen)));
    CUfunction function = gpu_kernel(ptx_launch, "parameters_mixed");
    void *parameters[] = {&byte, &half, &word, &quad, &single, &twice, &structure, &output};
    EXPECT(CUDA_SUCCESS, cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, parameters, NULL));
    byte = 0; /* the values are taken when the call returns */
    structure.words[0] = 9;
    check_parameters(output);
    REQUIRE(cuMemFree(output));
}

static void parameters_in_a_buffer(void)
{
    struct {
        uint8_t byte;
        uint16_t half;
        uint32_t word;
        uint64_t quad;
        float single;
        double twice;
        struct three_words structure;
        CUdeviceptr output;
    } buffer = {250, 65000, 4000000000u, 18000000000000000000u, 1.5f, -2.25, {{1, 2, 3}}, 0};
    size_t bytes = sizeof buffer;
    gpu_use();
    buffer.output = gpu_allocate(sizeof(struct parameters_seen));
    REQUIRE(cuMemsetD8(buffer.output, 0, sizeof(struct parameters_seen)));
    CUfunction function = gpu_kernel(ptx_launch, "parameters_mixed");
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
                     CU_LAUNCH_PARAM_END};
    EXPECT(CUDA_SUCCESS, cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
    CUdeviceptr output = buffer.output;
    memset(&buffer, 0, sizeof buffer);
    check_parameters(output);
    void *unused[] = {&buffer, &buffer, &buffer, &buffer, &buffer, &buffer, &buffer, &buffer};
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, unused, extra));
    void *no_size[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &buffer, CU_LAUNCH_PARAM_END};
    NOTE(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, no_size));
    REQUIRE(cuMemFree(output));
}

static void four_kilobytes_of_parameters(void)
{
    static uint32_t blob[1022];
    uint32_t sum = 0, seen[2];
    gpu_use();
    for (uint32_t i = 0; i < COUNT_OF(blob); i++)
        sum += blob[i] = i * 2654435761u;
    CUdeviceptr output = gpu_allocate(sizeof seen);
    CUfunction function = gpu_kernel(ptx_launch, "parameters_4096");
    EXPECT(CUDA_SUCCESS, cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, ARGUMENTS(&output, blob), NULL));
    memset(blob, 0, sizeof blob);
    EXPECT(CUDA_SUCCESS, cuMemcpyDtoH(seen, output, sizeof seen));
    say("sum %u, last %u", seen[0], seen[1]);
    CHECK(seen[0] == sum && seen[1] == 1021 * 2654435761u);
    REQUIRE(cuMemFree(output));
}

static void check_indices(const uint32_t grid[3], const uint32_t block[3])
{
    size_t threads = (size_t)grid[0] * grid[1] * grid[2] * block[0] * block[1] * block[2];
    uint32_t *seen = malloc(threads * 32), *thread = seen, wrong = 0;
    CUdeviceptr output = gpu_allocate(threads * 32);
    REQUIRE(cuMemsetD8(output, 0xff, threads * 32));
    REQUIRE(cuLaunchKernel(gpu_kernel(ptx_launch, "indices"), grid[0], grid[1], grid[2], block[0], block[1],
                           block[2], 0, NULL, ARGUMENTS(&output), NULL));
    REQUIRE(cuMemcpyDtoH(seen, output, threads * 32));
    for (size_t i = 0; i < threads; i++, thread += 8) {
        size_t in_block = i % ((size_t)block[0] * block[1] * block[2]);
        size_t number = i / ((size_t)block[0] * block[1] * block[2]);
        wrong += thread[0] != number % grid[0] || thread[1] != number / grid[0] % grid[1] ||
                 thread[2] != number / grid[0] / grid[1];
        wrong += thread[3] != in_block % block[0] || thread[4] != in_block / block[0] % block[1] ||
                 thread[5] != in_block / block[0] / block[1];
        wrong += thread[6] != (grid[2] * 1024 + grid[1]) * 1024 + grid[0];
        wrong += thread[7] != (block[2] * 1024 + block[1]) * 1024 + block[0];
    }
    say("grid %ux%ux%u, block %ux%ux%u: %zu threads, checksum %016llx", grid[0], grid[1], grid[2], block[0],
        block[1], block[2], threads, (unsigned long long)checksum(seen, threads * 32));
    CHECK(wrong == 0);
    REQUIRE(cuMemFree(output));
    free(seen);
}

static void grids_and_blocks(void)
{
    static const uint32_t shapes[][2][3] = {
        {{1, 1, 1}, {1, 1, 1}},     {{7, 1, 1}, {33, 1, 1}},  {{3, 4, 5}, {6, 7, 8}},
        {{1, 1, 1}, {1024, 1, 1}},  {{2, 3, 1}, {16, 16, 4}}, {{1, 2, 2}, {1, 1, 64}},
        {{1000, 1, 1}, {32, 1, 1}}, {{1, 37, 1}, {5, 5, 5}},
    };
    gpu_use();
    for (size_t i = 0; i < COUNT_OF(shapes); i++)
        check_indices(shapes[i][0], shapes[i][1]);
}

static void reverse_through_shared(CUfunction function, uint32_t words)
{
    uint32_t *data = malloc(words * sizeof *data), wrong = 0;
    CUdeviceptr input = gpu_allocate(words * sizeof *data), output = gpu_allocate(words * sizeof *data);
    for (uint32_t i = 0; i < words; i++)
        data[i] = i ^ 0x5a5a5a5a;
    REQUIRE(cuMemcpyHtoD(input, data, words * sizeof *data));
    REQUIRE(cuLaunchKernel(function, 1, 1, 1, 128, 1, 1, words * 4, NULL, ARGUMENTS(&input, &output, &words),
                           NULL));
    REQUIRE(cuMemcpyDtoH(data, output, words * sizeof *data));
    for (uint32_t i = 0; i < words; i++)
        wrong += data[i] != ((words - 1 - i) ^ 0x5a5a5a5a);
    say("%u words of dynamic shared memory", words);
    CHECK(wrong == 0);
    REQUIRE(cuMemFree(input));
    REQUIRE(cuMemFree(output));
    free(data);
}

static void dynamic_shared(void)
{
    CUmodule module;
    CUfunction function;
    CUdeviceptr unused = 0;
    uint32_t none = 0;
    gpu_use();
    REQUIRE(cuModuleLoadData(&module, ptx_launch));
    REQUIRE(cuModuleGetFunction(&function, module, "reverse_in_shared"));
    reverse_through_shared(function, 1);
    reverse_through_shared(function, 1000);
    reverse_through_shared(function, 12288);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(function, 1, 1, 1, 128, 1, 1, 49152 + 4, NULL,
                                                    ARGUMENTS(&unused, &unused, &none), NULL));
    int opt_in = gpu_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    EXPECT(CUDA_SUCCESS,
           cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, opt_in));
    reverse_through_shared(function, 16384);
    reverse_through_shared(function, (uint32_t)opt_in / 4);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(function, 1, 1, 1, 128, 1, 1, (unsigned)opt_in + 4, NULL,
                                                    ARGUMENTS(&unused, &unused, &none), NULL));
    EXPECT(CUDA_SUCCESS, cuModuleUnload(module));
}

static void refused_configurations(void)
{
    CUdeviceptr output;
    gpu_use();
    CUfunction empty = gpu_kernel(ptx_launch, "empty"), bounded = gpu_kernel(ptx_launch, "bounded");
    output = gpu_allocate(4096);
    EXPECT(CUDA_SUCCESS, cuLaunchKernel(empty, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(empty, 0, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(empty, 1, 0, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(empty, 1, 1, 1, 1, 1, 0, 0, NULL, NULL, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(empty, 1, 1, 1, 1025, 1, 1, 0, NULL, NULL, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(empty, 1, 1, 1, 32, 33, 1, 0, NULL, NULL, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(empty, 1, 1, 1, 1, 1, 65, 0, NULL, NULL, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(empty, 1, 65536, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(empty, 1, 1, 65536, 1, 1, 1, 0, NULL, NULL, NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(empty, 0x80000000u, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    EXPECT(CUDA_SUCCESS, cuLaunchKernel(bounded, 1, 1, 1, 256, 1, 1, 0, NULL, ARGUMENTS(&output), NULL));
    NOTE(cuLaunchKernel(bounded, 1, 1, 1, 257, 1, 1, 0, NULL, ARGUMENTS(&output), NULL));
    NOTE(cuLaunchKernel(bounded, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    EXPECT(CUDA_ERROR_INVALID_HANDLE, cuLaunchKernel(NULL, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    EXPECT(CUDA_SUCCESS, cuCtxSynchronize());
    REQUIRE(cuMemFree(output));
}

static void launch_with_configuration(void)
{
    CUlaunchConfig config = {
        .gridDimX = 2, .gridDimY = 1, .gridDimZ = 1, .blockDimX = 64, .blockDimY = 1, .blockDimZ = 1};
    uint32_t first = 7, count = 100, words[100], wrong = 0;
    CUstream stream;
    gpu_use();
    REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    config.hStream = stream;
    CUdeviceptr output = gpu_allocate(sizeof words);
    CUfunction fill = gpu_kernel(ptx_basics, "fill");
    EXPECT(CUDA_SUCCESS, cuLaunchKernelEx(&config, fill, ARGUMENTS(&output, &first, &count), NULL));
    EXPECT(CUDA_SUCCESS, cuStreamSynchronize(stream));
    REQUIRE(cuMemcpyDtoH(words, output, sizeof words));
    for (uint32_t i = 0; i < count; i++)
        wrong += words[i] != 7 + i;
    CHECK(wrong == 0);
    config.gridDimX = 0;
    EXPECT(CUDA_ERROR_INVALID_VALUE,
           cuLaunchKernelEx(&config, fill, ARGUMENTS(&output, &first, &count), NULL));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernelEx(NULL, fill, ARGUMENTS(&output, &first, &count), NULL));
    REQUIRE(cuStreamDestroy(stream));
    REQUIRE(cuMemFree(output));
}

static size_t shared_for_block(int block_size)
{
    return (size_t)block_size * 8;
}

static void occupancy(void)
{
    int blocks = -1, grid = -1, block = -1;
    size_t shared = 0;
    gpu_use();
    CUfunction empty = gpu_kernel(ptx_launch, "empty");
    CUfunction multiply = gpu_kernel(ptx_compute, "matrix_multiply");
    EXPECT(CUDA_SUCCESS, cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, empty, 256, 0));
    say("%d blocks", blocks);
    CHECK(blocks >= 1);
    EXPECT(CUDA_SUCCESS, cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, multiply, 256, 0));
    say("%d blocks", blocks);
    EXPECT(CUDA_SUCCESS, cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, empty, 1024, 40000));
    say("%d blocks", blocks);
    EXPECT(CUDA_SUCCESS, cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&blocks, empty, 128, 0, 0));
    say("%d blocks", blocks);
    EXPECT(CUDA_SUCCESS, cuOccupancyMaxPotentialBlockSize(&grid, &block, multiply, NULL, 0, 0));
    say("grid %d, block %d", grid, block);
    CHECK(grid >= 1 && block >= 32);
    EXPECT(CUDA_SUCCESS, cuOccupancyMaxPotentialBlockSize(&grid, &block, empty, shared_for_block, 0, 0));
    say("grid %d, block %d", grid, block);
    EXPECT(CUDA_SUCCESS, cuOccupancyAvailableDynamicSMemPerBlock(&shared, empty, 2, 256));
    say("%zu bytes", shared);
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, empty, 0, 0));
    EXPECT(CUDA_ERROR_INVALID_VALUE, cuOccupancyMaxActiveBlocksPerMultiprocessor(NULL, empty, 256, 0));
    NOTE(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, empty, 2048, 0));
}

static const struct test_case cases[] = {
    CASE(parameters_by_pointer),
    CASE(parameters_in_a_buffer),
    CASE(four_kilobytes_of_parameters),
    CASE(grids_and_blocks),
    CASE(dynamic_shared),
    CASE(refused_configurations),
    CASE(launch_with_configuration),
    CASE(occupancy),
};

int main(int argc, char **argv)
{
    return suite_main("launch", cases, COUNT_OF(cases), argc, argv);
}
