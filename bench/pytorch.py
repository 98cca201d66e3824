"""The rows of run-pytorch, each a function; prints `name value unit`. With names as arguments only those rows."""

import statistics
import sys
import time

STARTED = time.perf_counter()
import torch  # noqa: E402

cuda = torch.device("cuda")
ROWS = {}


def row(unit):
    """Registers a row: the function returns its value in `unit`."""

    def register(function):
        ROWS[function.__name__] = (function, unit)
        return function

    return register


def seconds_of(work, repeat=5):
    """Median time of work() with a wait for the GPU at its end, after one run to warm up."""
    times = []
    for _ in range(repeat + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def each(work, count):
    """Median time of one work() in microseconds."""
    times = []
    for _ in range(count + count // 10):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[count // 10 :]) * 1e6


@row("s")
def first_call():
    start = time.perf_counter()
    torch.zeros(1, device=cuda).item()
    return time.perf_counter() - start


@row("s")
def import_and_tensor():
    torch.zeros(1, device=cuda).item()
    return time.perf_counter() - STARTED


@row("us")
def small_adds():
    x = torch.ones(1000, device=cuda)

    def work():
        for _ in range(5000):
            x.add_(1)

    return seconds_of(work, 9) / 5000 * 1e6


@row("us")
def add_and_wait():
    x = torch.ones(1000, device=cuda)

    def work():
        x.add_(1)
        torch.cuda.synchronize()

    return each(work, 3000)


@row("us")
def item():
    x = torch.ones(1000, device=cuda)
    return each(lambda: x[0].item(), 3000)


def bandwidth(source, target):
    return source.numel() * source.element_size() / seconds_of(lambda: target.copy_(source, non_blocking=True)) / 1e9


MEBIBYTES_256 = 256 << 20


@row("GB/s")
def pageable_to_device():
    return bandwidth(torch.ones(MEBIBYTES_256, dtype=torch.uint8), torch.empty(MEBIBYTES_256, dtype=torch.uint8, device=cuda))


@row("GB/s")
def pageable_from_device():
    return bandwidth(torch.ones(MEBIBYTES_256, dtype=torch.uint8, device=cuda), torch.ones(MEBIBYTES_256, dtype=torch.uint8))


@row("GB/s")
def pinned_to_device():
    host = torch.ones(MEBIBYTES_256, dtype=torch.uint8).pin_memory()
    return bandwidth(host, torch.empty(MEBIBYTES_256, dtype=torch.uint8, device=cuda))


@row("GB/s")
def pinned_from_device():
    host = torch.ones(MEBIBYTES_256, dtype=torch.uint8).pin_memory()
    return bandwidth(torch.ones(MEBIBYTES_256, dtype=torch.uint8, device=cuda), host)


@row("TFLOP/s")
def matmul_bf16():
    a = torch.randn(8192, 8192, device=cuda).bfloat16()
    b = torch.randn(8192, 8192, device=cuda).bfloat16()

    def work():
        for _ in range(20):
            a @ b

    return 20 * 2 * 8192**3 / seconds_of(work) / 1e12


def transformer(layers, width, heads):
    layer = torch.nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, batch_first=True)
    return torch.nn.TransformerEncoder(layer, layers, enable_nested_tensor=False).to(cuda)


@row("ms")
def training_step():
    model = transformer(6, 512, 8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    x = torch.randn(16, 128, 512, device=cuda)

    def work():
        for _ in range(10):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()

    return seconds_of(work) / 10 * 1e3


@row("ms")
def graph_replay():
    model = transformer(6, 512, 8).eval()
    x = torch.randn(16, 128, 512, device=cuda)
    with torch.no_grad():
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(3):
                model(x)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            model(x)

    def work():
        for _ in range(20):
            graph.replay()

    return seconds_of(work) / 20 * 1e3


@row("tokens/s")
def generation():
    import transformers

    transformers.logging.set_verbosity_error()
    config = transformers.LlamaConfig(
        vocab_size=8000, hidden_size=1024, intermediate_size=2816, num_hidden_layers=16, num_attention_heads=16,
        num_key_value_heads=8, max_position_embeddings=512)
    model = transformers.LlamaForCausalLM(config).to(torch.bfloat16).to(cuda).eval()
    prompt = torch.arange(16, device=cuda).unsqueeze(0)

    def work():
        model.generate(prompt, max_new_tokens=64, min_new_tokens=64, do_sample=False, pad_token_id=0)

    return 64 / seconds_of(work, 3)


def main():
    names = sys.argv[1:] or [name for name in ROWS if name not in ("first_call", "import_and_tensor")]
    for name in names:
        function, unit = ROWS[name]
        print(name, f"{function():.6g}", unit, flush=True)
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
