"""Affine expressions over indices and symbolic sizes: coefficients, bounds, proofs of sign."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import sympy


class Index(sympy.Symbol):
    """A loop index: an integer that runs from zero to its range."""

    def __new__(cls, name: str) -> Index:
        """Give the index; equal names are the same index."""
        made: Index = super().__new__(cls, name, integer=True)
        return made

    def __getnewargs_ex__(self) -> tuple[Any, Any]:
        return ((self.name,), {})


class Dim(sympy.Symbol):
    """A symbolic size, bound when a compiled function is called; it may be zero."""

    def __new__(cls, name: str) -> Dim:
        """Give the size; equal names are the same size."""
        made: Dim = super().__new__(cls, name, integer=True, nonnegative=True)
        return made

    def __getnewargs_ex__(self) -> tuple[Any, Any]:
        return ((self.name,), {})


Size: TypeAlias = int | Any  # an int, or a SymPy expression over dims
Box: TypeAlias = tuple[tuple[Index, Size], ...]


TYPICAL = 64  # what a symbolic size is taken for where a number is wanted


def typical(size: Size) -> int:
    """Give a size as a number for estimates.

    >>> typical(3), typical(Dim("N") + 1)
    (3, 64)
    """
    return size if isinstance(size, int) else TYPICAL


def as_size(size: Any) -> Size:
    """Give a size as an `int` where it is a number, else as an expression over dims.

    >>> as_size(sympy.Integer(3)), as_size(Dim("N") + 1)
    (3, N + 1)
    """
    expr = None if isinstance(size, str) else sympy.sympify(size)  # which would run a text
    if not isinstance(expr, sympy.Expr):
        raise ValueError(f"a size is an integer or an expression in dims, not {size!r}")
    if expr.is_Integer:
        return int(expr)
    if not all(isinstance(s, Dim) for s in expr.free_symbols) or not expr.is_integer:
        raise ValueError(f"a size is an integer or an expression in dims, not {size!r}")
    return expr


@lru_cache(maxsize=65536)
def affine(expr: Any) -> tuple[Any, tuple[tuple[Index, Any], ...]] | None:
    """Split into constant part and one coefficient per index; None where not affine.

    Coefficients and constant may hold symbolic sizes.

    >>> i, u = Index("i"), Index("u")
    >>> affine(2 * i + u - 3)
    (-3, ((i, 2), (u, 1)))
    """
    constant: Any = sympy.S.Zero
    found: dict[Index, Any] = {}
    for term in sympy.Add.make_args(sympy.expand(expr) if expr.is_Mul or expr.is_Add else expr):
        symbols = [f for f in sympy.Mul.make_args(term) if isinstance(f, Index)]
        rest = sympy.Mul(*(f for f in sympy.Mul.make_args(term) if not isinstance(f, Index)))
        if len(symbols) > 1 or any(isinstance(s, Index) for s in rest.free_symbols):
            return None
        if not rest.is_integer:
            return None
        if symbols:
            found[symbols[0]] = found.get(symbols[0], sympy.S.Zero) + rest
        else:
            constant += rest
    ordered = sorted(found.items(), key=lambda item: item[0].name)
    return constant, tuple((s, c) for s, c in ordered if c != 0)


def is_affine(expr: Any) -> bool:
    """Whether the expression is affine in its indices with whole coefficients."""
    return affine(expr) is not None


def split(expr: Any) -> tuple[Any, dict[Index, Any]]:
    """Constant part and coefficients of an expression known to be affine."""
    parts = affine(expr)
    if parts is None:
        raise ValueError(f"{expr} is not affine in its indices")
    return parts[0], dict(parts[1])


def coefficient(expr: Any, symbol: Index) -> Any:
    """The coefficient of one index."""
    return split(expr)[1].get(symbol, sympy.S.Zero)


@lru_cache(maxsize=65536)
def index_symbols(expr: Any) -> tuple[Index, ...]:
    """The indices in an expression, in name order."""
    found = (s for s in expr.free_symbols if isinstance(s, Index))
    return tuple(sorted(found, key=lambda s: s.name))


def bounds(expr: Any, sizes: Mapping[Index, Size]) -> tuple[Any, Any]:
    """Least and greatest value of an affine expression over a box of these sizes.

    >>> i, u = Index("i"), Index("u")
    >>> bounds(2 * i - u, {i: 10, u: 3})
    (-2, 18)
    """
    low, coefficients = split(expr)
    high = low
    for symbol, factor in coefficients.items():
        reach = factor * (sympy.sympify(sizes[symbol]) - 1)
        if nonnegative(factor):
            high += reach
        elif nonnegative(-factor):
            low += reach
        else:
            raise ValueError(f"the sign of {factor} in {expr} is not known")
    return sympy.expand(low), sympy.expand(high)


@lru_cache(maxsize=65536)
def nonnegative(expr: Any) -> bool:
    """Whether an expression over sizes is provably at least zero (sizes may be zero).

    >>> nonnegative(2 * Dim("N") + 1), nonnegative(Dim("N") - 1)
    (True, False)
    """
    if expr.is_Integer:
        return bool(expr >= 0)
    return all(c >= 0 for c in sympy.expand(expr).as_coefficients_dict().values())
