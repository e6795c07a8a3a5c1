"""Two layers with a ReLU between them, and the hinge loss on their scores.

    h = max(0, W₁·x + b₁)        s = W₂·h + b₂        Lᵢ = Σ_{j≠y} max(0, sⱼ − s_y + 1)

The hinge (multiclass SVM) loss looks at the scores of the last layer: hidden layers have no loss of
their own, only an activation. Without the activation two layers are no more than one.

    python examples/04_activations_and_hinge.py
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
rng = np.random.default_rng(0)
N = g.dim("N")

# -- hinge ----------------------------------------------------------------------------------------

s = g.input("s", (N, 10))
label = g.input("label", (N,), dtype="int32")
hinge = g.multiclass_hinge(s, label)
value, ds = g.compile([hinge, g.grad(g.sum(hinge), s)])(s=np.zeros((1, 10), np.float32), label=[4])
print(f"ten equal scores: hinge {value[0]:.0f} = C − 1")
assert value[0] == 9
assert ds[0, 4] == -9
assert (np.delete(ds[0], 4) == 1).all()

example = np.array([[3.2, 5.1, -1.7]], np.float32)
s3 = g.input("s3", (N, 3))
value = g.compile(g.multiclass_hinge(s3, label))(s3=example, label=[0])
print(
    f"scores {example[0]}, label 0: max(0, 5.1 − 3.2 + 1) + max(0, −1.7 − 3.2 + 1) = {value[0]:.1f}"
)
assert np.isclose(value[0], 2.9)

# -- without an activation two layers are one -----------------------------------------------------

x = g.input("x", (N, 4))
w1, w2 = g.parameter("w1", rng.normal(size=(8, 4))), g.parameter("w2", rng.normal(size=(3, 8)))
points = rng.normal(size=(5, 4)).astype(np.float32)
deep = g.compile(g.linear(g.linear(x, w1), w2))(x=points)
assert np.allclose(deep, points @ (w2.value @ w1.value).T, atol=1e-4)
print("without an activation W₂·(W₁·x) is (W₂·W₁)·x: one layer")

# -- activations and their slopes -----------------------------------------------------------------

t = g.input("t", (401,))
at = np.linspace(-4, 4, 401, dtype=np.float32)
names = ["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "softplus"]
figure, axes = plt.subplots(2, 4, figsize=(11, 5), layout="constrained", sharex=True)
for name, plot in zip(names, axes.flat, strict=True):
    y = getattr(g, name)(t)
    value, slope = g.compile([y, g.grad(g.sum(y), t)])(t=at)
    plot.plot(at, value)
    plot.plot(at, slope, "--")
    plot.set(title=name)
axes[0, 0].legend(["value", "slope"])
figure.savefig(OUT / "04_activations.png", dpi=100)

edge = g.input("edge", (3,))
zero, nan = g.compile([g.grad(g.sum(g.relu(edge)), edge), g.relu(edge)])(edge=[0.0, -0.0, np.nan])
assert (zero[:2] == 0).all()
assert np.isnan(nan[2])
print("relu: the gradient at 0 is 0, and a NaN stays a NaN")

# -- a network that a line cannot replace ---------------------------------------------------------

angle, side = rng.uniform(0, 2 * np.pi, 400), rng.integers(0, 2, 400)
radius = np.where(side, 1.6, 0.7) + rng.normal(0, 0.15, 400)
rings = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
point = g.input("point", (N, 2))
hidden = g.relu(
    g.linear(
        point, g.parameter("v1", g.init.he((16, 2), seed=1)), g.parameter("c1", g.init.zeros(16))
    )
)
scores = g.linear(
    hidden, g.parameter("v2", g.init.he((2, 16), seed=2)), g.parameter("c2", g.init.zeros(2))
)
loss = g.mean(g.multiclass_hinge(scores, label))
step = g.compile(loss, updates=g.rmsprop(loss, lr=0.01, alpha=0.9))
for _ in range(300):
    last = step(point=rings, label=side.astype(np.int32))
best = g.compile(g.argmax(scores, axis=1))
right = float(np.mean(best(point=rings) == side))
print(f"two rings: hinge {float(last):.3f}, {right:.1%} right with 16 hidden units")
assert right > 0.97

xs, ys = np.meshgrid(np.linspace(-2.4, 2.4, 200), np.linspace(-2.4, 2.4, 200))
grid = np.stack([xs.ravel(), ys.ravel()], axis=1).astype(np.float32)
figure, axes = plt.subplots(figsize=(4.4, 4.2), layout="constrained")
axes.contourf(xs, ys, best(point=grid).reshape(xs.shape), levels=[-0.5, 0.5, 1.5], cmap="Pastel1")
axes.scatter(*rings.T, c=side, s=8, cmap="Set1")
axes.set(title="a ReLU layer bends the border", aspect="equal", xlabel="x₀", ylabel="x₁")
figure.savefig(OUT / "04_rings.png", dpi=100)
print("out/04_activations.png, out/04_rings.png")
