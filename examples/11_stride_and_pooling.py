"""Stride and pooling: fewer, coarser numbers, and each of them sees more.

    H' = ⌊(H − K) / s⌋ + 1

A stride of 2 leaves out every other place. Pooling keeps the largest value of each window, or their
mean. Where the last window ends before the image does, nobody looks at the rest: its gradient is 0.

    python examples/11_stride_and_pooling.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_sample_image

import graphcnn as g

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OUT = Path("out")
OUT.mkdir(exist_ok=True)
rng = np.random.default_rng(0)

# -- stride ---------------------------------------------------------------------------------------

x = g.input("x", (1, 3, 32, 32))
filters = g.parameter("filters", g.init.he((6, 3, 5, 5), seed=0))
strided = g.conv2d(x, filters, stride=2)
assert strided.shape == (1, 6, 14, 14)
print(f"(32 − 5)//2 + 1 = {strided.shape[2]}")
for remark in g.lint(strided):
    print(remark)
images = rng.normal(size=(1, 3, 32, 32)).astype(np.float32)
dx = g.compile(g.grad(g.sum(strided), x))()  # the same for all images: the layer is linear
assert not dx[:, :, 31].any()
assert not dx[:, :, :, 31].any()
assert dx[:, :, 30].any()
dense = g.compile(g.conv2d(x, filters))(x=images)
assert np.allclose(g.compile(strided)(x=images), dense[:, :, ::2, ::2], atol=1e-5)
print("every other number of the convolution without a stride\n")

# -- pooling --------------------------------------------------------------------------------------

small = np.array([[1, 3, 2, 1], [4, 2, 0, 1], [5, 5, 1, 0], [2, 1, 0, 7]], np.float32)
y = g.input("y", (1, 1, 4, 4))
largest, means = g.max_pool2d(y, 2), g.avg_pool2d(y, 2)
found = g.compile([largest, means, g.grad(g.sum(largest), y), g.grad(g.sum(means), y)])(
    y=small[None, None]
)
high, mean, to_high, to_mean = (f[0, 0] for f in found)
print(f"max  {high.tolist()}\nmean {mean.tolist()}")
assert high.tolist() == [[4, 2], [5, 7]]
assert mean.tolist() == [[2.5, 1], [3.25, 2]]
assert to_high.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
assert (to_mean == 0.25).all()
print("the gradient of a maximum goes to the first largest cell, that of a mean to all alike\n")
assert g.max_pool2d(g.input("odd", (1, 1, 5, 5)), 2).shape == (1, 1, 2, 2)
assert g.max_pool2d(g.input("odd", (1, 1, 5, 5)), 2, ceil_mode=True).shape == (1, 1, 3, 3)
assert g.max_pool2d(g.input("odd", (1, 1, 5, 5)), 3, stride=1).shape == (1, 1, 3, 3)

# -- a picture ------------------------------------------------------------------------------------

photo = load_sample_image("china.jpg").astype(np.float32)[:424, :632].mean(axis=2) / 255
N = g.dim("N")
p = g.input("p", (N, 1, 424, 632))
shown = {
    "photograph": photo,
    "every 8th pixel": g.compile(p[:, :, ::8, ::8])(p=photo[None, None])[0, 0],
    "largest of 8×8": g.compile(g.max_pool2d(p, 8))(p=photo[None, None])[0, 0],
    "mean of 8×8": g.compile(g.avg_pool2d(p, 8))(p=photo[None, None])[0, 0],
}
figure, axes = plt.subplots(1, 4, figsize=(13, 2.6), layout="constrained")
for plot, (title, image) in zip(axes, shown.items(), strict=True):
    plot.imshow(image, cmap="gray", vmin=0, vmax=1)
    plot.set_title(title)
    plot.set_axis_off()
figure.savefig(OUT / "11_pooling.png", dpi=90, bbox_inches="tight")
print("out/11_pooling.png")
