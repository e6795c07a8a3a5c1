"""Branches that are one function are written as one, others stay."""

from collections.abc import Callable

import pytest
import sympy

import graphcnn as g
from codegen.notation import accesses
from graphcnn.adjoint import local_gradient
from graphcnn.draw.branches import merged
from graphcnn.graph import Node

X = g.input("x", (4,), "float64")


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
