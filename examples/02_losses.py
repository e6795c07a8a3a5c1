"""From scores to a loss: softmax and cross-entropy, and a price on large weights.

    Lᵢ = −log( exp(s_y) / Σⱼ exp(sⱼ) )        R = λ·Σ W²        L = 1/N · Σᵢ Lᵢ + R

The price R is added once, not for each image. As it is written the formula overflows for large
scores; with the largest score taken off first it does not, and its gradient is p − onehot(y).

    python examples/02_losses.py
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

# -- cross-entropy --------------------------------------------------------------------------------

N, C = g.dim("N"), 10
s = g.input("s", (N, C))
label = g.input("label", (N,), dtype="int32")
each = g.softmax_cross_entropy(s, label, name="L_i")
of_each = g.compile(each)

alike = np.zeros((1, C), np.float32)
print(f"ten equal scores: loss {of_each(s=alike, label=[3])[0]:.6f} = ln 10")
assert np.isclose(of_each(s=alike, label=[3])[0], np.log(10))

two, second = g.input("two", (1, 2)), g.input("second", (1,), dtype="int32")
literal = -g.log(g.slice(g.exp(two), (0, 1)) / g.sum(g.exp(two)))
far = np.array([[1000.0, 0.0]], np.float32)
with np.errstate(all="ignore"):
    naive = float(g.compile(literal)(two=far))
safe = float(g.compile(g.softmax_cross_entropy(two, second))(two=far, second=[1])[0])
print(f"scores (1000, 0), label 1: by the formula as written {naive}, with the maximum off {safe}")
assert not np.isfinite(naive)
assert safe == 1000

# -- its gradient is p − onehot(y) ----------------------------------------------------------------

rng = np.random.default_rng(0)
scores = rng.normal(size=(4, C)).astype(np.float32)
labels = np.array([1, 7, 0, 3], np.int32)
data = g.mean(each, name="data loss")
p, ds = g.compile([g.softmax(s), g.grad(data, s)])(s=scores, label=labels)
assert np.allclose(ds, (p - np.eye(C, dtype=np.float32)[labels]) / 4, atol=1e-7)
print("the gradient of the mean is (p − onehot(y))/N")

# -- regularisation -------------------------------------------------------------------------------

first = g.parameter("first", rng.normal(size=(5, C)))
last = g.parameter("last", rng.normal(size=(3, 5)))
price = g.l2([first, last], 1e-3, name="R")
loss = g.add(data, price, name="L")
both, total = g.compile([price, loss])(s=scores, label=labels)
squares = (first.value**2).sum() + (last.value**2).sum()
assert np.isclose(both, 1e-3 * squares)
assert np.isclose(total, of_each(s=scores, label=labels).mean() + both)
dw = g.compile(g.grad(price, first))()
assert np.allclose(dw, 2e-3 * first.value)
print(f"R = {both:.4f}, and its gradient is 2λW: an optimiser's weight_decay w stands for w = 2λ")

# -- pictures -------------------------------------------------------------------------------------

g.draw(loss, gradients=True).save(OUT / "02_loss.svg")
line = np.zeros((241, 2), np.float32)
line[:, 0] = np.linspace(-6, 6, 241)
n2 = g.input("margin", (N, 2))
curve, slope = g.compile([e := g.softmax_cross_entropy(n2, label), g.grad(g.sum(e), n2)])(
    margin=line, label=np.zeros(241, np.int32)
)
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
axes.plot(line[:, 0], curve, label="loss")
axes.plot(line[:, 0], slope[:, 0], label="gradient: p − 1")
axes.axhline(0, color="0.8", linewidth=0.8)
axes.set(xlabel="score of the right class, the other is 0", title="cross-entropy of two classes")
axes.legend()
figure.savefig(OUT / "02_losses.png", dpi=100)
print("out/02_loss.svg, out/02_losses.png")
