"""PyTorch: its profiler (CPU side), NVTX ranges, memory statistics, device properties."""
import torch
from report import report

properties = torch.cuda.get_device_properties(0)
report("capability", f"{properties.major}.{properties.minor}")
report("multiprocessors", properties.multi_processor_count)
with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
    torch.ones(1000, device="cuda").sum().item()
report("events", int(len(profile.key_averages()) > 0))
torch.cuda.nvtx.range_push("range")
torch.cuda.nvtx.range_pop()
torch.cuda.profiler.start()
torch.cuda.profiler.stop()
free, total = torch.cuda.mem_get_info()
report("memory", int(0 < free <= total))
report("utilization_of_memory", int(torch.cuda.max_memory_allocated() > 0))
