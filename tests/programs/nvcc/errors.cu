/* prints: too many threads: cudaErrorInvalidValue
 * prints: told once: cudaSuccess
 * prints: no such device: cudaErrorInvalidDevice
 * prints: too much memory: cudaErrorMemoryAllocation
 * prints: a copy nowhere: cudaErrorInvalidValue
 * prints: after them all: 5 */
#include "check.h"

__global__ void set(int *value)
{
    *value = 5;
}

int main()
{
    int *value, host;
    CHECK(cudaMalloc(&value, sizeof *value));
    set<<<1, 2000>>>(value);
    printf("too many threads: %s\n", cudaGetErrorName(cudaGetLastError()));
    printf("told once: %s\n", cudaGetErrorName(cudaGetLastError()));
    printf("no such device: %s\n", cudaGetErrorName(cudaSetDevice(77)));
    void *much;
    printf("too much memory: %s\n", cudaGetErrorName(cudaMalloc(&much, (size_t)1 << 50)));
    printf("a copy nowhere: %s\n", cudaGetErrorName(cudaMemcpy(value, NULL, 4, cudaMemcpyHostToDevice)));
    (void)cudaGetLastError();
    set<<<1, 1>>>(value);
    CHECK(cudaMemcpy(&host, value, sizeof host, cudaMemcpyDeviceToHost));
    printf("after them all: %d\n", host);
    return 0;
}
