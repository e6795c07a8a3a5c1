"""Kinks and ties as the one table says, and huge numbers that overflow nowhere on the way."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphcnn as g
from codegen.notation import FLOATS
from graphcnn.kinks import KINKS, Kink
from graphcnn.testing import apply, rounded
from graphcnn.testing.strategies import arguments_of
from graphcnn.testing.strategies.values import generators
from tests.graphcnn.ops.executors import Executor, run
from tests.graphcnn.ops.references import expected

EXTREME = [(1e4, 0.0), (-1e4, 1e4), (-np.inf, 3.0), (2.0, 2.0), (1e3, 0.0)]


def tensor(value: Any) -> Any:
    array = np.array(value)
    return array.astype("int32") if array.dtype.kind == "i" else array


@pytest.mark.parametrize("kink", KINKS, ids=lambda k: f"{k.op}: {k.rule}")
def test_a_kink_has_the_gradient_in_the_table(kink: Kink, executor: Executor) -> None:
    arguments = {n: tensor(v) for n, v in kink.inputs}
    arguments |= {n: tensor(v) if n == "label" else v for n, v in kink.static}
    built = apply(kink.op, arguments)
    derived = built.gradients
    found = run(executor, derived, built.arrays | {"seed": np.ones(built.node.shape)})
    for name, dx in zip(built.floats, found, strict=True):
        np.testing.assert_array_equal(dx, np.array(dict(kink.gradients)[name]))


def test_huge_values_are_finite_where_the_formula_is(op: str, executor: Executor) -> None:
    """Entries of ±10⁴, in float32: finite value and gradient, wherever NumPy's value is finite."""

    @settings(max_examples=8)
    @given(arguments_of(op), st.data())
    def claim(arguments: dict[str, Any], data: st.DataObject) -> None:
        rng = data.draw(generators())

        def with_huge_entries(value: Any) -> Any:
            if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
                return value
            return np.where(rng.random(value.shape) < 0.5, rng.choice([-1e4, 1e4]), value)

        changed = {n: with_huge_entries(v) for n, v in rounded(arguments, "float32").items()}
        wanted = expected(op, changed)
        built = apply(op, changed, "float32")
        if built.node.dtype not in FLOATS or not (abs(wanted) < 1e38).all():
            return
        derived = built.gradients
        seed = np.ones(wanted.shape, built.node.dtype)
        y, *found = run(executor, [built.node, *derived], built.arrays | {"seed": seed})
        np.testing.assert_allclose(
            y, wanted, rtol=1e-4, atol=1e-4 * max(1, abs(wanted).max(initial=0))
        )
        assert all(np.isfinite(dx).all() for dx in found)

    claim()


@pytest.mark.parametrize("scores", EXTREME)
def test_cross_entropy_of_extreme_scores_is_exact(
    scores: tuple[float, float], executor: Executor
) -> None:
    built = apply(
        "softmax_cross_entropy",
        {"scores": np.array([scores, scores]), "label": np.array([1, 1], "int32")},
        "float32",
    )
    derived = built.gradients
    y, dx = run(executor, [built.node, *derived], built.arrays | {"seed": np.ones(2, "float32")})
    np.testing.assert_allclose(y, [np.logaddexp(*scores) - scores[1]] * 2, rtol=1e-6)
    p = np.exp(np.array(scores) - np.logaddexp(*scores))
    np.testing.assert_allclose(dx, [p - [0, 1]] * 2, atol=1e-6)


def test_one_class_costs_nothing_and_no_rows_make_no_losses(executor: Executor) -> None:
    for rows, classes in ((3, 1), (0, 4)):
        for op in ("softmax_cross_entropy", "multiclass_hinge"):
            label = np.zeros(rows, "int32")
            built = apply(op, {"scores": np.ones((rows, classes)), "label": label})
            (y,) = run(executor, [built.node], built.arrays)
            np.testing.assert_array_equal(y, np.zeros(rows))


def test_ten_equal_scores_cost_log_ten_and_a_hinge_of_nine(executor: Executor) -> None:
    arguments = {"scores": np.zeros((2, 10)), "label": np.array([3, 9], "int32")}
    for op, value in (("softmax_cross_entropy", 2.302585092994046), ("multiclass_hinge", 9)):
        built = apply(op, arguments)
        np.testing.assert_allclose(run(executor, [built.node], built.arrays)[0], [value] * 2)


def test_the_infinite_has_a_log_sum_exp(executor: Executor) -> None:
    x = np.array([[-np.inf, -np.inf], [np.inf, 1], [-np.inf, 2]])
    built = apply("logsumexp", {"x": x, "axis": 1})
    np.testing.assert_array_equal(
        run(executor, [built.node], built.arrays)[0], [-np.inf, np.inf, 2]
    )


def test_what_a_choice_blocks_is_not_multiplied_by_zero(executor: Executor) -> None:
    x = g.input("x", (2,), "float64")
    dx = g.grad(g.sum(g.where(x > 0, g.log(x), 0.0)), x)
    np.testing.assert_array_equal(run(executor, [dx], {"x": np.array([-1.0, 2])})[0], [0, 0.5])
    seed = g.input("seed", (2,), "float64")
    dx = g.grad(g.relu(x), x, seed=seed)
    arrays = {"x": np.array([-1.0, 2]), "seed": np.array([np.inf, 3])}
    np.testing.assert_array_equal(run(executor, [dx], arrays)[0], [0, 3])


def test_an_input_column_that_no_window_reaches_has_no_gradient(executor: Executor) -> None:
    arguments = {"x": np.ones((1, 1, 6, 6)), "weight": np.ones((1, 1, 3, 3)), "bias": None}
    built = apply("conv2d", arguments | {"stride": 2})
    dx, _ = built.gradients
    (found,) = run(executor, [dx], built.arrays | {"seed": np.ones((1, 1, 2, 2))})
    assert not found[..., 5].any() and not found[..., 5, :].any() and found[..., :5, :5].all()
