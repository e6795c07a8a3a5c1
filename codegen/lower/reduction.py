"""Reductions: one accumulator, a row of them across lanes, or partial sums over lanes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sympy

from codegen.affine import Index, split
from codegen.freeze import size_of, whole
from codegen.lower.loops import ZERO, Loops, Shown
from codegen.lower.tile import tiled
from codegen.machine import Machine
from codegen.names import Names
from codegen.nest import (
    Apply,
    Element,
    Expression,
    Let,
    Loop,
    Name,
    Node,
    Number,
    Scratch,
    Store,
    When,
)
from codegen.notation import Access, Reduce, Statement
from codegen.rewrite.maps import unguarded
from codegen.schedule.ends import Ends, ends
from codegen.schedule.order import LANES, SHORTEST, Schedule, choose_schedule, far_first
from codegen.schedule.tile import Tile, tile_of

UNROLLED = 16  # steps of a reduction that compilers write one after the other
LONG = 256  # elements from which two vectors of sums take turns: each addition waits for its last
POSITION = (Reduce.ARGMAX, Reduce.ARGMIN)


class Reductions(Loops):
    """Writes the nests of reductions; `finish` says what becomes of each result."""

    def __init__(self, names: Names, machine: Machine, shown: Shown | None = None) -> None:
        super().__init__(names, shown)
        self.machine = machine
        self.schedules: list[Schedule | Tile] = []
        self.starts: dict[Index, Name] = {}

    def start(self, index: Index) -> Name:
        """Give the start of a block; loops of several statements with one name may be joined."""
        if index not in self.starts:
            self.starts[index] = Name(self.names.fresh(f"{self.names.letter(index)}_start"))
        return self.starts[index]

    def accumulated(
        self,
        statements: list[Statement],
        schedule: Schedule,
        finish: Any,
        start: Statement | None = None,
    ) -> list[Node]:
        """Give the loops of a reduction with its accumulator in registers."""
        head = statements[0]
        tile = tile_of(head, self.machine) if len(statements) == 1 else None
        parts = ends(head) if tile else None
        if parts is not None:
            return self.apart(head, parts, finish, start)
        if tile is not None:
            self.schedules[-1] = tile
            rows = dict(tile.rows)
            first = tuple(itertools.takewhile(lambda i: i not in rows, tile.order))
            known = {*first}
            checks = [g for g in unguarded(head).guards if not set(split(g.expr)[1]) <= known]

            def begin(value: Expression) -> list[Node]:
                if start is not None:
                    known_too = {*start.guards} == {*unguarded(head).guards}
                    given = self.single(start) if known_too else self.guarded(start)
                    value = Apply("+", (given, value), head.target.dtype)
                done: list[Node] = finish(value)
                return [When(self.condition(checks), tuple(done))] if checks else done

            nests = tiled(self, head, tile, tile.order[len(first) :], begin)
            return self.loops(first, unguarded(head), nests, shared=True)
        if schedule.lane is None:
            inside = self.scalar(statements, finish, start)
        elif schedule.lane in head.parallel and _windows(statements, schedule.lane):
            inside = self.windows(statements, schedule.lane, finish, start)
        elif schedule.lane in head.parallel:
            inside = self.row(statements, schedule, finish, start)
        else:
            inside = self.partial(statements, schedule, finish, start)
        return self.loops(schedule.outer, unguarded(head), inside, shared=True)

    def apart(self, s: Statement, parts: Ends, finish: Any, start: Statement | None) -> list[Node]:
        """Give the whole blocks of a reduction, then the last one and the nothing that ends it."""
        block, place = parts.block, parts.place

        def of(part: Statement) -> list[Node]:
            return self.accumulated([part], choose_schedule(part), finish, start)

        value: Expression = Number(0, s.target.dtype)
        if start is not None:
            value = Apply("+", (self.guarded(start), value), s.target.dtype)
        around, order = unguarded(s), tuple(i for i in s.parallel if i not in (block, place))
        low, high = Number(parts.last.sizes[place], "int64"), Number(s.sizes[place], "int64")
        rest = self.bounded(place, around, finish(value), (*order, block), (low,), (high,))
        rest = self.loops(order, around, rest, outside=(block,), skip={place}, shared=True)
        at, after = Number(parts.at, "int64"), Number(parts.at + 1, "int64")
        last = Loop(
            self.names.letter(block), (at,), (after,), (*of(parts.last), *rest), shared=True
        )
        return [*(of(parts.whole) if parts.whole else ()), last]

    def guarded(self, s: Statement, otherwise: Expression | None = None) -> Expression:
        """The value of a point, or of an excluded one: the identity where nothing else is given."""
        value = self.single(s)
        if not s.guards:
            return value
        kind = s.target.dtype if s.op in POSITION else s.compute_dtype
        otherwise = otherwise or Number(s.op.identity(s.target.dtype), kind)
        return Apply("select", (self.condition(s.guards), value, otherwise), kind)

    def single(self, s: Statement) -> Expression:
        """What one point gives where nothing else competes with it."""
        return Number(0, s.target.dtype) if s.op in POSITION else self.body(s)

    def initial(self, s: Statement, start: Statement | None) -> tuple[Number | Expression, ...]:
        """What the accumulators start from: the best value and its place, or one total."""
        if s.op in POSITION:
            return Number(0, s.compute_dtype), Number(-1, "int32")
        if start is not None:
            return (self.guarded(start),)
        return (Number(s.op.identity(s.target.dtype), s.target.dtype),)

    def scalar(
        self, statements: list[Statement], finish: Any, start: Statement | None
    ) -> list[Node]:
        """One accumulator; the reduction in an order that suits memory."""
        head = statements[0]
        begin = self.initial(head, start)
        totals = tuple(
            Name(self.names.fresh(name), value.dtype)
            for name, value in zip(_called(head), begin, strict=True)
        )
        nodes: list[Node] = [
            Let(total.name, total.dtype, value, fixed=False)
            for total, value in zip(totals, begin, strict=True)
        ]
        for s in statements:
            nodes += self.loops(_order(s), s, self.combine(s, totals), outside=s.parallel)
        return [*nodes, *finish(totals[-1])]

    def windows(
        self, statements: list[Statement], lane: Index, finish: Any, start: Statement | None
    ) -> list[Node]:
        """One accumulator in a register, each lane with its whole reduction.

        A row of accumulators in memory would wait for each of the few steps to be stored: compilers
        make a masked store of a choice, which the next load cannot be served from.
        """
        head = statements[0]
        written = [g for g in unguarded(head).guards if lane in split(g.expr)[1]]
        nodes = self.scalar(statements, finish, start)
        loop = self.bounded_loop(lane, head.sizes[lane], written, nodes, (ZERO,), None)
        return [replace(loop, lanes=not written)]

    def row(
        self, statements: list[Statement], schedule: Schedule, finish: Any, start: Statement | None
    ) -> list[Node]:
        """One accumulator for each element of a row, the row across vector lanes."""
        head, lane = statements[0], schedule.lane
        assert lane is not None
        letter = self.names.letter
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
        begin = self.initial(head, start)
        totals = tuple(
            Element(self.names.fresh("row" if len(begin) == 1 else name), (at,), value.dtype)
            for name, value in zip(_called(head), begin, strict=True)
        )

        written = [g for g in unguarded(head).guards if lane in split(g.expr)[1]]

        def across(nodes: list[Node]) -> Loop:
            return self.bounded_loop(lane, size, written, nodes, low, high)

        tile = int(size) if whole_row else schedule.tile
        nodes: list[Node] = [Scratch(t.array, t.dtype, max(1, tile)) for t in totals]
        nodes.append(across([Store(t, value) for t, value in zip(totals, begin, strict=True)]))
        for s in statements:
            reduced = _order(s)
            leaf = self.combine(s, totals)
            lanes = self.bounded(lane, s, leaf, (*s.parallel, *reduced), low, high)
            nodes += self.loops(reduced, s, lanes, outside=s.parallel, skip={lane})
        nodes.append(across(finish(totals[-1])))
        if whole_row:
            return nodes
        step = schedule.tile
        return [Loop(origin.name, (ZERO,), (length,), tuple(nodes), step, shared=True)]

    def partial(
        self, statements: list[Statement], schedule: Schedule, finish: Any, start: Statement | None
    ) -> list[Node]:
        """Partial sums across lanes over a reduced index, added in a fixed order."""
        head, lane = statements[0], schedule.lane
        assert lane is not None
        dtype, letter = head.target.dtype, self.names.letter
        size = head.sizes[lane]
        lanes = 2 * LANES if isinstance(size, int) and size >= LONG else LANES
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
            full = Loop(slot.name, (ZERO,), (width,), (step, *self.combine(s, (part,))))
            left = Apply("-", (length, origin), "int64")
            tail = Loop(slot.name, (ZERO,), (left,), (step, *self.combine(s, (part,))))
            whole_blocks = isinstance(size, int) and size % lanes == 0
            last = Apply("-", (length, Number(lanes - 1, "int64")), "int64")
            block: list[Node] = [Loop(origin.name, (ZERO,), (length,), (full,), lanes)]
            if not whole_blocks:
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
        nodes.append(Let(total.name, dtype, self.initial(head, start)[0], fixed=False))
        added = Apply("sum_lanes", (Name(scratch, dtype), width), dtype)
        nodes.append(Store(total, added, "+="))
        return [*nodes, *finish(total)]

    def combine(self, s: Statement, totals: Sequence[Name | Element]) -> list[Node]:
        """Give what one point does to the accumulators."""
        value = self.body(s)
        if s.op is Reduce.SUM:
            return [Store(totals[0], value, "+=")]
        kind = s.compute_dtype if s.op in POSITION else s.target.dtype
        local = Name(self.names.fresh("value"), kind)
        best = totals[0]
        more = Apply(">" if s.op in (Reduce.MAX, Reduce.ARGMAX) else "<", (local, best), "bool")
        nan = Apply("isnan", (local,), "bool")
        nodes: list[Node] = [Let(local.name, kind, value)]
        if s.op not in POSITION:
            chosen = Apply("select", (Apply("or", (more, nan), "bool"), local, best), kind)
            return [*nodes, Store(best, chosen)]
        at = totals[1]
        none = Apply("<", (at, Number(0, "int32")), "bool")
        fresh = Apply("not", (Apply("isnan", (best,), "bool"),), "bool")
        first = Apply("and", (nan, fresh), "bool")
        place: Any = sympy.S.Zero
        for i in s.reduced:
            place = place * s.sizes[i] + i
        spot = Apply("cast", (whole(sympy.expand(place), self.names.letter),), "int32")
        wins = Name(self.names.fresh("wins"), "bool")
        test = Apply("or", (Apply("or", (none, more), "bool"), first), "bool")
        return [
            *nodes,
            Let(wins.name, "bool", test),
            Store(best, Apply("select", (wins, local, best), kind)),
            Store(at, Apply("select", (wins, spot, at), "int32")),
        ]


def _windows(statements: list[Statement], lane: Index) -> bool:
    """Whether each element is the best or the sum of few others, all of them inside.

    Then compilers unroll the reduction, and still run the loop around it across lanes.
    """
    if any(s.guards or s.bindings or not isinstance(s.body, Access) for s in statements):
        return False
    size = statements[0].sizes[lane]
    steps = [s.sizes[i] for s in statements for i in s.reduced]
    if not isinstance(size, int) or not all(isinstance(n, int) for n in steps):
        return False
    return size >= SHORTEST and sum(_steps(s) for s in statements) <= UNROLLED


def _steps(s: Statement) -> int:
    return math.prod(int(s.sizes[i]) for i in s.reduced)


def _called(s: Statement) -> tuple[str, ...]:
    """What the accumulators are called."""
    return ("best", "at") if s.op in POSITION else ("total",)


def _order(s: Statement) -> tuple[Index, ...]:
    """The reduced indices as the loops run: the first of equals is that in row order."""
    return s.reduced if s.op in POSITION else far_first(s)
