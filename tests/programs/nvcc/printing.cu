/* What kernels print comes between what the host prints before and after it waits for them.
 *
 * prints: before
 * prints: thread 0 of hello: 0.00 1234567890123
 * prints: thread 1 of hello: 1.50 1234567890123
 * prints: thread 2 of hello: 3.00 1234567890123
 * prints: between
 * prints: a line of the second kernel, made of two
 * prints: after */
#include "check.h"

__global__ void say(const char *prefix)
{
    printf("thread %d of %s: %.2f %lld\n", threadIdx.x, "hello", 1.5f * threadIdx.x, 1234567890123ll);
}

__global__ void say_more()
{
    printf("a line of the second kernel, ");
    printf("made of %s\n", "two");
}

int main()
{
    printf("before\n");
    fflush(stdout);
    say<<<1, 3>>>(nullptr);
    CHECK(cudaDeviceSynchronize());
    printf("between\n");
    fflush(stdout);
    cudaStream_t stream;
    CHECK(cudaStreamCreate(&stream));
    say_more<<<1, 1, 0, stream>>>();
    CHECK(cudaStreamSynchronize(stream));
    printf("after\n");
    return 0;
}
