"""PyTorch: a CUDA tensor shared between processes (IPC), and expandable segments."""
import os

os.environ["PYTORCH_ALLOC_CONF"] = os.environ["PYTORCH_CUDA_ALLOC_CONF"] = ""
import torch
import torch.multiprocessing as mp
from report import report


def child(queue, done):
    tensor = queue.get()
    tensor += 1
    torch.cuda.synchronize()
    del tensor
    done.set()


def main():
    mp.set_start_method("spawn")
    queue, done = mp.Queue(), mp.Event()
    process = mp.Process(target=child, args=(queue, done))
    process.start()
    tensor = torch.arange(1000, device="cuda", dtype=torch.float32)
    queue.put(tensor)
    report("child_done", int(done.wait(100)))
    process.join(100)
    report("added_by_child", tensor)


if __name__ == "__main__":
    main()
