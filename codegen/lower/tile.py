"""The loops of a register tile: accumulators in vectors over the whole reduction.

Before: for a in 0..192 by 3            After: for a in 0..192 by 12
          for o in 0..512 by 8                   for o in 0..512 by 8
            sum up 8 × 3 vectors                   for b in a..a + 12 by 3
            change 8 × 3 vectors in memory           sum up 8 × 3 vectors
                                                   change 8 × 12 vectors in memory
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import sympy

from codegen.affine import Index, split
from codegen.aligned import LINE
from codegen.freeze import size_of, whole
from codegen.lower.lines import ahead, far, streamed
from codegen.lower.loops import ZERO
from codegen.lower.share import joined
from codegen.lower.vectors import in_vectors, repeatable
from codegen.machine import Machine
from codegen.names import Names
from codegen.nest import (
    Apply,
    Element,
    Expression,
    Fetch,
    Hold,
    Let,
    Loop,
    Name,
    Node,
    Number,
    Scalar,
    Scratch,
    Store,
    Transpose,
    plus,
    times,
    unrolled,
)
from codegen.notation import BYTES, Access, Statement, Tensor
from codegen.schedule.order import SHORTEST, stride
from codegen.schedule.search import FEWEST, Segment, apart
from codegen.schedule.tile import Tile

TURNED = ("float32x16", "float32x8", "float32x4", "float64x8", "float64x4")  # of the runtime
Finish = Callable[[Expression], list[Node]]


class Writer(Protocol):
    """What the loops of a tile need of the writer of the kernel around them."""

    names: Names
    machine: Machine

    def start(self, index: Index) -> Name:
        """Give the start of a block of an index."""

    def array(self, tensor: Tensor) -> str:
        """The name of the array that has a tensor's elements in its shape."""

    def loops(
        self,
        order: Any,
        s: Statement,
        leaf: list[Node],
        outside: tuple[Index, ...] = (),
        *,
        rolled: bool = False,
    ) -> list[Node]:
        """Give nested loops around a leaf."""


def tiled(
    writer: Writer, s: Statement, tile: Tile, order: tuple[Index, ...], finish: Finish
) -> list[Node]:
    """Give the nests of a tile: one for each combination of segments of rows and lanes.

    `order` holds the indices that have no loop around the nests yet, rows among them. Lanes are
    done again only where that changes nothing.
    """
    nodes: list[Node] = []
    starts = {i: writer.start(i) for i, _ in tile.rows}
    lanes: tuple[Segment | None, ...] = (None,)
    if tile.lane in s.parallel:
        again = repeatable(finish(Name("value", s.target.dtype)))
        lanes = tile.lanes if again else apart(tile.lanes, tile.width)
    for blocks in itertools.product(*(segments for _, segments in tile.rows)):
        rows = dict(zip(starts, blocks, strict=True))
        for lane in lanes:  # stretches of which share all loops but the last
            nodes += _Block(writer, s, tile, rows, lane, starts).nest(order, finish)
    return joined(nodes, within=len(order) < len(tile.order))


class _Block:
    """One combination of segments: `rows` and, for a parallel lane, `lane` say which."""

    def __init__(
        self,
        writer: Writer,
        s: Statement,
        tile: Tile,
        rows: dict[Index, Segment],
        lane: Segment | None,
        starts: Mapping[Index, Name],
    ) -> None:
        self.writer, self.s, self.tile, self.rows, self.lane = writer, s, tile, rows, lane
        self.names = writer.names
        self.kind = s.target.dtype
        self.width = min(lane.block, tile.width) if lane else tile.width
        self.vectors = lane.block // self.width if lane else 1
        self.m = Name(self.names.fresh("m"))
        some = Apply("*", (self.m, Number(self.width, "int64")), "int64")
        self.shift = some if self.vectors > 1 else None
        self.starts = dict(starts)
        if lane and tile.lane not in starts:
            self.starts[tile.lane] = writer.start(tile.lane)
        self.steps = {i: Name(self.names.fresh(f"{self.letter(i)}_row")) for i in rows}

    def letter(self, symbol: Any) -> str:
        return self.names.letter(symbol)

    def vector(self, width: int) -> str:
        """The type of so many numbers side by side."""
        return f"{self.kind}x{width}" if width > 1 else self.kind

    # -- pieces -----------------------------------------------------------------------------

    def each_row(self, body: list[Node]) -> list[Node]:
        """Run a body for every row of the block, the row indices set."""
        return self.each_of([*self.rows], body)

    def each_of(self, rows: Sequence[Index], body: list[Node]) -> list[Node]:
        """Run a body for every value of some row indices in the block."""
        for i in reversed(rows):
            body = [self.each(i, body)]
        return body

    def beside(self, body: list[Node]) -> list[Node]:
        """Run a body for every vector that stands beside others in a row."""
        stop = Number(self.vectors, "int64")
        return [Loop(self.m.name, (ZERO,), (stop,), tuple(body))] if self.vectors > 1 else body

    def each_cell(self, body: list[Node]) -> list[Node]:
        """Run a body for every accumulator."""
        return self.each_row(self.beside(body))

    def each(self, row: Index, body: list[Node], *, lanes: bool = False) -> Loop:
        """Run a body for every value of one row index in the block."""
        at = Apply("+", (self.starts[row], self.steps[row]), "int64")
        stop = Number(self.rows[row].block, "int64")
        inner = (Let(self.letter(row), "int64", at), *body)
        return Loop(self.steps[row].name, (ZERO,), (stop,), inner, lanes=lanes)

    def place(
        self,
        more: Expression | None = None,
        count: int = 1,
        given: Mapping[Index, Expression] | None = None,
        of: Sequence[Index] | None = None,
    ) -> Expression:
        """The accumulator of the row, or of a `given` one: rows in mixed radix, then the vector.

        `of` gives the place among the rows of these indices alone.
        """
        at: Expression | None = None
        for i in self.rows if of is None else of:
            segment, step = self.rows[i], (given or self.steps)[i]
            if isinstance(at, Number):
                at = Number(at.value * segment.block, "int64")
                step = Apply("+", (at, step), "int64") if at.value else step
            elif at is not None:
                at = Apply("*", (at, Number(segment.block, "int64")), "int64")
                step = Apply("+", (at, step), "int64")
            at = step
        if more is not None:
            if at is None:
                return more
            at = Apply("+", (Apply("*", (at, Number(count, "int64")), "int64"), more), "int64")
        return at if at is not None else ZERO

    def count(self) -> int:
        return math.prod(segment.block for segment in self.rows.values())

    def read(self, part: Access, vector: Scalar, shift: Expression | None) -> Element:
        """An operand: a vector where the lane moves it, else a number."""
        at = [whole(m, self.letter) for m in part.maps]
        moving = [k for k, m in enumerate(part.maps) if self.tile.lane in m.free_symbols]
        if shift is not None:
            for k in moving:
                at[k] = Apply("+", (at[k], shift), "int64")
        kind = _in_memory(vector) if moving else self.kind
        return Element(self.writer.array(part.tensor), tuple(at), kind)

    def lane_ahead(self, part: Access, read: Element) -> list[Node]:
        """Ask for the line that the next block of lanes reads where it now reads a vector."""
        if self.lane is None:
            return []
        along = self.tile.lane, self.lane, self.width
        return ahead(self.s, part, read, self.tile, along, self.writer.machine)

    def rows_ahead(self, parts: Sequence[Access]) -> list[Node]:
        """Ask for the lines that the next block of rows reads where it now reads numbers."""
        nodes: list[Node] = []
        for part in parts:
            moving = {i for m in part.maps for i in m.free_symbols}
            read = self.read(part, self.kind, None)
            for i, segment in self.rows.items() if self.tile.lane not in moving else ():
                along = i, segment, segment.block
                asks = ahead(self.s, part, read, self.tile, along, self.writer.machine)
                first = Let(self.letter(i), "int64", self.starts[i])
                others = [j for j in self.rows if j in moving - {i}]
                nodes += self.each_of(others, [first, *asks]) if asks else []
        return unrolled(nodes)

    def product(
        self,
        vector: Scalar,
        shift: Expression | None,
        held: Mapping[Access, Element] | None = None,
    ) -> Expression:
        """The product of the operands, some of which may be held in registers."""
        total: Expression | None = None
        scale = sympy.S.One
        for part in sympy.Mul.make_args(self.s.body):
            if not isinstance(part, Access):
                scale *= part
                continue
            read = (held or {}).get(part) or self.read(part, vector, shift)
            total = read if total is None else Apply("*", (total, read), vector)
        assert total is not None
        if scale != 1:
            total = Apply("*", (total, Number(float(scale), self.kind)), vector)
        return total

    def nest(self, order: tuple[Index, ...], finish: Finish) -> list[Node]:
        """Give the loops over tiles and, inside, the tile, or several that finish together."""
        around = self.stretched(finish) or self
        if around is not self:
            body = self.together(around, finish)
        else:
            body = self.across(finish) if self.lane is not None else self.partial(finish)
        high: Expression
        for i in reversed(order):
            if i in self.rows:
                segment = around.rows[i]
                low, high = Number(segment.start, "int64"), Number(segment.stop, "int64")
                name, step = around.starts[i].name, segment.block
            else:
                low, high = ZERO, size_of(self.s.sizes[i], self.letter)
                name, step = self.letter(i), 1
            body = [Loop(name, (low,), (high,), tuple(body), step, shared=True)]
        return body

    # -- lanes over a parallel index ----------------------------------------------------------

    def across(self, finish: Finish) -> list[Node]:
        assert self.lane is not None
        letter = self.letter(self.tile.lane)
        vectors, shift, each = self.vectors, self.shift, self.each_cell
        vector = self.vector(self.width)
        acc, edge = self.names.fresh("acc"), self.names.fresh("tile")
        cell = Element(acc, (self.place(self.m if vectors > 1 else None, vectors),), vector)
        clear = each([Store(cell, Number(0, vector))])
        out = Apply("*", (self.place(), Number(self.lane.block, "int64")), "int64")
        slot = Name(self.names.fresh("lane"))
        value = Element(edge, (Apply("+", (out, slot), "int64"),), self.kind)
        turned = self.turned(edge) if vectors == 1 else []
        if turned:
            place = Apply("*", (slot, Number(turned[0].pitch, "int64")), "int64")
            place = Apply("+", (place, self.place(of=self.run())), "int64")
            value = Element(turned[0].place.array, (place,), self.kind)
        origin = self.starts[self.tile.lane]
        at = Let(letter, "int64", Apply("+", (origin, slot), "int64"))
        done = finish(value)
        whole = in_vectors(done, value, cell, letter, shift)
        if whole is None:
            offset: Expression = Apply("+", (out, shift), "int64") if shift else out
            spill = each([Store(Element(edge, (offset,), _in_memory(vector)), cell)])
            room = Scratch(edge, self.kind, self.count() * self.lane.block)
            store = [room, *spill, *self.stored(slot, at, done, value, turned)]
        else:
            if streamed(self.s, done, self.lane, self.writer.machine):
                whole = [replace(n, streamed=True) if isinstance(n, Store) else n for n in whole]
            store = each(whole)
        room = Scratch(acc, vector, self.count() * vectors)
        begin = [Let(letter, "int64", origin), *self.fetched(slot, at, done), room, *clear]
        return [self.along([*begin, *self.summed(cell), *store])]

    def along(self, body: list[Node]) -> Loop:
        """Run a body for every block of the lane index."""
        assert self.lane is not None
        origin = self.starts[self.tile.lane]
        low, high = Number(self.lane.start, "int64"), Number(self.lane.stop, "int64")
        return Loop(origin.name, (low,), (high,), tuple(body), self.lane.block, shared=True)

    def stretched(self, finish: Finish) -> _Block | None:
        """Give the tiles that finish together as one block, if what they change is not near.

        The rows along which they lie come last, as results that are neighbours do.
        """
        if self.lane is None or self.tile.stretch is None:
            return None
        index, count = self.tile.stretch
        segment = self.rows.get(index, self.lane)
        value = Element("", (Name("lane"),), self.kind)
        cell = Element("", (ZERO,), self.vector(self.width))
        done = finish(value)
        near = repeatable(done) or not far(self.s, done, self.tile, self.lane, self.writer.machine)
        if near or in_vectors(done, value, cell, self.letter(self.tile.lane), None) is not None:
            return None
        if (segment.stop - segment.start) % (count * segment.block):
            return None
        wide = replace(segment, block=count * segment.block)
        starts = {**self.starts, index: Name(self.names.fresh(f"{self.letter(index)}_begin"))}
        if index == self.tile.lane:
            return _Block(self.writer, self.s, self.tile, self.rows, wide, starts)
        rows = {i: s for i, s in self.rows.items() if i != index} | {index: wide}
        return _Block(self.writer, self.s, self.tile, rows, self.lane, starts)

    def together(self, several: _Block, finish: Finish) -> list[Node]:
        """Sum up several tiles one after the other, then finish all of them."""
        assert self.lane is not None and several.lane is not None and self.tile.stretch is not None
        (index, _), lane = self.tile.stretch, self.tile.lane
        vector, wide = self.vector(self.width), several.rows.get(index, several.lane)
        start, begin = self.starts[index], several.starts[index]
        acc, edge = self.names.fresh("acc"), self.names.fresh("tiles")
        slot = Name(self.names.fresh("lane"))
        cell = Element(acc, (self.place(self.shift and self.m, self.vectors),), vector)
        gone = Apply("-", (start, begin), "int64")
        given = {i: plus((gone, at)) if i == index else at for i, at in self.steps.items()}
        more = [*([gone] if index == lane else []), *([self.shift] if self.shift else [])]
        there = plus((times(several.place(given=given), several.lane.block), *more))
        here = plus((times(several.place(), several.lane.block), slot))
        value = Element(edge, (here,), self.kind)
        done = finish(value)

        def at(block: _Block) -> Let:
            return Let(self.letter(lane), "int64", plus((block.starts[lane], slot)))

        one = [
            Let(self.letter(lane), "int64", self.starts[lane]),
            *self.fetched(slot, at(self), done),
            Scratch(acc, vector, self.count() * self.vectors),
            *self.each_cell([Store(cell, Number(0, vector))]),
            *self.summed(cell),
            *self.each_cell([Store(Element(edge, (there,), _in_memory(vector)), cell)]),
        ]
        stop = plus((begin, Number(wide.block, "int64")))
        step = self.rows.get(index, self.lane).block
        room = Scratch(edge, self.kind, several.count() * several.lane.block)
        each = Loop(start.name, (begin,), (stop,), tuple(one), step)
        return [several.along([room, each, *several.stored(slot, at(several), done, value, [])])]

    def summed(self, cell: Element) -> list[Node]:
        """The loops of the reduction, around the product that is added to the cell of each row."""
        reduced, window = self.tile.reduced, self.tile.window
        bounded = {i for g in self.s.guards for i in split(g.expr)[1]}
        if window and window[1] not in bounded:
            return self.steps_of(reduced[:-1], self.slid(*window, cell), rolled=True)
        return self.steps_of(reduced, self.added(cell), rolled=True)

    def steps_of(
        self, reduced: tuple[Index, ...], leaf: list[Node], *, rolled: bool = False
    ) -> list[Node]:
        """Give the loops over reduced indices, without what is zero and may be skipped."""
        s = replace(self.s, extra=(*self.s.extra, *self.tile.skips))
        rows = {i for g in self.tile.skips for i in split(g.expr)[1]} & {*s.parallel}
        return self.writer.loops(reduced, s, leaf, tuple(rows), rolled=rolled)

    def added(self, cell: Element) -> list[Node]:
        """Add the product to the cell of every row, each vector that several rows use read once.

        The operand with the most elements goes by, and those of the others are there before.
        """
        parts = [p for p in sympy.Mul.make_args(self.s.body) if isinstance(p, Access)]
        rows = {
            p: [i for i in self.rows if any(i in m.free_symbols for m in p.maps)] for p in parts
        }
        wide = [p for p in parts if any(self.tile.lane in m.free_symbols for m in p.maps)]

        def elements(part: Access) -> int:
            vectors = self.vectors if part in wide else 1
            return vectors * math.prod(self.rows[i].block for i in rows[part])

        passing = max(parts, key=elements)
        again = [p for p in wide if elements(p) < self.count() * self.vectors]
        before = self.rows_ahead(parts)
        if not again:
            add = self.each_cell([Store(cell, self.product(cell.dtype, self.shift), "+=")])
            return [*before, *add]
        known: dict[Access, Element] = {}
        here: list[Node] = []
        for part in again:
            name = self.names.fresh("held")
            moved = [] if part == passing else rows[part]
            more = self.m if self.vectors > 1 else None
            known[part] = Element(name, (self.place(more, self.vectors, of=moved),), cell.dtype)
            read = self.read(part, cell.dtype, self.shift)
            held = [Store(known[part], read), Hold(known[part]), *self.lane_ahead(part, read)]
            fill = self.beside(held)
            room = self.vectors * math.prod(self.rows[i].block for i in moved)
            some = [Scratch(name, cell.dtype, room), *self.each_of(moved, fill)]
            if part == passing:
                here += some
            else:
                before += some
        add = self.beside([Store(cell, self.product(cell.dtype, self.shift, known), "+=")])
        add = self.each_of([i for i in self.rows if i not in rows[passing]], add)
        return unrolled([*before, *self.each_of(rows[passing], [*here, *add])])

    def slid(self, row: Index, tap: Index, operand: int, cell: Element) -> list[Node]:
        """Add the products of all taps to every row, each vector under the window read once.

        What the first row sees, but for the last step, is there before; each row goes a step on.
        """
        parts = [p for p in sympy.Mul.make_args(self.s.body) if isinstance(p, Access)]
        part = parts[operand]
        axis, terms = next((k, t) for k, m in enumerate(part.maps) if row in (t := split(m)[1]))
        step, gap, taps = int(terms[row]), int(terms[tap]), int(self.s.sizes[tap])
        reach = gap * (taps - 1) + 1
        seen = self.names.fresh(f"{self.letter(row)}_seen")
        ahead = Name(self.names.fresh("ahead"))
        first = part.tensor[tuple(e.subs(tap, 0) for e in part.maps)]

        def place(*terms: Expression) -> Element:
            at = plus(terms)
            at = plus((times(at, self.vectors), self.m)) if self.vectors > 1 else at
            return Element(seen, (at,), cell.dtype)

        def look(start: int, stop: int, *before: Expression) -> Node:
            there = self.read(first, cell.dtype, self.shift)
            at = (*there.at[:axis], plus((there.at[axis], ahead)), *there.at[axis + 1 :])
            here = place(*before, ahead)
            there = replace(there, at=at)
            body = self.beside([Store(here, there), Hold(here), *self.lane_ahead(part, there)])
            low, high = Number(start, "int64"), Number(stop, "int64")
            return Loop(ahead.name, (low,), (high,), tuple(body))

        along = times(self.steps[row], step)
        known = {part: place(along, times(Name(self.letter(tap)), gap))}
        add = self.beside([Store(cell, self.product(cell.dtype, self.shift, known), "+=")])
        add = [Loop(self.letter(tap), (ZERO,), (Number(taps, "int64"),), tuple(add))]
        moving = {i for m in part.maps for i in m.free_symbols}
        add = self.each_of([i for i in self.rows if i not in moving], add)
        nodes: list[Node] = [
            Scratch(seen, cell.dtype, (step * (self.rows[row].block - 1) + reach) * self.vectors),
            Let(self.letter(row), "int64", self.starts[row]),
            look(0, reach - step),
            self.each(row, [look(reach - step, reach, along), *add]),
        ]
        nodes = self.each_of([i for i in self.rows if i in moving - {row}], nodes)
        return [*self.rows_ahead(parts), *unrolled(nodes)]

    def turned(self, edge: str) -> list[Transpose]:
        """Turn what the lanes hold into rows where it is these that are neighbours in memory."""
        assert self.lane is not None
        run, width = self.run(), self.lane.block
        rows = math.prod(self.rows[i].block for i in run)
        if f"{self.kind}x{width}" not in TURNED or rows < FEWEST:
            return []
        after = [*self.rows][[*self.rows].index(run[-1]) + 1 :]
        step = width * math.prod(self.rows[i].block for i in after)
        pitch = -(-rows // width) * width
        name = self.names.fresh("turned")
        found = []
        for first in range(0, rows, width):
            place = self.place(given={**self.steps, **self.digits(run, first)})
            start = Apply("*", (place, Number(width, "int64")), "int64")
            to = Element(name, (Number(first, "int64"),), self.kind)
            source = Element(edge, (start,), _in_memory(self.vector(width)))
            found.append(
                Transpose(to, pitch, source, step, Number(min(width, rows - first), "int64"))
            )
        return found

    def stored(
        self, slot: Name, at: Let, done: list[Node], value: Element, turned: list[Transpose]
    ) -> list[Node]:
        """Finish every element, along the lanes or, where those hop through memory, along rows."""
        assert self.lane is not None
        block = Number(self.lane.block, "int64")
        run = self.run()
        along = self.rows[run[-1]] if run else self.lane
        lanes = along.block >= SHORTEST
        past: list[Node] = []
        if streamed(self.s, done, along, self.writer.machine) and (turned or not run):
            done, past = self.past(done, value, along)
        step = min(along.block, self.tile.width)
        if not run:
            nodes: list[Node] = [Loop(slot.name, (ZERO,), (block,), (at, *done), lanes=lanes)]
            nodes += [Loop(slot.name, (ZERO,), (block,), (at, *past), step)] if past else []
        else:
            rows: list[Node] = [self.each(run[-1], done, lanes=lanes)]
            rows += [replace(self.each(run[-1], past), step=step)] if past else []
            for i in reversed(run[:-1]):
                rows = [self.each(i, rows)]
            nodes = [Loop(slot.name, (ZERO,), (block,), (at, *rows), rolled=True)]
            if turned:
                size = turned[0].pitch * self.lane.block
                nodes = [Scratch(turned[0].place.array, self.kind, size), *turned, *nodes]
        for i in reversed([i for i in self.rows if i not in run]):
            nodes = [replace(self.each(i, nodes), rolled=True)]
        return nodes

    def run(self) -> tuple[Index, ...]:
        """The row indices along which results are neighbours in memory, if the lanes are not.

        The last one counts them one by one, the one before it whenever the last has got through.
        """
        found: tuple[Index, ...] = ()
        order, reach = [*self.rows], 1
        if self.step(self.tile.lane) == 1:
            return found
        for i in reversed(order):
            beside = not found or order.index(i) == order.index(found[0]) - 1
            if beside and self.step(i) == reach:
                found, reach = (i, *found), reach * self.rows[i].block
                if self.rows[i].block != self.s.sizes[i]:
                    break
        return found

    def digits(self, run: tuple[Index, ...], number: int) -> dict[Index, Expression]:
        """Give a number in the mixed radix of some rows."""
        found: dict[Index, Expression] = {}
        for i in reversed(run):
            number, digit = divmod(number, self.rows[i].block)
            found[i] = Number(digit, "int64")
        return found

    def step(self, index: Index) -> Any:
        """How far apart in memory the results are along an index."""
        return stride(self.s.target, self.s.maps, index)

    def past(
        self, done: list[Node], value: Element, along: Segment
    ) -> tuple[list[Node], list[Node]]:
        """Give what finishes an element in the tile, and what then stores a vector of them."""
        last = done[-1]
        assert isinstance(last, Store) and isinstance(last.place, Element)
        vector = _in_memory(self.vector(min(along.block, self.tile.width)))
        place, ready = (replace(e, dtype=vector) for e in (last.place, value))
        return [*done[:-1], replace(last, place=value)], [Store(place, ready, streamed=True)]

    def fetched(self, slot: Name, at: Let, done: list[Node]) -> list[Node]:
        """Ask for the lines that the results go to, where these lie along the lanes."""
        assert self.lane is not None
        if not far(self.s, done, self.tile, self.lane, self.writer.machine):
            return []
        stores = (node.place for node in done if isinstance(node, Store))
        places = [Fetch(place) for place in stores if isinstance(place, Element)]
        block, line = Number(self.lane.block, "int64"), LINE // BYTES[self.kind]
        return self.each_row([Loop(slot.name, (ZERO,), (block,), (at, *places), line)])

    # -- lanes over a reduced index -----------------------------------------------------------

    def partial(self, finish: Finish) -> list[Node]:
        letter = self.letter(self.tile.lane)
        total = self.names.fresh("sums")
        nodes: list[Node] = []
        inner: list[Node] = []
        close: list[Node] = []
        place = self.place()
        for segment in self.tile.lanes:
            vector = self.vector(segment.block)
            acc = self.names.fresh("acc")
            cell = Element(acc, (place,), vector)
            nodes += [Scratch(acc, vector, self.count())]
            nodes += self.each_row([Store(cell, Number(0, vector))])
            low, high = Number(segment.start, "int64"), Number(segment.stop, "int64")
            add = self.added(cell)
            inner.append(Loop(letter, (low,), (high,), tuple(add), segment.block, rolled=True))
            width = Number(segment.block, "int64")
            summed: Expression = cell
            if segment.block > 1:
                edge = self.names.fresh("lanes")
                close.append(Scratch(edge, self.kind, segment.block))
                close.append(Store(Element(edge, (ZERO,), _in_memory(vector)), cell))
                summed = Apply("sum_lanes", (Name(edge, self.kind), width), self.kind)
            close.append(Store(Element(total, (place,), self.kind), summed, "+="))
        nodes += self.steps_of(self.tile.reduced, inner)
        nodes.append(Scratch(total, self.kind, self.count()))
        zero = Store(Element(total, (place,), self.kind), Number(0, self.kind))
        value = Element(total, (place,), self.kind)
        nodes += self.each_row([zero, *close])
        nodes += self.each_row(finish(value))
        return nodes


def _in_memory(vector: Scalar) -> str:
    """The type of a vector that starts at an element of an array of numbers."""
    return f"{vector}@" if "x" in vector else vector
