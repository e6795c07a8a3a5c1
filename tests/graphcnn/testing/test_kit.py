"""The kit sees what is wrong, and draws what it says."""

import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import graphcnn as g
from graphcnn.errors import GraphError
from graphcnn.graph import Node
from graphcnn.op import Definition, Tensor, define, indices
from graphcnn.op import op as declare
from graphcnn.testing import (
    Growing,
    RandomGraph,
    ResultMismatch,
    apply,
    check_compiled,
    check_op,
    compiled,
    grow,
)
from graphcnn.testing.strategies import graphs, unary, windows

WITHOUT = """
import sys
sys.modules["hypothesis"] = None  # as if it were not installed
import graphcnn.testing
try:
    import graphcnn.testing.strategies
except ImportError as error:
    print(error)
"""


@declare
def dilated(x: Tensor, weight: Tensor, step: int = 2) -> Definition:
    """y[n,i] = Σ_u weight[u] · x[n, i + step·u − step], for 3 values of u"""
    n, i, u = indices("n i u")
    y = define("y", x.shape, like=x)
    y[n, i] += weight[u] * x[n, i + step * u - step]
    return y


def in_numpy(x: np.ndarray, weight: np.ndarray, step: int) -> np.ndarray:
    wide = np.pad(x, ((0, 0), (step, step)))
    length = x.shape[1]
    return sum(w * wide[:, step * u : step * u + length] for u, w in enumerate(weight))


ARGUMENTS = {"x": np.linspace(-1, 1, 12).reshape(2, 6), "weight": np.array([0.5, -1, 2]), "step": 2}


def test_without_hypothesis_the_checks_are_there_and_the_strategies_say_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False
    )
    assert "pip install 'graphcnn[test]'" in done.stdout, done.stderr


def test_an_op_of_ones_own_is_held_to_a_reference_and_to_slopes_and_to_c() -> None:
    check_op(dilated, ARGUMENTS, reference=in_numpy)


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        (lambda x, weight, step: 1.001 * in_numpy(x, weight, step), "not its reference"),
        (lambda x, weight, step: in_numpy(x, weight, step)[:, 1:], "its reference"),
    ],
)
def test_another_value_or_shape_than_the_references_is_seen(reference: Any, problem: str) -> None:
    with pytest.raises(ResultMismatch, match=problem):
        check_op(dilated, ARGUMENTS, reference=reference)


def test_c_that_computes_something_else_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = compiled.run_compiled

    def wrong(*given: Any) -> Any:
        return {name: array + 1e-6 for name, array in right(*given).items()}

    x = g.input("x", (3,), "float64")
    monkeypatch.setattr(compiled, "run_compiled", wrong)
    with pytest.raises(ResultMismatch, match="C of profile 'debug' on 1 thread differs"):
        check_compiled(g.tanh(x), {"x": np.ones(3)})


def test_threads_that_change_a_bit_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right, calls = compiled.run_compiled, iter(range(100))

    def each_time_another(*given: Any) -> Any:
        return {n: a * (1 + 1e-15 * next(calls)) for n, a in right(*given).items()}

    x = g.input("x", (3,), "float64")
    monkeypatch.setattr(compiled, "run_compiled", each_time_another)
    with pytest.raises(ResultMismatch, match="differs from that on 1"):
        check_compiled(g.tanh(x), {"x": np.ones(3)})


def test_arrays_become_inputs_and_the_rest_stays_as_it_is() -> None:
    made = apply("stack", {"tensors": (np.ones(3), np.zeros(3)), "axis": 1})
    assert list(made.inputs) == ["tensors0", "tensors1"]
    assert dict(made.node.static) == {"axis": 1}
    labelled = apply("nll", {"log_probabilities": np.ones((2, 3)), "label": np.array([0, 2], "i4")})
    assert labelled.floats == ["log_probabilities"]
    assert len(labelled.gradients) == 1


@settings(max_examples=20)
@given(unary(avoid=[0]), windows(ties=False))
def test_what_is_drawn_keeps_away_from_kinks_and_ties(one: Any, maps: Any) -> None:
    assert (abs(one["x"]) >= 0.05).all()
    assert len(set(maps["x"].flat)) == maps["x"].size
    assert apply("max_pool2d", maps).node.ndim == 4


def weighted(growing: Growing, x: Node) -> Node:
    return dilated(x, growing.weight(3))


def uses(made: RandomGraph, op: str) -> bool:
    return f" {op}(" in str(made.case.program) or op in repr(made)


def test_a_layer_of_ones_own_is_in_every_graph_and_may_refuse_later_nodes() -> None:
    for seed in range(20):
        made = grow(random.Random(seed), own=[weighted], start=(6,))
        assert uses(made, "dilated")
        assert made.ops >= 8
    with pytest.raises(GraphError, match="dilated"):
        grow(random.Random(0), own=[weighted], start=(2, 5, 4))


def test_the_same_seed_grows_the_same_graph() -> None:
    first, same, other = (grow(random.Random(seed)) for seed in (1, 1, 2))
    assert repr(first) == repr(same) != repr(other)
    assert all(np.array_equal(first.arrays[n], a) for n, a in same.arrays.items())


@settings(max_examples=10)
@given(graphs(most=8))
def test_drawn_graphs_have_eight_ops_and_a_gradient_for_each_float(made: RandomGraph) -> None:
    assert made.ops >= 8
    floats = [a for a in made.arrays.values() if a.dtype.kind == "f"]
    assert [d.shape[1:] for d in made.outputs[2:]] == [a.shape[1:] for a in floats]
