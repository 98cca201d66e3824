/* prints: in order: 3001
 * prints: the event is not before the other: yes
 * prints: callback-free query: no error */
#include "check.h"

__global__ void change(int *value, int factor, int more)
{
    *value = *value * factor + more;
}

int main()
{
    cudaStream_t first, second;
    cudaEvent_t begun, handed_over;
    int *value, *pinned;
    CHECK(cudaStreamCreate(&first));
    CHECK(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
    CHECK(cudaEventCreate(&begun));
    CHECK(cudaEventCreate(&handed_over));
    CHECK(cudaMallocHost(&pinned, sizeof *pinned));
    CHECK(cudaMallocAsync(&value, sizeof *value, first));
    CHECK(cudaMemsetAsync(value, 0, sizeof *value, first));
    CHECK(cudaEventRecord(begun, first));
    change<<<1, 1, 0, first>>>(value, 1, 3);
    CHECK(cudaEventRecord(handed_over, first));
    CHECK(cudaStreamWaitEvent(second, handed_over));
    change<<<1, 1, 0, second>>>(value, 1000, 1);
    CHECK(cudaMemcpyAsync(pinned, value, sizeof *value, cudaMemcpyDeviceToHost, second));
    CHECK(cudaStreamSynchronize(second));
    printf("in order: %d\n", *pinned);
    float ms = -1;
    CHECK(cudaEventElapsedTime(&ms, begun, handed_over));
    printf("the event is not before the other: %s\n", ms >= 0 ? "yes" : "no");
    CHECK(cudaStreamQuery(first));
    printf("callback-free query: %s\n", cudaGetErrorString(cudaGetLastError()));
    CHECK(cudaFreeAsync(value, second));
    CHECK(cudaStreamDestroy(first));
    CHECK(cudaStreamDestroy(second));
    CHECK(cudaEventDestroy(begun));
    CHECK(cudaEventDestroy(handed_over));
    CHECK(cudaFreeHost(pinned));
    return 0;
}
