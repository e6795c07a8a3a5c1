"""A kernel slides over an image: at each place a patch, its products with the kernel, their sum.

    y[i, j] = bias + Σ_{u,v} kernel[u, v] · x[i + u, j + v]

That is what CNNs call convolution. Mathematicians turn the kernel round first; for a kernel that is
learned it makes no difference, for a given one like Sobel's it does.

    python examples/07_kernel_and_slide.py
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

KERNELS = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "box": np.full((3, 3), 1 / 9),
    "Gaussian": np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256,
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "Laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "Sobel x": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "Sobel y": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
}

# -- one step after the other ---------------------------------------------------------------------

small = np.array([[1, 2, 0, 1], [0, 1, 3, 1], [2, 1, 0, 0], [1, 0, 1, 2]], np.float32)
kernel = np.array(KERNELS["Sobel x"], np.float32)
x = g.input("x", (1, 1, 4, 4))
k = g.input("kernel", (1, 1, 3, 3))
bias = g.input("bias", (1,))
slide = g.compile(g.conv2d(x, k, bias))
result = slide(x=small[None, None], kernel=kernel[None, None], bias=[0.5])[0, 0]
for i, j in np.ndindex(*result.shape):
    patch = small[i : i + 3, j : j + 3]
    products = patch * kernel
    print(f"place ({i}, {j}): patch {patch.astype(int).tolist()}")
    print(f"    products {products.astype(int).tolist()}")
    print(f"    sum {products.sum():.0f} + bias 0.5 = {result[i, j]}")
    assert result[i, j] == products.sum() + 0.5

# -- turned round, or not -------------------------------------------------------------------------

true = g.compile(g.conv2d(x, g.flip(k, axis=(2, 3)), bias))
turned = true(x=small[None, None], kernel=kernel[None, None], bias=[0])[0, 0]
plain = slide(x=small[None, None], kernel=kernel[None, None], bias=[0])[0, 0]
assert np.allclose(turned, -plain), "Sobel's kernel turned round is its own negative"
print("\nturned round, Sobel's kernel gives the negative: edges the other way\n")

# -- a photograph ---------------------------------------------------------------------------------

photo = load_sample_image("china.jpg").astype(np.float32).mean(axis=2) / 255
N = g.dim("N")
picture = g.input("picture", (1, 1, *photo.shape))
figure, axes = plt.subplots(2, 4, figsize=(12, 5.2), layout="constrained")
axes[0, 0].imshow(photo, cmap="gray")
axes[0, 0].set_title("photograph")
for (name, values), plot in zip(KERNELS.items(), axes.flat[1:], strict=True):
    filters = np.asarray(values, np.float32)
    seen = g.compile(g.conv2d(picture, g.constant(filters[None, None]), padding="same"))
    image = seen(picture=photo[None, None])[0, 0]
    signed = abs(filters.sum()) < 1e-6
    plot.imshow(image, cmap="gray", vmin=-0.6 if signed else 0, vmax=0.6 if signed else 1)
    plot.set_title(name)
    if name == "identity":
        assert np.array_equal(image, photo)
    if name in ("box", "Gaussian"):
        inner = image[4:-4, 4:-4]
        assert inner.std() < photo.std()
for plot in axes.flat:
    plot.set_axis_off()
figure.savefig(OUT / "07_kernels.png", dpi=80, bbox_inches="tight")
print("out/07_kernels.png")
