/* prints: sum of 1000 elements: 999000 */
#include "check.h"

__global__ void add(const float *a, const float *b, float *sum, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        sum[i] = a[i] + b[i];
}

int main()
{
    const int count = 1000;
    float host[count];
    for (int i = 0; i < count; i++)
        host[i] = (float)i;
    float *a = to_device(host, count), *b = to_device(host, count), *sum;
    CHECK(cudaMalloc(&sum, sizeof host));
    add<<<(count + 255) / 256, 256>>>(a, b, sum, count);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(host, sum, sizeof host, cudaMemcpyDeviceToHost));
    double total = 0;
    for (float value : host)
        total += value;
    printf("sum of %d elements: %.0f\n", count, total);
    CHECK(cudaFree(a));
    CHECK(cudaFree(b));
    CHECK(cudaFree(sum));
    return 0;
}
