"""Why convolution: a full layer does not know which pixels are neighbours, and has many weights.

Give every image the same shuffled pixels. A full layer with its columns shuffled alike computes
the very same numbers; a convolution does not: it looks at neighbours. And from 3×32×32 to 6×28×28
a full layer has 14,455,392 parameters, a convolution 456.

    python examples/06_why_convolution.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_digits

import graphcnn as g

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OUT = Path("out")
OUT.mkdir(exist_ok=True)
rng = np.random.default_rng(0)
N = g.dim("N")

# -- parameters and work --------------------------------------------------------------------------

image = g.input("image", (N, 3, 32, 32))
conv = g.conv2d(
    image,
    g.parameter("filters", g.init.he((6, 3, 5, 5), seed=rng)),
    g.parameter("b", g.init.zeros(6)),
)
full = g.linear(
    g.flatten(image),
    g.parameter("W", g.init.zeros(4704, 3072)),
    g.parameter("c", g.init.zeros(4704)),
)
print(g.summary(conv), "\n")
assert g.summary(conv).parameters == 456
assert g.summary(full).parameters == 14_455_392
assert g.summary(conv).forward == 352_800 * N
assert g.summary(full).forward == 14_450_688 * N
print("a full layer of as many outputs: 14,455,392 parameters, 14,450,688 multiply-adds an image\n")

# -- a convolution is a full layer with few different weights -------------------------------------

small = g.input("small", (1, 1, 8, 8))
kernel = g.parameter("kernel", rng.normal(size=(1, 1, 3, 3)))
matrix = g.as_matrix(g.conv2d(small, kernel), small)
assert matrix.shape == (36, 64)
assert (np.count_nonzero(matrix, axis=1) == 9).all()
print("a 3×3 convolution of 8×8 pixels as a matrix: 36×64, 9 numbers a row, the same nine in each")

# -- shuffled pixels ------------------------------------------------------------------------------

digits = load_digits()
images = (digits.images[:, None] / 16).astype(np.float32)
labels = digits.target.astype(np.int32)
order = rng.permutation(len(images))
train, test = order[360:], order[:360]
pixels = rng.permutation(64)
shuffled = images.reshape(-1, 64)[:, pixels].reshape(images.shape)

x, label = g.input("x", (N, 1, 8, 8)), g.input("label", (N,), dtype="int32")


def layer(name: str, start: np.ndarray) -> tuple[g.Parameter, g.Parameter]:
    """Give the weight of a layer, with these first values, and its bias."""
    return g.parameter(f"w{name}", start), g.parameter(f"b{name}", g.init.zeros(len(start)))


def mlp(start: np.ndarray) -> g.Node:
    """Give the scores of a network of full layers, the first with these weights."""
    h = g.relu(g.linear(g.flatten(x), *layer("1", start)))
    return g.linear(h, *layer("2", g.init.he((10, 32), seed=5)))


def cnn() -> g.Node:
    """Give the scores of a network whose first layers are convolutions."""
    h = g.conv2d(x, *layer("1", g.init.he((16, 1, 3, 3), seed=4)), padding=1)
    h = g.max_pool2d(g.relu(h), 2)
    h = g.conv2d(h, *layer("2", g.init.he((32, 16, 3, 3), seed=6)), padding=1)
    h = g.flatten(g.max_pool2d(g.relu(h), 2))
    return g.linear(h, *layer("3", g.init.he((10, 128), seed=5)))


def accuracy(scores: g.Node, data: np.ndarray, epochs: int = 12) -> float:
    """Train, and give the share of unseen digits named rightly."""
    loss = g.mean(g.softmax_cross_entropy(scores, label))
    step = g.compile(loss, updates=g.rmsprop(loss, lr=1e-3, alpha=0.95))
    shuffle = np.random.default_rng(1)
    for _ in range(epochs):
        for batch in np.array_split(shuffle.permutation(train), len(train) // 32):
            step(x=data[batch], label=labels[batch])
    return float(np.mean(g.compile(scores)(x=data[test]).argmax(axis=1) == labels[test]))


start = g.init.he((32, 64), seed=4)
found = {
    "MLP": (accuracy(mlp(start), images), accuracy(mlp(start[:, pixels]), shuffled)),
    "CNN": (accuracy(cnn(), images), accuracy(cnn(), shuffled)),
}
for name, (plain, mixed) in found.items():
    print(f"{name}: {plain:.1%} on digits, {mixed:.1%} on digits whose pixels are shuffled alike")
assert abs(found["MLP"][0] - found["MLP"][1]) < 0.02, "a full layer does not care where pixels are"
assert found["CNN"][0] > found["CNN"][1], "a convolution does"

figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
most = np.abs(matrix).max()
axes[0].imshow(matrix, cmap="RdBu", vmin=-most, vmax=most)
axes[0].set(title="a convolution as a matrix", xlabel="pixel", ylabel="output")
axes[1].imshow(images[0, 0], cmap="gray_r")
axes[1].set(title="a digit")
axes[2].imshow(shuffled[0, 0], cmap="gray_r")
axes[2].set(title="the same to a full layer")
for plot in axes[1:]:
    plot.set(xticks=[], yticks=[])
figure.savefig(OUT / "06_why_convolution.png", dpi=100, bbox_inches="tight")
print("out/06_why_convolution.png")
