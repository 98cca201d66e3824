"""CuPy: elementwise, raw kernels through NVRTC, reductions, FFT, solver, random numbers."""
import cupy
from report import report

a = cupy.arange(1 << 20, dtype=cupy.float32)
report("elementwise", cupy.sqrt(a) + a * 2)
report("sum", float((a % 1000).sum()))
add = cupy.RawKernel(
    r"""extern "C" __global__ void add(const float *x, const float *y, float *z, int n) {
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < n) z[i] = x[i] + 3 * y[i];
}""",
    "add",
)
z = cupy.zeros_like(a)
add((4096,), (256,), (a, a, z, cupy.int32(a.size)))
report("raw_kernel", z)
squared = cupy.ElementwiseKernel("float32 x, float32 y", "float32 z", "z = (x - y) * (x - y)", "squared")
report("elementwise_kernel", squared(a, a / 2))
reduce = cupy.ReductionKernel("T x", "T y", "x * x", "a + b", "y = sqrt(a)", "0", "norm")
report("reduction_kernel", reduce(a[:10000]))
report("fft", cupy.fft.fft(cupy.sin(a[: 1 << 16] / 100)))
m = cupy.eye(200, dtype=cupy.float64) * 5 + cupy.sin(cupy.arange(40000, dtype=cupy.float64)).reshape(200, 200)
report("solve", cupy.linalg.solve(m, cupy.ones(200)))
report("matmul", m @ m)
report("svd", cupy.linalg.svd(m, compute_uv=False))
report("sort", cupy.sort(cupy.sin(a * 7)))
report("unique", cupy.unique(a.astype(cupy.int32) % 77))
module = cupy.RawModule(
    code=r"""__constant__ int scale; template <typename T> __global__ void times(T *x) { x[threadIdx.x] *= scale; }""",
    name_expressions=["times<int>"],
)
x = cupy.arange(32, dtype=cupy.int32)
scale = cupy.ndarray((1,), cupy.int32, module.get_global("scale"))
scale[0] = 7
module.get_function("times<int>")((1,), (32,), (x,))
report("module", x)
with cupy.cuda.Stream() as stream:
    y = cupy.ones(1000) * 3
    stream.synchronize()
report("stream", y)
pinned = cupy.cuda.alloc_pinned_memory(1024)
report("pinned", int(pinned.ptr != 0))
managed = cupy.cuda.malloc_managed(4096)
report("managed", int(managed.ptr != 0))
asynchronous = cupy.cuda.MemoryAsyncPool()
with cupy.cuda.using_allocator(asynchronous.malloc):
    report("pool", cupy.arange(1000).sum())
