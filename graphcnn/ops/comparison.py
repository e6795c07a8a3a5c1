"""Comparisons, logic and choice, element by element, with NumPy's names. NaN equals nothing."""

from __future__ import annotations

import sympy

from graphcnn.op import FLOATS, Definition, Tensor, elementwise, op, require_dtype
from graphcnn.scalars import choose_if, is_true


@op
def less(x: Tensor, y: Tensor) -> Definition:
    """z = x < y, a bool"""
    return elementwise(lambda x, y: choose_if(x < y, 1, 0), x, y, dtype="bool", name="z")


@op
def less_equal(x: Tensor, y: Tensor) -> Definition:
    """z = x ≤ y, a bool"""
    return elementwise(lambda x, y: choose_if(x <= y, 1, 0), x, y, dtype="bool", name="z")


@op
def greater(x: Tensor, y: Tensor) -> Definition:
    """z = x > y, a bool"""
    return elementwise(lambda x, y: choose_if(x > y, 1, 0), x, y, dtype="bool", name="z")


@op
def greater_equal(x: Tensor, y: Tensor) -> Definition:
    """z = x ≥ y, a bool"""
    return elementwise(lambda x, y: choose_if(x >= y, 1, 0), x, y, dtype="bool", name="z")


@op
def equal(x: Tensor, y: Tensor) -> Definition:
    """z = (x equals y), a bool; Python's == on nodes asks for identity instead"""
    body = lambda x, y: choose_if(sympy.Eq(x, y), 1, 0)  # noqa: E731 (a formula)
    return elementwise(body, x, y, dtype="bool", name="z")


@op
def not_equal(x: Tensor, y: Tensor) -> Definition:
    """z = (x differs from y), a bool; true where one is NaN"""
    body = lambda x, y: choose_if(sympy.Ne(x, y), 1, 0)  # noqa: E731 (a formula)
    return elementwise(body, x, y, dtype="bool", name="z")


@op
def logical_and(x: Tensor, y: Tensor) -> Definition:
    """z = (x and y), bools"""
    require_dtype(("bool",), x, y)
    return elementwise(lambda x, y: choose_if(is_true(x) & is_true(y), 1, 0), x, y, name="z")


@op
def logical_or(x: Tensor, y: Tensor) -> Definition:
    """z = (x or y), bools"""
    require_dtype(("bool",), x, y)
    return elementwise(lambda x, y: choose_if(is_true(x) | is_true(y), 1, 0), x, y, name="z")


@op
def logical_not(x: Tensor) -> Definition:
    """y = (not x), bools"""
    require_dtype(("bool",), x)
    return elementwise(lambda x: choose_if(is_true(x), 0, 1), x)


@op
def where(condition: Tensor, x: Tensor, y: Tensor) -> Definition:
    """z = x where the condition holds, else y

    What is not chosen does not matter: neither value nor gradient of it is looked at.
    """
    require_dtype(("bool",), condition)
    dtype = next((t.dtype for t in (x, y) if t.dtype in FLOATS), x.dtype)
    body = lambda c, x, y: choose_if(is_true(c), x, y)  # noqa: E731 (a formula)
    return elementwise(body, condition, x, y, dtype=dtype, name="z")
