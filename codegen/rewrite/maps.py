"""Questions about index maps: is every element written once, is every element written?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sympy

from codegen.affine import Index, nonnegative, split
from codegen.notation import Guard, Reduce, Statement


def injective(statement: Statement) -> bool:
    """Whether two points of the parallel box never write the same element (provably)."""
    seen: set[Index] = set()
    bound = {b.index for b in statement.bindings}
    for m in statement.maps:
        _, coefficients = split(m)
        if seen & set(coefficients) or bound & set(coefficients):
            return False
        seen |= set(coefficients)
        if not mixed_radix(coefficients, statement):
            return False
    return True


def storing(statement: Statement) -> tuple[Guard, ...]:
    """Give the guards without which several points would write one element.

    They hold where results are stored; what an excluded point sums up is nobody's.
    """
    if not statement.extra or injective(replace(statement, op=Reduce.SUM, extra=())):
        return ()
    parallel = {*statement.parallel}
    return tuple(g for g in statement.extra if {*split(g.expr)[1]} <= parallel)


def unguarded(s: Statement) -> Statement:
    """Give the parallel part of a reduction: its guards belong to the inner loops.

    Only those stay that hold where results are stored.
    """
    box = tuple((i, n) for i, n in s.box if i in s.parallel)
    body = sympy.S.Zero
    return replace(s, op=Reduce.SUM, body=body, box=box, bindings=(), extra=storing(s))


def mixed_radix(coefficients: dict[Index, Any], statement: Statement) -> bool:
    """Whether the indices are digits of a number: each coefficient exceeds all lower digits.

    Of these there may be fewer than the indices count, if a guard says so: blocks that end early.
    """
    only = {i: sympy.S.Zero for i in coefficients if statement.sizes[i] == 1}
    ends = {g.expr.xreplace(only): g.size for g in statement.extra}
    coefficients = {i: c for i, c in coefficients.items() if i not in only}
    reach: Any = sympy.S.Zero
    lower: Any = sympy.S.Zero
    try:
        ordered = sorted(coefficients.items(), key=lambda item: abs(int(item[1])))
    except TypeError:  # a symbolic coefficient: order by whether it is a number
        ordered = sorted(coefficients.items(), key=lambda item: not item[1].is_Integer)
    for symbol, factor in ordered:
        size = sympy.sympify(statement.sizes[symbol])
        step = abs(factor) if factor.is_Integer else factor
        if not nonnegative(sympy.expand(step - reach - 1)):
            return False
        reach += step * (size - 1)
        lower += factor * symbol
        if lower in ends:
            reach = sympy.sympify(ends[lower]) - 1
    return True


def plain(maps: Sequence[Any]) -> bool:
    """Whether every coordinate is an index of its own."""
    return all(isinstance(m, Index) for m in maps) and len(set(maps)) == len(maps)


def covers(statement: Statement) -> bool:
    """Whether every element of the target is written, without any guard."""
    sizes = statement.sizes
    whole = all(
        (isinstance(m, Index) and sizes[m] == n) or (m == 0 and n == 1)
        for m, n in zip(statement.maps, statement.target.shape, strict=True)
    )
    distinct = [m for m in statement.maps if isinstance(m, Index)]
    return whole and len(set(distinct)) == len(distinct) and not statement.guards
