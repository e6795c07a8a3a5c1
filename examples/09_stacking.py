"""Layers on layers: 3×32×32 → 6×28×28 → 10×24×24 → scores.

The filters of the second layer look at all six maps of the first, so they are 6×5×5 deep. All axes
are in one order: images are N×C×H×W, filters are C_out×C_in×K_h×K_w.

    python examples/09_stacking.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import graphcnn as g

OUT = Path("out")
OUT.mkdir(exist_ok=True)
rng = np.random.default_rng(0)
N = g.dim("N")


def layer(name: str, *shape: int) -> tuple[g.Parameter, g.Parameter]:
    """Give the weight and the bias of a layer."""
    return g.parameter(f"{name}.weight", g.init.he(shape, seed=rng)), g.parameter(
        f"{name}.bias", g.init.zeros(shape[0])
    )


image, label = g.input("image", (N, 3, 32, 32)), g.input("label", (N,), dtype="int32")
first = g.relu(g.conv2d(image, *layer("conv1", 6, 3, 5, 5), name="conv1"))
second = g.relu(g.conv2d(first, *layer("conv2", 10, 6, 5, 5), name="conv2"))
pooled = g.max_pool2d(second, 2, name="pool")
scores = g.linear(g.flatten(pooled), *layer("full", 10, 1440), name="scores")
loss = g.mean(g.softmax_cross_entropy(scores, label), name="loss")

shapes = [node.shape[1:] for node in (first, second, pooled, scores)]
print(" → ".join("×".join(map(str, s)) for s in [(3, 32, 32), *shapes]))
assert shapes == [(6, 28, 28), (10, 24, 24), (10, 12, 12), (10,)]

costs = g.summary(loss)
print(costs)
assert costs.parameters == 456 + 1510 + 14_410
assert costs.forward == (352_800 + 864_000 + 14_400) * N

try:
    g.conv2d(first, layer("wrong", 10, 3, 5, 5)[0], name="conv2")
except g.ShapeError as error:
    print(f"\nfilters of the wrong depth are refused:\n{error}\n")

images = rng.normal(size=(64, 3, 32, 32)).astype(np.float32)
labels = rng.integers(0, 10, 64).astype(np.int32)
step = g.compile(loss, updates=g.rmsprop(loss, lr=1e-3))
losses = [float(step(image=images, label=labels)) for _ in range(40)]
print(f"learning 64 random images by heart: loss {losses[0]:.2f} → {losses[-1]:.4f}")
assert losses[-1] < 0.1

g.draw(loss).save(OUT / "09_network.svg")
g.draw(loss, gradients=True).save(OUT / "09_gradients.svg")
print("out/09_network.svg, out/09_gradients.svg")
