"""A linear classifier: ten scores, each a weighted sum of the pixels.

    s = x·Wᵀ + b        x is N×3072, W is 10×3072, b is 10, s is N×10

A perceptron puts a step behind the sum. A step has no slope, so there is nothing to follow
downhill; the scores themselves have one. The bias is one more weight, of a pixel that is always 1.

    python examples/01_linear_classifier.py
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

# -- the scores -----------------------------------------------------------------------------------

N = g.dim("N")
image = g.input("image", (N, 3, 32, 32))
weight = g.parameter("weight", rng.normal(0, 0.01, (10, 3072)))
bias = g.parameter("bias", rng.normal(0, 0.01, 10))

x = g.flatten(image)
scores = g.linear(x, weight, bias, name="scores")
print(f"x is {x.kind}, W is {weight.kind}, s is {scores.kind}")

images = rng.normal(size=(4, 3, 32, 32)).astype(np.float32)
found = g.compile(scores)(image=images)
assert np.allclose(found, images.reshape(4, 3072) @ weight.value.T + bias.value, atol=1e-5)

# Written with operators the rows of x meet the rows of W, so W is turned round.
assert np.allclose(g.compile(x @ weight.T + bias)(image=images), found, atol=1e-5)
try:
    x @ weight
except g.ShapeError as error:
    print(f"\nx @ weight is refused:\n{error}\n")

# -- the bias is a weight -------------------------------------------------------------------------

ones = np.ones((4, 1), np.float32)
longer = g.input("longer", (N, 3073))
both = g.parameter("both", np.concatenate([weight.value, bias.value[:, None]], axis=1))
same = g.compile(g.linear(longer, both))(longer=np.hstack([images.reshape(4, 3072), ones]))
assert np.allclose(same, found, atol=1e-5)

# -- a step cannot be trained by its slope --------------------------------------------------------

t = g.input("t", (201,))
curve = g.where(t > 0, 1.0, 0.0 * t)
at = np.linspace(-2, 2, 201, dtype=np.float32)
value, gradient = g.compile([curve, g.grad(g.sum(curve), t)])(t=at)
assert not gradient.any()
print(f"the step is {value[0]:.0f} or {value[-1]:.0f}, and its gradient is 0 everywhere")

# -- pictures -------------------------------------------------------------------------------------

g.draw(scores).save(OUT / "01_scores.svg")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
left.plot(at, value, label="step")
left.plot(at, gradient, "--", label="its gradient")
left.set(title="a perceptron's step has no slope", xlabel="score")
left.legend()
xs, ys = np.meshgrid(np.linspace(-2, 2, 300), np.linspace(-2, 2, 300))
plane = np.stack([xs.ravel(), ys.ravel()], axis=1).astype(np.float32)
point = g.input("point", (N, 2))
three = g.parameter("three", [[1.0, 0.6], [-0.9, 0.9], [0.1, -1.2]])
best = g.compile(g.argmax(g.linear(point, three), axis=1))(point=plane)
right.contourf(xs, ys, best.reshape(xs.shape), levels=[-0.5, 0.5, 1.5, 2.5], cmap="Pastel1")
right.set(title="the largest of three scores: straight borders", xlabel="x₀", ylabel="x₁")
figure.savefig(OUT / "01_linear_classifier.png", dpi=100)
print("out/01_scores.svg, out/01_linear_classifier.png")
