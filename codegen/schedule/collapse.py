"""Make one long loop of two where memory is contiguous across them.

Before: y[i,j] = x[i,j] + 1    with i < N, j < 784
After:  y[ij]  = x[ij] + 1     with ij < 784·N
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import lru_cache
from typing import Any

import sympy

from codegen.affine import Index, as_size, index_symbols
from codegen.notation import Access, Guard, Reduce, Statement, Tensor, accesses, walk

Site = tuple[Tensor, tuple[Any, ...]]


@lru_cache(maxsize=4096)  # groups are judged by it again and again
def collapse(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """Give statements of one nest with all collapsible neighbours of its indices merged."""
    while True:
        found = _pair(statements)
        if found is None:
            return statements
        statements = _merged(statements, *found)


def _sites(statement: Statement) -> list[Site]:
    return [(statement.target, statement.maps), *((a.tensor, a.maps) for a in statement.reads)]


def _pair(statements: tuple[Statement, ...]) -> tuple[Index, Index] | None:
    """The first two indices that always stand side by side and fill the inner axis."""
    for _, maps in (site for s in statements for site in _sites(s)):
        for outer, inner in itertools.pairwise(maps):
            if isinstance(outer, Index) and isinstance(inner, Index) and outer != inner:
                # What a sum alone counts, the others need not know.
                own = [s for s in statements if {outer, inner} & {*s.sizes}]
                alone = all({outer, inner} <= {*s.reduced} for s in own)
                fits = all(_fits(s, outer, inner) for s in (own if alone else statements))
                if fits and _uniform(statements, {outer, inner}):
                    return outer, inner
    return None


def _uniform(statements: tuple[Statement, ...], pair: set[Index]) -> bool:
    """Whether each tensor loses the same axes wherever it stands: its shape is declared once."""
    held: dict[str, set[tuple[int, ...]]] = {}
    for tensor, maps in (site for s in statements for site in _sites(s)):
        axes = tuple(a for a, m in enumerate(maps) if pair & set(index_symbols(m)))
        held.setdefault(tensor.name, set()).add(axes)
    return all(len(axes) == 1 for axes in held.values())


def _fits(statement: Statement, outer: Index, inner: Index) -> bool:
    pair = {outer, inner}
    if statement.bindings or len(pair & set(statement.sizes)) != 2:
        return False
    if any(pair & set(index_symbols(g.expr)) for g in statement.guards):
        return False
    if (outer in statement.parallel) != (inner in statement.parallel):
        return False
    if any(isinstance(e, Index) and e in pair for e in walk(statement.body)):
        return False
    if statement.op in (Reduce.ARGMAX, Reduce.ARGMIN) and outer in statement.reduced:
        row = statement.reduced  # the place found is counted in this order
        if row.index(inner) != row.index(outer) + 1:
            return False
    size = statement.sizes[inner]
    for tensor, maps in _sites(statement):
        used = [axis for axis, m in enumerate(maps) if pair & set(index_symbols(m))]
        if not used:
            continue
        if len(used) != 2 or used[1] != used[0] + 1 or tensor.shape[used[1]] != size:
            return False
        if maps[used[0]] != outer or maps[used[1]] != inner:
            return False
    return True


def _merged(statements: tuple[Statement, ...], outer: Index, inner: Index) -> tuple[Statement, ...]:
    both = Index(outer.name + inner.name)
    while any(both in s.sizes for s in statements):
        both = Index(f"{both.name}_")
    return tuple(_rewritten(s, outer, inner, both) if inner in s.sizes else s for s in statements)


def _rewritten(statement: Statement, outer: Index, inner: Index, both: Index) -> Statement:
    def merge(tensor: Tensor, maps: tuple[Any, ...]) -> Access:
        axis = next((a for a, m in enumerate(maps) if m == outer), None)
        if axis is None:
            return tensor[maps]
        size = as_size(sympy.sympify(tensor.shape[axis]) * tensor.shape[axis + 1])
        shape = (*tensor.shape[:axis], size, *tensor.shape[axis + 2 :])
        flat = Tensor(tensor.name, shape, tensor.dtype)
        return flat[(*maps[:axis], both, *maps[axis + 2 :])]

    def elsewhere(guards: tuple[Guard, ...]) -> tuple[Guard, ...]:
        return tuple(g for g in guards if not {outer, inner} & {*index_symbols(g.expr)})

    sizes = statement.sizes
    size = as_size(sympy.sympify(sizes[outer]) * sizes[inner])
    left = merge(statement.target, statement.maps)
    rules = {a: merge(a.tensor, a.maps) for a in accesses(statement.body)}
    box = tuple((both, size) if i == outer else (i, n) for i, n in statement.box if i != inner)
    return replace(
        statement,
        target=left.tensor,
        maps=left.maps,
        body=statement.body.xreplace(rules),
        box=box,
        extra=elsewhere(statement.extra),  # others provably hold, or there would be guards of them
        support=elsewhere(statement.support),
    )
