"""PyTorch: a DataLoader with worker processes and pinned memory, asynchronous copies."""
import torch
from report import report


class Squares(torch.utils.data.Dataset):
    def __len__(self):
        return 1000

    def __getitem__(self, i):
        return torch.full((64,), float(i * i % 1013)), i


def main():
    loader = torch.utils.data.DataLoader(Squares(), batch_size=50, num_workers=2, pin_memory=True)
    total = torch.zeros(64, device="cuda")
    pinned = True
    for batch, labels in loader:
        pinned = pinned and batch.is_pinned()
        total += batch.to("cuda", non_blocking=True).sum(0) + labels.cuda(non_blocking=True).sum()
    report("pinned", int(pinned))
    report("total", total)
    big = torch.arange(1 << 24, dtype=torch.float32).pin_memory()
    on_gpu = big.to("cuda", non_blocking=True)
    back = torch.empty_like(big, pin_memory=True)
    back.copy_(on_gpu * 2, non_blocking=True)
    torch.cuda.synchronize()
    report("round_trip", int(torch.equal(back, big * 2)))
    pageable = torch.arange(1 << 22, dtype=torch.int64)
    report("pageable", int(torch.equal((pageable.cuda() + 1).cpu(), pageable + 1)))


if __name__ == "__main__":
    main()
