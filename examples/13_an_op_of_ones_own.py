"""An op that the library does not have, in a few lines: declared, drawn, compiled, tested.

    y[n,c,i,j] = x[n,c,i,j] − m[n,c,i,j]        m = mean over a window around it
    z = y / √(mean of y² over the window + ε)

Local contrast normalisation takes from each pixel what its surroundings have in common, and scales
what is left. The gradient, the picture and the C follow from the declaration; the kit says whether
they are right.

    python examples/13_an_op_of_ones_own.py
"""

from __future__ import annotations

import random
from pathlib import Path

import matplotlib
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_sample_image

import graphcnn as g
from graphcnn.op import Definition, Tensor, define, indices, op
from graphcnn.testing import check_op, grow
from graphcnn.testing.strategies import reals

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OUT = Path("out")
OUT.mkdir(exist_ok=True)

# -- declared -------------------------------------------------------------------------------------


@op
def local_contrast(x: Tensor, size: int = 3, eps: float = 0.1) -> Definition:
    """y[n,c,i,j] = d[n,c,i,j] / √(mean_{u,v} d[n,c,i+u,j+v]² + eps), d = x − mean_{u,v} x[…].

    The window is size×size with the pixel in the middle; beyond the border there are zeros.
    """
    n, c, i, j, u, v = indices("n c i j u v", u=size, v=size)
    half = size // 2
    mean, rest, power, y = (define(name, x.shape, like=x) for name in ("mean", "d", "power", "y"))
    mean[n, c, i, j] += x[n, c, i + u - half, j + v - half] / size**2
    rest[n, c, i, j] = x[n, c, i, j] - mean[n, c, i, j]
    power[n, c, i, j] += rest[n, c, i + u - half, j + v - half] ** 2 / size**2
    y[n, c, i, j] = rest[n, c, i, j] * (power[n, c, i, j] + eps) ** -0.5
    return y


# -- drawn and compiled ---------------------------------------------------------------------------

N = g.dim("N")
image = g.input("image", (N, 1, g.dim("H"), g.dim("W")))
flat = local_contrast(image, size=9, eps=1e-3, name="flat")
g.draw(g.mean(flat**2), gradients=True, wrt=[image]).save(OUT / "13_gradients.svg")
normalise = g.compile(flat)
print(normalise.stages["statements"], "\n")

photo = load_sample_image("china.jpg").mean(axis=2, dtype=np.float32)[:360, :480] / 255
lit = photo * np.linspace(0.2, 1, 480, dtype=np.float32)  # as if light came from the right
before = [np.std(part) for part in np.array_split(lit, 2, axis=1)]
result = normalise(image=lit[None, None])[0, 0]
after = [np.std(part) for part in np.array_split(result, 2, axis=1)]
print(f"contrast left and right: {before[0]:.2f} and {before[1]:.2f}")
print(f"normalised:              {after[0]:.2f} and {after[1]:.2f}")
assert after[0] / after[1] > before[0] / before[1]
assert 0.5 < result.std() < 1.5

# -- tested ---------------------------------------------------------------------------------------


def windows(x: np.ndarray, size: int) -> np.ndarray:
    """Give the windows around every pixel, in other words than the declaration's."""
    half = size // 2
    padded = np.pad(x, ((0, 0), (0, 0), (half, half), (half, half)))
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))


def reference(x: np.ndarray, size: int, eps: float) -> np.ndarray:
    """Give local contrast in NumPy."""
    rest = x - windows(x, size).mean(axis=(4, 5))
    return rest / np.sqrt((windows(rest, size) ** 2).mean(axis=(4, 5)) + eps)


tried = []


@settings(max_examples=4, deadline=None, derandomize=True, database=None)
@given(reals((2, 1, 5, 4)), st.sampled_from([1, 3, 5]))
def it_is_right(x: np.ndarray, size: int) -> None:
    """Value, gradient and C, for images and windows that are drawn."""
    check_op(local_contrast, {"x": x, "size": size, "eps": 0.1}, reference=reference)
    tried.append(size)


it_is_right()
print(f"{len(tried)} drawn images: value, gradient, C at -O0 and -O3, on 1 and 2 threads agree")

# Among other ops: their gradients pass through it, and rewrites may join it with them.
for seed in range(2):
    graph = grow(random.Random(seed), own=[lambda _, x: local_contrast(x)], start=(2, 5, 4))
    graph.check()
    print(f"in a graph of {graph.ops} ops and its gradients: the same")
    assert graph.ops >= 8

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for plot, shown, title in ((axes[0], lit, "one side in the dark"), (axes[1], result, "normalised")):
    plot.imshow(shown, cmap="gray", vmin=np.quantile(shown, 0.02), vmax=np.quantile(shown, 0.98))
    plot.set_title(title)
    plot.set_axis_off()
figure.savefig(OUT / "13_an_op_of_ones_own.png", dpi=90, bbox_inches="tight")
print("out/13_gradients.svg, out/13_an_op_of_ones_own.png")
