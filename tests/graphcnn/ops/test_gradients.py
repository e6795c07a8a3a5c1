"""The derived gradient of every op is its slope, and the gradient's gradient the slope of that."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import graphcnn as g
from codegen.notation import FLOATS
from graphcnn.graph import Node
from graphcnn.op import Definition, Tensor, define, indices
from graphcnn.op import op as declare
from graphcnn.testing import apply
from graphcnn.testing.strategies import arguments_of
from graphcnn.testing.strategies.values import generators
from tests.graphcnn.ops.building import assert_slope, difference, direction, weighted
from tests.graphcnn.ops.executors import EXECUTORS, Executor, run

WITHOUT_GRADIENT = {"stop_gradient"}


def test_a_gradient_is_the_slope(op: str, executor: Executor) -> None:
    @settings(max_examples=4)
    @given(arguments_of(op), st.data())
    def claim(arguments: dict[str, Any], data: st.DataObject) -> None:
        built, rng = apply(op, arguments), data.draw(generators())
        if built.node.dtype not in FLOATS:
            return
        assume(built.node.dtype == "float64")
        derived = built.gradients
        weights = rng.uniform(-1, 1, built.node.shape)
        found = run(executor, derived, built.arrays | {"seed": weights})
        if op in WITHOUT_GRADIENT:
            assert not any(d.any() for d in found)
            return
        along = direction(rng, {n: built.arrays[n] for n in built.floats})
        for name, dx in zip(built.floats, found, strict=True):
            assert dx.shape == built.arrays[name].shape
            value = weighted(EXECUTORS["interpreter"], built.node, weights)
            slope, noise = difference(value, built.arrays, {name: along[name]})
            assert_slope(list((dx * along[name]).flat), slope, noise)

    claim()


def test_a_second_derivative_is_the_slope_of_the_gradient(op: str) -> None:
    executor = EXECUTORS["interpreter"]

    @settings(max_examples=2)
    @given(arguments_of(op), st.data())
    def claim(arguments: dict[str, Any], data: st.DataObject) -> None:
        built, rng = apply(op, arguments), data.draw(generators())
        if built.node.dtype not in FLOATS or op in WITHOUT_GRADIENT:
            return
        assume(built.node.dtype == "float64")
        derived = built.gradients
        floats = {n: built.arrays[n] for n in built.floats}
        one, two = direction(rng, floats), direction(rng, floats)
        arrays = built.arrays | {"seed": rng.uniform(-1, 1, built.node.shape)}
        arrays |= {f"along_{n}": v for n, v in one.items()}
        along = [g.input(f"along_{n}", v.shape, "float64") for n, v in one.items()]
        parts = [g.sum(d * v) for d, v in zip(derived, along, strict=True)]
        inner = sum(parts[1:], parts[0])
        twice = g.grad(inner, [built.inputs[n] for n in built.floats], allow_unused=True)
        found = run(executor, twice, arrays)
        slope, noise = difference(weighted(executor, inner, np.ones(())), arrays, two)
        terms = [float(t) for d, n in zip(found, floats, strict=True) for t in (d * two[n]).flat]
        assert_slope(terms, slope, noise)

    claim()


@declare
def shifted(b: Tensor, x: Tensor) -> Definition:
    """y = Σ_i (b + x[i])"""
    (i,) = indices("i")
    y = define("y", (), like=x)
    y[()] += b[()] + x[i]
    return y


@declare
def guarded(b: Tensor, x: Tensor) -> Definition:
    """y[i] = b + x[i − 1], where there is such an x"""
    (i,) = indices("i")
    y = define("y", x.shape, like=x)
    y[i] += b[()] + x[i - 1]
    return y


@pytest.mark.parametrize(("declared", "times"), [(shifted, 5), (guarded, 4)])
def test_an_index_or_guard_that_the_derivative_lost_still_counts(
    declared: Callable[..., Node], times: int
) -> None:
    b, x = g.input("b", (), "float64"), g.input("x", (5,), "float64")
    db = g.grad(g.sum(declared(b, x)), b)
    (found,) = run(EXECUTORS["interpreter"], [db], {"b": np.ones(()), "x": np.ones(5)})
    assert found == times
