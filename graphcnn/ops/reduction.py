"""Sums, means, extrema and spreads over axes; `axis` is one, several, or None for all."""

from __future__ import annotations

from typing import Any

import sympy

from graphcnn.axes import reduced_axes, without
from graphcnn.op import (
    FLOATS,
    Definition,
    DType,
    Tensor,
    argmax_of,
    argmin_of,
    axes,
    define,
    max_of,
    min_of,
    op,
    require,
    require_dtype,
)
from graphcnn.scalars import choose_if, exact, is_finite


def _reduce(
    x: Tensor, axis: Any, keepdims: bool, dtype: DType | None = None
) -> tuple[Definition, Any, tuple[int, ...]]:
    """Give the output, the element of it that x's indices reach, and the axes summed over."""
    gone = reduced_axes(axis, x.shape)
    at = axes(x)
    shape = [1 if a in gone else n for a, n in enumerate(x.shape) if keepdims or a not in gone]
    kept = [sympy.S.Zero if a in gone else i for a, i in enumerate(at) if keepdims or a not in gone]
    return define("y", shape, like=x, dtype=dtype), tuple(kept), gone


def _count(x: Tensor, gone: tuple[int, ...]) -> Any:
    return sympy.Mul(*(sympy.sympify(x.shape[a]) for a in gone))


def _require_elements(x: Tensor, gone: tuple[int, ...]) -> None:
    require(
        all(x.shape[a] != 0 for a in gone),
        f"x is {x.shape}",
        rule="the largest or smallest of no numbers does not exist",
        fix="reduce over axes that have elements",
    )


@op
def sum_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Definition:
    """y = Σ x over the axes given, all by default; bools are counted"""
    y, kept, _ = _reduce(x, axis, keepdims, "int32" if x.dtype == "bool" else None)
    y[kept] += x[axes(x)]
    return y


@op
def mean(x: Tensor, axis: Any = None, keepdims: bool = False) -> Definition:
    """y = Σ x / count over the axes given, all by default"""
    require_dtype(FLOATS, x)
    y, kept, gone = _reduce(x, axis, keepdims)
    y[kept] += x[axes(x)] / _count(x, gone)
    return y


@op
def max_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Definition:
    """y = max x over the axes given; the gradient goes to the first largest in row order"""
    require_dtype(FLOATS, x)
    y, kept, gone = _reduce(x, axis, keepdims)
    _require_elements(x, gone)
    y[kept] = max_of(x[axes(x)])
    return y


@op
def min_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Definition:
    """y = min x over the axes given; the gradient goes to the first smallest in row order"""
    require_dtype(FLOATS, x)
    y, kept, gone = _reduce(x, axis, keepdims)
    _require_elements(x, gone)
    y[kept] = min_of(x[axes(x)])
    return y


@op
def argmax(x: Tensor, axis: Any = None, keepdims: bool = False) -> Definition:
    """y = where the first largest x lies, counted in row order over the axes given; a NaN wins"""
    y, kept, gone = _reduce(x, axis, keepdims, "int32")
    _require_elements(x, gone)
    y[kept] = argmax_of(x[axes(x)])
    return y


@op
def argmin(x: Tensor, axis: Any = None, keepdims: bool = False) -> Definition:
    """y = where the first smallest x lies, counted in row order over the axes given; a NaN wins"""
    y, kept, gone = _reduce(x, axis, keepdims, "int32")
    _require_elements(x, gone)
    y[kept] = argmin_of(x[axes(x)])
    return y


def _variance(x: Tensor, gone: tuple[int, ...], correction: float) -> Tensor:
    """State the variance over the axes, in two passes: Σ (x − mean)² / (count − correction)."""
    require_dtype(FLOATS, x)
    at, kept = axes(x), without(axes(x), gone)
    centre = define("centre", without(x.shape, gone), like=x)
    centre[kept] += x[at] / _count(x, gone)
    spread = define("spread", without(x.shape, gone), like=x)
    spread[kept] += (x[at] - centre[kept]) ** 2 / (_count(x, gone) - exact(correction))
    return spread.tensor


@op
def var(x: Tensor, axis: Any = None, keepdims: bool = False, correction: float = 0) -> Definition:
    """y = Σ (x − mean x)² / (count − correction) over the axes given

    As in NumPy the correction is 0 by default, which is what normalisation layers use.
    """
    y, kept, gone = _reduce(x, axis, keepdims)
    y[kept] = _variance(x, gone, correction)[without(axes(x), gone)]
    return y


@op
def std(x: Tensor, axis: Any = None, keepdims: bool = False, correction: float = 0) -> Definition:
    """y = √(Σ (x − mean x)² / (count − correction)); the gradient of equal values is 0"""
    y, kept, gone = _reduce(x, axis, keepdims)
    spread = _variance(x, gone, correction)[without(axes(x), gone)]
    y[kept] = choose_if(spread <= 0, 0, sympy.sqrt(spread))
    return y


@op
def logsumexp(x: Tensor, axis: Any = None, keepdims: bool = False) -> Definition:
    """y = log Σ exp(x) over the axes given

    Computed as s + log Σ exp(x − s) with s the largest x (0 where that is infinite), so that
    nothing overflows.
    """
    require_dtype(FLOATS, x)
    y, kept, gone = _reduce(x, axis, keepdims)
    at, row, shape = axes(x), without(axes(x), gone), without(x.shape, gone)
    top = define("top", shape, like=x, detached=True)
    top[row] = max_of(x[at])
    shift = define("shift", shape, like=x, detached=True)
    shift[row] = choose_if(is_finite(top[row], x.dtype), top[row], 0)
    total = define("total", shape, like=x)
    total[row] += sympy.exp(x[at] - shift[row])
    y[kept] = shift[row] + sympy.log(total[row])
    return y
