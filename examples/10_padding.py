"""Padding: without it maps shrink by K − 1 with each layer.

    W' = W − K + 1 + 2·P

The size stays if 2·P = K − 1. It is sometimes said that P ≥ K is needed: that is far too much. Maps
then grow, and their outermost ring sees nothing but padding.

    python examples/10_padding.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_digits

import graphcnn as g
from graphcnn.sizes import P

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OUT = Path("out")
OUT.mkdir(exist_ok=True)

# -- the formula ----------------------------------------------------------------------------------

print(f"W' = {g.output_size(padding=P)}    (H is the size of the image)")
print(f"it stays as it is for P = {g.same_padding()}; for K = 5 that is {g.same_padding(5)}")
print(f"an even K = 4 needs {g.same_padding(4)}: one cell more after than before")
assert g.same_padding(5) == 2
assert g.same_padding(4) == (1, 2)

x = g.input("x", (1, 3, 32, 32))
filters = g.parameter("filters", g.init.he((6, 3, 5, 5), seed=0))
bias = g.parameter("bias", np.arange(6.0))
sizes = {p: g.conv2d(x, filters, bias, padding=p).shape[2] for p in range(6)}
print("32 pixels, K = 5:", ", ".join(f"P = {p} → {n}" for p, n in sizes.items()))
assert sizes == {0: 28, 1: 30, 2: 32, 3: 34, 4: 36, 5: 38}

# -- P ≥ K ----------------------------------------------------------------------------------------

much = g.conv2d(x, filters, bias, padding=5, name="much")
maps = g.compile(much)(x=np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32))[0]
ring = np.ones((38, 38), bool)
ring[1:-1, 1:-1] = False
for k in range(6):
    assert np.allclose(maps[k][ring], k, atol=1e-4), "there is nothing there but the bias"
(remark,) = g.lint(much)
print(f"\n{remark}\n")

# -- what stands beyond the border ----------------------------------------------------------------

digit = (load_digits().images[3] / 16).astype(np.float32)
y = g.input("digit", (1, 1, 8, 8))
modes = ["constant", "reflect", "edge", "circular"]
padded = {m: g.compile(g.pad(y, ((3, 3), (3, 3)), m))(digit=digit[None, None])[0, 0] for m in modes}
for mode, image in padded.items():
    expected = np.pad(digit, 3, "wrap" if mode == "circular" else mode)
    assert np.array_equal(image, expected), mode
total = g.compile(g.grad(g.sum(g.pad(y, ((3, 3), (3, 3)), "reflect")), y))()
assert total.sum() == 14 * 14
print("the gradient of a reflected pixel is the sum of what comes back from all its images")

figure, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
for plot, (title, image) in zip(axes, {"digit": digit, **padded}.items(), strict=True):
    plot.imshow(image, cmap="gray_r")
    plot.set(title=title, xticks=[], yticks=[])
    if title != "digit":
        plot.add_patch(plt.Rectangle((2.5, 2.5), 8, 8, fill=False, edgecolor="tab:red"))
figure.savefig(OUT / "10_padding.png", dpi=100, bbox_inches="tight")
print("out/10_padding.png")
