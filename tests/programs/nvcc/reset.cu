/* prints: first life 1, second life 0 and 2 */
#include "check.h"

__device__ int count;

__global__ void increase(int by)
{
    count += by;
}

static int counted()
{
    int value;
    CHECK(cudaMemcpyFromSymbol(&value, count, sizeof value));
    return value;
}

int main()
{
    increase<<<1, 1>>>(1);
    int first = counted();
    CHECK(cudaDeviceReset());
    int fresh = counted();
    increase<<<1, 1>>>(2);
    printf("first life %d, second life %d and %d\n", first, fresh, counted());
    return 0;
}
