"""PyTorch: torch.compile (Inductor, which makes Triton kernels)."""
import torch
from report import report

torch.manual_seed(5)


@torch.compile
def fused(x, y):
    return torch.nn.functional.gelu(x @ y + 1).softmax(-1).sum(0)


x = torch.randn(256, 256).cuda()
y = torch.randn(256, 256).cuda()
report("compiled", fused(x, y))
model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 8)).cuda()
step = torch.compile(model, mode="reduce-overhead")  # replays CUDA graphs
for _ in range(4):
    out = step(torch.ones(16, 64, device="cuda"))
    result = out.clone()
report("reduce_overhead", result)
