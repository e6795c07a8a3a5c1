"""A sum of products as numbers: sizes of its indices, steps of its operands through memory.

Schedules are searched on this view, which knows no algebra and hashes cheaply.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import sympy

from codegen.affine import Index, Size, split
from codegen.notation import FLOATS, Access, Reduce, Statement, Tensor

TYPICAL = 64  # what a symbolic size is taken for
FAR = 1 << 40  # a step of symbolic length


@dataclass(frozen=True)
class Axis:
    """One coordinate of an operand: its step in memory, and how each index moves along it."""

    step: int
    moves: tuple[tuple[Index, int], ...]


@dataclass(frozen=True)
class Operand:
    """A tensor as one access walks through it."""

    name: str
    axes: tuple[Axis, ...]

    def stride(self, index: Index) -> int:
        """Give how many elements the access moves when the index grows by one."""
        return sum(axis.step * c for axis in self.axes for i, c in axis.moves if i == index)

    def uses(self, index: Index) -> bool:
        """Whether the index moves the access at all."""
        return any(i == index for axis in self.axes for i, _ in axis.moves)

    def alone(self, index: Index) -> int | None:
        """The axis on which the index stands alone, and nowhere else."""
        found = [a for a, axis in enumerate(self.axes) if index in dict(axis.moves)]
        if len(found) == 1 and self.axes[found[0]].moves == ((index, 1),):
            return found[0]
        return None


@dataclass(frozen=True)
class Contraction:
    """A sum of products of operands; `fixed` are the indices whose size is a number."""

    box: tuple[tuple[Index, int], ...]
    fixed: frozenset[Index]
    parallel: tuple[Index, ...]
    operands: tuple[Operand, ...]
    target: Operand
    dtype: str

    @property
    def sizes(self) -> dict[Index, int]:
        """The size of each index; a typical one where it is symbolic."""
        return dict(self.box)

    @property
    def reduced(self) -> tuple[Index, ...]:
        """The indices that are summed over."""
        return tuple(i for i, _ in self.box if i not in self.parallel)

    @property
    def products(self) -> int:
        """How many multiplications there are."""
        return math.prod(n for _, n in self.box)


def contraction(statement: Statement) -> Contraction | None:
    """Give the view of a plain sum of products of one float type; None where it is not one."""
    parts = sympy.Mul.make_args(statement.body)
    reads = tuple(p for p in parts if isinstance(p, Access))
    kind = statement.target.dtype
    if statement.op is not Reduce.SUM or statement.bindings or not statement.reduced or not reads:
        return None
    if not all(isinstance(p, Access) or p.is_number for p in parts):
        return None
    if kind not in FLOATS or any(a.tensor.dtype != kind for a in reads):
        return None
    sizes = tuple((i, _number(n)) for i, n in statement.box)
    return Contraction(
        sizes,
        frozenset(i for i, n in statement.box if isinstance(n, int)),
        statement.parallel,
        tuple(operand(a.tensor, a.maps) for a in reads),
        operand(statement.target, statement.maps),
        kind,
    )


def operand(tensor: Tensor, maps: tuple[object, ...]) -> Operand:
    """Give an access as numbers."""
    axes: list[Axis] = []
    step = 1
    for m, size in zip(reversed(maps), reversed(tensor.shape), strict=True):
        moves = tuple((i, int(c) if c.is_Integer else FAR) for i, c in split(m)[1].items())
        axes.append(Axis(step, moves))
        step *= _number(size)
    return Operand(tensor.name, tuple(reversed(axes)))


def _number(size: Size) -> int:
    return (
        size if isinstance(size, int) else int(size.subs({d: TYPICAL for d in size.free_symbols}))
    )
