/* A failed assertion says so on stderr, and its error stays.
 *
 * prints: passed
 * prints: cudaErrorAssert
 * prints: cudaErrorAssert
 * says: assertion.cu:??: void check(int): block: [0,0,0], thread: [3,0,0] Assertion `value < 10` failed. */
#include <cassert>

#include "check.h"

__global__ void check(int value)
{
    if (threadIdx.x == 3)
        assert(value < 10);
}

__global__ void check_small(int value)
{
    assert(value < 10);
}

int main()
{
    check_small<<<1, 1>>>(9);
    CHECK(cudaDeviceSynchronize());
    printf("passed\n");
    check<<<1, 32>>>(10);
    printf("%s\n", cudaGetErrorName(cudaDeviceSynchronize()));
    void *memory;
    printf("%s\n", cudaGetErrorName(cudaMalloc(&memory, 4)));
    return 0;
}
