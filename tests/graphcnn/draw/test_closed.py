"""Gradients written as textbooks do are still those of the op."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy

import graphcnn as g
from codegen.notation import accesses
from graphcnn.adjoint import local_gradient, vjp
from graphcnn.draw.closed import Total, in_one, merged
from graphcnn.graph import Node

S = g.input("s", (3, 4), "float64")
X = g.input("x", (4,), "float64")
RNG = np.random.default_rng(0)


def softmax(s: np.ndarray) -> np.ndarray:
    return np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)


def value(expr: Any, at: dict[sympy.Symbol, int], arrays: dict[str, np.ndarray]) -> float:
    """What a formula says at one point."""
    for total in expr.atoms(Total):
        body, *over = total.args
        size = arrays["x"].shape[1]
        places = itertools.product(range(size), repeat=len(over))
        summed = sum(value(body, at | dict(zip(over, p, strict=True)), arrays) for p in places)
        expr = expr.xreplace({total: sympy.Float(summed)})
    numbers = {
        read: sympy.Float(arrays[read.tensor.name][tuple(int(m.subs(at)) for m in read.maps)])
        for read in accesses(expr)
    }
    return float(expr.xreplace(numbers))


@pytest.mark.parametrize(
    "node, f",
    [
        (g.softmax(S), softmax),
        (g.log_softmax(S), lambda s: np.log(softmax(s))),
        (g.var(S, axis=1), lambda s: s.var(axis=1)),
    ],
    ids=["softmax", "log_softmax", "var"],
)
def test_one_formula_says_the_whole_gradient(
    node: Node, f: Callable[[np.ndarray], np.ndarray]
) -> None:
    fragment = node.fragment
    assert fragment is not None
    derived = vjp(fragment, 0)
    assert derived is not None
    formula = in_one(derived, fragment.detached)
    assert formula is not None
    s = RNG.normal(size=(3, 4))
    upstream = RNG.normal(size=f(s).shape)
    arrays = {"x": s, "softmax(x)": softmax(s), "centre": s.mean(axis=1)}
    arrays[derived.inputs[-1].name] = upstream
    ends = next(x for x in derived.statements if x.target == derived.output)
    for place in itertools.product(range(3), range(4)):
        step = np.zeros_like(s)
        step[place] = 1e-6
        slope = ((f(s + step) - f(s - step)) * upstream).sum() / 2e-6
        said = value(formula, dict(zip(ends.maps, place, strict=True)), arrays)
        assert said == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("op", [g.sigmoid, g.silu, g.softplus])
def test_branches_that_keep_a_function_from_overflowing_are_one(op: Callable[..., Node]) -> None:
    fragment = op(X).fragment
    assert fragment is not None
    (statement,) = fragment.statements
    (read,) = accesses(statement.body)
    for body in (statement.body, local_gradient(statement.body, read)):
        assert isinstance(body, sympy.Piecewise)
        whole = merged(body)
        assert not whole.has(sympy.Piecewise)
        for x in (-3.0, -0.5, 0.0, 0.5, 3.0):
            there = {read: sympy.Float(x)}
            assert float(whole.xreplace(there)) == pytest.approx(float(body.xreplace(there)))


@pytest.mark.parametrize("op", [g.relu, g.elu, g.leaky_relu, g.abs])
def test_branches_that_differ_stay(op: Callable[..., Node]) -> None:
    fragment = op(X).fragment
    assert fragment is not None
    (statement,) = fragment.statements
    assert merged(statement.body) == statement.body
