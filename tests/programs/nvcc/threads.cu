/* Host threads with a default stream of their own each.
 *
 * nvcc: --default-stream per-thread
 * prints: 8 threads, 8 right sums */
#include <atomic>
#include <thread>
#include <vector>

#include "check.h"

__global__ void add(int *sum, int value)
{
    atomicAdd(sum, value);
}

int main()
{
    const int threads = 8;
    std::atomic<int> right{0};
    std::vector<std::thread> running;
    for (int t = 0; t < threads; t++)
        running.emplace_back([t, &right] {
            int *sum, host;
            CHECK(cudaMalloc(&sum, sizeof *sum));
            CHECK(cudaMemsetAsync(sum, 0, sizeof *sum, cudaStreamPerThread));
            for (int i = 0; i < 50; i++)
                add<<<1, 32>>>(sum, t + 1);
            CHECK(cudaMemcpyAsync(&host, sum, sizeof host, cudaMemcpyDeviceToHost));
            CHECK(cudaStreamSynchronize(cudaStreamPerThread));
            right += host == 50 * 32 * (t + 1);
            CHECK(cudaFree(sum));
        });
    for (std::thread &thread : running)
        thread.join();
    printf("%d threads, %d right sums\n", threads, right.load());
    return 0;
}
