"""The receptive field: which pixels can make a difference to one number.

    r ← r + (K − 1)·d·j        j ← j·s        from r = j = 1

Each layer adds K − 1 steps, and strides make the steps of later layers longer. Here the field is
read off the index maps of the ops, so it holds for branches and for ops of your own too.

    python examples/12_receptive_fields.py
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
N = g.dim("N")


def conv(x: g.Node, channels: int, size: int, **more: object) -> g.Node:
    """Give a convolution with filters of its own."""
    filters = g.constant(
        np.abs(rng.normal(size=(channels, x.shape[1], size, size))).astype(np.float32)
    )
    return g.conv2d(x, filters, **more)


image = g.input("image", (N, 3, 64, 64))
nets = {
    "two 5×5": conv(conv(image, 4, 5), 4, 5),
    "conv pool conv pool": g.max_pool2d(conv(g.max_pool2d(conv(image, 4, 5), 2), 4, 5), 2),
    "three 3×3, dilated 1, 2, 4": conv(conv(conv(image, 4, 3), 4, 3, dilation=2), 4, 3, dilation=4),
}
branch = conv(image, 3, 3, padding=1)
nets["a short cut and a 7×7"] = conv(image, 3, 7, padding=3) + branch
fields = {}
for name, node in nets.items():
    fields[name] = field = g.receptive_field(node, image)
    print(f"{name}: {field.size[2]}×{field.size[3]} pixels, jump {field.jump[2]}\n    {field}")
assert fields["two 5×5"].size[2:] == (9, 9)
assert fields["conv pool conv pool"].size[2:] == (16, 16)
assert fields["conv pool conv pool"].jump[2:] == (4, 4)
assert fields["three 3×3, dilated 1, 2, 4"].size[2:] == (15, 15)
assert fields["a short cut and a 7×7"].size[2:] == (7, 7)

# -- the gradient of one number is not zero just there --------------------------------------------

photo = load_sample_image("flower.jpg")[40:424:6, 120:504:6].astype(np.float32) / 255
pixels = photo.transpose(2, 0, 1)[None]
figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for plot, (name, node) in zip(axes, nets.items(), strict=True):
    place = (0, 0, *(n // 2 for n in node.shape[2:]))
    seed = np.zeros((1, *node.shape[1:]), np.float32)
    seed[place] = 1
    upstream = g.input("upstream", node.shape)
    derived = g.grad(node, image, seed=upstream)
    needed = [n.name for n in g.Graph((derived,)).of_kind("input")]
    given = {"image": pixels, "upstream": seed}
    # Exact, for the tiles of fast convolutions leave rounding where a gradient is zero.
    slope = g.compile(derived, exact=True)(**{n: given[n] for n in needed})[0]
    low, high = np.transpose(fields[name].at(*place)[2:])
    heat = np.abs(slope).sum(axis=0)
    seen = np.argwhere(heat > 0)
    assert (seen >= low).all() and (seen <= high).all()
    if "pool" not in name:  # of each window only the largest cell has a gradient
        assert (seen.min(axis=0) == low).all() and (seen.max(axis=0) == high).all()
    plot.imshow(photo)
    plot.imshow(np.ma.masked_equal(heat, 0), cmap="viridis", alpha=0.75)
    height, width = high - low + 1
    corner = low[1] - 0.5, low[0] - 0.5
    plot.add_patch(plt.Rectangle(corner, width, height, fill=False, edgecolor="red", linewidth=1.5))
    plot.set_title(name, fontsize=10)
    plot.set_axis_off()
figure.suptitle(
    "what one number in the middle sees (red), and how much each pixel counts (gradient)"
)
figure.savefig(OUT / "12_receptive_fields.png", dpi=100, bbox_inches="tight")
print("out/12_receptive_fields.png")
