"""Backpropagation: local gradients, upstream gradients, and what is passed on.

    ∂L/∂x = (∂z/∂x) · (∂L/∂z)         downstream = local · upstream

Every node knows its local gradient, here ∂z/∂x = y and ∂z/∂y = x for z = x·y. For tensors the
product is with the transposed Jacobian, which is never formed; and where a value is used several
times, what comes back along all the ways is added up.

    python examples/05_backpropagation.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import graphcnn as g

OUT = Path("out")
OUT.mkdir(exist_ok=True)

# -- one multiplication ---------------------------------------------------------------------------

x, y = g.input("x"), g.input("y")
z = g.multiply(x, y, name="z")
loss = g.square(z, name="L")
dz, dx, dy = g.compile(g.grad(loss, [z, x, y]))(x=3.0, y=-2.0)
print(f"z = 3·(−2), L = z²: upstream ∂L/∂z = {dz:.0f}")
print(f"downstream ∂L/∂x = y·({dz:.0f}) = {dx:.0f} and ∂L/∂y = x·({dz:.0f}) = {dy:.0f}")
assert (dz, dx, dy) == (-12, 24, -36)
g.draw(loss).save(OUT / "05_forward.svg")
g.draw(loss, gradients=True, at={x: 3.0, y: -2.0}).save(OUT / "05_gradients.svg")

# -- the same value used twice --------------------------------------------------------------------

twice = g.multiply(x, x, name="x·x")
assert g.compile(g.grad(twice, x))(x=5.0) == 10
print("x·x: both ways come back to x, and 5 + 5 = 10 = 2x")

a = g.exp(x, name="a")
diamond = g.add(g.sin(a), g.square(a), name="diamond")
slope = float(g.compile(g.grad(diamond, x))(x=0.3))
e = np.exp(0.3)
assert np.isclose(slope, (np.cos(e) + 2 * e) * e, rtol=1e-5)
g.draw(diamond, gradients=True, at={x: 0.3}).save(OUT / "05_diamond.svg")
print(f"a diamond: sin(a) + a² with a = eˣ has the slope {slope:.4f} at 0.3")

# -- gates ----------------------------------------------------------------------------------------

u, v, up = g.input("u"), g.input("v"), g.input("up")


def gate(node: g.Node) -> list[float]:
    """Give what a gate passes to its two inputs for an upstream gradient of 7."""
    derived = g.grad(node, [u, v], seed=up)
    needed = [n.name for n in g.Graph.of(*derived).of_kind("input")]
    given = {"u": 3.0, "v": -4.0, "up": 7.0}
    return [float(d) for d in g.compile(derived)(**{name: given[name] for name in needed})]


assert gate(u + v) == [7, 7]
assert gate(u * v) == [-28, 21]
assert gate(g.maximum(u, v)) == [7, 0]
print(
    "add hands its gradient on to both, multiply swaps its inputs, max sends it to the larger one"
)

# -- tensors --------------------------------------------------------------------------------------

N = g.dim("N")
images, weight = g.input("images", (N, 6)), g.input("weight", (4, 6))
scores = g.linear(images, weight)
seed = g.input("seed", (N, 4))
rng = np.random.default_rng(0)
shapes = {"images": (5, 6), "weight": (4, 6), "seed": (5, 4)}
given = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
di, dw = g.compile(g.grad(scores, [images, weight], seed=seed))(**given)
assert np.allclose(di, given["seed"] @ given["weight"], atol=1e-5)
assert np.allclose(dw, given["seed"].T @ given["images"], atol=1e-5)
print("s = x·Wᵀ: ∂L/∂x = (∂L/∂s)·W and ∂L/∂W = (∂L/∂s)ᵀ·x, each as large as what it belongs to")

bias = g.input("bias", (4,))
db = g.compile(g.grad(g.add(scores, bias), bias, seed=seed))(seed=given["seed"])
assert np.allclose(db, given["seed"].sum(axis=0), atol=1e-6)
print("what was spread over the batch comes back as a sum over the batch")
print("out/05_forward.svg, out/05_gradients.svg, out/05_diamond.svg")
