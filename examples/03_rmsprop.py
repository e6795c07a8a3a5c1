"""RMSProp: each weight has a step of its own, scaled by how large its gradients have been.

    E ← β·E + (1 − β)·g²        W ← W − α·g / (√E + ε)

The optimiser is nodes like any others, so it is drawn and compiled with the loss. E starts at 0, so
the first step is α/√(1 − β) long whatever the gradient: 10·α for β = 0.99.

    python examples/03_rmsprop.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

import graphcnn as g

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OUT = Path("out")
OUT.mkdir(exist_ok=True)

# -- the first step -------------------------------------------------------------------------------

for beta, times in ((0.9, 3.16), (0.99, 10.0)):
    w = g.parameter("w", [1.0, -2.0, 500.0])
    loss = g.sum(w * w)
    before = w.value.copy()
    g.compile(loss, updates=g.rmsprop(loss, lr=1e-3, alpha=beta))()
    moved = before - w.value
    print(f"β = {beta}: the first step is {np.abs(moved)[0] / 1e-3:.2f}·α for every weight")
    assert np.allclose(np.abs(moved[:2]), times * 1e-3, rtol=2e-3)
    assert (np.sign(moved) == np.sign(before)).all()

# -- two conventions for ε ------------------------------------------------------------------------

ways: dict[str, float] = {}
for mode in ("outside", "inside"):
    w = g.parameter("w", [1e-4])
    loss = g.sum(w * w)
    step = g.compile(loss, updates=g.rmsprop(loss, lr=1e-6, eps=1e-7, eps_mode=mode))
    before = float(w.value[0])
    step()
    ways[mode] = before - float(w.value[0])
print(f"a step with ε outside the root {ways['outside']:.3g}, inside {ways['inside']:.3g}")
assert ways["outside"] > ways["inside"]

# -- down a narrow valley -------------------------------------------------------------------------


def descend(rule: object, steps: int = 60) -> np.ndarray:
    """Give the way of an optimiser down ½·(x² + 30·y²)."""
    p = g.parameter("p", [-2.0, 1.0])
    scale = g.constant(np.array([0.5, 15.0]))
    loss = g.sum(scale * p * p)
    step = g.compile(loss, updates=rule(loss))  # type: ignore[operator]
    way = [p.value.copy()]
    for _ in range(steps):
        step()
        way.append(p.value.copy())
    return np.array(way)


plain = descend(lambda loss: g.sgd(loss, lr=0.06))
scaled = descend(lambda loss: g.rmsprop(loss, lr=0.05, alpha=0.9))
xs, ys = np.meshgrid(np.linspace(-2.3, 0.8, 200), np.linspace(-1.3, 1.3, 200))
figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
axes.contour(xs, ys, 0.5 * xs**2 + 15 * ys**2, levels=np.geomspace(0.02, 25, 14), colors="0.8")
axes.plot(*plain.T, ".-", label="gradient descent", linewidth=1)
axes.plot(*scaled.T, ".-", label="RMSProp", linewidth=1)
axes.set(title="a valley thirty times as steep across as along", xlabel="x", ylabel="y")
axes.legend()
figure.savefig(OUT / "03_rmsprop.png", dpi=100)

w = g.parameter("w", [1.0])
loss = g.sum(w * w, name="loss")
updates = g.rmsprop(loss)
g.draw(updates).save(OUT / "03_update.svg")
print("out/03_rmsprop.png, out/03_update.svg")
