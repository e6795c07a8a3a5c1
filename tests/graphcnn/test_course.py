"""What a first course on convolutional networks says, held to numbers that anyone can work out."""

import numpy as np
import pytest

import graphcnn as g
from graphcnn.graph import Node
from graphcnn.testing import check_op
from tests.graphcnn.ops.executors import EXECUTORS, run

RNG = np.random.default_rng(0)
x, y = g.input("x", (), "float64"), g.input("y", (), "float64")


def value(node: Node, **arrays: object) -> np.ndarray:
    (found,) = run(EXECUTORS["interpreter"], [node], {n: np.asarray(a) for n, a in arrays.items()})
    return found


def inputs(**arrays: np.ndarray) -> list[Node]:
    return [g.input(name, array.shape, "float64") for name, array in arrays.items()]


# -- classifiers and losses ---------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_a_bias_is_the_weight_of_a_pixel_that_is_always_one(rows: int) -> None:
    images, weight, bias = RNG.normal(size=(rows, 5)), RNG.normal(size=(2, 5)), RNG.normal(size=2)
    pixels, w, b = inputs(x=images, w=weight, b=bias)
    plain = value(pixels @ w.T + b, x=images, w=weight, b=bias)
    longer, wider = g.input("l", (rows, 6), "float64"), g.input("v", (2, 6), "float64")
    ones = np.hstack([images, np.ones((rows, 1))])
    both = value(g.linear(longer, wider), l=ones, v=np.hstack([weight, bias[:, None]]))
    np.testing.assert_allclose(plain, both, atol=1e-12)
    np.testing.assert_allclose(plain, images @ weight.T + bias, atol=1e-12)


def test_a_step_has_no_slope_to_follow() -> None:
    s = g.input("s", (4,), "float64")
    slope = g.grad(g.sum(g.where(s > 0, 1.0, 0.0 * s)), s)
    assert not value(slope, s=[-2.0, -1.0, 0.5, 3.0]).any()


def test_weights_the_wrong_way_round_are_refused_with_the_right_way() -> None:
    with pytest.raises(g.ShapeError, match=r"\.T"):
        g.input("x", (1, 3072)) @ g.parameter("W", np.zeros((10, 3072), np.float32))


def test_the_price_of_weights_is_summed_over_all_and_its_slope_is_twice_lambda_times_them() -> None:
    first, second = RNG.normal(size=(2, 3)), RNG.normal(size=4)
    a, b = g.input("a", (2, 3), "float64"), g.input("b", (4,), "float64")
    price = g.l2((a, b), 0.3)
    assert np.isclose(value(price, a=first, b=second), 0.3 * ((first**2).sum() + (second**2).sum()))
    np.testing.assert_allclose(value(g.grad(price, a), a=first, b=second), 0.6 * first)


def test_weight_decay_is_twice_lambda() -> None:
    found = []
    for lam, decay in ((0.05, 0.0), (0.0, 0.1)):
        w = g.parameter("w", np.array([1.0, -2.0], np.float32))
        loss = g.sum(w) + g.l2(w, lam)
        g.compile(loss, updates=g.sgd(loss, lr=0.1, weight_decay=decay))()
        found.append(w.value)
    np.testing.assert_allclose(*found, rtol=1e-6)


def test_the_price_is_added_once_however_many_images_there_are() -> None:
    scores, label = g.input("s", (g.dim("N"), 3), "float64"), g.input("l", (g.dim("N"),), "int32")
    w = g.input("w", (2,), "float64")
    loss = g.mean(g.softmax_cross_entropy(scores, label)) + g.l2(w, 1.0)
    for rows in (1, 5):
        found = value(loss, s=np.zeros((rows, 3)), l=np.zeros(rows, np.int32), w=[1.0, 2.0])
        assert np.isclose(found, np.log(3) + 5)


# -- going back ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "dx", "dy"),
    [(x + y, 7, 7), (x * y, -28, 21), (g.maximum(x, y), 7, 0), (x + y + x, 14, 7)],
    ids=["add distributes", "multiply swaps", "maximum routes", "a copy adds"],
)
def test_gates(gate: Node, dx: float, dy: float) -> None:
    found = [value(d, x=3.0, y=-4.0) for d in g.grad(7 * gate, [x, y])]
    assert found == [dx, dy]


def test_what_is_no_number_needs_an_upstream_gradient() -> None:
    v = g.input("v", (3,), "float64")
    with pytest.raises(g.GradientError, match="not one number"):
        g.grad(2 * v, v)
    seed = g.input("seed", (3,), "float64")
    found = value(g.grad(2 * v, v, seed=seed), seed=[1.0, 2, 3])
    np.testing.assert_array_equal(found, [2, 4, 6])


def test_gradients_are_summed_over_axes_that_were_broadcast_and_zero_where_nothing_leads() -> None:
    rows, bias = g.input("rows", (4, 3), "float64"), g.input("bias", (3,), "float64")
    np.testing.assert_array_equal(value(g.grad(g.sum(rows + bias), bias)), [4, 4, 4])
    unused = g.grad(g.sum(rows), bias, allow_unused=True)
    np.testing.assert_array_equal(value(unused), [0, 0, 0])


# -- convolution --------------------------------------------------------------------------------


def convolved(image: np.ndarray, kernel: np.ndarray, **more: object) -> np.ndarray:
    a, w = g.input("a", image.shape, "float64"), g.input("w", kernel.shape, "float64")
    return value(g.conv2d(a, w, **more), a=image, w=kernel)


def test_a_full_layer_does_not_care_where_pixels_are_and_a_convolution_does() -> None:
    image, weight, kernel = (RNG.normal(size=s) for s in ((1, 1, 6, 6), (4, 36), (1, 1, 3, 3)))
    order = RNG.permutation(36)
    mixed = image.reshape(1, 36)[:, order].reshape(image.shape)
    a, w = g.input("a", image.shape, "float64"), g.input("w", (4, 36), "float64")
    scores = g.linear(g.flatten(a), w)
    plain, other = value(scores, a=image, w=weight), value(scores, a=mixed, w=weight[:, order])
    np.testing.assert_allclose(plain, other, atol=1e-12)
    maps = np.sort(convolved(image, kernel).ravel()), np.sort(convolved(mixed, kernel).ravel())
    assert abs(maps[0] - maps[1]).max() > 0.1


def test_what_networks_call_convolution_turned_round_is_convolution() -> None:
    """Along one axis NumPy's `convolve` turns its kernel round, and `correlate` does not."""
    row, kernel = RNG.normal(size=9), RNG.normal(size=4)
    image, weight = row.reshape(1, 1, 1, 9), kernel.reshape(1, 1, 1, 4)
    found = convolved(image, weight).ravel()
    np.testing.assert_allclose(found, np.correlate(row, kernel, "valid"), atol=1e-12)
    turned = convolved(image, weight[..., ::-1].copy(), padding="full").ravel()
    np.testing.assert_allclose(turned, np.convolve(row, kernel, "full"), atol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "middle"),
    [
        ([[0, 0, 0], [0, 1, 0], [0, 0, 0]], 12),
        (np.full((3, 3), 1 / 9), 12),
        ([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], 8),
        ([[0, 1, 0], [1, -4, 1], [0, 1, 0]], 0),
        ([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], 12),
    ],
    ids=["identity", "box", "Sobel", "Laplace", "sharpen"],
)
def test_kernels_on_a_ramp(kernel: object, middle: float) -> None:
    ramp = np.arange(25.0).reshape(1, 1, 5, 5)
    maps = convolved(ramp, np.asarray(kernel, float).reshape(1, 1, 3, 3))
    assert np.isclose(maps[0, 0, 1, 1], middle)


def test_each_number_of_a_map_is_75_products_and_a_bias() -> None:
    image, filters = RNG.normal(size=(1, 3, 32, 32)), RNG.normal(size=(6, 3, 5, 5))
    bias = np.ones(6)
    a, w, b = inputs(a=image, w=filters, b=bias)
    maps = value(g.conv2d(a, w, b), a=image, w=filters, b=bias)
    assert maps.shape == (1, 6, 28, 28)
    for k, i, j in ((0, 0, 0), (3, 5, 20), (5, 27, 27)):
        products = filters[k] * image[0, :, i : i + 5, j : j + 5]
        assert products.size == 75
        assert np.isclose(maps[0, k, i, j], products.sum() + 1)


def test_sizes_may_be_symbols_and_a_kernel_of_one_keeps_them() -> None:
    a = g.input("a", (g.dim("N"), 3, g.dim("H"), g.dim("W")))
    assert str(g.conv2d(a, g.input("w", (6, 3, 5, 5))).shape) == "(N, 6, H - 4, W - 4)"
    assert g.conv2d(a, g.input("w", (6, 3, 1, 1))).shape[2:] == a.shape[2:]


def test_a_map_and_its_activation_are_two_nodes_and_one_function() -> None:
    a, w = g.input("a", (2, 3, 12, 12)), g.parameter("w", g.init.he((6, 3, 5, 5), seed=0))
    step = g.compile(g.relu(g.conv2d(a, w, name="conv")))
    assert [node.op for node in step.graph.nodes if node.fragment] == ["conv2d", "relu"]
    assert sum("relu[" in text for text in step.plan.functions.values()) == 1
    assert any("conv[" in t and "relu[" in t for t in step.plan.functions.values())


@pytest.mark.parametrize("padding", [0, 1])
def test_going_back_through_a_convolution_is_two_more(padding: int) -> None:
    """To the data with filters turned round and channels exchanged, to the filters by the data."""
    image, filters = RNG.normal(size=(2, 3, 7, 8)), RNG.normal(size=(4, 3, 3, 3))
    a, w = g.input("a", image.shape, "float64"), g.input("w", filters.shape, "float64")
    maps = g.conv2d(a, w, padding=padding)
    upstream = RNG.normal(size=maps.shape)
    seed = g.input("seed", maps.shape, "float64")
    da, dw = g.grad(maps, [a, w], seed=seed)
    given = {"a": image, "w": filters, "seed": upstream}
    turned = filters.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1].copy()
    np.testing.assert_allclose(
        value(da, **given), convolved(upstream, turned, padding=2 - padding), atol=1e-12
    )
    padded = np.pad(image, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    by_data = convolved(padded.transpose(1, 0, 2, 3), upstream.transpose(1, 0, 2, 3))
    np.testing.assert_allclose(value(dw, **given), by_data.transpose(1, 0, 2, 3), atol=1e-11)


def test_pooling_takes_the_first_of_equals_and_drops_what_is_left_over() -> None:
    image = np.array([[5.0, 5, 1], [5, 0, 1], [9, 9, 9]]).reshape(1, 1, 3, 3)
    a = g.input("a", image.shape, "float64")
    pooled = g.max_pool2d(a, 2)
    assert pooled.shape == (1, 1, 1, 1)
    found = value(g.grad(g.sum(pooled), a), a=image)
    np.testing.assert_array_equal(found[0, 0], [[1, 0, 0], [0, 0, 0], [0, 0, 0]])


def test_borders_of_every_kind_give_back_all_that_they_took() -> None:
    rows = RNG.normal(size=(1, 5))
    for mode in ("constant", "reflect", "edge", "circular"):
        check_op(g.pad, {"x": rows, "widths": ((2, 1),), "mode": mode})
