"""Hugging Face transformers: a model with random weights generates text, token by token."""
import torch
import transformers
from report import report

torch.manual_seed(8)
config = transformers.LlamaConfig(
    vocab_size=1000, hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=8,
    num_key_value_heads=4, max_position_embeddings=512,
)
model = transformers.LlamaForCausalLM(config).to("cuda").eval()
tokens = torch.arange(10, device="cuda").unsqueeze(0) + 5
report("prompt_logits", model(tokens).logits)
out = model.generate(tokens, max_new_tokens=40, do_sample=False, pad_token_id=0, eos_token_id=None)
report("tokens", out)
torch.manual_seed(9)
half = model.to(torch.bfloat16)
report("half_tokens", half.generate(tokens, max_new_tokens=20, do_sample=False, pad_token_id=0, eos_token_id=None).shape[1])
