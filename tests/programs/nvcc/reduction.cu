/* prints: shared memory 50005000, warps 50005000, atomics 50005000 */
#include "check.h"

template <int threads> __global__ void in_shared_memory(const int *values, int count, int *sum)
{
    __shared__ int parts[threads];
    int part = 0;
    for (int i = blockIdx.x * threads + threadIdx.x; i < count; i += gridDim.x * threads)
        part += values[i];
    parts[threadIdx.x] = part;
    __syncthreads();
    for (int half = threads / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            parts[threadIdx.x] += parts[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0)
        atomicAdd(sum, parts[0]);
}

__global__ void in_warps(const int *values, int count, int *sum)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x, part = i < count ? values[i] : 0;
    for (int distance = 16; distance > 0; distance /= 2)
        part += __shfl_down_sync(0xffffffff, part, distance);
    if (threadIdx.x % 32 == 0)
        atomicAdd(sum, part);
}

__global__ void by_atomics(const int *values, int count, int *sum)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        atomicAdd(sum, values[i]);
}

int main()
{
    const int count = 10000;
    static int host[count];
    for (int i = 0; i < count; i++)
        host[i] = i + 1;
    int *values = to_device(host, count), *sums;
    CHECK(cudaMalloc(&sums, 3 * sizeof *sums));
    CHECK(cudaMemset(sums, 0, 3 * sizeof *sums));
    in_shared_memory<128><<<8, 128>>>(values, count, sums);
    in_warps<<<(count + 63) / 64, 64>>>(values, count, sums + 1);
    by_atomics<<<(count + 255) / 256, 256>>>(values, count, sums + 2);
    CHECK(cudaDeviceSynchronize());
    printf("shared memory %d, warps %d, atomics %d\n", first_of(sums), first_of(sums + 1), first_of(sums + 2));
    return 0;
}
