/* The kernels that people write, with every result computed again on the host. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/gpu.h"

__extension__ typedef unsigned __int128 wide_product;

static float *random_floats(uint32_t count, uint32_t seed)
{
    float *values = calloc(count, sizeof *values);
    uint32_t state = seed;
    for (uint32_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 20) / 64.0f - 32.0f;
    }
    return values;
}

static CUdeviceptr to_device(const void *data, size_t bytes)
{
    CUdeviceptr memory = gpu_allocate(bytes);
    REQUIRE(cuMemcpyHtoD(memory, data, bytes));
    return memory;
}

static void add_vectors(uint32_t count)
{
    uint32_t wrong = 0;
    float *left = random_floats(count, 1), *right = random_floats(count, 2),
          *sum = calloc(count, sizeof *sum);
    CUdeviceptr a = to_device(left, count * 4u), b = to_device(right, count * 4u),
                c = gpu_allocate(count * 4u);
    gpu_launch(gpu_kernel(ptx_compute, "vector_add"), count, NULL, ARGUMENTS(&a, &b, &c, &count));
    REQUIRE(cuMemcpyDtoH(sum, c, count * 4u));
    for (uint32_t i = 0; i < count; i++)
        wrong += sum[i] != left[i] + right[i];
    say("%u elements, checksum %016llx", count, (unsigned long long)checksum(sum, count * 4u));
    CHECK(wrong == 0);
    REQUIRE(cuMemFree(a));
    REQUIRE(cuMemFree(b));
    REQUIRE(cuMemFree(c));
    free(left);
    free(right);
    free(sum);
}

static void vector_add(void)
{
    gpu_use();
    add_vectors(1);
    add_vectors(255);
    add_vectors(1000);
    add_vectors(100000);
}

/* Small integers, so that every sum is exact whatever the order. */
static void multiply_matrices(uint32_t size)
{
    uint32_t elements = size * size, wrong = 0;
    float *left = calloc(elements, 4), *right = calloc(elements, 4), *product = calloc(elements, 4);
    for (uint32_t i = 0; i < elements; i++) {
        left[i] = (float)((i * 7 + 3) % 17) - 8;
        right[i] = (float)((i * 5 + 1) % 13) - 6;
    }
    CUdeviceptr a = to_device(left, elements * 4u), b = to_device(right, elements * 4u);
    CUdeviceptr c = gpu_allocate(elements * 4u);
    REQUIRE(cuLaunchKernel(gpu_kernel(ptx_compute, "matrix_multiply"), (size + 15) / 16, (size + 15) / 16, 1,
                           16, 16, 1, 0, NULL, ARGUMENTS(&a, &b, &c, &size), NULL));
    REQUIRE(cuMemcpyDtoH(product, c, elements * 4u));
    for (uint32_t row = 0; row < size; row++)
        for (uint32_t column = 0; column < size; column++) {
            float sum = 0;
            for (uint32_t i = 0; i < size; i++)
                sum += left[row * size + i] * right[i * size + column];
            wrong += product[row * size + column] != sum;
        }
    say("%ux%u, checksum %016llx", size, size, (unsigned long long)checksum(product, elements * 4u));
    CHECK(wrong == 0);
    REQUIRE(cuMemFree(a));
    REQUIRE(cuMemFree(b));
    REQUIRE(cuMemFree(c));
    free(left);
    free(right);
    free(product);
}

static void matrix_multiply(void)
{
    gpu_use();
    multiply_matrices(1);
    multiply_matrices(16);
    multiply_matrices(50);
    multiply_matrices(96);
}

static void reduce(uint32_t count, uint32_t blocks, uint32_t threads)
{
    uint32_t *values = calloc(count, 4), expected = 0, total = 0;
    for (uint32_t i = 0; i < count; i++)
        expected += values[i] = i * 2654435761u;
    CUdeviceptr input = to_device(values, count * 4u), output = to_device(&total, 4);
    REQUIRE(cuLaunchKernel(gpu_kernel(ptx_compute, "reduce_sum"), blocks, 1, 1, threads, 1, 1, 0, NULL,
                           ARGUMENTS(&input, &output, &count), NULL));
    REQUIRE(cuMemcpyDtoH(&total, output, 4));
    say("%u words, %u blocks of %u: %u", count, blocks, threads, total);
    CHECK(total == expected);
    REQUIRE(cuMemFree(input));
    REQUIRE(cuMemFree(output));
    free(values);
}

static void reduction(void)
{
    gpu_use();
    reduce(1, 1, 32);
    reduce(1000, 4, 64);
    reduce(100000, 13, 256);
    reduce(65536, 2, 1024);
}

static void histogram(void)
{
    enum { BYTES = 200000 };
    uint8_t *data = malloc(BYTES);
    uint32_t expected[256] = {0}, counts[256], count = BYTES;
    gpu_use();
    fill_pattern(data, BYTES, 5);
    for (uint32_t i = 0; i < BYTES; i++) {
        data[i] &= data[i] >> 3; /* not all values equally often */
        expected[data[i]]++;
    }
    CUdeviceptr input = to_device(data, BYTES), output = gpu_allocate(sizeof counts);
    REQUIRE(cuMemsetD32(output, 0, 256));
    REQUIRE(cuLaunchKernel(gpu_kernel(ptx_compute, "histogram"), 8, 1, 1, 128, 1, 1, 0, NULL,
                           ARGUMENTS(&input, &output, &count), NULL));
    REQUIRE(cuMemcpyDtoH(counts, output, sizeof counts));
    say("checksum %016llx", (unsigned long long)checksum(counts, sizeof counts));
    CHECK(memcmp(counts, expected, sizeof counts) == 0);
    REQUIRE(cuMemFree(input));
    REQUIRE(cuMemFree(output));
    free(data);
}

static void transpose_matrix(uint32_t width, uint32_t height)
{
    uint32_t elements = width * height, wrong = 0;
    uint32_t *matrix = calloc(elements, 4), *turned = calloc(elements, 4);
    for (uint32_t i = 0; i < elements; i++)
        matrix[i] = i;
    CUdeviceptr input = to_device(matrix, elements * 4u), output = gpu_allocate(elements * 4u);
    REQUIRE(cuLaunchKernel(gpu_kernel(ptx_compute, "transpose"), (width + 31) / 32, (height + 31) / 32, 1, 32,
                           8, 1, 0, NULL, ARGUMENTS(&input, &output, &width, &height), NULL));
    REQUIRE(cuMemcpyDtoH(turned, output, elements * 4u));
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++)
            wrong += turned[x * height + y] != matrix[y * width + x];
    say("%ux%u, checksum %016llx", width, height, (unsigned long long)checksum(turned, elements * 4u));
    CHECK(wrong == 0);
    REQUIRE(cuMemFree(input));
    REQUIRE(cuMemFree(output));
    free(matrix);
    free(turned);
}

static void transpose(void)
{
    gpu_use();
    transpose_matrix(32, 32);
    transpose_matrix(100, 70);
    transpose_matrix(1, 300);
    transpose_matrix(256, 128);
}

static void atomics(void)
{
    enum { THREADS = 1000 };
    uint32_t words[12] = {0}, crossed = 0;
    uint64_t wide;
    float sum;
    gpu_use();
    words[3] = 0xffffffff;
    for (uint32_t i = 0; i < THREADS; i++)
        crossed ^= 1u << (i % 32);
    CUdeviceptr memory = to_device(words, sizeof words);
    REQUIRE(cuLaunchKernel(gpu_kernel(ptx_compute, "atomics"), 10, 1, 1, 100, 1, 1, 0, NULL,
                           ARGUMENTS(&memory), NULL));
    REQUIRE(cuMemcpyDtoH(words, memory, sizeof words));
    memcpy(&wide, words + 8, sizeof wide);
    memcpy(&sum, words + 10, sizeof sum);
    say("add %u, max %u, min %d, and %08x, or %08x, xor %08x, wide add %llx, float add %g, swaps %u",
        words[0], words[1], (int)words[2], words[3], words[4], words[5], (unsigned long long)wide,
        (double)sum, words[11]);
    CHECK(words[0] == THREADS && words[1] == THREADS - 1 && (int)words[2] == -(THREADS - 1));
    CHECK(words[3] == 0 && words[4] == 0xffffffff && words[5] == crossed);
    CHECK(wide == (uint64_t)THREADS * (THREADS - 1) / 2 << 32);
    CHECK(sum == THREADS * 0.5f && words[11] == 3 * THREADS);
    REQUIRE(cuMemFree(memory));
}

static void warp_votes(void)
{
    uint32_t results[67], wrong = 0;
    gpu_use();
    CUdeviceptr memory = gpu_allocate(sizeof results);
    REQUIRE(cuLaunchKernel(gpu_kernel(ptx_compute, "warp_votes"), 1, 1, 1, 32, 1, 1, 0, NULL,
                           ARGUMENTS(&memory), NULL));
    REQUIRE(cuMemcpyDtoH(results, memory, sizeof results));
    say("ballot %08x, any %u, all %u", results[0], results[1], results[2]);
    CHECK(results[0] == 0xaaaaaaaa && results[1] == 1 && results[2] == 0);
    for (uint32_t lane = 0; lane < 32; lane++) {
        uint32_t from = (lane + 5) % 32;
        wrong += results[3 + lane] != from * from + 7;
        wrong += results[35 + lane] != lane * (lane + 1) / 2;
    }
    CHECK(wrong == 0);
    REQUIRE(cuMemFree(memory));
}

static uint32_t reverse_bits(uint32_t word)
{
    uint32_t reversed = 0;
    for (int bit = 0; bit < 32; bit++)
        reversed |= (word >> bit & 1) << (31 - bit);
    return reversed;
}

/* One row of what the kernel `arithmetic` writes. */
struct arithmetic_row {
    float root, third;
    int32_t nearest;
    uint32_t truncated;
    double mixed;
    uint32_t reversed, counts;
    uint64_t square, square_high;
    int32_t quotient, remainder;
    uint32_t field, permuted;
};

static struct arithmetic_row arithmetic_expected(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    double inverse = 1.0 / (double)value;
    struct arithmetic_row row = {
        .root = sqrtf(value),
        .third = value / 3.0f,
        .nearest = (int32_t)nearbyintf(value),
        .truncated = (uint32_t)value,
        .mixed = fma(inverse, inverse, (double)value),
        .reversed = reverse_bits(bits),
        .counts = (uint32_t)__builtin_popcount(bits) | (uint32_t)__builtin_clz(bits) << 8,
        .square = (uint64_t)bits * bits,
        .field = bits >> 20 & 0xff,
    };
    row.square_high = (uint64_t)((wide_product)row.square * row.square >> 64);
    row.quotient = row.nearest / -7;
    row.remainder = row.nearest % 7;
    row.permuted = (bits & 0xffff) | row.field << 16;
    return row;
}

static void arithmetic(void)
{
    enum { VALUES = 64 };
    float values[VALUES];
    struct arithmetic_row rows[VALUES], expected;
    uint32_t count = VALUES, wrong = 0;
    gpu_use();
    for (uint32_t i = 0; i < VALUES; i++)
        values[i] = (float)(i * i) * 1.37f + 0.5f;
    CUdeviceptr input = to_device(values, sizeof values), output = gpu_allocate(sizeof rows);
    REQUIRE(cuLaunchKernel(gpu_kernel(ptx_compute, "arithmetic"), 1, 1, 1, 96, 1, 1, 0, NULL,
                           ARGUMENTS(&input, &output, &count), NULL));
    REQUIRE(cuMemcpyDtoH(rows, output, sizeof rows));
    for (uint32_t i = 0; i < VALUES; i++) {
        expected = arithmetic_expected(values[i]);
        wrong += checksum(&rows[i], sizeof expected) != checksum(&expected, sizeof expected);
    }
    say("checksum %016llx", (unsigned long long)checksum(rows, sizeof rows));
    CHECK(wrong == 0);
    REQUIRE(cuMemFree(input));
    REQUIRE(cuMemFree(output));
}

static void shared_and_local_memory(void)
{
    uint32_t results[256], shift = 8, wrong = 0;
    gpu_use();
    CUdeviceptr output = gpu_allocate(sizeof results);
    REQUIRE(cuLaunchKernel(gpu_kernel(ptx_module, "uses_memory"), 1, 1, 1, 256, 1, 1, 0, NULL,
                           ARGUMENTS(&output, &shift), NULL));
    REQUIRE(cuMemcpyDtoH(results, output, sizeof results));
    for (uint32_t i = 0; i < 256; i++)
        wrong += results[i] != i * 10;
    CHECK(wrong == 0);
    REQUIRE(cuMemFree(output));
}

static const struct test_case cases[] = {
    CASE(vector_add), CASE(matrix_multiply), CASE(reduction),
    CASE(histogram),  CASE(transpose),       CASE(atomics),
    CASE(warp_votes), CASE(arithmetic),      CASE(shared_and_local_memory),
};

int main(int argc, char **argv)
{
    return suite_main("compute", cases, COUNT_OF(cases), argc, argv);
}
