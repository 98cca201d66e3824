/* Kernels of all shapes: templates, structures by value, dynamic shared memory, recursion, function pointers.
 *
 * prints: templates 7 2.5
 * prints: structure 780.5
 * prints: dynamic shared memory 63
 * prints: recursion 144
 * prints: function pointers 12 7
 * prints: static shared memory 1024 bytes, at most 256 threads and more: yes
 * prints: occupancy is something: yes */
#include "check.h"

template <typename T> __global__ void scale(T *value, T factor)
{
    *value *= factor;
}

struct Large {
    int numbers[40];
    double more;
};

__global__ void add_up(Large large, double *sum)
{
    *sum = large.more;
    for (int number : large.numbers)
        *sum += number;
}

__global__ void reverse(int *out)
{
    extern __shared__ int room[];
    room[threadIdx.x] = threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = room[blockDim.x - 1 - threadIdx.x];
}

__device__ int fibonacci(int n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

__global__ void recurse(int *out, int n)
{
    *out = fibonacci(n);
}

__device__ int plus(int a, int b)
{
    return a + b;
}

__device__ int times(int a, int b)
{
    return a * b;
}

__device__ int (*const operations[2])(int, int) = {times, plus};

__global__ void apply(int *out)
{
    out[threadIdx.x] = operations[threadIdx.x](3, 4);
}

__global__ void uses_static_shared_memory(int *out)
{
    __shared__ int room[256];
    room[threadIdx.x] = out[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = room[255 - threadIdx.x];
}

int main()
{
    int number = 1, *integer = to_device(&number, 1);
    double one = 1, *real = to_device(&one, 1);
    scale<<<1, 1>>>(integer, 7);
    scale<<<1, 1>>>(real, 2.5);
    printf("templates %d %.1f\n", first_of(integer), first_of(real));
    Large large = {{}, 0.5};
    for (int i = 0; i < 40; i++)
        large.numbers[i] = i;
    add_up<<<1, 1>>>(large, real);
    printf("structure %.1f\n", first_of(real));
    int *many;
    CHECK(cudaMalloc(&many, 256 * sizeof *many));
    CHECK(cudaFuncSetAttribute(reverse, cudaFuncAttributeMaxDynamicSharedMemorySize, 100000));
    reverse<<<1, 64, 70000>>>(many);
    printf("dynamic shared memory %d\n", first_of(many));
    recurse<<<1, 1>>>(many, 12);
    printf("recursion %d\n", first_of(many));
    apply<<<1, 2>>>(many);
    printf("function pointers %d %d\n", first_of(many), first_of(many + 1));
    cudaFuncAttributes attributes;
    CHECK(cudaFuncGetAttributes(&attributes, uses_static_shared_memory));
    printf("static shared memory %zu bytes, at most 256 threads and more: %s\n", attributes.sharedSizeBytes,
           attributes.maxThreadsPerBlock >= 256 ? "yes" : "no");
    int blocks = 0, threads = 0, resident = 0;
    CHECK(cudaOccupancyMaxPotentialBlockSize(&blocks, &threads, scale<int>, 0, 0));
    CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, scale<int>, 128, 0));
    printf("occupancy is something: %s\n", blocks > 0 && threads > 0 && resident > 0 ? "yes" : "no");
    return 0;
}
