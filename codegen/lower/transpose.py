"""Copies that turn an array: square blocks of it are read in rows and written in columns.

Before: for i: for j in lanes: y[i,j] = x[j,i]      each lane reads a row of its own
After:  for i by 16: for j by 16: transpose 16 rows of x into 16 rows of y

Where rows do not fill the last block, it reaches back: what two blocks share is written twice, the
same by both, perhaps by two threads at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import sympy

from codegen.affine import Index, bounds, nonnegative, split
from codegen.freeze import whole
from codegen.lower.loops import ZERO
from codegen.lower.tile import TURNED
from codegen.machine import Machine
from codegen.names import Names
from codegen.nest import Apply, Element, Expression, Let, Loop, Name, Node, Number, Transpose
from codegen.notation import FLOATS, Access, Guard, Reduce, Statement, Tensor
from codegen.schedule.order import stride


class Writer(Protocol):
    """What a transposing copy needs of the writer of the kernel around it."""

    names: Names
    machine: Machine

    def element(self, tensor: Tensor, maps: Sequence[Any]) -> Element:
        """The element of a tensor's array at these coordinates."""

    def loops(
        self,
        order: Any,
        s: Statement,
        leaf: list[Node],
        outside: tuple[Index, ...] = (),
        *,
        shared: bool = False,
    ) -> list[Node]:
        """Give nested loops around a leaf."""


@dataclass(frozen=True)
class Turn:
    """A copy's two indices: `along` counts what is written side by side, `down` what is read so.

    Each has its number of elements, and how far it moves through the other array.
    """

    along: Index
    across: int
    step: int
    down: Index
    length: int
    pitch: int

    def width(self, dtype: str, most: int) -> int | None:
        """The side of the blocks, of which whole ones stand side by side; None if none do."""
        widths = (most, most // 2, most // 4)
        fits = (w for w in widths if w and self.across % w == 0 and self.length >= w)
        return next((w for w in fits if f"{dtype}x{w}" in TURNED), None)


def transposed(writer: Writer, s: Statement, outside: tuple[Index, ...] = ()) -> list[Node] | None:
    """Give the loops of a copy that turns an array; None for other statements.

    Some of its indices may have loops outside. What blocks hold beyond an end is zero.
    """
    turn = _turn(s)
    dtype = s.target.dtype
    width = turn.width(dtype, writer.machine.lanes(dtype)) if turn else None
    if turn is None or width is None or {turn.along, turn.down} & {*outside}:
        return None
    (read,), letter = s.reads, writer.names.letter
    place, value = writer.element(s.target, s.maps), writer.element(read.tensor, read.maps)
    along, down = map(letter, (turn.along, turn.down))
    rows: Expression = Number(width, "int64")
    for g in s.guards:  # beyond them all is zero
        rows = Apply("imin", (rows, whole(sympy.sympify(g.size) - g.expr, letter)), "int64")
    if turn.across > width:  # then a block may be beyond the end, and must begin somewhere
        ends = {g.expr: whole(sympy.sympify(g.size) - 1, letter) for g in s.guards}
        starts = zip(read.maps, value.at, strict=True)
        within = (Apply("imin", (at, ends[m]), "int64") if m in ends else at for m, at in starts)
        value = replace(value, at=tuple(within))
    vectors = replace(value, dtype=f"{dtype}x{width}@")
    block: Node = Transpose(place, turn.pitch, vectors, turn.step, rows)
    block = Loop(along, (ZERO,), (Number(turn.across, "int64"),), (block,), width)
    stop = Number(turn.length, "int64")
    nest = Loop(down, (ZERO,), (stop,), (block,), width, shared=True)
    if turn.length % width:
        start = writer.names.fresh(f"{down}_start")
        last = Number(turn.length - width, "int64")
        at = Let(down, "int64", Apply("imin", (Name(start), last), "int64"))
        nest = replace(nest, index=start, body=(at, block))
    outer = tuple(i for i, _ in s.box if i not in (turn.along, turn.down, *outside))
    return writer.loops(outer, s, [nest], outside, shared=not outside)


def _turn(s: Statement) -> Turn | None:
    """The indices of a copy, if neighbours in one array are not neighbours in the other."""
    if s.op is not Reduce.SET or not isinstance(s.body, Access) or s.bindings:
        return None
    source, sizes = s.body, s.sizes
    if s.target.dtype not in FLOATS or source.tensor.dtype != s.target.dtype:
        return None
    along, down = _beside(s, s.target, s.maps), _beside(s, source.tensor, source.maps)
    if along is None or down is None or along == down:
        return None
    step, pitch = stride(source.tensor, source.maps, along), stride(s.target, s.maps, down)
    across, length = sizes[along], sizes[down]
    if not (isinstance(across, int) and isinstance(length, int)):
        return None
    if not (step.is_Integer and pitch.is_Integer and step > 0 and pitch > 0):
        return None
    if not all(_ends_rows(g, s, along, down) for g in s.guards):
        return None
    return Turn(along, across, int(step), down, length, int(pitch))


def _beside(s: Statement, tensor: Tensor, maps: tuple[Any, ...]) -> Index | None:
    """The index along which a tensor is walked through element by element."""
    return next((i for i, n in s.box if n != 1 and stride(tensor, maps, i) == 1), None)


def _ends_rows(guard: Guard, s: Statement, along: Index, down: Index) -> bool:
    """Whether a guard only says how many elements of a row there are."""
    moved = split(guard.expr)[1]
    return (
        moved.get(along) == 1 and down not in moved and nonnegative(bounds(guard.expr, s.sizes)[0])
    )
