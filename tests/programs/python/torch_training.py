"""PyTorch: an autograd training loop of a small transformer, with mixed precision and a fused optimizer."""
import torch
from report import report

torch.manual_seed(4)
device = torch.device("cuda")
model = torch.nn.TransformerEncoder(
    torch.nn.TransformerEncoderLayer(128, 4, 256, dropout=0.0, batch_first=True), 2, enable_nested_tensor=False
).to(device)
head = torch.nn.Linear(128, 50).to(device)
parameters = list(model.parameters()) + list(head.parameters())
optimizer = torch.optim.AdamW(parameters, lr=1e-3, fused=True)
x = torch.randn(8, 32, 128).to(device)
y = torch.randint(0, 50, (8, 32)).to(device)
for step in range(10):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(head(model(x)).flatten(0, 1), y.flatten())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    report(f"loss_{step}", round(loss.item(), 3) * 1.0)
scaler = torch.amp.GradScaler("cuda")
for step in range(3):
    optimizer.zero_grad()
    with torch.autocast("cuda", dtype=torch.float16):
        loss = torch.nn.functional.cross_entropy(head(model(x)).flatten(0, 1), y.flatten())
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
report("amp_finite", int(torch.isfinite(loss).item()))
q = torch.randn(2, 8, 256, 64).to(device).to(torch.bfloat16)
report("attention", torch.nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True).float().mean())
