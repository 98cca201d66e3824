/* Memory and variables that host and kernels share.
 *
 * prints: the variable begins as 5, and 7 9
 * prints: after the kernel: 10, and 8 9
 * prints: after the host and the kernel: 22, and 9 9
 * prints: memory: 297 */
#include "check.h"

__managed__ int value = 5;
__managed__ int pair[2] = {7, 9};

__global__ void change()
{
    value *= 2;
    pair[0]++;
}

__global__ void triple(int *values, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        values[i] *= 3;
}

int main()
{
    printf("the variable begins as %d, and %d %d\n", value, pair[0], pair[1]);
    change<<<1, 1>>>();
    CHECK(cudaDeviceSynchronize());
    printf("after the kernel: %d, and %d %d\n", value, pair[0], pair[1]);
    value = 11;
    change<<<1, 1>>>();
    CHECK(cudaDeviceSynchronize());
    printf("after the host and the kernel: %d, and %d %d\n", value, pair[0], pair[1]);
    int *memory;
    CHECK(cudaMallocManaged(&memory, 100 * sizeof *memory));
    for (int i = 0; i < 100; i++)
        memory[i] = i;
    triple<<<1, 128>>>(memory, 100);
    CHECK(cudaDeviceSynchronize());
    printf("memory: %d\n", memory[99]);
    CHECK(cudaFree(memory));
    return 0;
}
