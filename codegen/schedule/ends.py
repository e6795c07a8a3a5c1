"""Blocks whose last one is only partly there: the whole ones and the last apart, without guards.

Before: y[b,l] += G[u]·x[16·b + l,u]         where 0 ≤ 16·b + l < 83                 b < 6, l < 16
After:  y[b,l] += G[u]·x[16·b + l,u]                                                 b < 5, l < 16
        y[5,l] += G[u]·x[80 + l,u]                                                          l < 3

so that either is a tile in registers. Of the last block the sum leaves the rest at zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import sympy

from codegen.affine import Index, split
from codegen.notation import Guard, Statement, rewritten
from codegen.rewrite.gather import expanded
from codegen.rewrite.maps import storing


@dataclass(frozen=True)
class Ends:
    """What to make of a statement: `whole` blocks, if there are any, and the `last` one.

    In the last one `block` is `at`, and `place` runs to less than its size.
    """

    whole: Statement | None
    last: Statement
    block: Index
    at: int
    place: Index

    @property
    def longest(self) -> Statement:
        """The part that most points are in."""
        return self.whole or self.last


@lru_cache(maxsize=4096)
def ends(s: Statement) -> Ends | None:
    """Give the parts of a statement, the blocks of one operand's index cut; None without guards."""
    written = {Guard(m, n) for m, n in zip(s.maps, s.target.shape, strict=True)} | {*storing(s)}
    for guard in s.guards:
        if guard not in written and (found := _ends(s, guard)):
            return found
    return None


def _ends(s: Statement, guard: Guard) -> Ends | None:
    start, moves = split(guard.expr)
    if start != 0 or len(moves) != 2 or not isinstance(guard.size, int):
        return None
    (place, one), (block, width) = sorted(moves.items(), key=lambda item: str(item[1]).rjust(20))
    if one != 1 or s.sizes.get(place) != width or not {place, block} <= set(s.parallel):
        return None
    count, rest = divmod(guard.size, int(width))
    if s.sizes[block] != count + 1 or not rest:
        return None
    whole = replace(s, box=tuple((i, count if i == block else n) for i, n in s.box))
    return Ends(whole if count else None, _last(s, block, count, place, rest), block, count, place)


def _last(s: Statement, block: Index, at: int, place: Index, rest: int) -> Statement:
    """Give the statement for the places that are there in the last block."""
    rules = {block: sympy.Integer(at)}

    def swap(expr: Any) -> Any:
        return sympy.expand(expr.xreplace(rules))

    return replace(
        s,
        maps=tuple(map(swap, s.maps)),
        body=expanded(s.body.xreplace(rules)),
        box=tuple((i, rest if i == place else n) for i, n in s.box if i != block),
        extra=rewritten(s.extra, swap),
        granted=rewritten(s.granted, swap),
        support=rewritten(s.support, swap),
    )
