"""Trim sums to the points that count: what padding excludes everywhere is not visited.

Before: y[n,k,i] += w[k,c,u]·x[n,c,i + u - 1]   where 0 ≤ i + u - 1 < 1        i < 1, u < 3
        dx[n,c,u - 1] += w[k,c,u]·dy[n,k,0]     where 0 ≤ u - 1 < 1                   u < 3
After:  y[n,k,i] += w[k,c,u + 1]·x[n,c,i + u]                                  i < 1, u < 1
        dx[n,c,u] += w[k,c,u + 1]·dy[n,k,0]                                           u < 1

Nor are these points multiplied by the zeros that padding is copied with later: a weight that is
infinite or NaN and only ever meets padding leaves no trace, as the notation has it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy

from codegen.affine import Index, bounds, split
from codegen.notation import Reduce, Statement, rewritten
from codegen.program import Program
from codegen.rewrite.gather import expanded

ORDERED = (Reduce.ARGMAX, Reduce.ARGMIN)  # positions count from the first point of the box


def trim(program: Program) -> Program:
    """Give the program with the indices of sums starting at the first point that counts."""
    several = {t for t, found in program.definitions.items() if len(found) > 1}
    return program.with_statements(_trimmed(s, s.target not in several) for s in program.statements)


def _trimmed(s: Statement, alone: bool) -> Statement:
    if s.bindings or s.op in ORDERED or not s.guards:
        return s
    for i in (*s.reduced, *_unreached(s, alone)):
        size = s.sizes[i]
        first, last = _counting(s, i)
        if isinstance(size, int) and first <= last and (first, last) != (0, size - 1):
            s = _shifted(s, i, first, last - first + 1)
    return s


def _unreached(s: Statement, alone: bool) -> tuple[Index, ...]:
    """The indices of a sum's result with which it may be written nothing, or nothing but zeros.

    What runs along the whole of an axis stays so where the sum is not `alone`: it shares its loops
    with what else is added.
    """
    if s.op is not Reduce.SUM or not s.reduced:
        return ()
    return tuple(i for i in s.parallel if alone or i not in s.maps)


def _counting(s: Statement, index: Index) -> tuple[int, int]:
    """The first and the last value of an index with which any point is inside all guards."""
    size = s.sizes[index]
    if not isinstance(size, int):
        return 0, 0
    first, last = 0, size - 1
    for g in s.guards:
        step = split(g.expr)[1].get(index, sympy.S.Zero)
        if not step.is_Integer or step == 0 or not isinstance(g.size, int):
            continue
        low, high = bounds(sympy.expand(g.expr - step * index), s.sizes)
        if not (low.is_Integer and high.is_Integer):
            continue
        # Some point has 0 ≤ step·index + rest < size, the rest between low and high.
        if step < 0:
            low, high = g.size - 1 - high, g.size - 1 - low
        first = max(first, -(int(high) // abs(int(step))))
        last = min(last, (g.size - 1 - int(low)) // abs(int(step)))
    return first, last


def _shifted(s: Statement, index: Index, first: int, size: int) -> Statement:
    """Give a statement whose index starts at zero where it started at `first` before."""
    rules = {index: index + first}

    def moved(expr: Any) -> Any:
        return sympy.expand(expr.xreplace(rules))

    return replace(
        s,
        maps=tuple(map(moved, s.maps)),
        body=expanded(s.body.xreplace(rules)),
        box=tuple((i, size if i == index else n) for i, n in s.box),
        extra=rewritten(s.extra, moved),
        granted=rewritten(s.granted, moved),
    )
