"""JAX: jit, grad, vmap, a training loop, random numbers, linear algebra, convolution."""
import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
import jax
import jax.numpy as jnp
from report import report

report("devices", str(jax.devices()[0].platform))
key = jax.random.PRNGKey(0)
x = jax.random.normal(key, (512, 512))
report("random", x)
report("jit", jax.jit(lambda a: jnp.tanh(a @ a.T).sum(0))(x))
report("grad", jax.grad(lambda a: (jnp.sin(a) ** 2).sum())(x))
report("vmap", jax.vmap(lambda row: jnp.sort(row)[:5])(x))


def loss(w, inputs, targets):
    hidden = jnp.tanh(inputs @ w["a"])
    return ((hidden @ w["b"] - targets) ** 2).mean()


weights = {"a": jax.random.normal(key, (64, 128)) * 0.1, "b": jax.random.normal(key, (128, 1)) * 0.1}
inputs, targets = jax.random.normal(key, (256, 64)), jnp.ones((256, 1))
step = jax.jit(lambda w: jax.tree_util.tree_map(lambda p, g: p - 0.1 * g, w, jax.grad(loss)(w, inputs, targets)))
for _ in range(50):
    weights = step(weights)
report("trained", loss(weights, inputs, targets))
report("solve", jnp.linalg.solve(x + 50 * jnp.eye(512), jnp.ones(512)))
report("fft", jnp.abs(jnp.fft.fft(x)))
images = jnp.ones((2, 3, 32, 32))
kernels = jnp.ones((8, 3, 3, 3))
report("convolution", jax.lax.conv(images, kernels, (1, 1), "SAME"))
report("scan", jax.lax.scan(lambda c, v: (c + v, c), 0.0, x[0])[1])
report("bfloat16", (x.astype(jnp.bfloat16) @ x.astype(jnp.bfloat16)).astype(jnp.float32).sum(0))
