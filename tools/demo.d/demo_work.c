/* The program that each VM of the demo runs: an ordinary CUDA driver API program, which knows nothing of
 * vgpu.
 *
 *   demo-work [--rounds=N] [--elements=N] [--matrix=N] [--launches=N] [--seed=N]
 *
 * Each round adds two vectors, multiplies two matrices (tiles in shared memory, barriers) and sums a vector,
 * each kernel launched so many times, and checks the results on the CPU. The last line says pass or fail and
 * how long the program was about it. Exit status 0: all right. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cuda.h>

extern const char ptx_compute[];

struct options {
    unsigned rounds, elements, matrix, launches, seed;
};

/* Milliseconds spent on each kind of work, copies and waiting for the GPU included. */
struct times {
    double add, multiply, reduce;
};

struct gpu {
    char name[128];
    CUfunction vector_add, matrix_multiply, reduce_sum;
    CUdeviceptr left, right, result;
    float *host[3]; /* the same on the host */
    size_t bytes;   /* of each of these */
};

#define TRY(call) try_call(#call, (call))
static void try_call(const char *call, CUresult result)
{
    const char *name = NULL, *text = NULL;
    if (result == CUDA_SUCCESS)
        return;
    cuGetErrorName(result, &name);
    cuGetErrorString(result, &text);
    printf("fail: %s: %s (%s)\n", call, name ? name : "unknown error", text ? text : "no description");
    exit(1);
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void gpu_open(struct gpu *gpu, const struct options *options)
{
    CUdevice device;
    CUcontext context;
    CUmodule module;
    size_t matrix = (size_t)options->matrix * options->matrix;
    TRY(cuInit(0));
    TRY(cuDeviceGet(&device, 0));
    TRY(cuDeviceGetName(gpu->name, sizeof gpu->name, device));
    TRY(cuDevicePrimaryCtxRetain(&context, device));
    TRY(cuCtxSetCurrent(context));
    TRY(cuModuleLoadData(&module, ptx_compute));
    TRY(cuModuleGetFunction(&gpu->vector_add, module, "vector_add"));
    TRY(cuModuleGetFunction(&gpu->matrix_multiply, module, "matrix_multiply"));
    TRY(cuModuleGetFunction(&gpu->reduce_sum, module, "reduce_sum"));
    gpu->bytes = 4 * (matrix > options->elements ? matrix : options->elements);
    TRY(cuMemAlloc(&gpu->left, gpu->bytes));
    TRY(cuMemAlloc(&gpu->right, gpu->bytes));
    TRY(cuMemAlloc(&gpu->result, gpu->bytes));
    for (int i = 0; i < 3; i++)
        if (!(gpu->host[i] = calloc(1, gpu->bytes))) {
            printf("fail: no memory for %zu bytes\n", gpu->bytes);
            exit(1);
        }
}

/* Small whole numbers, so that float arithmetic on them is exact in any order. */
static void fill_small(float *values, size_t count, unsigned *seed)
{
    for (size_t i = 0; i < count; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        values[i] = (float)(*seed >> 28) - 8;
    }
}

static int add_vectors(struct gpu *gpu, const struct options *options, unsigned *seed)
{
    float **host = gpu->host;
    unsigned count = options->elements;
    fill_small(host[0], count, seed);
    fill_small(host[1], count, seed);
    TRY(cuMemcpyHtoD(gpu->left, host[0], 4 * (size_t)count));
    TRY(cuMemcpyHtoD(gpu->right, host[1], 4 * (size_t)count));
    void *arguments[] = {&gpu->left, &gpu->right, &gpu->result, &count};
    for (unsigned i = 0; i < options->launches; i++)
        TRY(cuLaunchKernel(gpu->vector_add, (count + 255) / 256, 1, 1, 256, 1, 1, 0, NULL, arguments, NULL));
    TRY(cuMemcpyDtoH(host[2], gpu->result, 4 * (size_t)count));
    for (unsigned i = 0; i < count; i++)
        if (host[2][i] != host[0][i] + host[1][i]) {
            printf("fail: vector add: element %u is %g, should be %g\n", i, (double)host[2][i],
                   (double)(host[0][i] + host[1][i]));
            return 0;
        }
    return 1;
}

/* Whether product = left * right, in O(size²): both sides are applied to a random vector. */
static int product_is_right(float *const matrices[3], unsigned size, unsigned *seed)
{
    long long *vector = calloc((size_t)3 * size, sizeof *vector), *inner = vector + size,
              *outer = inner + size;
    int right = vector != NULL;
    for (unsigned i = 0; right && i < size; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        vector[i] = *seed >> 22;
    }
    for (unsigned row = 0; right && row < size; row++) {
        inner[row] = 0;
        for (unsigned i = 0; i < size; i++)
            inner[row] += (long long)matrices[1][(size_t)row * size + i] * vector[i];
    }
    for (unsigned row = 0; right && row < size; row++) {
        long long product = outer[row] = 0;
        for (unsigned i = 0; i < size; i++) {
            outer[row] += (long long)matrices[0][(size_t)row * size + i] * inner[i];
            product += (long long)matrices[2][(size_t)row * size + i] * vector[i];
        }
        if (product != outer[row]) {
            printf("fail: matrix product: row %u is wrong\n", row);
            right = 0;
        }
    }
    free(vector);
    return right;
}

static int multiply_matrices(struct gpu *gpu, const struct options *options, unsigned *seed)
{
    float **host = gpu->host;
    unsigned size = options->matrix, blocks = (size + 15) / 16;
    size_t bytes = 4 * (size_t)size * size;
    fill_small(host[0], (size_t)size * size, seed);
    fill_small(host[1], (size_t)size * size, seed);
    TRY(cuMemcpyHtoD(gpu->left, host[0], bytes));
    TRY(cuMemcpyHtoD(gpu->right, host[1], bytes));
    void *arguments[] = {&gpu->left, &gpu->right, &gpu->result, &size};
    for (unsigned i = 0; i < options->launches; i++)
        TRY(cuLaunchKernel(gpu->matrix_multiply, blocks, blocks, 1, 16, 16, 1, 0, NULL, arguments, NULL));
    TRY(cuMemcpyDtoH(host[2], gpu->result, bytes));
    return product_is_right(host, size, seed);
}

static int reduce(struct gpu *gpu, const struct options *options, unsigned *seed)
{
    unsigned count = options->elements, expected = 0, total = 0;
    unsigned *values = calloc(count, sizeof *values);
    for (unsigned i = 0; values && i < count; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        expected += values[i] = *seed;
    }
    TRY(cuMemcpyHtoD(gpu->left, values, 4 * (size_t)count));
    TRY(cuMemsetD32(gpu->result, 0, 1));
    void *arguments[] = {&gpu->left, &gpu->result, &count};
    for (unsigned i = 0; i < options->launches; i++)
        TRY(cuLaunchKernel(gpu->reduce_sum, 16, 1, 1, 256, 1, 1, 0, NULL, arguments, NULL));
    TRY(cuMemcpyDtoH(&total, gpu->result, 4));
    free(values);
    expected *= options->launches; /* each launch adds to the total */
    if (total != expected)
        printf("fail: reduction: the sum is %u, should be %u\n", total, expected);
    return total == expected;
}

static int timed(int (*work)(struct gpu *, const struct options *, unsigned *), struct gpu *gpu,
                 const struct options *options, unsigned *seed, double *milliseconds)
{
    double start = now_ms();
    int right = work(gpu, options, seed);
    *milliseconds += now_ms() - start;
    return right;
}

static int option_is(const char *argument, const char *name, unsigned *value)
{
    size_t length = strlen(name);
    char *end;
    if (strncmp(argument, name, length) != 0 || argument[length] < '0' || argument[length] > '9')
        return 0;
    *value = (unsigned)strtoul(argument + length, &end, 10);
    return *end == '\0';
}

int main(int argc, char **argv)
{
    struct options options = {.rounds = 4, .elements = 20000, .matrix = 48, .launches = 2, .seed = 1};
    for (int i = 1; i < argc; i++)
        if (!option_is(argv[i], "--rounds=", &options.rounds) &&
            !option_is(argv[i], "--elements=", &options.elements) &&
            !option_is(argv[i], "--matrix=", &options.matrix) &&
            !option_is(argv[i], "--launches=", &options.launches) &&
            !option_is(argv[i], "--seed=", &options.seed)) {
            fprintf(stderr,
                    "usage: demo-work [--rounds=N] [--elements=N] [--matrix=N] [--launches=N] [--seed=N]\n");
            return 2;
        }
    double start = now_ms();
    struct gpu gpu;
    gpu_open(&gpu, &options);
    struct times times = {0};
    unsigned seed = options.seed;
    int right = 1;
    for (unsigned round = 0; right && round < options.rounds; round++)
        right = timed(add_vectors, &gpu, &options, &seed, &times.add) &&
                timed(multiply_matrices, &gpu, &options, &seed, &times.multiply) &&
                timed(reduce, &gpu, &options, &seed, &times.reduce);
    for (int i = 0; i < 3; i++)
        free(gpu.host[i]);
    if (!right)
        return 1;
    printf("%u rounds on %s: vector add %.0f ms, matrix product %.0f ms, reduction %.0f ms\n", options.rounds,
           gpu.name, times.add, times.multiply, times.reduce);
    printf("pass in %.2f s\n", (now_ms() - start) / 1e3);
    return 0;
}
