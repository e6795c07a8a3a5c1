"""Copy an operand with its zero padding, so that inner loops need no guard.

Before: y[n,k,i] += w[k,u]·x[n,i + u - 1]                where 0 ≤ i + u - 1 < 32
After:  x_padded[n,i + 1] = x[n,i]
        y[n,k,i] += w[k,u]·x_padded[n,i + u]             zero but for 0 ≤ i + u - 1 < 32

Rows between the windows of a long stride are nobody's, and not copied.

Before: y[n,k,i,j] += w[k,u,v]·x[n,3·i + u - 1,3·j + v - 1]          with u < 2
After:  x_padded[n,i,u,j + 1] = x[n,3·i + u - 1,j]
        y[n,k,i,j] += w[k,u,v]·x_padded[n,i,u,3·j + v]

Only for sums of products over several points, where each copied element is read many times. A
factor that is infinite or NaN meets the zeros of the padding and makes NaN, as it does in PyTorch;
for finite factors the padding is excluded exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy

from codegen.affine import Index, Size, bounds, split
from codegen.names import unused
from codegen.notation import Access, Guard, Reduce, Statement, Tensor, inside
from codegen.notation import statement as state
from codegen.program import Program

WORTH = 3 / 4  # the part of an axis that windows may hold, or it is held as a whole


@dataclass(frozen=True)
class Margin:
    """An axis held as a whole, with so many zeros before and after it."""

    before: int
    after: int

    def sizes(self, n: Size) -> tuple[Size, ...]:
        """The axes of the copy in the place of one of so many elements."""
        return (n + self.before + self.after,)

    def held(self, m: Any) -> tuple[Any, ...]:
        """Where along them the copy holds what is read at a place."""
        return (sympy.expand(m + self.before),)


@dataclass(frozen=True)
class Windows:
    """Of an axis only what is read: the places at start + Σ step·index, by the indices.

    `moves` are their steps, the longest first, and how many values each takes.
    """

    start: Any
    moves: tuple[tuple[Any, int], ...]

    def sizes(self, n: Size) -> tuple[Size, ...]:
        """The axes of the copy in the place of one of so many elements."""
        return tuple(count for _, count in self.moves)

    def held(self, m: Any) -> tuple[Any, ...]:
        """Where along them the copy holds what is read at a place."""
        return _longest_first(m)


Frame = tuple[Margin | Windows, ...]


def pad_reads(program: Program) -> Program:
    """Give the program with guarded operands of contractions copied into padded tensors."""
    frames = _frames(program.statements)
    if not frames:
        return program
    names = {t.name for t in program.tensors}
    padded = {t: _padded(t, frame, names) for t, frame in frames.items()}
    statements: list[Statement] = []
    made: set[Tensor] = set()
    for statement in program.statements:
        for access in _guarded(statement):
            if access.tensor not in made:
                made.add(access.tensor)
                statements += _copy(access.tensor, padded[access.tensor], frames[access.tensor])
            statement = _shifted(statement, access, padded[access.tensor], frames[access.tensor])
        statements.append(statement)
    return program.with_statements(_together(statements))


def _guarded(statement: Statement) -> tuple[Access, ...]:
    """The operands of a contraction that read outside their tensors, by known margins."""
    factors = sympy.Mul.make_args(statement.body)
    reads = [f for f in factors if isinstance(f, Access)]
    plain = len(reads) > 1 and all(isinstance(f, Access) or f.is_number for f in factors)
    if statement.op is not Reduce.SUM or not plain or not statement.reduced:
        return ()
    return tuple(
        a
        for a in reads
        if (sides := _sides(statement, a)) and any(side != Margin(0, 0) for side in sides)
    )


def _frames(statements: tuple[Statement, ...]) -> dict[Tensor, Frame]:
    """How the copy of each tensor holds its axes, so that all guarded reads find theirs.

    Rows are copied as a whole: nothing is left out of the last axis.
    """
    margins: dict[Tensor, tuple[Margin, ...]] = {}
    windows: dict[Tensor, list[tuple[Windows | None, ...]]] = {}
    for s, access in ((each, a) for each in statements for a in _guarded(each)):
        sides, tensor = _sides(s, access), access.tensor
        assert sides is not None
        margins[tensor] = tuple(map(_wider, margins.get(tensor, sides), sides))
        windows.setdefault(tensor, []).append(_windows(s, access))
    return {
        tensor: tuple(map(_frame, tensor.shape, sides, zip(*windows[tensor], strict=True)))
        for tensor, sides in margins.items()
    }


def _frame(n: Size, margin: Margin, windows: tuple[Windows | None, ...]) -> Margin | Windows:
    """Give the windows if all who read the axis see the same, and they leave enough out."""
    first, *others = windows
    if first is None or any(w != first for w in others):
        return margin
    (whole,) = margin.sizes(n)
    return first if sympy.Mul(*first.sizes(n)) <= WORTH * sympy.sympify(whole) else margin


def _windows(s: Statement, access: Access) -> tuple[Windows | None, ...]:
    """The windows in which a statement reads each axis but the last; None where it has none."""

    def seen(m: Any) -> Windows | None:
        start, steps = split(m)
        moves = tuple((steps[i], s.sizes[i]) for i in _longest_first(m))
        known = start.is_Integer and all(step.is_Integer for step in steps.values())
        counted = all(isinstance(count, int) for _, count in moves)
        different = len({*steps.values()}) == len(steps) > 0
        return Windows(start, moves) if known and counted and different else None

    return (*map(seen, access.maps[:-1]), None)


def _longest_first(m: Any) -> tuple[Index, ...]:
    steps = split(m)[1]
    return tuple(sorted(steps, key=lambda i: steps[i], reverse=True))


def _sides(statement: Statement, access: Access) -> tuple[Margin, ...] | None:
    """How far a read reaches outside its tensor, before and after each axis."""
    sides = []
    for m, size in zip(access.maps, access.tensor.shape, strict=True):
        try:
            low, high = bounds(m, statement.sizes)
        except ValueError:  # a coefficient like N - 1, whose sign nobody knows
            return None
        before, after = -low, sympy.expand(high - (sympy.sympify(size) - 1))
        if not (before.is_Integer and after.is_Integer):
            return None
        sides.append(Margin(max(0, int(before)), max(0, int(after))))
    return tuple(sides)


def _wider(one: Margin, other: Margin) -> Margin:
    return Margin(max(one.before, other.before), max(one.after, other.after))


def _padded(tensor: Tensor, frame: Frame, names: set[str]) -> Tensor:
    name = unused(f"{tensor.name}_padded", names)
    names.add(name)
    shape = [size for axis, n in zip(frame, tensor.shape, strict=True) for size in axis.sizes(n)]
    return Tensor(name, shape, tensor.dtype)


def _held(frame: Frame, maps: Sequence[Any]) -> tuple[Any, ...]:
    """Where the copy holds what is read at some place."""
    return tuple(at for axis, m in zip(frame, maps, strict=True) for at in axis.held(m))


def _copy(tensor: Tensor, padded: Tensor, frame: Frame) -> tuple[Statement, Statement]:
    """Give the two statements that fill a padded tensor: zeros, then the copy."""
    letters = tuple(Index(f"a{axis}") for axis in range(padded.rank))
    free = iter(letters)
    sizes: dict[Index, Size] = {}
    maps: list[Any] = []
    for axis, n in zip(frame, tensor.shape, strict=True):
        start, moves = (axis.start, axis.moves) if isinstance(axis, Windows) else (0, ((1, n),))
        steps = [(i, *move) for move, i in zip(moves, free, strict=False)]
        sizes |= {i: count for i, _, count in steps}
        maps.append(start + sum(step * i for i, step, _ in steps))
    return (
        state(padded[letters], Reduce.SET, sympy.S.Zero),
        state(padded[_held(frame, maps)], Reduce.SET, tensor[tuple(maps)], sizes),
    )


def _shifted(statement: Statement, access: Access, padded: Tensor, frame: Frame) -> Statement:
    """Give the statement reading the padded copy, without the guards that it makes needless."""
    gone = tuple(map(Guard, access.maps, access.tensor.shape))
    beyond = (g for g in gone if not inside(g.expr, g.size, statement.sizes))
    return replace(
        statement,
        body=statement.body.xreplace({access: padded[_held(frame, access.maps)]}),
        extra=tuple(g for g in statement.extra if g not in gone),
        support=(*statement.support, *beyond),
    )


def _together(statements: list[Statement]) -> list[Statement]:
    """Keep the statements of one tensor side by side where copies came between them."""
    owned: dict[Tensor, list[Statement]] = {}
    for s in statements:
        owned.setdefault(s.target, []).append(s)
    last = {s.target: at for at, s in enumerate(statements)}
    ordered = sorted(owned, key=lambda t: last[t])
    return [s for t in ordered for s in owned[t]]
