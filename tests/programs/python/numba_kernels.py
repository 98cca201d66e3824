"""numba.cuda: kernels compiled from Python, shared memory, atomics, streams."""
import numpy
from numba import cuda, float32
from report import report


@cuda.jit
def scale(x, factor):
    i = cuda.grid(1)
    if i < x.size:
        x[i] *= factor


@cuda.jit
def block_sums(x, out):
    shared = cuda.shared.array(256, float32)
    i = cuda.grid(1)
    shared[cuda.threadIdx.x] = x[i] if i < x.size else 0
    cuda.syncthreads()
    step = 128
    while step:
        if cuda.threadIdx.x < step:
            shared[cuda.threadIdx.x] += shared[cuda.threadIdx.x + step]
        cuda.syncthreads()
        step //= 2
    if cuda.threadIdx.x == 0:
        cuda.atomic.add(out, 0, shared[0])


x = numpy.arange(10000, dtype=numpy.float32) % 100
on_gpu = cuda.to_device(x)
scale[40, 256](on_gpu, 3)
report("scaled", on_gpu.copy_to_host())
total = cuda.to_device(numpy.zeros(1, dtype=numpy.float32))
stream = cuda.stream()
block_sums[40, 256, stream](on_gpu, total)
stream.synchronize()
report("sum", total.copy_to_host())
pinned = cuda.pinned_array(1000, dtype=numpy.int32)
pinned[:] = 7
report("pinned", cuda.to_device(pinned).copy_to_host())
report("name", cuda.get_current_device().name.decode() if isinstance(cuda.get_current_device().name, bytes) else cuda.get_current_device().name)
