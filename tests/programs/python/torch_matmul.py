"""PyTorch: matrix products in every type (cuBLAS, cuBLASLt)."""
import torch
from report import report

torch.manual_seed(2)
device = torch.device("cuda")


def product(n, dtype):
    a = torch.randn(n, n, generator=torch.Generator().manual_seed(n)).to(device).to(dtype)
    b = torch.randn(n, n, generator=torch.Generator().manual_seed(n + 1)).to(device).to(dtype)
    return a @ b


for n in (16, 100, 1024, 4096):
    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        report(f"matmul_{n}_{str(dtype)[6:]}", product(n, dtype))
torch.backends.cuda.matmul.allow_tf32 = True
report("matmul_tf32", product(1024, torch.float32))
torch.backends.cuda.matmul.allow_tf32 = False
report("matmul_8192_bfloat16", product(8192, torch.bfloat16))
report("complex", product(256, torch.complex64).abs())
ints = torch.randint(-100, 100, (256, 256), generator=torch.Generator().manual_seed(3), dtype=torch.int8).to(device)
report("int8", torch._int_mm(ints, ints.t().contiguous().t()))
x = torch.randn(256, 256, generator=torch.Generator().manual_seed(4)).to(device).to(torch.float8_e4m3fn)
one = torch.tensor(1.0, device=device)
report("fp8", torch._scaled_mm(x, x.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16))
batch = torch.randn(8, 64, 128, generator=torch.Generator().manual_seed(5)).to(device)
report("batched", torch.bmm(batch, batch.transpose(1, 2)))
linear = torch.nn.Linear(512, 512, device=device, dtype=torch.bfloat16)
torch.nn.init.constant_(linear.weight, 0.01)
torch.nn.init.constant_(linear.bias, 0.5)
report("linear", torch.relu(linear(torch.ones(64, 512, device=device, dtype=torch.bfloat16))))
report("solve", torch.linalg.solve(batch[0] @ batch[0].t() + torch.eye(64, device=device), batch[0]))
report("svd", torch.linalg.svdvals(batch[1]))
report("fft", torch.fft.rfft(batch[2]).abs())
