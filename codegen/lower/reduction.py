"""Reductions: one accumulator, a row of them across lanes, or partial sums over lanes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy

from codegen.affine import split
from codegen.freeze import size_of, whole
from codegen.lower.loops import ZERO, Loops
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
from codegen.notation import Reduce, Statement
from codegen.schedule.order import LANES, Schedule, far_first
from codegen.schedule.tile import Tile, tile_of

POSITION = (Reduce.ARGMAX, Reduce.ARGMIN)


class Reductions(Loops):
    """Writes the nests of reductions; `finish` says what becomes of each result."""

    def __init__(self, names: Names, machine: Machine) -> None:
        super().__init__(names)
        self.machine = machine
        self.schedules: list[Schedule | Tile] = []

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
        if tile is not None:
            self.schedules[-1] = tile
            known = {*tile.outer}
            checks = [g for g in unguarded(head).guards if not set(split(g.expr)[1]) <= known]

            def begin(value: Expression) -> list[Node]:
                if start is not None:
                    value = Apply("+", (self.guarded(start), value), head.target.dtype)
                done: list[Node] = finish(value)
                return [When(self.condition(checks), tuple(done))] if checks else done

            nests = tiled(self, head, tile, begin)
            return self.loops(tile.outer, unguarded(head), nests, shared=True)
        if schedule.lane is None:
            inside = self.scalar(statements, finish, start)
        elif schedule.lane in head.parallel:
            inside = self.row(statements, schedule, finish, start)
        else:
            inside = self.partial(statements, schedule, finish, start)
        return self.loops(schedule.outer, unguarded(head), inside, shared=True)

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

    def initial(self, s: Statement, start: Statement | None) -> Expression:
        """What an accumulator starts from."""
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
        if head.op in POSITION:
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

        written = [g for g in unguarded(head).guards if lane in split(g.expr)[1]]

        def across(nodes: list[Node]) -> Loop:
            return self.bounded_loop(lane, size, written, nodes, low, high)

        tile = int(size) if whole_row else schedule.tile
        nodes: list[Node] = [Scratch(scratch, dtype, max(1, tile))]
        nodes.append(across([Store(total, self.initial(head, start))]))
        for s in statements:
            reduced = far_first(s)
            leaf = self.combine(s, total)
            lanes = self.bounded(lane, s, leaf, (*s.parallel, *reduced), low, high)
            nodes += self.loops(reduced, s, lanes, outside=s.parallel, skip={lane})
        nodes.append(across(finish(total)))
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


def unguarded(s: Statement) -> Statement:
    """Give the parallel part of a reduction: its guards belong to the inner loops."""
    box = tuple((i, n) for i, n in s.box if i in s.parallel)
    return replace(s, op=Reduce.SET, body=sympy.S.Zero, box=box, bindings=(), extra=())
