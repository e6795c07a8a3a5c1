"""A sum of products as numbers: sizes of its indices, steps of its operands through memory.

Schedules are searched on this view, which knows no algebra, no names, and hashes cheaply: nests of
the same shape are searched once. An index is its place in the box.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy

from codegen.affine import TYPICAL, Index, Size, split
from codegen.notation import FLOATS, Access, Reduce, Statement, Tensor

FAR = 1 << 40  # a step of symbolic length
FEW = 0.97  # the part of the products without padding, of more it is not worth leaving out


@dataclass(frozen=True)
class Axis:
    """One coordinate of an operand: its step in memory, and how each index moves along it."""

    step: int
    moves: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Operand:
    """A tensor as one access walks through it."""

    axes: tuple[Axis, ...]

    @cached_property
    def strides(self) -> Mapping[int, int]:
        """How many elements the access moves when an index that it uses grows by one."""
        found: dict[int, int] = {}
        for axis in self.axes:
            for i, c in axis.moves:
                found[i] = found.get(i, 0) + axis.step * c
        return found

    def alone(self, index: int) -> bool:
        """Whether the index moves along an axis of its own."""
        return any(axis.moves == ((index, 1),) for axis in self.axes)


@dataclass(frozen=True)
class Skip:
    """A result's index and a summed one which together reach padding; `share` is what does not.

    Of the condition beyond which all is zero, `at` is the place among those of the statement.
    """

    row: int
    tap: int
    share: float
    at: int


@dataclass(frozen=True)
class Contraction:
    """A sum of products of operands.

    `fixed` are the indices whose size is a number, `guarded` those that may lead beyond an end.
    """

    sizes: tuple[int, ...]
    fixed: frozenset[int]
    parallel: tuple[int, ...]
    operands: tuple[Operand, ...]
    target: Operand
    dtype: str
    skips: tuple[Skip, ...] = ()
    guarded: frozenset[int] = frozenset()

    @cached_property
    def reduced(self) -> tuple[int, ...]:
        """The indices that are summed over."""
        return tuple(i for i in range(len(self.sizes)) if i not in self.parallel)

    @property
    def products(self) -> float:
        """How many multiplications there are, but for what is skipped."""
        return math.prod(self.sizes) * math.prod(skip.share for skip in self.skips)

    def ways(self) -> Iterator[Contraction]:
        """Give the nest for each choice of what is skipped.

        It knows the length of no index that this needs: such are neither rows nor lanes nor taps
        of a window, but have loops of their own.
        """
        for count in range(len(self.skips) + 1):
            for skips in itertools.combinations(self.skips, count):
                own = {i for skip in skips for i in (skip.row, skip.tap)}
                yield replace(self, skips=skips, fixed=self.fixed - own)


@lru_cache(maxsize=4096)
def contraction(statement: Statement) -> Contraction | None:
    """Give the view of a plain sum of products of one float type; None where it is not one."""
    if statement.op is not Reduce.SUM or statement.bindings or not statement.reduced:
        return None
    parts = sympy.Mul.make_args(statement.body)
    reads = tuple(p for p in parts if isinstance(p, Access))
    kind = statement.target.dtype
    if not reads or not all(isinstance(p, Access) or p.is_number for p in parts):
        return None
    if kind not in FLOATS or any(a.tensor.dtype != kind for a in reads):
        return None
    place = {i: k for k, (i, _) in enumerate(statement.box)}
    return Contraction(
        tuple(_number(n) for _, n in statement.box),
        frozenset(k for k, (_, n) in enumerate(statement.box) if isinstance(n, int)),
        tuple(place[i] for i in statement.parallel),
        tuple(_operand(a.tensor, a.maps, place) for a in reads),
        _operand(statement.target, statement.maps, place),
        kind,
        tuple(_skips(statement, place)),
        frozenset(place[i] for g in statement.guards for i in split(g.expr)[1]),
    )


def _skips(statement: Statement, place: Mapping[Index, int]) -> Iterator[Skip]:
    """Give what loops over taps may leave out for each value of an index outside of them."""
    for at, guard in enumerate(statement.support):
        start, moves = split(guard.expr)
        rows, taps = ([i for i in moves if (i in statement.parallel) == own] for own in (1, 0))
        sizes = (*(statement.sizes[i] for i in moves), guard.size)
        if len(rows) != 1 or len(taps) != 1 or not all(isinstance(n, int) for n in sizes):
            continue
        (row,), (tap,) = rows, taps
        if all(number.is_Integer for number in (start, *moves.values())):
            along = [int(moves[i]) * np.arange(statement.sizes[i]) for i in (row, tap)]
            reached = int(start) + np.add.outer(*along)
            share = float(np.mean((reached >= 0) & (reached < guard.size)))
            if share <= FEW:
                yield Skip(place[row], place[tap], share, at)


def _operand(tensor: Tensor, maps: Sequence[Any], place: Mapping[Index, int]) -> Operand:
    """Give an access as numbers."""
    axes: list[Axis] = []
    step = 1
    for m, size in zip(reversed(maps), reversed(tensor.shape), strict=True):
        moves = ((place[i], int(c) if c.is_Integer else FAR) for i, c in split(m)[1].items())
        axes.append(Axis(step, tuple(moves)))
        step *= _number(size)
    return Operand(tuple(reversed(axes)))


def _number(size: Size) -> int:
    """Give a size as a number; what is symbolic is never taken for 1, where steps would vanish."""
    if isinstance(size, int):
        return size
    return max(TYPICAL, int(size.subs({d: TYPICAL for d in size.free_symbols})))
