"""Ops put together: the curvature of a small network, and values that several ops use."""

import numpy as np

import graphcnn as g
from graphcnn.graph import Node
from tests.graphcnn.ops.building import STEP, assert_slope, difference, direction, weighted
from tests.graphcnn.ops.executors import EXECUTORS, Array, Executor, run

SHAPES = {"image": (3, 2, 7, 7), "filters": (4, 2, 3, 3), "bias": (4,), "weights": (5, 36)}


def network() -> tuple[Node, dict[str, Node]]:
    """Give the loss of convolution, relu, pooling and a linear layer, for any batch size."""
    inputs = {
        n: g.input(n, (g.dim("N"), *s[1:]) if n == "image" else s, "float64")
        for n, s in SHAPES.items()
    }
    label = g.input("label", (g.dim("N"),), "int32")
    maps = g.relu(g.conv2d(inputs["image"], inputs["filters"], inputs["bias"], padding=1))
    pooled = g.flatten(g.max_pool2d(maps, 3, 2))
    losses = g.softmax_cross_entropy(g.linear(pooled, inputs["weights"]), label)
    return g.mean(losses) + g.l2(inputs["weights"], 1e-2), inputs


def drawn(rng: np.random.Generator) -> dict[str, Array]:
    arrays: dict[str, Array] = {n: rng.normal(size=s) for n, s in SHAPES.items()}
    return arrays | {"label": np.array([0, 4, 2], "int32")}


def test_the_curvature_of_a_network_is_the_slope_of_its_gradient(executor: Executor) -> None:
    rng = np.random.default_rng(3)
    loss, inputs = network()
    gradients = g.grad(loss, list(inputs.values()))
    arrays = drawn(rng)
    floats = {n: arrays[n] for n in inputs}
    one, two = direction(rng, floats), direction(rng, floats)
    small = {n: v / 20 for n, v in two.items()}  # no relu and no maximum changes sides
    along = {n: g.constant(v, "float64") if n != "image" else None for n, v in one.items()}
    products = [g.sum(d * along[n]) for n, d in zip(inputs, gradients, strict=True) if n != "image"]
    inner = products[0] + products[1] + products[2]
    curvature = g.grad(inner, list(inputs.values()))
    found = run(executor, curvature, arrays)
    slope, noise = difference(weighted(EXECUTORS["interpreter"], inner, np.ones(())), arrays, small)
    terms = [float(t) for h, n in zip(found, inputs, strict=True) for t in (h * small[n]).flat]
    assert np.sum(np.abs(terms)) > 100 * STEP  # there is curvature to speak of
    assert_slope(terms, slope, noise)


def test_a_network_has_the_gradient_of_each_batch_size(executor: Executor) -> None:
    """The mean over a batch is the mean of the losses of its rows, and so are the gradients."""
    arrays = drawn(np.random.default_rng(4))
    loss, inputs = network()
    nodes = g.grad(loss, [inputs["filters"], inputs["weights"]])
    whole = run(executor, nodes, arrays)
    rows = [
        run(executor, nodes, arrays | {n: arrays[n][k : k + 1] for n in ("image", "label")})
        for k in range(3)
    ]
    for k, gradient in enumerate(whole):
        np.testing.assert_allclose(gradient, np.mean([r[k] for r in rows], axis=0), rtol=1e-12)


def test_a_value_used_twice_gathers_both_gradients(executor: Executor) -> None:
    x = g.input("x", (3,), "float64")
    values = np.array([1.0, -2, 3])
    (dx,) = run(executor, [g.grad(g.sum(x * x), x)], {"x": values})
    np.testing.assert_array_equal(dx, 2 * values)
    (dx,) = run(executor, [g.grad(g.sum(g.exp(x) * g.sin(x)), x)], {"x": values})
    np.testing.assert_allclose(dx, np.exp(values) * (np.sin(values) + np.cos(values)))


def test_a_stopped_gradient_passes_on_the_other_path_only(executor: Executor) -> None:
    x = g.input("x", (2,), "float64")
    values = np.array([2.0, 5])
    dx = g.grad(g.sum(x * g.stop_gradient(x)), x)
    np.testing.assert_array_equal(run(executor, [dx], {"x": values})[0], values)
