"""PyTorch: several streams and threads, events with timing."""
import threading

import torch
from report import report

streams = [torch.cuda.Stream() for _ in range(8)]
inputs = [torch.full((512, 512), i + 1.0, device="cuda") for i in range(8)]
torch.cuda.synchronize()
outputs = [None] * 8
for i, stream in enumerate(streams):
    with torch.cuda.stream(stream):
        x = inputs[i]
        for _ in range(10):
            x = (x @ inputs[i]) / 512
        outputs[i] = x
done = [torch.cuda.Event() for _ in streams]
for event, stream in zip(done, streams):
    event.record(stream)
for event in done:
    torch.cuda.current_stream().wait_event(event)
for i, out in enumerate(outputs):
    report(f"stream_{i}", out.sum())
start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
start.record()
for _ in range(10):
    inputs[0] @ inputs[1]
end.record()
end.synchronize()
report("elapsed", int(0 < start.elapsed_time(end) < 10000))
results = [0.0] * 8


def work(i):
    with torch.cuda.stream(torch.cuda.Stream()):
        x = torch.arange(10000, device="cuda", dtype=torch.float32) * (i + 1)
        for _ in range(50):
            x = x.cos() + i
        results[i] = x.sum().item()


threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for i, value in enumerate(results):
    report(f"thread_{i}", float(value))
