"""From kernels to loop nests: loops over the box, guards as loop bounds, sums in registers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy

from codegen.affine import Index, Size, split
from codegen.freeze import freeze, size_of, whole
from codegen.lower_tile import tiled
from codegen.memory import MemoryPlan
from codegen.names import Names
from codegen.nest import (
    Apply,
    Array,
    Element,
    Expression,
    Function,
    Let,
    Loop,
    Name,
    Node,
    Number,
    Scalar,
    Scratch,
    Store,
    When,
    names_in,
    without_unused,
)
from codegen.notation import Access, Binding, Guard, Reduce, Statement, Tensor
from codegen.rewrite.maps import injective
from codegen.schedule.collapse import collapse
from codegen.schedule.fuse import Kernel, Stage
from codegen.schedule.order import LANES, Schedule, choose_schedule, far_first
from codegen.schedule.tile import Tile, choose_tile

ZERO = Number(0, "int64")


@dataclass(frozen=True)
class Lowered:
    """A kernel as a function, the tensors it takes in order, and the schedules it chose."""

    function: Function
    tensors: tuple[Tensor, ...]
    kernel: Kernel
    schedules: tuple[Schedule | Tile, ...]


def lower(kernel: Kernel, names: Names, memory: MemoryPlan) -> Lowered:
    """Give the loop nest of a kernel; tensors that are not stored live in registers only."""
    stored = memory.stored
    names.restart()
    flat = _collapsed(kernel)
    writer = _Writer(names, {t.name for t in stored})
    body = without_unused(tuple(writer.kernel(flat)))
    shapes = {t.name: t for s in flat.statements for t in (s.target, *(a.tensor for a in s.reads))}
    written = {names.tensor(t) for t in kernel.made if t in stored}
    mentioned = names_in(body, ())  # where nothing competes, the place of the best reads nothing
    taken: dict[str, Tensor] = {}  # an updated parameter is read and written as one array
    for t in (*kernel.reads, *(t for t in kernel.made if t in stored)):
        if names.tensor(t) in mentioned:
            taken.setdefault(names.tensor(t), t)
    shared = Counter(memory.home(t) for t in taken.values())  # a view beside what it shows
    arrays = tuple(
        Array(
            name,
            t.dtype,
            tuple(size_of(n, names.letter) for n in shapes[t.name].shape),
            name in written,
            shared[memory.home(t)] > 1,
        )
        for name, t in taken.items()
    )
    used = names_in(body, arrays)
    function = Function(
        names.function(kernel.stages[-1].tensor),
        tuple(str(s) for s in kernel.statements),
        tuple(d for d in names.dims if d in used),
        arrays,
        body,
    )
    return Lowered(function, tuple(taken.values()), kernel, tuple(writer.schedules))


def _collapsed(kernel: Kernel) -> Kernel:
    """Give the kernel with contiguous neighbours merged into one index, if they all can be."""
    merged = iter(collapse(kernel.statements))
    stages = []
    for stage in kernel.stages:
        own = tuple(next(merged) for _ in stage.statements)
        stages.append(Stage(own[0].target, own))
    return Kernel(tuple(stages))


class _Writer:
    """Writes the nodes of one kernel."""

    def __init__(self, names: Names, stored: set[str]) -> None:
        self.names = names
        self.stored = stored
        self.local: dict[Tensor, Name | Element] = {}
        self.schedules: list[Schedule | Tile] = []

    # -- a kernel ---------------------------------------------------------------------------

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
        """Fill the tensor with its identity, then let each statement add to it in memory."""
        nodes: list[Node] = []
        head = stage.statements[0]
        if not _fills(head):
            nodes += self.fill(stage.tensor, head.op.identity(stage.tensor.dtype))
        for s in stage.statements:
            nodes += self.statement(s)
        return nodes

    def fill(self, tensor: Tensor, value: float) -> list[Node]:
        letters = [Index(f"z{axis}") for axis in range(tensor.rank)]
        place = Element(
            self.names.tensor(tensor),
            tuple(Name(self.names.letter(i)) for i in letters),
            tensor.dtype,
        )
        node: Node = Store(place, Number(value, tensor.dtype))
        for i, n in zip(reversed(letters), reversed(tensor.shape), strict=True):
            node = Loop(self.names.letter(i), (ZERO,), (size_of(n, self.names.letter),), (node,))
        return [node]

    def statement(self, s: Statement) -> list[Node]:
        """Give the nest of a statement that works on its target in memory."""
        if not s.reduced or s.bindings or (s.op is Reduce.SUM and not injective(s)):
            self.schedules.append(Schedule(s.parallel, s.reduced, None))
            op = "+=" if s.op is Reduce.SUM else "="
            leaf: list[Node] = [Store(self.element(s.target, s.maps), self.single(s), op)]
            return self.loops((*s.parallel, *s.reduced), s, leaf)
        schedule = choose_schedule(s)
        self.schedules.append(schedule)

        def finish(value: Expression) -> list[Node]:
            return [
                Store(self.element(s.target, s.maps), value, "+=" if s.op is Reduce.SUM else "=")
            ]

        return self.accumulated([s], schedule, finish)

    def pointwise(self, stages: Sequence[Stage]) -> list[Node]:
        """Give one nest whose innermost body computes every stage."""
        first = stages[0].statements[0]
        nodes: list[Node] = []
        for stage in stages:
            nodes += self.point(stage)
        self.schedules.append(Schedule(first.parallel, (), None))
        return self.loops(first.parallel, _unguarded(first), nodes)

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

    def guarded(self, s: Statement, otherwise: Expression | None = None) -> Expression:
        """The value of a point, or of an excluded one: the identity where nothing else is given."""
        value = self.single(s)
        if not s.guards:
            return value
        kind = s.target.dtype if s.op in _POSITION else s.compute_dtype
        otherwise = otherwise or Number(s.op.identity(s.target.dtype), kind)
        return Apply("select", (self.condition(s.guards), value, otherwise), kind)

    def single(self, s: Statement) -> Expression:
        """What one point gives where nothing else competes with it."""
        return Number(0, s.target.dtype) if s.op in _POSITION else self.body(s)

    def keep(self, s: Statement, value: Expression) -> list[Node]:
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
            schedule = replace(schedule, lane=None, inner=None, reduced=reductions[0].reduced)
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

    # -- reductions -------------------------------------------------------------------------

    def accumulated(
        self,
        statements: list[Statement],
        schedule: Schedule,
        finish: Any,
        start: Statement | None = None,
    ) -> list[Node]:
        """Give the loops of a reduction with its accumulator in registers."""
        head = statements[0]
        tile = choose_tile(head) if len(statements) == 1 else None
        if tile is not None:
            self.schedules[-1] = tile

            def begin(value: Expression) -> list[Node]:
                if start is not None:
                    value = Apply("+", (self.guarded(start), value), head.target.dtype)
                done: list[Node] = finish(value)
                return done

            return self.loops(tile.outer, _unguarded(head), tiled(self, head, tile, begin))
        if schedule.lane is None:
            inside = self.scalar(statements, finish, start)
        elif schedule.lane in head.parallel:
            inside = self.row(statements, schedule, finish, start)
        else:
            inside = self.partial(statements, schedule, finish, start)
        return self.loops(schedule.outer, _unguarded(head), inside)

    def initial(self, s: Statement, start: Statement | None) -> Expression:
        if start is not None:
            return self.guarded(start)
        return Number(s.op.identity(s.target.dtype), s.target.dtype)

    def scalar(
        self, statements: list[Statement], finish: Any, start: Statement | None
    ) -> list[Node]:
        """One accumulator; the reduction in row order."""
        head = statements[0]
        dtype = head.target.dtype
        total = Name(self.names.fresh("total"), dtype)
        nodes: list[Node] = []
        if head.op in _POSITION:
            return self.position(head, finish)
        nodes.append(Let(total.name, dtype, self.initial(head, start), fixed=False))
        for s in statements:
            nodes += self.loops(s.reduced, s, self.combine(s, total), outside=s.parallel)
        return [*nodes, *finish(total)]

    def position(self, s: Statement, finish: Any) -> list[Node]:
        """Where the first best value lies: its place in row order over the reduced indices."""
        kind = s.compute_dtype
        best = Name(self.names.fresh("best"), kind)
        at = Name(self.names.fresh("at"), "int32")
        value = Name(self.names.fresh("value"), kind)
        place: Any = sympy.S.Zero
        for i in s.reduced:
            place = place * s.sizes[i] + i
        better = Apply(">" if s.op is Reduce.ARGMAX else "<", (value, best), "bool")
        none = Apply("<", (at, Number(0, "int32")), "bool")
        nan = Apply("isnan", (value,), "bool")
        fresh = Apply("not", (Apply("isnan", (best,), "bool"),), "bool")
        wins = Apply(
            "or", (Apply("or", (none, better), "bool"), Apply("and", (nan, fresh), "bool")), "bool"
        )
        spot = Apply("cast", (whole(sympy.expand(place), self.names.letter),), "int32")
        leaf: list[Node] = [
            Let(value.name, kind, self.body(s)),
            When(wins, (Store(best, value), Store(at, spot))),
        ]
        return [
            Let(best.name, kind, Number(0, kind), fixed=False),
            Let(at.name, "int32", Number(-1, "int32"), fixed=False),
            *self.loops(s.reduced, s, leaf, outside=s.parallel),
            *finish(at),
        ]

    def row(
        self, statements: list[Statement], schedule: Schedule, finish: Any, start: Statement | None
    ) -> list[Node]:
        """One accumulator for each element of a row, the row across vector lanes."""
        head, lane = statements[0], schedule.lane
        assert lane is not None
        dtype, letter = head.target.dtype, self.names.letter
        size = head.sizes[lane]
        whole_row = isinstance(size, int) and size <= schedule.tile
        origin = Name(self.names.fresh(f"{letter(lane)}_start"))
        length = size_of(size, letter)
        end = Apply("+", (origin, Number(schedule.tile, "int64")), "int64")
        low: tuple[Expression, ...] = (ZERO,) if whole_row else (origin,)
        high: tuple[Expression, ...] = (length,) if whole_row else (end, length)
        at: Expression = Name(letter(lane))
        if not whole_row:
            at = Apply("-", (at, origin), "int64")
        scratch = self.names.fresh("row")
        total = Element(scratch, (at,), dtype)

        written = [g for g in _unguarded(head).guards if lane in split(g.expr)[1]]

        def across(nodes: list[Node]) -> Loop:
            return self.bounded_loop(lane, size, written, nodes, low, high)

        tile = int(size) if whole_row else schedule.tile
        nodes: list[Node] = [Scratch(scratch, dtype, max(1, tile))]
        nodes.append(across([Store(total, self.initial(head, start))]))
        for s in statements:
            reduced = far_first(s)
            inner = schedule.inner if schedule.inner in reduced else None
            outside = tuple(i for i in reduced if i != inner)
            leaf = self.combine(s, total)
            if inner is not None:
                leaf = self.register(s, inner, total, outside)
            lanes = self.bounded(lane, s, leaf, (*s.parallel, *outside), low, high)
            nodes += self.loops(
                outside, s, lanes, outside=s.parallel, skip={lane, *([inner] if inner else [])}
            )
        nodes.append(across(finish(total)))
        if whole_row:
            return nodes
        step = schedule.tile
        return [Loop(origin.name, (ZERO,), (length,), tuple(nodes), step)]

    def register(
        self, s: Statement, inner: Index, total: Element, outside: tuple[Index, ...]
    ) -> list[Node]:
        """A short reduction inside the lanes, its sum in a register."""
        local = Name(self.names.fresh("sum"), s.target.dtype)
        known = (*s.parallel, *outside)
        return [
            Let(local.name, s.target.dtype, total, fixed=False),
            *self.loops((inner,), s, self.combine(s, local), outside=known, only=inner),
            Store(total, local),
        ]

    def partial(
        self, statements: list[Statement], schedule: Schedule, finish: Any, start: Statement | None
    ) -> list[Node]:
        """Partial sums across lanes over a reduced index, added in a fixed order."""
        head, lane = statements[0], schedule.lane
        assert lane is not None
        dtype, letter = head.target.dtype, self.names.letter
        size = head.sizes[lane]
        lanes = LANES
        while isinstance(size, int) and lanes > size:
            lanes //= 2
        total = Name(self.names.fresh("total"), dtype)
        scratch = self.names.fresh("lanes")
        slot = Name(self.names.fresh("lane"))
        part = Element(scratch, (slot,), dtype)
        origin = Name(self.names.fresh(f"{letter(lane)}_start"))
        width = Number(lanes, "int64")
        length = size_of(size, letter)
        nodes: list[Node] = [
            Scratch(scratch, dtype, lanes),
            Loop(slot.name, (ZERO,), (width,), (Store(part, Number(0, dtype)),)),
        ]
        for s in statements:
            step = Let(letter(lane), "int64", Apply("+", (origin, slot), "int64"))
            full = Loop(slot.name, (ZERO,), (width,), (step, *self.combine(s, part)))
            left = Apply("-", (length, origin), "int64")
            tail = Loop(slot.name, (ZERO,), (left,), (step, *self.combine(s, part)))
            whole_blocks = isinstance(size, int) and size % lanes == 0
            last = Apply("-", (length, Number(lanes - 1, "int64")), "int64")
            block: list[Node] = [Let(origin.name, "int64", ZERO, fixed=False)]
            if whole_blocks:
                block = [Loop(origin.name, (ZERO,), (length,), (full,), lanes)]
            else:
                stop = Apply("*", (Apply("/", (length, width), "int64"), width), "int64")
                block = [
                    Loop(origin.name, (ZERO,), (last,), (full,), lanes),
                    When(
                        Apply("<", (stop, length), "bool"),
                        (Let(origin.name, "int64", stop), tail),
                    ),
                ]
            reduced = tuple(i for i in far_first(s) if i != lane)
            nodes += self.loops(reduced, s, block, outside=s.parallel, skip={lane})
        nodes.append(Let(total.name, dtype, self.initial(head, start), fixed=False))
        added = Apply("sum_lanes", (Name(scratch, dtype), width), dtype)
        nodes.append(Store(total, added, "+="))
        return [*nodes, *finish(total)]

    def combine(self, s: Statement, total: Name | Element) -> list[Node]:
        """Give what one point does to the accumulator."""
        value = self.body(s)
        if s.op is Reduce.SUM:
            return [Store(total, value, "+=")]
        local = Name(self.names.fresh("value"), s.target.dtype)
        compare = Apply(">" if s.op is Reduce.MAX else "<", (local, total), "bool")
        wins = Apply("or", (compare, Apply("isnan", (local,), "bool")), "bool")
        chosen = Apply("select", (wins, local, total), s.target.dtype)
        return [Let(local.name, s.target.dtype, value), Store(total, chosen)]

    # -- loops, guards, accesses ------------------------------------------------------------

    def loops(
        self,
        order: Iterable[Index],
        s: Statement,
        leaf: list[Node],
        outside: tuple[Index, ...] = (),
        skip: set[Index] | None = None,
        only: Index | None = None,
    ) -> list[Node]:
        """Give nested loops in this order; each guard becomes a bound of its innermost loop.

        Guards on indices of `skip` are left to a loop inside; with `only`, all guards that do not
        hold that index have been taken care of outside.
        """
        order = tuple(order)
        nodes = self.bound(s.bindings, leaf) if s.bindings else leaf
        known = [*outside, *order]
        pending = [g for g in s.guards if not set(split(g.expr)[1]) & (skip or set())]
        if only is not None:
            pending = [g for g in pending if only in split(g.expr)[1]]
        ready = {b.index for b in s.bindings}
        loose = [g for g in pending if set(split(g.expr)[1]) & ready]
        if loose:
            inner = self.bound(s.bindings, [When(self.condition(loose), tuple(leaf))])
            nodes = inner
        firm = [g for g in pending if g not in loose]
        for depth in range(len(order) - 1, -1, -1):
            index = order[depth]
            before = set(known[: len(outside) + depth + 1])
            mine = [
                g for g in firm if index in split(g.expr)[1] and set(split(g.expr)[1]) <= before
            ]
            firm = [g for g in firm if g not in mine]
            nodes = [self.bounded_loop(index, s.sizes[index], mine, nodes, (ZERO,), None)]
        left = [g for g in firm if set(split(g.expr)[1]) <= set(outside)]
        if left:
            nodes = [When(self.condition(left), tuple(nodes))]
        return nodes

    def bounded(
        self,
        lane: Index,
        s: Statement,
        leaf: list[Node],
        known: tuple[Index, ...],
        low: tuple[Expression, ...],
        high: tuple[Expression, ...],
    ) -> list[Node]:
        """Give the lane loop, with the guards that the lane and known indices decide as bounds."""
        mine = [
            g
            for g in s.guards
            if lane in split(g.expr)[1] and set(split(g.expr)[1]) <= {*known, lane}
        ]
        return [self.bounded_loop(lane, s.sizes[lane], mine, leaf, low, high)]

    def bounded_loop(
        self,
        index: Index,
        size: Size,
        guards: list[Guard],
        body: list[Node],
        low: tuple[Expression, ...],
        high: tuple[Expression, ...] | None,
    ) -> Loop:
        letter = self.names.letter
        starts, stops = [*low], [*(high or (size_of(size, letter),))]
        solvable = [g for g in guards if split(g.expr)[1][index].is_Integer]
        rest = [g for g in guards if g not in solvable]
        if rest:  # a symbolic coefficient, which may be zero
            body = [When(self.condition(rest), tuple(body))]
        for g in solvable:
            start, stop = _solved(g, index)
            starts.append(start.expression(letter))
            stops.append(stop.expression(letter))
        return Loop(letter(index), tuple(starts), tuple(stops), tuple(body))

    def condition(self, guards: Iterable[Guard]) -> Expression:
        letter = self.names.letter
        parts: list[Expression] = []
        for g in guards:
            if g.size == 0:
                return Number(0, "bool")  # compilers warn of `0 <= i && i < 0`
            at = whole(g.expr, letter)
            parts.append(Apply("<=", (ZERO, at), "bool"))
            parts.append(Apply("<", (at, size_of(g.size, letter)), "bool"))
        total = parts[0]
        for part in parts[1:]:
            total = Apply("and", (total, part), "bool")
        return total

    def bound(self, bindings: tuple[Binding, ...], leaf: list[Node]) -> list[Node]:
        """Read the bound indices from data; a value out of range reaches nothing."""
        letter = self.names.letter
        lets: list[Node] = []
        checks: list[Expression] = []
        for b in bindings:
            value: Expression = Apply("cast", (self.read(b.value),), "int64")
            checks.append(Apply("<=", (ZERO, value), "bool"))
            if b.divisor != 1:
                value = Apply("/", (value, size_of(b.divisor, letter)), "int64")
            if b.leading:
                checks.append(Apply("<", (Name(letter(b.index)), size_of(b.size, letter)), "bool"))
            else:
                value = Apply("mod", (value, size_of(b.size, letter)), "int64")
            lets.append(Let(letter(b.index), "int64", value))
        test = checks[0]
        for check in checks[1:]:
            test = Apply("and", (test, check), "bool")
        return [*lets, When(test, tuple(leaf))]

    def element(self, tensor: Tensor, maps: Sequence[Any]) -> Element:
        at = tuple(whole(m, self.names.letter) for m in maps)
        return Element(self.names.tensor(tensor), at, tensor.dtype)

    def read(self, access: Access) -> Expression:
        if access.tensor in self.local:
            return self.local[access.tensor]
        return self.element(access.tensor, access.maps)

    def body(self, s: Statement) -> Expression:
        kind: Scalar = s.compute_dtype
        return freeze(s.body, kind, self.read, self.names.letter)


_POSITION = (Reduce.ARGMAX, Reduce.ARGMIN)


def _fills(s: Statement) -> bool:
    """Whether a statement writes every element, so that no fill need come before it."""
    points, elements = (
        sympy.expand(sympy.Mul(*map(sympy.sympify, sizes)))
        for sizes in ((n for _, n in s.box), s.target.shape)
    )
    once = not s.guards and not s.bindings and injective(s)
    return s.op is Reduce.SET and once and points == elements


def _unguarded(s: Statement) -> Statement:
    """Give the parallel part of a reduction: its guards belong to the inner loops."""
    box = tuple((i, n) for i, n in s.box if i in s.parallel)
    return replace(s, op=Reduce.SET, body=sympy.S.Zero, box=box, bindings=(), extra=())


@dataclass(frozen=True)
class _Bound:
    """A bound of a loop: a numerator divided by a positive number, rounded up or down."""

    rounding: str
    numerator: Any
    divisor: int

    def expression(self, letter: Any) -> Expression:
        """Give the bound as integer arithmetic."""
        top = whole(self.numerator, letter)
        if self.divisor == 1:
            return top
        if isinstance(top, Number):
            exact = int(top.value)
            up = self.rounding == "ceil"
            return Number(-(-exact // self.divisor) if up else exact // self.divisor, "int64")
        return Apply(f"{self.rounding}_div", (top, Number(self.divisor, "int64")), "int64")


def _solved(guard: Guard, index: Index) -> tuple[_Bound, _Bound]:
    """Solve `0 ≤ c·index + rest < size` for the index: where its loop starts and stops."""
    factor = split(guard.expr)[1][index]
    rest = sympy.expand(guard.expr - factor * index)
    size = sympy.sympify(guard.size)
    c = abs(int(factor))
    if factor > 0:  # index ≥ ⌈-rest/c⌉ and index < ⌈(size - rest)/c⌉
        return _Bound("ceil", -rest, c), _Bound("ceil", sympy.expand(size - rest), c)
    # index > (rest - size)/c and index ≤ rest/c
    return (
        _Bound("floor", sympy.expand(rest - size + c), c),
        _Bound("floor", sympy.expand(rest + c), c),
    )
