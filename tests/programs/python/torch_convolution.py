"""PyTorch: convolutions forward and backward through cuDNN."""
import torch
from report import report

torch.manual_seed(3)
device = torch.device("cuda")
report("cudnn", int(torch.backends.cudnn.is_available()))
net = torch.nn.Sequential(
    torch.nn.Conv2d(3, 32, 3, padding=1),
    torch.nn.BatchNorm2d(32),
    torch.nn.ReLU(),
    torch.nn.Conv2d(32, 64, 3, stride=2, padding=1),
    torch.nn.ReLU(),
    torch.nn.AdaptiveAvgPool2d(1),
    torch.nn.Flatten(),
    torch.nn.Linear(64, 10),
).to(device)
images = torch.randn(16, 3, 64, 64).to(device)
out = net(images)
report("forward", out)
out.square().sum().backward()
for name, parameter in net.named_parameters():
    report(f"gradient_{name}", parameter.grad.abs().sum())
half = torch.nn.Conv2d(64, 64, 3, padding=1).to(device).to(torch.bfloat16).to(memory_format=torch.channels_last)
report("channels_last", half(torch.ones(4, 64, 32, 32, device=device, dtype=torch.bfloat16)).float().mean())
conv3d = torch.nn.Conv3d(2, 4, 3).to(device)
report("conv3d", conv3d(torch.ones(1, 2, 8, 8, 8, device=device)))
lstm = torch.nn.LSTM(32, 64, 2, batch_first=True).to(device)
report("lstm", lstm(torch.ones(4, 10, 32, device=device))[0])
torch.backends.cudnn.benchmark = True
report("benchmark_mode", torch.nn.functional.conv2d(images, torch.ones(8, 3, 5, 5, device=device)))
