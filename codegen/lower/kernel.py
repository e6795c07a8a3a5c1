"""Kernels: a first stage in memory or in registers, and the pointwise stages that follow it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import sympy

from codegen.affine import Index, split
from codegen.freeze import size_of
from codegen.lower.loops import ZERO, Shown
from codegen.lower.reduction import Reductions
from codegen.lower.share import joined
from codegen.lower.transpose import transposed
from codegen.machine import Machine
from codegen.names import Names
from codegen.nest import Apply, Element, Expression, Let, Loop, Name, Node, Number, Store
from codegen.notation import Reduce, Statement, Tensor
from codegen.rewrite.maps import injective, unguarded
from codegen.schedule.fuse import Kernel, Stage
from codegen.schedule.order import LANES, Schedule, choose_schedule, pointwise_order


class KernelWriter(Reductions):
    """Writes the nodes of one kernel; tensors outside `stored` live in registers only."""

    def __init__(
        self, names: Names, stored: set[str], machine: Machine, shown: Shown | None = None
    ) -> None:
        super().__init__(names, machine, shown)
        self.stored = stored

    def kernel(self, kernel: Kernel) -> list[Node]:
        """A whole first stage shares its loops with the pointwise stages after it."""
        first, *rest = kernel.stages
        if not first.whole:
            return self.in_memory(first)
        reductions = [s for s in first.statements if s.reduced]
        if not reductions:
            return self.pointwise([first, *rest])
        return self.reduction(first, reductions, rest)

    def in_memory(self, stage: Stage) -> list[Node]:
        """Fill the tensor with its identity, then let each statement add to it in memory.

        Statements that only copy go hand in hand along the axes that they share, so that what
        one has written is still at hand for the next. Sums of different elements, as phases are,
        need not add to anything; nor do sums that start from what is given at each point.
        """
        head, *rest = stage.statements
        if stage.starts:
            return self.statement(rest[0], alone=True, start=head)
        alone = _alone(stage.statements)
        done = _fills(head) or (alone and _complete(stage))
        identity = None if done else head.op.identity(stage.tensor.dtype)
        common = () if any(s.reduced for s in stage.statements) else _common(stage)
        box = tuple((head.maps[axis], stage.tensor.shape[axis]) for axis in common)
        if identity is None and rest and head.body.is_number:
            identity = float(head.body)
        else:
            rest = [head, *rest]
        nodes: list[Node] = []
        if identity is not None:
            hole = _written(rest, len(common))
            nodes += self.fill(stage.tensor, identity, tuple(i for i, _ in box), hole)
        for s in rest:
            same = {s.maps[axis]: i for axis, (i, _) in zip(common, box, strict=True)}
            s = s.substitute({old: new for old, new in same.items() if old != new})
            outside = tuple(same.values())
            zeros = identity == 0 and len(rest) == 1  # beyond the guards, where nobody else writes
            turned = transposed(self, s, outside) if zeros or not s.guards else None
            if not common and turned is None:
                nodes += self.statement(s, alone=alone)
                continue
            inner = tuple(i for i in s.parallel if i not in outside)
            self.schedules.append(Schedule(s.parallel, (), None))
            nodes += turned or self.loops(inner, s, self.leaf(s), outside=outside)
        for i, n in reversed(box):
            stop = size_of(n, self.names.letter)
            nodes = [Loop(self.names.letter(i), (ZERO,), (stop,), tuple(nodes), shared=True)]
        return joined(nodes) if alone else nodes

    def fill(
        self,
        tensor: Tensor,
        value: float,
        outside: tuple[Index, ...] = (),
        hole: Sequence[tuple[int, int]] | None = None,
    ) -> list[Node]:
        """Give every element one value; the first axes may have loops already.

        Elements in a hole, which is a stretch of each other axis, are left to somebody else.
        """
        letters = [*outside, *(Index(f"z{axis}") for axis in range(len(outside), tensor.rank))]
        place = Element(
            self.array(tensor),
            tuple(Name(self.names.letter(i)) for i in letters),
            tensor.dtype,
        )
        whole: list[Node] = [Store(place, Number(value, tensor.dtype))]
        around: list[Node] = []
        for axis in range(tensor.rank - 1, len(outside) - 1, -1):
            i, n = letters[axis], tensor.shape[axis]
            if hole:
                start, stop = hole[axis - len(outside)]
                parts = (0, start, whole), (start, stop, around), (stop, int(n), whole)
                around = [self.stretch(i, a, b, body) for a, b, body in parts if a < b and body]
            whole = [replace(self.bounded_loop(i, n, [], whole, (ZERO,), None), shared=True)]
        return around if hole else whole

    def stretch(self, index: Index, start: int, stop: int, body: list[Node]) -> Loop:
        """Give the loop over a stretch of an index."""
        low, high = Number(start, "int64"), Number(stop, "int64")
        return self.bounded_loop(index, stop - start, [], body, (low,), (high,))

    def statement(
        self, s: Statement, *, alone: bool = False, start: Statement | None = None
    ) -> list[Node]:
        """Give the nest of a statement that works on its target in memory.

        It is `alone` where no other one reaches its elements, but for a `start` to be added to.
        """
        if not s.reduced or s.bindings or (s.op is Reduce.SUM and not injective(s)):
            self.schedules.append(Schedule(s.parallel, s.reduced, None))
            return self.loops((*s.parallel, *s.reduced), s, self.leaf(s), shared=injective(s))
        schedule = choose_schedule(s)
        self.schedules.append(schedule)

        def finish(value: Expression) -> list[Node]:
            op = "+=" if s.op is Reduce.SUM and not alone else "="
            return [Store(self.element(s.target, s.maps), value, op)]

        return self.accumulated([s], schedule, finish, start)

    def leaf(self, s: Statement) -> list[Node]:
        """Write one point into memory."""
        op = "+=" if s.op is Reduce.SUM else "="
        return [Store(self.element(s.target, s.maps), self.single(s), op)]

    def pointwise(self, stages: Sequence[Stage]) -> list[Node]:
        """Give one nest whose innermost body computes every stage."""
        first = stages[0].statements[0]
        if len(stages) == len(stages[0].statements) == 1 and (turned := transposed(self, first)):
            self.schedules.append(Schedule(first.parallel, (), None))
            return turned
        nodes: list[Node] = []
        for stage in stages:
            nodes += self.point(stage)
        held = {stage.tensor.name for stage in stages} - self.stored
        order = pointwise_order([s for stage in stages for s in stage.statements], held)
        self.schedules.append(Schedule(order, (), None))
        return self.loops(order, unguarded(first), nodes, shared=True)

    def point(self, stage: Stage) -> list[Node]:
        """Compute one stage at one point; keep it in a register, store it if anybody needs it."""
        total: Expression | None = None
        for s in stage.statements:
            # An assignment after a fill leaves the fill where it is excluded.
            value = self.guarded(s, total if s.op is Reduce.SET else None)
            added = total is not None and s.op is not Reduce.SET
            total = Apply("+", (total, value), s.compute_dtype) if total and added else value
        assert total is not None
        if stage.tensor.dtype != total.dtype:
            total = Apply("cast", (total,), stage.tensor.dtype)
        return self.keep(stage.statements[0], total)

    def keep(self, s: Statement, value: Expression) -> list[Node]:
        """Hold a value in a register, and in memory if anybody needs it there."""
        local = self.names.local(s.target)
        self.local[s.target] = Name(local, s.target.dtype)
        nodes: list[Node] = [Let(local, s.target.dtype, value)]
        if s.target.name in self.stored:
            nodes.append(Store(self.element(s.target, s.maps), Name(local, s.target.dtype)))
        return nodes

    def reduction(
        self, first: Stage, reductions: list[Statement], rest: Sequence[Stage]
    ) -> list[Node]:
        """Reduce in registers, then run the pointwise stages on the result."""
        start = next((s for s in first.statements if not s.reduced), None)
        extra = [s for s in first.statements if not s.reduced and s is not start]
        schedule = choose_schedule(reductions[0])
        lane = schedule.lane
        length = lane and reductions[0].sizes[lane]
        if any(
            choose_schedule(r).lane != lane or (lane and r.sizes[lane] != length)
            for r in reductions[1:]
        ):
            schedule = replace(schedule, lane=None, reduced=reductions[0].reduced)
            schedule = replace(schedule, outer=reductions[0].parallel)
        self.schedules.append(schedule)

        def finish(value: Expression) -> list[Node]:
            for s in extra:
                value = Apply("+", (value, self.guarded(s)), s.target.dtype)
            nodes = self.keep(reductions[0], value)
            for stage in rest:
                nodes += self.point(stage)
            return nodes

        return self.accumulated(reductions, schedule, finish, start)


def _alone(statements: Sequence[Statement]) -> bool:
    """Whether each is a sum whose elements no other one reaches."""
    sums = all(s.op is Reduce.SUM and s.reduced and not s.bindings for s in statements)
    return (
        sums
        and all(map(injective, statements))
        and all(_disjoint(a, b) for a, b in itertools.combinations(statements, 2))
    )


def _disjoint(a: Statement, b: Statement) -> bool:
    """Whether two statements write elements of different phases along some axis."""
    for one, other in zip(a.maps, b.maps, strict=True):
        (start, moves), (begin, others) = split(one), split(other)
        numbers = (start - begin, *moves.values(), *others.values())
        if all(n.is_Integer for n in numbers):
            stride = math.gcd(*map(int, (*moves.values(), *others.values())))
            if (start - begin) % stride if stride else start != begin:
                return True
    return False


def _complete(stage: Stage) -> bool:
    """Whether statements whose elements are different ones write all there are."""
    points = sum(sympy.Mul(*(s.sizes[i] for i in s.parallel)) for s in stage.statements)
    elements = sympy.Mul(*map(sympy.sympify, stage.tensor.shape))
    guarded = any(unguarded(s).guards for s in stage.statements)
    return not guarded and sympy.expand(points - elements) == 0


def _common(stage: Stage) -> tuple[int, ...]:
    """The leading axes along which each statement runs from end to end by an index of its own."""
    found: list[int] = []
    for axis, n in enumerate(stage.tensor.shape):
        for s in stage.statements:
            m = s.maps[axis]
            elsewhere = [e for k, e in enumerate(s.maps) if k != axis and m in e.free_symbols]
            if s.bindings or not injective(s) or s.sizes.get(m) != n or elsewhere:
                return tuple(found)
        found.append(axis)
    return tuple(found)


def _written(statements: Sequence[Statement], first: int) -> tuple[tuple[int, int], ...] | None:
    """The stretch of each axis from some on that is written; None where it is no such box."""
    s = statements[0]
    if len(statements) > 1 or s.op is not Reduce.SET or s.guards or s.bindings:
        return None
    found = []
    for m, n in zip(s.maps[first:], s.target.shape[first:], strict=True):
        start, moved = split(m)
        size = s.sizes[next(iter(moved))] if list(moved.values()) == [1] else None
        if not (isinstance(size, int) and isinstance(n, int) and start.is_Integer):
            return None
        found.append((int(start), int(start) + size))
    if found:
        (start, stop), n = found[-1], s.target.shape[-1]
        assert isinstance(n, int)
        if start + n - stop and _stores(start) + _stores(n - stop) >= _stores(n):
            return None  # whole rows take no more
    return tuple(found) if injective(s) else None


def _stores(n: int) -> int:
    """How many stores of vectors so many neighbours take."""
    return n // LANES + (n % LANES).bit_count()


def _fills(s: Statement) -> bool:
    """Whether a statement writes every element, so that no fill need come before it."""
    points, elements = (
        sympy.expand(sympy.Mul(*map(sympy.sympify, sizes)))
        for sizes in ((n for _, n in s.box), s.target.shape)
    )
    once = not s.guards and not s.bindings and injective(s)
    return s.op is Reduce.SET and once and points == elements
