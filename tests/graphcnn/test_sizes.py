"""Which padding keeps the size of a map, and what too much of it does."""

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import graphcnn as g
from graphcnn.lint import lint
from graphcnn.matrix import as_matrix
from graphcnn.sizes import H, K, P, output_size, same_padding


def test_the_formula_of_the_lecture() -> None:
    assert output_size(padding=P) == H - K + 1 + 2 * P
    assert output_size() == H - K + 1


@given(st.integers(1, 9), st.integers(1, 3), st.integers(1, 3), st.integers(0, 4))
def test_the_formula_is_what_layers_do(kernel: int, stride: int, dilation: int, pad: int) -> None:
    size = dilation * (kernel - 1) + 5
    x, w = g.input("x", (1, 1, size, size)), g.input("w", (1, 1, kernel, kernel))
    y = g.conv2d(x, w, stride=stride, dilation=dilation, padding=pad)
    formula = output_size(size, kernel, stride=stride, dilation=dilation, padding=pad)
    assert y.shape[2] == formula


@given(st.integers(1, 12), st.integers(1, 3))
def test_same_padding_keeps_the_size(kernel: int, dilation: int) -> None:
    found = same_padding(kernel, dilation=dilation)
    assert output_size(40, kernel, padding=found, dilation=dilation) == 40


def test_symbols_stay_symbols() -> None:
    assert same_padding() == (K - 1) / sympy.Integer(2)


def test_padding_as_much_as_the_kernel_makes_maps_grow() -> None:
    """P ≥ K is enough for maps not to shrink, and far more than is needed: 2·P ≥ K − 1 is."""
    x, w = g.input("x", (1, 3, 32, 32)), g.parameter("w", np.ones((6, 3, 5, 5), np.float32))
    bias = g.parameter("b", np.arange(6, dtype=np.float32))
    sizes = {p: g.conv2d(x, w, bias, padding=p).shape[2] for p in (2, 4, 5)}
    assert sizes == {2: 32, 4: 36, 5: 38}
    maps = g.compile(g.conv2d(x, w, bias, padding=5))(x=np.ones((1, 3, 32, 32), np.float32))[0]
    ring = np.ones((38, 38), bool)
    ring[1:-1, 1:-1] = False
    for k in range(6):
        assert np.allclose(maps[k][ring], k, atol=1e-4)
        assert (abs(maps[k][~ring] - k) > 0.5).all()


def test_lint_sees_a_ring_that_sees_only_padding() -> None:
    x, w = g.input("x", (1, 3, 32, 32)), g.input("w", (6, 3, 5, 5))
    (found,) = lint(g.conv2d(x, w, padding=5, name="conv1"))
    assert "1 cell wide" in str(found)
    assert "conv1" in str(found)
    assert not lint(g.conv2d(x, w, padding=4))


def test_lint_sees_pixels_that_nobody_looks_at() -> None:
    x, w = g.input("image", (1, 3, 32, 32)), g.input("w", (6, 3, 5, 5))
    found = lint(g.conv2d(x, w, stride=2))
    assert [f.problem[:9] for f in found] == ["1 of the ", "1 of the "]
    assert not lint(g.conv2d(x, w, stride=3))


def test_a_convolution_is_a_sparse_matrix() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, 3, 12, 12))
    x = g.input("x", image.shape, "float64")
    w = g.parameter("w", rng.normal(size=(2, 3, 5, 5)), dtype="float64")
    y = g.conv2d(x, w)
    matrix = as_matrix(y, x)
    assert matrix.shape == (2 * 8 * 8, 3 * 12 * 12)
    assert (np.count_nonzero(matrix, axis=1) == 75).all()
    assert len(np.unique(matrix)) == 2 * 75 + 1
    assert np.allclose(matrix @ image.ravel(), g.compile(y)(x=image).ravel(), rtol=1e-12)


def test_what_is_not_linear_has_no_matrix() -> None:
    x = g.input("x", (3,))
    with pytest.raises(g.GradientError, match="not linear"):
        as_matrix(x * x, x)
    with pytest.raises(g.GradientError, match="needs y"):
        as_matrix(x * g.input("y", (3,)), x)
