"""Elementary functions, element by element, with NumPy's names."""

from __future__ import annotations

import sympy
from sympy.codegen import cfunctions

from graphcnn.op import FLOATS, Definition, Tensor, elementwise, op, require_dtype


@op
def exp(x: Tensor) -> Definition:
    """y = exp(x)"""
    require_dtype(FLOATS, x)
    return elementwise(sympy.exp, x)


@op
def expm1(x: Tensor) -> Definition:
    """y = exp(x) − 1; exact for small x"""
    require_dtype(FLOATS, x)
    return elementwise(cfunctions.expm1, x)


@op
def log(x: Tensor) -> Definition:
    """y = log(x)"""
    require_dtype(FLOATS, x)
    return elementwise(sympy.log, x)


@op
def log1p(x: Tensor) -> Definition:
    """y = log(1 + x); exact for small x"""
    require_dtype(FLOATS, x)
    return elementwise(cfunctions.log1p, x)


@op
def sqrt(x: Tensor) -> Definition:
    """y = √x"""
    require_dtype(FLOATS, x)
    return elementwise(sympy.sqrt, x)


@op
def sin(x: Tensor) -> Definition:
    """y = sin(x)"""
    require_dtype(FLOATS, x)
    return elementwise(sympy.sin, x)


@op
def cos(x: Tensor) -> Definition:
    """y = cos(x)"""
    require_dtype(FLOATS, x)
    return elementwise(sympy.cos, x)


@op
def erf(x: Tensor) -> Definition:
    """y = 2/√π · ∫ exp(−t²) dt from 0 to x"""
    require_dtype(FLOATS, x)
    return elementwise(sympy.erf, x)
