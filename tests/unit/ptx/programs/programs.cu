// Ordinary kernels. programs-75.ptx, programs-90.ptx and programs-debug.ptx are made from this file:
//   nvcc -ptx -arch=sm_75 programs.cu -o programs-75.ptx
//   nvcc -ptx -arch=sm_90 -use_fast_math programs.cu -o programs-90.ptx
//   nvcc -ptx -arch=sm_90 -G programs.cu -o programs-debug.ptx   (without its .section directives)
#include <cstdio>
#include <cuda_fp16.h>

extern "C" __global__ void vector_add(const float *a, const float *b, float *c, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        c[i] = a[i] + b[i];
}

extern "C" __global__ void matrix_product(const float *a, const float *b, float *c, int n)
{
    __shared__ float tile_a[16][16], tile_b[16][16];
    int x = blockIdx.x * 16 + threadIdx.x, y = blockIdx.y * 16 + threadIdx.y;
    float sum = 0;
    for (int t = 0; t < n / 16; t++) {
        tile_a[threadIdx.y][threadIdx.x] = a[y * n + t * 16 + threadIdx.x];
        tile_b[threadIdx.y][threadIdx.x] = b[(t * 16 + threadIdx.y) * n + x];
        __syncthreads();
        for (int k = 0; k < 16; k++)
            sum += tile_a[threadIdx.y][k] * tile_b[k][threadIdx.x];
        __syncthreads();
    }
    c[y * n + x] = sum;
}

extern "C" __global__ void reduce(const float *in, float *out, int n)
{
    extern __shared__ float partial[];
    float sum = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        sum += in[i];
    for (int d = 16; d; d >>= 1)
        sum += __shfl_down_sync(~0u, sum, d);
    if (threadIdx.x % 32 == 0)
        partial[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int i = 1; i < blockDim.x / 32; i++)
            sum += partial[i];
        atomicAdd(out, sum);
    }
}

extern "C" __global__ void scan(int *data)
{
    __shared__ int buffer[2][256];
    int t = threadIdx.x, side = 0;
    buffer[0][t] = data[blockIdx.x * 256 + t];
    for (int d = 1; d < 256; d *= 2) {
        __syncthreads();
        buffer[1 - side][t] = buffer[side][t] + (t >= d ? buffer[side][t - d] : 0);
        side = 1 - side;
    }
    __syncthreads();
    data[blockIdx.x * 256 + t] = buffer[side][t];
}

extern "C" __global__ void histogram(const unsigned char *data, unsigned *bins, int n)
{
    __shared__ unsigned own[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x)
        own[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(&own[data[i]], 1);
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x)
        if (own[i])
            atomicAdd(&bins[i], own[i]);
}

extern "C" __global__ void transpose(const double *in, double *out, int width, int height)
{
    __shared__ double tile[16][17];
    int x = blockIdx.x * 16 + threadIdx.x, y = blockIdx.y * 16 + threadIdx.y;
    if (x < width && y < height)
        tile[threadIdx.y][threadIdx.x] = in[y * width + x];
    __syncthreads();
    x = blockIdx.y * 16 + threadIdx.x;
    y = blockIdx.x * 16 + threadIdx.y;
    if (x < height && y < width)
        out[y * height + x] = tile[threadIdx.x][threadIdx.y];
}

extern "C" __global__ void bodies(const float4 *position, float4 *acceleration, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    float4 own = position[i], sum = make_float4(0, 0, 0, 0);
    for (int j = 0; j < n; j++) {
        float4 other = position[j];
        float x = other.x - own.x, y = other.y - own.y, z = other.z - own.z;
        float r = rsqrtf(x * x + y * y + z * z + 0.01f);
        float s = other.w * r * r * r;
        sum.x += x * s;
        sum.y += y * s;
        sum.z += z * s;
    }
    acceleration[i] = sum;
}

extern "C" __global__ void softmax(const float *in, float *out, int columns)
{
    __shared__ float total;
    const float *row = in + blockIdx.x * columns;
    float most = -INFINITY, sum = 0;
    for (int i = threadIdx.x; i < columns; i += 32)
        most = fmaxf(most, row[i]);
    for (int d = 16; d; d /= 2)
        most = fmaxf(most, __shfl_xor_sync(~0u, most, d));
    for (int i = threadIdx.x; i < columns; i += 32)
        sum += expf(row[i] - most);
    for (int d = 16; d; d /= 2)
        sum += __shfl_xor_sync(~0u, sum, d);
    if (threadIdx.x == 0)
        total = sum;
    __syncwarp();
    for (int i = threadIdx.x; i < columns; i += 32)
        out[blockIdx.x * columns + i] = expf(row[i] - most) / total;
}

__noinline__ __device__ int fibonacci(int n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

typedef int (*function)(int);
__device__ int increment(int a)
{
    return a + 1;
}
__device__ int triple(int a)
{
    return a * 3;
}
__device__ function functions[2] = {increment, triple};
__constant__ int weights[4] = {1, 10, 100, 1000};

struct pair {
    int a;
    double b;
};

__noinline__ __device__ pair combine(pair p, int k)
{
    p.a += k;
    p.b *= k;
    return p;
}

extern "C" __global__ void mixed(int *out, pair p, int k)
{
    int t = threadIdx.x, r = 0, local[16];
    switch (t % 6) {
    case 0:
        r = __popc(t * 77);
        break;
    case 1:
        r = t / k + t % k;
        break;
    case 2:
        r = fibonacci(k + t % 5);
        break;
    case 3:
        r = __ffs(t) * __clz(k);
        break;
    case 4:
        r = functions[(t >> 3) & 1](t);
        break;
    default:
        r = weights[t & 3];
    }
    for (int i = 0; i < 16; i++)
        local[i] = i * k + r;
    pair q = combine(p, t);
    out[t] = local[(t * 5) & 15] + q.a + (int)q.b;
}

extern "C" __global__ void halves(const __half *a, const __half2 *b, __half *c, long long *d)
{
    int i = threadIdx.x;
    __half2 v = __hfma2(b[i], b[i], __float2half2_rn(0.5f));
    c[i] = __hadd(a[i], __hmul(__low2half(v), __high2half(v)));
    d[i] = __half2ll_rn(c[i]) * 1000003ll % 97;
}

extern "C" __global__ void print(int k)
{
    if (threadIdx.x == 1)
        printf("thread %d of %s: %5.2f\n", threadIdx.x, "block", k * 1.5);
}
