"""PyTorch: torch.distributed with NCCL, one process on one GPU."""
import os

import torch
import torch.distributed as dist
from report import report

os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
os.environ.setdefault("MASTER_PORT", "0")
store = dist.TCPStore("127.0.0.1", 0, 1, True)
dist.init_process_group("nccl", store=store, rank=0, world_size=1)
x = torch.arange(1000, device="cuda", dtype=torch.float32)
dist.all_reduce(x)
report("all_reduce", x)
gathered = [torch.empty_like(x)]
dist.all_gather(gathered, x)
report("all_gather", gathered[0])
dist.broadcast(x, 0)
dist.barrier()
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(8, 8).cuda(), device_ids=[0])
model(torch.ones(4, 8, device="cuda")).sum().backward()
report("gradient", model.module.weight.grad)
dist.destroy_process_group()
