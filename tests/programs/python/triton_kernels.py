"""Triton: vector addition, softmax, matrix product, dropout, atomics, tensor descriptors."""
import torch
import triton
import triton.language as tl
from report import report


@triton.jit
def add(x, y, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n
    tl.store(out + at, tl.load(x + at, mask) + tl.load(y + at, mask), mask)


@triton.jit
def softmax(x, out, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    values = tl.load(x + row * columns + at, at < columns, other=-float("inf"))
    values = tl.exp(values - tl.max(values, 0))
    tl.store(out + row * columns + at, values / tl.sum(values, 0), at < columns)


@triton.autotune(
    configs=[triton.Config({"B": 64, "K": 32}, num_warps=4), triton.Config({"B": 128, "K": 64}, num_warps=8)], key=["n"]
)
@triton.jit
def matmul(a, b, c, n, B: tl.constexpr, K: tl.constexpr):
    rows = tl.program_id(0) * B + tl.arange(0, B)
    columns = tl.program_id(1) * B + tl.arange(0, B)
    total = tl.zeros((B, B), tl.float32)
    for k in range(0, n, K):
        ks = k + tl.arange(0, K)
        total += tl.dot(tl.load(a + rows[:, None] * n + ks[None, :]), tl.load(b + ks[:, None] * n + columns[None, :]))
    tl.store(c + rows[:, None] * n + columns[None, :], total.to(tl.float16))


@triton.jit
def dropout(x, out, n, p, seed, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    keep = tl.rand(seed, at) > p
    tl.store(out + at, tl.where(keep, tl.load(x + at, at < n) / (1 - p), 0.0), at < n)


@triton.jit
def count(x, bins, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.atomic_add(bins + tl.load(x + at, at < n, other=0) % 16, 1, at < n)


@triton.jit
def copy_tiles(source, target, n, B: tl.constexpr):
    a = tl.make_tensor_descriptor(source, [n, n], [n, 1], [B, B])
    b = tl.make_tensor_descriptor(target, [n, n], [n, 1], [B, B])
    b.store([tl.program_id(0) * B, tl.program_id(1) * B], a.load([tl.program_id(0) * B, tl.program_id(1) * B]) * 2)


n = 98432
x = torch.arange(n, device="cuda", dtype=torch.float32)
out = torch.empty_like(x)
add[(triton.cdiv(n, 1024),)](x, x * 2, out, n, BLOCK=1024)
report("add", out)
y = torch.randn(1823, 781, generator=torch.Generator().manual_seed(1)).cuda()
s = torch.empty_like(y)
softmax[(1823,)](y, s, 781, BLOCK=1024)
report("softmax", s)
a = torch.randn(512, 512, generator=torch.Generator().manual_seed(2)).cuda().half()
c = torch.empty_like(a)
matmul[lambda m: (512 // m["B"], 512 // m["B"])](a, a, c, 512)
report("matmul", c)
dropout[(triton.cdiv(n, 1024),)](x, out, n, 0.5, 123, BLOCK=1024)
report("dropout", out)
bins = torch.zeros(16, device="cuda", dtype=torch.int32)
count[(triton.cdiv(n, 1024),)](x.int(), bins, n, BLOCK=1024)
report("atomics", bins)
triton.set_allocator(lambda size, alignment, stream: torch.empty(size, device="cuda", dtype=torch.int8))
t = torch.empty_like(a)
copy_tiles[(8, 8)](a, t, 512, B=64)
report("tensor_descriptors", t)
report("do_bench", int(triton.testing.do_bench(lambda: a @ a, warmup=5, rep=20) > 0))
