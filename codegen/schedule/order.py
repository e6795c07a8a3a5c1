"""The order of a nest's loops: which index runs across vector lanes, which stay outside.

A plain cost model: an index makes a good innermost loop where most accesses step by zero or one
element along it and it is long enough to fill the lanes. A schedule is data; print it, compare
it, or give another.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from codegen.affine import Index, split, typical
from codegen.notation import FLOATS, Reduce, Statement, Tensor

LANES = 16  # floats in the widest vector register; narrower machines use several
TILE = 64  # elements of a row that are accumulated at once, on the stack
BETTER = 0.7  # the part of the cost that another innermost loop must not exceed
SHORTEST = 8  # elements that are worth a vector


@dataclass(frozen=True)
class Schedule:
    """How one reduction runs: its outer loops, its reduced ones, the lane index.

    `lane` is a parallel index (one accumulator an element), a reduced one (partial sums that are
    added in a fixed order), or None (one scalar accumulator).
    """

    outer: tuple[Index, ...]
    reduced: tuple[Index, ...]
    lane: Index | None
    tile: int = TILE

    @property
    def loops(self) -> str:
        """Which index runs where."""
        outer, reduced = (" ".join(map(str, s)) or "-" for s in (self.outer, self.reduced))
        return f"outer {outer}, reduce {reduced}, lanes {self.lane or '-'}"

    def __str__(self) -> str:
        return self.loops


def choose_schedule(statement: Statement) -> Schedule:
    """Give the schedule of a reduction, or of one element-wise statement."""
    candidates = [i for i, _ in statement.box if _may_run(i, statement)]
    scored = sorted((cost(i, statement), k) for k, i in enumerate(candidates))
    lane = candidates[scored[0][1]] if scored and scored[0][0] < 1 else None
    outer = tuple(i for i in statement.parallel if i != lane)
    first = statement.op in (Reduce.ARGMAX, Reduce.ARGMIN)  # of equals, in row order
    summed = statement.reduced if first else far_first(statement)
    reduced = tuple(i for i in summed if i != lane)
    return Schedule(outer, reduced, lane)


def pointwise_order(
    statements: Sequence[Statement], near: Collection[str] = ()
) -> tuple[Index, ...]:
    """The loops of an element-wise nest: those of the box, innermost what walks along memory best.

    All statements run over the box of the first; tensors called as in `near` cost nothing.
    """
    box = [i for i, _ in statements[0].box]
    costs = [sum(cost(i, s, near) for s in statements) for i in box]
    best = min(costs, default=0.0)
    if not box or best > BETTER * costs[-1]:
        return tuple(box)
    lane = box[costs.index(best)]
    return (*(i for i in box if i != lane), lane)


def far_first(statement: Statement) -> tuple[Index, ...]:
    """The reduced indices, those with the longest steps through memory first."""

    def reach(index: Index) -> float:
        steps = [stride(a.tensor, a.maps, index) for a in statement.reads]
        return max((abs(int(s)) if s.is_Integer else 1 << 40 for s in steps), default=0)

    return tuple(sorted(statement.reduced, key=reach, reverse=True))


def _may_run(index: Index, statement: Statement) -> bool:
    """Whether the index can run across lanes at all."""
    if index in statement.parallel:
        return True
    free = not statement.guards and not statement.bindings
    return statement.op is Reduce.SUM and free and statement.target.dtype in FLOATS


def cost(index: Index, statement: Statement, near: Collection[str] = ()) -> float:
    """Give the relative cost of one element with this index innermost; 1 is no vectors at all.

    Tensors called as in `near` are at hand anyhow.
    """
    length = typical(statement.sizes[index])
    if length < 4:
        return 1.0
    lanes = min(LANES, 1 << (length.bit_length() - 1))
    passes = -(-length // lanes)
    per_element = passes / length
    penalty = 1.0
    for tensor, maps in [
        *((a.tensor, a.maps) for a in statement.reads),
        *([(statement.target, statement.maps)] if index in statement.parallel else []),
    ]:
        step = stride(tensor, maps, index)
        if step == 0 or tensor.name in near:
            continue
        short = step.is_Integer and abs(step) <= 4
        penalty += 0.5 if step == 1 else (0.25 if short else 1.0) * lanes
    if index in statement.reduced:
        penalty += 1.0  # two loads for each product, and the sum over lanes at the end
    return per_element * penalty / (1.0 + 0.5 * (len(statement.reads) + 1))


def stride(tensor: Tensor, maps: tuple[Any, ...], index: Index) -> Any:
    """Give how many elements an access moves when the index grows by one."""
    total: Any = sympy.S.Zero
    step: Any = sympy.S.One
    for m, size in zip(reversed(maps), reversed(tensor.shape), strict=True):
        total += split(m)[1].get(index, 0) * step
        step = step * size
    return sympy.expand(total)
