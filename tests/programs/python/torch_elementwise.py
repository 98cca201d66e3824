"""PyTorch: elementwise operations, reductions, indexing, sorting, random numbers, .item()."""
import torch
from report import report

torch.manual_seed(1)
device = torch.device("cuda")
report("device", torch.cuda.get_device_name(0))
report("count", torch.cuda.device_count())
a = torch.arange(1 << 20, device=device, dtype=torch.float32) / 1000
b = torch.linspace(-3, 3, 1 << 20, device=device)
report("sum", (a * b + torch.sin(a) - torch.exp(b)).sum())
report("mean_by_row", (a.view(1024, 1024) @ torch.ones(1024, device=device)))
report("sorted", torch.sort(torch.sin(a * 77)).values)
report("argmax", torch.argmax(torch.sin(a * 77)))
report("unique", torch.unique((a * 10).int() % 97))
report("where", torch.where(a > 500, a, b))
report("cumsum", torch.cumsum(b.double(), 0))
report("gather", a[torch.randperm(1000, generator=torch.Generator().manual_seed(5)).to(device)])
g = torch.Generator(device=device).manual_seed(7)
report("normal", torch.randn(100000, device=device, generator=g))
report("integers", torch.randint(0, 1 << 30, (100000,), device=device, generator=g))
for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.int32, torch.int64, torch.bool):
    report(f"cast_{str(dtype)[6:]}", (b * 10).to(dtype).to(torch.float64).sum())
total = 0.0
for i in range(200):
    total += a[i].item()
report("items", total)
report("memory", int(torch.cuda.memory_allocated() > 0))
