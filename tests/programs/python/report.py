"""What a program prints of its results, for `run-python-programs` to compare: one line a result."""
import math


def report(name, value):
    """Prints a number, or what tells one array of numbers from another (works for numpy, CuPy, JAX and PyTorch)."""
    if hasattr(value, "detach"):  # PyTorch
        value = value.detach().to("cpu")
        value = value.double().numpy() if value.dtype.is_floating_point else value.numpy()
    elif hasattr(value, "get"):  # CuPy
        value = value.get()
    if isinstance(value, str):
        print(f"result {name} text {value}", flush=True)
        return
    if isinstance(value, bool) or isinstance(value, int):
        print(f"result {name} exact {int(value)}", flush=True)
        return
    import numpy

    array = numpy.asarray(value)
    if array.dtype.kind in "iub":
        flat = array.astype(numpy.int64).ravel()
        weights = numpy.arange(flat.size, dtype=numpy.int64) % 1009 + 1
        print(f"result {name} exact {array.shape} {int((flat * weights).sum())}", flush=True)
        return
    flat = numpy.abs(array.ravel()) if array.dtype.kind == "c" else array.astype(numpy.float64).ravel()
    some = [float(flat[i]) for i in (0, flat.size // 2, flat.size - 1)]
    norm = math.sqrt(float((flat * flat).sum()))
    print(f"result {name} near {array.shape} {norm:.9g} " + " ".join(f"{x:.6g}" for x in some), flush=True)
