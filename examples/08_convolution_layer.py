"""A convolution layer: one filter makes one map, six filters make six.

3×32×32 image, 3×5×5 filter  →  1×28×28 map; each number is a sum of 75 products and one bias
C_in×H×W image, C_out×C_in×K_h×K_w filters, C_out biases  →  C_out×(H − K_h + 1)×(W − K_w + 1)

python examples/08_convolution_layer.py
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

photo = load_sample_image("flower.jpg")[100:356:8, 200:456:8].astype(np.float32) / 255
image = photo.transpose(2, 0, 1)[None]
assert image.shape == (1, 3, 32, 32)

# -- one filter -----------------------------------------------------------------------------------

N = g.dim("N")
x = g.input("x", (N, 3, 32, 32))
one = g.parameter("one", rng.normal(0, 0.2, (1, 3, 5, 5)))
bias = g.parameter("bias", [0.1])
map_ = g.conv2d(x, one, bias, name="one filter")
assert map_.shape[1:] == (1, 28, 28)
value = g.compile(map_)(x=image)[0, 0]
patch = image[0, :, 3:8, 4:9]
assert np.isclose(value[3, 4], (patch * one.value[0]).sum() + 0.1, atol=1e-5)
print(f"at (row 3, column 4): the sum of {patch.size} products + bias = {value[3, 4]:.4f}")

# -- six filters, then what is above zero ---------------------------------------------------------

values = rng.normal(0, 0.2, (6, 3, 5, 5))
values -= values.mean(axis=(1, 2, 3), keepdims=True)  # so that an even grey makes zero
six = g.parameter("six", values)
maps = g.conv2d(x, six, g.parameter("biases", g.init.zeros(6)), name="six filters")
active = g.relu(maps, name="activation maps")
print(f"{maps!r}\n{active!r}")
assert maps.shape[1:] == (6, 28, 28)
found = g.compile(active)(x=image)[0]
assert (found >= 0).all()

# -- any sizes: they may stay letters -------------------------------------------------------------

H, W = g.dim("H"), g.dim("W")
any_ = g.conv2d(g.input("any", (N, 3, H, W)), six)
print(f"an H×W image gives {any_.shape}")
assert str(any_.shape) == "(N, 6, H - 4, W - 4)"

# -- groups: filters that look at some of the channels --------------------------------------------

depthwise = g.conv2d(x, g.parameter("each", rng.normal(size=(3, 1, 3, 3))), groups=3)
assert depthwise.shape[1:] == (3, 30, 30)

# -- what goes back -------------------------------------------------------------------------------

seed = g.input("seed", maps.shape)
dx, dw, db = g.grad(maps, [x, six, g.Graph((maps,)).of_kind("parameter")[1]], seed=seed)
upstream = rng.normal(size=(2, 6, 28, 28)).astype(np.float32)
images = rng.normal(size=(2, 3, 32, 32)).astype(np.float32)
to_data, to_weights, to_bias = g.compile([dx, dw, db])(x=images, seed=upstream)
full = g.compile(
    g.conv2d(seed, g.transpose(g.flip(six, axis=(2, 3)), (1, 0, 2, 3)), padding="full")
)
assert np.allclose(to_data, full(seed=upstream), atol=1e-3)
assert np.allclose(to_bias, upstream.sum(axis=(0, 2, 3)), atol=1e-2)
straight = g.compile(g.conv2d(x, six))(x=images)
assert np.isclose((upstream * straight).sum(), (to_data * images).sum(), rtol=1e-3)
assert np.isclose((upstream * straight).sum(), (to_weights * six.value).sum(), rtol=1e-3)
print("∂L/∂x is the full convolution of ∂L/∂y with the filters turned round, channels exchanged")
print("⟨∂L/∂y, conv(x, w)⟩ = ⟨∂L/∂x, x⟩ = ⟨∂L/∂w, w⟩")

figure, axes = plt.subplots(2, 7, figsize=(12, 3.8), layout="constrained")
axes[1, 0].imshow(photo)
axes[1, 0].set_title("3×32×32")
shades = (values - values.min()) / np.ptp(values)
for k, (filter_, map_) in enumerate(axes[:, 1:].T):
    filter_.imshow(shades[k].transpose(1, 2, 0))
    filter_.set_title(f"filter {k}")
    map_.imshow(found[k], cmap="gray")
    map_.set_title(f"map {k}")
for plot in axes.flat:
    plot.set_axis_off()
figure.savefig(OUT / "08_maps.png", dpi=100, bbox_inches="tight")
g.draw(active).save(OUT / "08_layer.svg")
print("out/08_maps.png, out/08_layer.svg")
