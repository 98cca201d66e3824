/* prints: constants times table: 0 10 40 90
 * prints: counted 4 threads
 * prints: table of 1024 bytes, written by address: 7 */
#include "check.h"

__constant__ float factors[4];
__device__ float table[256];
__device__ int counted;

__global__ void multiply(float *products)
{
    products[threadIdx.x] = factors[threadIdx.x] * table[threadIdx.x];
    atomicAdd(&counted, 1);
}

int main()
{
    float host_factors[4] = {0, 10, 20, 30}, host_table[256], products[4], *device, *address, seven = 7;
    for (int i = 0; i < 256; i++)
        host_table[i] = (float)i;
    CHECK(cudaMemcpyToSymbol(factors, host_factors, sizeof host_factors));
    CHECK(cudaMemcpyToSymbol(table, host_table, sizeof host_table));
    CHECK(cudaMalloc(&device, sizeof products));
    multiply<<<1, 4>>>(device);
    CHECK(cudaMemcpy(products, device, sizeof products, cudaMemcpyDeviceToHost));
    printf("constants times table: %.0f %.0f %.0f %.0f\n", products[0], products[1], products[2], products[3]);
    int threads;
    CHECK(cudaMemcpyFromSymbol(&threads, counted, sizeof threads));
    printf("counted %d threads\n", threads);
    size_t bytes;
    CHECK(cudaGetSymbolSize(&bytes, table));
    CHECK(cudaGetSymbolAddress((void **)&address, table));
    CHECK(cudaMemcpy(address + 3, &seven, sizeof seven, cudaMemcpyHostToDevice));
    CHECK(cudaMemcpyFromSymbol(products, table, sizeof products));
    printf("table of %zu bytes, written by address: %.0f\n", bytes, products[3]);
    return 0;
}
