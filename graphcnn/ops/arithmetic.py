"""Arithmetic, element by element, with NumPy's names and broadcasting."""

from __future__ import annotations

import sympy

from graphcnn.op import Definition, Tensor, elementwise, op
from graphcnn.scalars import choose_if, isnan


@op
def add(x: Tensor, y: Tensor) -> Definition:
    """z = x + y"""
    return elementwise(lambda x, y: x + y, x, y, name="z")


@op
def subtract(x: Tensor, y: Tensor) -> Definition:
    """z = x − y"""
    return elementwise(lambda x, y: x - y, x, y, name="z")


@op
def multiply(x: Tensor, y: Tensor) -> Definition:
    """z = x · y"""
    return elementwise(lambda x, y: x * y, x, y, name="z")


@op
def divide(x: Tensor, y: Tensor) -> Definition:
    """z = x / y"""
    return elementwise(lambda x, y: x / y, x, y, name="z")


@op
def negative(x: Tensor) -> Definition:
    """y = −x"""
    return elementwise(lambda x: -x, x)


@op
def exp(x: Tensor) -> Definition:
    """y = exp(x)"""
    return elementwise(sympy.exp, x)


@op
def log(x: Tensor) -> Definition:
    """y = log(x)"""
    return elementwise(sympy.log, x)


@op
def sqrt(x: Tensor) -> Definition:
    """y = √x"""
    return elementwise(sympy.sqrt, x)


@op
def maximum(x: Tensor, y: Tensor) -> Definition:
    """z = x if x ≥ y else y; a NaN wins, and at a tie the gradient goes to x"""
    return elementwise(lambda x, y: choose_if((x >= y) | isnan(x), x, y), x, y, name="z")


@op
def minimum(x: Tensor, y: Tensor) -> Definition:
    """z = x if x ≤ y else y; a NaN wins, and at a tie the gradient goes to x"""
    return elementwise(lambda x, y: choose_if((x <= y) | isnan(x), x, y), x, y, name="z")
