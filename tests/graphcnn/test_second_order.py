"""Gradients of gradients through a compiled network: curvature times a direction."""

from __future__ import annotations

import numpy as np

import graphcnn as g

STEP = 1e-5  # of the central difference: its error is of the order of STEP² in float64


def test_a_hessian_vector_product_in_c_is_the_slope_of_the_gradient() -> None:
    rng = np.random.default_rng(0)
    batch = g.dim("N")
    image = g.input("image", (batch, 2, 7, 7), "float64")
    label = g.input("label", (batch,), "int32")
    shapes = {"filters": (3, 2, 3, 3), "bias": (3,), "weight": (4, 27)}
    values = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    along = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    weights = {name: g.input(name, shape, "float64") for name, shape in shapes.items()}
    directions = {name: g.input(f"{name} way", shapes[name], "float64") for name in shapes}

    maps = g.relu(g.conv2d(image, weights["filters"], weights["bias"], padding=1))
    maps = g.max_pool2d(maps, 3, stride=2)
    scores = g.linear(g.flatten(maps), weights["weight"])
    loss = g.mean(g.softmax_cross_entropy(scores, label))
    gradients = g.grad(loss, list(weights.values()))
    slope = sum(
        (g.sum(d * w) for d, w in zip(gradients, directions.values(), strict=True)),
        start=g.constant(0.0, dtype="float64"),
    )
    gradient = g.compile(gradients, backend="c")
    curvature = g.compile(g.grad(slope, list(weights.values())), backend="c")

    data = {"image": rng.standard_normal((5, 2, 7, 7)), "label": [0, 3, 1, 2, 3]}
    ahead = gradient(**data, **{n: v + STEP * along[n] for n, v in values.items()})
    behind = gradient(**data, **{n: v - STEP * along[n] for n, v in values.items()})
    product = curvature(**data, **values, **{f"{n} way": v for n, v in along.items()})

    for found, high, low in zip(product, ahead, behind, strict=True):
        expected = (high - low) / (2 * STEP)
        assert np.abs(expected).max() > 1e-3  # there is curvature to speak of
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
