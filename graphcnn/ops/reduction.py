"""Sums, means and extrema over axes."""

from __future__ import annotations

from typing import Any

import sympy

from graphcnn.axes import reduced_axes
from graphcnn.op import Definition, Tensor, axes, define, max_of, min_of, op


def _reduce(x: Tensor, axis: Any, keepdims: bool) -> tuple[Definition, Any, tuple[int, ...]]:
    """Give the output, the element of it that x's indices reach, and the axes summed over."""
    gone = reduced_axes(axis, x.shape)
    at = axes(x)
    shape = [1 if a in gone else n for a, n in enumerate(x.shape) if keepdims or a not in gone]
    kept = [
        sympy.S.Zero if a in gone else i for a, i in enumerate(at) if keepdims or a not in gone
    ]
    return define("y", shape, like=x), tuple(kept), gone


@op
def sum_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Definition:
    """y = Σ x over the axes given, all by default"""
    y, kept, _ = _reduce(x, axis, keepdims)
    y[kept] += x[axes(x)]
    return y


@op
def mean(x: Tensor, axis: Any = None, keepdims: bool = False) -> Definition:
    """y = Σ x / count over the axes given, all by default"""
    y, kept, gone = _reduce(x, axis, keepdims)
    count = sympy.Mul(*(sympy.sympify(x.shape[a]) for a in gone))
    y[kept] += x[axes(x)] / count
    return y


@op
def max_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Definition:
    """y = max x over the axes given; the gradient goes to the first largest in row order"""
    y, kept, _ = _reduce(x, axis, keepdims)
    y[kept] = max_of(x[axes(x)])
    return y


@op
def min_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Definition:
    """y = min x over the axes given; the gradient goes to the first smallest in row order"""
    y, kept, _ = _reduce(x, axis, keepdims)
    y[kept] = min_of(x[axes(x)])
    return y
