"""PyTorch: expandable segments (virtual memory management) and the stream-ordered allocator."""
import os
import sys

os.environ["PYTORCH_ALLOC_CONF"] = os.environ["PYTORCH_CUDA_ALLOC_CONF"] = (
    sys.argv[1] if len(sys.argv) > 1 else "expandable_segments:True"
)
import torch
from report import report

report("backend", torch.cuda.get_allocator_backend())
kept = []
for i in range(20):
    x = torch.full((1 << (10 + i % 12),), float(i), device="cuda")
    kept.append(x.sum())
    if i % 3:
        del x
report("sums", torch.stack(kept))
big = torch.ones(1 << 28, device="cuda")
report("big", big.sum())
del big
torch.cuda.empty_cache()
report("after", torch.ones(1 << 20, device="cuda").sum())
try:
    torch.empty(1 << 50, device="cuda", dtype=torch.uint8)
    report("out_of_memory", "none")
except torch.OutOfMemoryError:
    report("out_of_memory", "raised")
