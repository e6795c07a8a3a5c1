"""Activation functions, with PyTorch's names; at a kink the gradient is the one from the left."""

from __future__ import annotations

import sympy
from sympy.codegen.cfunctions import expm1, log1p

from graphcnn.errors import DTypeError
from graphcnn.op import FLOATS, Definition, Tensor, elementwise, op, require, require_dtype
from graphcnn.scalars import choose_if, exact, sigmoid_of


@op
def relu(x: Tensor) -> Definition:
    """y = 0 if x ≤ 0 else x; a NaN stays a NaN"""
    require_dtype(FLOATS, x)
    return elementwise(lambda x: choose_if(x <= 0, 0, x), x)


@op
def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Definition:
    """y = a·x if x ≤ 0 else x; a is the negative slope"""
    require_dtype(FLOATS, x)
    return elementwise(lambda x: choose_if(x <= 0, exact(negative_slope) * x, x), x)


@op
def elu(x: Tensor, alpha: float = 1.0) -> Definition:
    """y = α·(exp(x) − 1) if x ≤ 0 else x"""
    require_dtype(FLOATS, x)
    return elementwise(lambda x: choose_if(x <= 0, exact(alpha) * expm1(x), x), x)


@op
def hardtanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Definition:
    """y = x between two values, and the nearer of them outside, where its gradient is 0"""
    return _between(x, min_val, max_val)


@op
def relu6(x: Tensor) -> Definition:
    """y = x between 0 and 6, and the nearer of them outside, where its gradient is 0"""
    return _between(x, 0.0, 6.0)


def _between(x: Tensor, low: float, high: float) -> Definition:
    require_dtype(FLOATS, x)
    require(low < high, f"values {low} and {high}", rule="the first is less", fix="swap them")
    a, b = exact(low), exact(high)
    return elementwise(lambda x: sympy.Piecewise((a, x <= a), (b, x >= b), (x, True)), x)


@op
def sigmoid(x: Tensor) -> Definition:
    """y = 1 / (1 + exp(−x))"""
    require_dtype(FLOATS, x)
    return elementwise(sigmoid_of, x)


@op
def tanh(x: Tensor) -> Definition:
    """y = tanh(x)"""
    require_dtype(FLOATS, x)
    return elementwise(sympy.tanh, x)


@op
def softplus(x: Tensor, beta: float = 1.0) -> Definition:
    """y = log(1 + exp(β·x)) / β; computed without overflow"""
    require_dtype(FLOATS, x)
    require(beta > 0, f"beta={beta}", rule="beta is positive", fix="beta=1")

    def stable(x: sympy.Expr) -> sympy.Expr:
        b = exact(beta)
        above = x + log1p(sympy.exp(-b * x)) / b
        return choose_if(x > 0, above, log1p(sympy.exp(b * x)) / b)

    return elementwise(stable, x)


@op
def silu(x: Tensor) -> Definition:
    """y = x · sigmoid(x); also called swish"""
    require_dtype(FLOATS, x)

    def stable(x: sympy.Expr) -> sympy.Expr:
        return choose_if(x >= 0, x / (1 + sympy.exp(-x)), x * sympy.exp(x) / (1 + sympy.exp(x)))

    return elementwise(stable, x)


@op
def gelu(x: Tensor, approximate: str = "none") -> Definition:
    """y = x · Φ(x) = x/2 · (1 + erf(x/√2))

    With `approximate="tanh"`: x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³))).
    Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.
    """
    require_dtype(FLOATS, x)
    if approximate not in ("none", "tanh"):
        raise DTypeError(
            f"approximate={approximate!r}", rule='it is "none" or "tanh"', fix='approximate="none"'
        )
    if approximate == "none":
        return elementwise(lambda x: x / 2 * (1 + sympy.erf(x / sympy.sqrt(2))), x)
    slope = sympy.sqrt(2 / sympy.pi)
    return elementwise(lambda x: x / 2 * (1 + sympy.tanh(slope * (x + exact(0.044715) * x**3))), x)
