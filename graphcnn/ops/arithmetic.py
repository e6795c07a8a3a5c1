"""Arithmetic, element by element, with NumPy's names and broadcasting."""

from __future__ import annotations

import sympy

from codegen.scalar import Power
from graphcnn.op import FLOATS, Definition, Tensor, elementwise, op, require, require_dtype
from graphcnn.scalars import choose_if, exact, isnan

NUMBERS = (*FLOATS, "int32")


@op
def add(x: Tensor, y: Tensor) -> Definition:
    """z = x + y"""
    require_dtype(NUMBERS, x, y)
    return elementwise(lambda x, y: x + y, x, y, name="z")


@op
def subtract(x: Tensor, y: Tensor) -> Definition:
    """z = x − y"""
    require_dtype(NUMBERS, x, y)
    return elementwise(lambda x, y: x - y, x, y, name="z")


@op
def multiply(x: Tensor, y: Tensor) -> Definition:
    """z = x · y"""
    require_dtype(NUMBERS, x, y)
    return elementwise(lambda x, y: x * y, x, y, name="z")


@op
def divide(x: Tensor, y: Tensor) -> Definition:
    """z = x / y"""
    require_dtype(FLOATS, x, y)
    return elementwise(lambda x, y: x / y, x, y, name="z")


@op
def negative(x: Tensor) -> Definition:
    """y = −x"""
    require_dtype(NUMBERS, x)
    return elementwise(lambda x: -x, x)


@op
def square(x: Tensor) -> Definition:
    """y = x²"""
    require_dtype(NUMBERS, x)
    return elementwise(lambda x: x**2, x)


@op
def reciprocal(x: Tensor) -> Definition:
    """y = 1 / x"""
    require_dtype(FLOATS, x)
    return elementwise(lambda x: 1 / x, x)


@op
def power(x: Tensor, exponent: Tensor | float) -> Definition:
    """y = x^exponent

    The exponent p is a number, which the formula then knows (x³ is x·x·x), or a node that
    broadcasts with x. As in IEEE 754, 0⁰ = 1, and xᵖ is NaN where x < 0 and p is no whole number.
    The gradient of p is 0 at x = 0 ≤ p; it is NaN where x < 0.
    """
    require_dtype(FLOATS, x)
    if isinstance(exponent, Tensor):
        require_dtype(FLOATS, exponent)
        return elementwise(Power, x, exponent)
    return elementwise(lambda x: x ** exact(exponent), x)


@op
def abs_(x: Tensor) -> Definition:
    """y = |x|; its gradient at 0 is 0"""
    require_dtype(NUMBERS, x)
    return elementwise(lambda x: sympy.Piecewise((0, sympy.Eq(x, 0)), (-x, x < 0), (x, True)), x)


@op
def maximum(x: Tensor, y: Tensor) -> Definition:
    """z = x if x ≥ y else y; a NaN wins, and at a tie the gradient goes to x"""
    require_dtype(NUMBERS, x, y)
    return elementwise(lambda x, y: choose_if((x >= y) | isnan(x), x, y), x, y, name="z")


@op
def minimum(x: Tensor, y: Tensor) -> Definition:
    """z = x if x ≤ y else y; a NaN wins, and at a tie the gradient goes to x"""
    require_dtype(NUMBERS, x, y)
    return elementwise(lambda x, y: choose_if((x <= y) | isnan(x), x, y), x, y, name="z")


@op
def clip(x: Tensor, low: float | None = None, high: float | None = None) -> Definition:
    """y = low if x < low else high if x > high else x

    A bound that is None does not bind. On a bound the gradient passes, as in PyTorch's clamp.
    """
    require_dtype(NUMBERS, x)
    require(
        low is None or high is None or low <= high,
        f"low={low} and high={high}",
        rule="low ≤ high",
        fix="swap them",
    )

    def clipped(x: sympy.Expr) -> sympy.Expr:
        cases = [(exact(low), x < exact(low))] if low is not None else []
        cases += [(exact(high), x > exact(high))] if high is not None else []
        return sympy.Piecewise(*cases, (x, True))

    return elementwise(clipped, x)
