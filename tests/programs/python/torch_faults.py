"""PyTorch: a device-side assertion is a sticky error, as on a GPU of one's own."""
import torch
from report import report

x = torch.zeros(10, device="cuda")
report("before", x.sum())
try:
    y = x[torch.tensor([100], device="cuda")]
    torch.cuda.synchronize()
    report("index", "accepted")
except RuntimeError as error:
    report("index", "device-side assert" if "device-side assert" in str(error) else str(error).splitlines()[0])
try:
    torch.ones(1, device="cuda").item()
    report("sticky", "no")
except RuntimeError as error:
    report("sticky", "device-side assert" if "device-side assert" in str(error) else str(error).splitlines()[0])
