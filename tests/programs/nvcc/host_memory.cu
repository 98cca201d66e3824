/* prints: pinned copies: 2046
 * prints: the kernel wrote to the host: 21
 * prints: registered: 9
 * prints: kinds of memory: 1 2 0 */
#include "check.h"

__global__ void scale(float *values, int count, float factor)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        values[i] *= factor;
}

static int kind_of(const void *address)
{
    cudaPointerAttributes attributes;
    CHECK(cudaPointerGetAttributes(&attributes, address));
    return attributes.type;
}

int main()
{
    const int count = 1024;
    float *pinned, *device, *mapped, *mapped_on_device, own = 0;
    CHECK(cudaMallocHost(&pinned, count * sizeof *pinned));
    CHECK(cudaMalloc(&device, count * sizeof *device));
    for (int i = 0; i < count; i++)
        pinned[i] = (float)i;
    CHECK(cudaMemcpyAsync(device, pinned, count * sizeof *device, cudaMemcpyHostToDevice));
    scale<<<4, 256>>>(device, count, 2);
    CHECK(cudaMemcpyAsync(pinned, device, count * sizeof *device, cudaMemcpyDeviceToHost));
    CHECK(cudaDeviceSynchronize());
    printf("pinned copies: %.0f\n", pinned[count - 1]);
    CHECK(cudaHostAlloc(&mapped, sizeof *mapped, cudaHostAllocMapped));
    *mapped = 3;
    CHECK(cudaHostGetDevicePointer(&mapped_on_device, mapped, 0));
    scale<<<1, 1>>>(mapped_on_device, 1, 7);
    CHECK(cudaDeviceSynchronize());
    printf("the kernel wrote to the host: %.0f\n", *mapped);
    static float registered[4096];
    registered[7] = 3;
    CHECK(cudaHostRegister(registered, sizeof registered, cudaHostRegisterDefault));
    CHECK(cudaHostGetDevicePointer(&mapped_on_device, registered, 0));
    scale<<<1, 8>>>(mapped_on_device, 8, 3);
    CHECK(cudaDeviceSynchronize());
    printf("registered: %.0f\n", registered[7]);
    CHECK(cudaHostUnregister(registered));
    printf("kinds of memory: %d %d %d\n", kind_of(pinned), kind_of(device), kind_of(&own));
    CHECK(cudaFreeHost(pinned));
    CHECK(cudaFreeHost(mapped));
    return 0;
}
