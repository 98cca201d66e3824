"""PyTorch: CUDA graphs, captured and replayed."""
import torch
from report import report

torch.manual_seed(6)
model = torch.nn.Sequential(*[torch.nn.Linear(256, 256) for _ in range(8)]).cuda()
x = torch.randn(32, 256, device="cuda", generator=torch.Generator(device="cuda").manual_seed(1))
side = torch.cuda.Stream()
side.wait_stream(torch.cuda.current_stream())
with torch.cuda.stream(side), torch.no_grad():
    for _ in range(3):
        model(x)
torch.cuda.current_stream().wait_stream(side)
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph), torch.no_grad():
    out = model(x)
graph.replay()
torch.cuda.synchronize()
report("replay", out)
report("same_as_eager", int(torch.allclose(out, model(x), atol=1e-5)))
for i in range(100):
    x.fill_(i / 100)
    graph.replay()
report("hundredth", out)
report("callable", torch.cuda.make_graphed_callables(torch.nn.Linear(16, 16).cuda(), (torch.ones(4, 16, device="cuda"),))(torch.zeros(4, 16, device="cuda")).shape[0])
optimizer_model = torch.nn.Linear(32, 1).cuda()
torch.nn.init.constant_(optimizer_model.weight, 0.1)
torch.nn.init.constant_(optimizer_model.bias, 0.0)
optimizer = torch.optim.Adam(optimizer_model.parameters(), lr=0.01, capturable=True)
inputs = torch.ones(8, 32, device="cuda")
side.wait_stream(torch.cuda.current_stream())
with torch.cuda.stream(side):
    for _ in range(3):
        optimizer.zero_grad(set_to_none=True)
        optimizer_model(inputs).square().mean().backward()
        optimizer.step()
torch.cuda.current_stream().wait_stream(side)
training = torch.cuda.CUDAGraph()
optimizer.zero_grad(set_to_none=True)
with torch.cuda.graph(training):
    loss = optimizer_model(inputs).square().mean()
    loss.backward()
    optimizer.step()
for _ in range(20):
    training.replay()
report("graphed_training", loss)
