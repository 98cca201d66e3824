/* Device code of two source files, linked by nvcc.
 *
 * nvcc: -rdc=true separate_part.cu
 * prints: 42, then 43 */
#include "check.h"

extern __device__ int answer;
__device__ int ask(int more);

__global__ void fetch(int *out, int more)
{
    *out = ask(more);
}

int main()
{
    int *out;
    CHECK(cudaMalloc(&out, sizeof *out));
    fetch<<<1, 1>>>(out, 0);
    int first = first_of(out);
    fetch<<<1, 1>>>(out, 1);
    printf("%d, then %d\n", first, first_of(out));
    return 0;
}
