"""The verdict on a gradient is the right one, above all where it is hard to tell."""

from typing import Any

import numpy as np
import pytest

import graphcnn as g
from graphcnn.op import REGISTRY, Definition, Tensor, define, indices
from graphcnn.op import op as declare
from graphcnn.testing import Check, GradientMismatch, Verdict, check_gradients

Array = np.ndarray
x = g.input("x", (3,), "float64")


def verdicts(check: Check) -> list[Verdict]:
    return [e.verdict for e in check.elements]


def test_relu_has_a_kink_at_zero_and_nowhere_else() -> None:
    check = check_gradients(g.relu(x), {"x": np.array([-1.0, 0.0, 1.0])})
    assert verdicts(check) == [Verdict.RIGHT, Verdict.KINK, Verdict.RIGHT]
    (kink,) = check.kinks
    assert kink.left == 0
    assert 0.5 <= kink.right <= 1.5  # times an upstream gradient that is drawn
    assert kink.index == (1,)


def test_a_kink_next_to_the_point_is_not_at_the_point() -> None:
    check = check_gradients(g.relu(x), {"x": np.array([1e-5, -1e-5, 1e-6])})
    assert verdicts(check) == [Verdict.RIGHT] * 3


def test_a_gradient_at_a_kink_lies_between_the_slopes() -> None:
    with pytest.raises(GradientMismatch, match="is not the slope"):
        check_gradients(
            lambda x: np.maximum(x, 0), [np.zeros(2)], gradient=lambda x, dy: dy * (x >= 0) * 2
        )


def test_ties_of_a_maximum_are_kinks() -> None:
    check = check_gradients(g.max(x), {"x": np.array([3.0, 1.0, 3.0])})
    assert verdicts(check) == [Verdict.KINK, Verdict.RIGHT, Verdict.KINK]
    assert check.ok


def wrong(x: Array, dy: Array) -> Array:
    d = dy * 2 * x
    d[1] *= 1.001
    return d


def test_a_wrong_gradient_is_reported_with_element_values_index_and_step() -> None:
    at = np.array([1.0, 2.0, 3.0])
    with pytest.raises(GradientMismatch) as caught:
        check_gradients(np.square, [at], gradient=wrong)
    text = str(caught.value)
    assert "[1]" in text
    assert "by differences of step" in text
    check = check_gradients(np.square, [at], gradient=wrong, raises=False)
    (element,) = check.wrong
    assert element.index == (1,)
    assert element.derived == pytest.approx(1.001 * element.central, rel=1e-6)


@pytest.mark.parametrize(
    ("gradient", "fix"),
    [
        (lambda x, dy: -dy * 2 * x, "sign"),
        (lambda x, dy: 2 * dy * 2 * x, "2 times"),
        (lambda x, dy: 0 * x, "no gradient passes"),
    ],
)
def test_the_likely_fix_is_named(gradient: Any, fix: str) -> None:
    with pytest.raises(GradientMismatch, match=fix):
        check_gradients(np.square, [np.array([1.0, 2.0])], gradient=gradient)


def test_cancellation_in_float32_is_told_from_a_wrong_gradient() -> None:
    """(x + 10⁶) − 10⁶ has slope 1, but the values in float32 are sixteenths."""
    single = g.input("x", (2,), "float32")
    at = {"x": np.array([0.001, 0.002], np.float32)}
    check = check_gradients((single + 1e6) - 1e6, at)
    assert verdicts(check) == [Verdict.RIGHT] * 2
    assert "float32 rounds the value away" in str(check)
    assert "rounds" not in str(check_gradients(single + 1, at))


def rounded(x: Array) -> Array:
    million = np.float32(1e6)
    return (x.astype(np.float32) + million) - million


def test_what_only_float32_can_be_asked_about_is_unclear() -> None:
    at = np.array([0.001, 0.002], np.float32)
    check = check_gradients(rounded, [at], gradient=lambda x, dy: dy)
    assert verdicts(check) == [Verdict.UNCLEAR] * 2


def test_a_staircase_has_no_slope() -> None:
    with pytest.raises(GradientMismatch, match="is not the slope"):
        check_gradients(np.floor, [np.array([0.4, 1.7])], gradient=lambda x, dy: dy)


def test_float32_is_good_enough_for_ordinary_functions() -> None:
    single = g.input("x", (3,), "float32")
    at = {"x": np.array([0.3, -1.0, 2.0], np.float32)}
    assert verdicts(check_gradients(g.tanh(single), at)) == [Verdict.RIGHT] * 3
    with pytest.raises(GradientMismatch):
        check_gradients(np.tanh, [at["x"]], gradient=lambda x, dy: 1.02 * dy / np.cosh(x) ** 2)


def test_integers_have_no_gradient() -> None:
    with pytest.raises(GradientMismatch, match="int32 values"):
        check_gradients(np.square, [np.arange(3, dtype=np.int32)], gradient=wrong, wrt=["x"])
    with pytest.raises(GradientMismatch, match="no array holds floats"):
        check_gradients(np.square, [np.arange(3)], gradient=wrong)
    label = g.input("label", (2,), "int32")
    scores = g.input("scores", (2, 3), "float64")
    at = {"scores": np.array([[1.0, 2.0, 3.0], [0.0, 0.5, -1.0]]), "label": np.array([0, 2])}
    assert check_gradients(g.softmax_cross_entropy(scores, label), at).ok


def test_a_function_that_gives_something_else_each_time_has_no_slope() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(GradientMismatch, match="two calls with the same arrays differ"):
        check_gradients(lambda x: x + rng.normal(size=3), [np.ones(3)], gradient=lambda x, dy: dy)


def test_nan_from_the_branch_that_is_not_taken_is_wrong() -> None:
    def value(x: Array) -> Array:
        return np.where(x > 0, np.sqrt(np.abs(x)), 0 * x)

    def careless(x: Array, dy: Array) -> Array:
        with np.errstate(all="ignore"):
            return dy * (x > 0) * 0.5 / np.sqrt(x)

    at = np.array([-1.0, 1.0])
    with pytest.raises(GradientMismatch, match="branch that is not taken"):
        check_gradients(value, [at], gradient=careless)
    points = {"x": np.array([-1.0, 1.0, 2.0])}
    with pytest.raises(GradientMismatch, match="branch that is not taken"):
        check_gradients(g.where(x > 0, g.sqrt(x), 0 * x), points)
    safe = g.where(x > 0, g.sqrt(g.where(x > 0, x, 1)), 0 * x)
    assert check_gradients(safe, points).ok


@declare
def contrast(x: Tensor) -> Definition:
    """y[i] = x[i]³ − x[i]·x[i−1]"""
    (i,) = indices("i")
    y = define("y", x.shape, like=x)
    y[i] = x[i] ** 3
    y[i] += -x[i] * x[i - 1]
    return y


def test_an_op_of_ones_own_is_checked_in_one_line() -> None:
    assert check_gradients(contrast(x), {"x": np.array([0.5, -1.0, 2.0])}).ok


def test_of_large_arrays_some_elements_are_looked_at() -> None:
    big = g.input("x", (40, 40), "float64")
    check = check_gradients(g.sum(big * big), {"x": np.ones((40, 40))}, elements=10)
    assert len(check.elements) == 10
    assert "10 of 1600" in str(check)


def test_what_is_missing_or_unknown_is_named() -> None:
    with pytest.raises(GradientMismatch, match="nothing is given for x"):
        check_gradients(g.relu(x), {})
    with pytest.raises(GradientMismatch, match="there is no y"):
        check_gradients(g.relu(x), {"x": np.ones(3), "y": np.ones(3)})
    with pytest.raises(GradientMismatch, match="no gradient to check"):
        check_gradients(np.sin, [np.ones(3)])
    with pytest.raises(GradientMismatch, match="has shape"):
        check_gradients(np.sin, [np.ones(3)], gradient=lambda x, dy: dy[:2])


def test_every_smooth_op_of_one_tensor_is_right() -> None:
    for name in ("exp", "sin", "sigmoid", "silu", "softplus", "gelu", "square", "tanh"):
        assert name in REGISTRY
        assert check_gradients(getattr(g, name)(x), {"x": np.array([0.3, -0.7, 1.1])}).ok
