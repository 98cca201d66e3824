/* The other half of separate.cu. */
__device__ int answer = 42;

__device__ int ask(int more)
{
    return answer + more;
}
