"""Register tiles for sums of products: which index fills vectors, which rows share their loads.

A tile keeps `rows × vectors` accumulators in registers over the whole reduction. Each step loads
the operands that the lane index moves through as vectors and the others as single numbers:

    acc[k][m] += w[k_start + k, c, u, v] · x[n, c, i + u, j + v + 16·m .. + 16]

so that K + M loads feed K·M multiplications. The tile that takes the fewest cycles wins, by a
model of one core: so many multiply-adds, so many loads a cycle. Where these are what takes the
time, rows may look at what others have loaded, through a window that slides over them.

Several tiles that lie side by side in a target beyond the second cache may finish together: what
that reads and writes is asked for while they are summed up, and runs on for longer.
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from codegen.affine import Index, split
from codegen.machine import Machine
from codegen.notation import BYTES, Guard, Statement
from codegen.rewrite.maps import storing
from codegen.schedule.contraction import Contraction, Operand, Skip, contraction
from codegen.schedule.ends import ends
from codegen.schedule.search import (
    CROWDED,
    PATIENT,
    PROMISING,
    Kind,
    Segment,
    Segments,
    Shape,
    crowded,
    reduction_order,
    shapes,
)
from codegen.schedule.traffic import Around, best_order, fetched, fetched_once, touched
from codegen.schedule.window import Window

CLEARLY = 0.85  # of the cycles: what memory takes is known no better
SEVERAL = 8  # tiles that are worth measuring
NEAR = 32.0  # bytes that come from the second cache in one cycle; half as many in mere streams
FAR = 10.0  # bytes that come from beyond it
UNEVEN = 1.03  # times as long that loops of different lengths take
HELD = 4  # as much as the results that wait to be finished is the first cache

Rows = tuple[tuple[int, Segments], ...]


@dataclass(frozen=True)
class Tile:
    """A schedule: the lane index in segments, the row indices in segments, the loops around.

    Rows come with the outermost first, and `order` holds the loops over whole tiles, rows
    included; `width` is that of one vector, `vectors` how many stand side by side. `cycles` is
    what the model says the whole nest takes, `bytes` what it fetches from beyond the second cache;
    `bound` says what takes the time, `peak` how much of what the core could multiply is used, and
    `rival` is the next best tile. `key` names the sum of products, and `rank` is the tile's place
    among those for it: the first is taken unless measuring said otherwise. A `window` is a row
    index, the last of the reduced ones and the place of the operand that both move along one axis.
    A `stretch` is the index along which tiles may finish together, and how many of them. What lies
    beyond the `skips` is zero and left out.
    """

    lane: Index
    lanes: Segments
    width: int
    vectors: int
    rows: tuple[tuple[Index, Segments], ...]
    order: tuple[Index, ...]
    reduced: tuple[Index, ...]
    cycles: float
    bytes: float = 0.0
    work: float = 0.0  # cycles if memory took no time
    bound: str = ""
    peak: float = 0.0
    key: str = ""
    rank: int = 0
    rival: Tile | None = None
    window: tuple[Index, Index, int] | None = None
    stretch: tuple[Index, int] | None = None
    skips: tuple[Guard, ...] = ()

    @property
    def outer(self) -> tuple[Index, ...]:
        """The parallel indices that are neither rows nor lanes."""
        rows = dict(self.rows)
        return tuple(i for i in self.order if i not in rows)

    @property
    def shape(self) -> str:
        """The rows and lanes, in short."""
        widths = "+".join(f"{(s.stop - s.start) // s.block}·{s.block}" for s in self.lanes)
        rows = ", ".join(f"{i} by {segments[0].block}" for i, segments in self.rows) or "-"
        slid = "window {1} over {0}, ".format(*self.window) if self.window else ""
        few = "{1} along {0} may finish together, ".format(*self.stretch) if self.stretch else ""
        lanes = f"lanes {self.lane} ({widths}, {self.vectors} vectors at once)"
        skips = "".join(f"skip beyond {g}, " for g in self.skips)
        return f"rows {rows}, {slid}{few}{skips}{lanes}"

    @property
    def loops(self) -> str:
        """The loops around it and the shape of it, without what they cost."""
        order, reduced = (" ".join(map(str, i)) or "-" for i in (self.order, self.reduced))
        return f"outer {order}, reduce {reduced}, {self.shape}"

    def __str__(self) -> str:
        text = (
            f"{self.loops}, about {self.cycles:.3g} cycles, {self.bytes:.3g} bytes\n"
            f"    bound by {self.bound}, {self.peak:.0%} of peak"
        )
        if self.rank:
            text += f"; measured to be the best, by the model number {self.rank + 1}"
        elif self.rival:
            text += f"; else {self.rival.shape}, {self.rival.cycles:.3g} cycles"
        return text


@lru_cache(maxsize=4096)
def tile_of(statement: Statement, machine: Machine, lane: Index | None = None) -> Tile | None:
    """Give the best register tile of a statement, or None where it is no plain sum of products.

    Guards of reads may only bound the loops of the reduction; those of the target are tested when
    the results are stored; where others end a block early, it is the tile of most blocks, with what
    all take. `lane` asks for the best one with this index across lanes.
    """
    nest = contraction(statement)
    if nest is not None and (parts := ends(statement)):
        most, last = tile_of(parts.longest, machine, lane), tile_of(parts.last, machine, lane)
        if most is None or last is None or parts.whole is None:
            return last and most
        cycles, work = most.cycles + last.cycles, most.work + last.work
        return replace(most, cycles=cycles, bytes=most.bytes + last.bytes, work=work)
    if nest is None:
        return None
    letters = tuple(i for i, _ in statement.box)
    found = choose_tile(nest, machine, None if lane is None else letters.index(lane))
    if found is None:
        return None
    tile = found.spelled(letters, statement.support)
    written = {Guard(m, n) for m, n in zip(statement.maps, statement.target.shape, strict=True)}
    written -= {
        Guard(m, n) for a in statement.reads for m, n in zip(a.maps, a.tensor.shape, strict=True)
    }
    written |= {*storing(statement)}
    bounded = set(tile.reduced)
    free = all(g in written or set(split(g.expr)[1]) <= bounded for g in statement.guards)
    return tile if free else None


@dataclass(frozen=True)
class Candidate:
    """A tile whose indices are places in the box of the nest."""

    nest: Contraction
    lane: int
    lanes: Segments
    width: int
    vectors: int
    rows: Rows
    order: tuple[int, ...]
    reduced: tuple[int, ...]
    cycles: float
    bound: str
    bytes: float = 0.0
    work: float = 0.0
    peak: float = 0.0
    rank: int = 0
    rival: Candidate | None = None
    window: Window | None = None
    stretch: tuple[int, int] | None = None
    skips: tuple[Skip, ...] = ()

    def spelled(self, letters: tuple[Index, ...], support: tuple[Guard, ...]) -> Tile:
        """Give the tile in the letters of a statement."""
        window, stretch = self.window, self.stretch
        return Tile(
            letters[self.lane],
            self.lanes,
            self.width,
            self.vectors,
            tuple((letters[i], segments) for i, segments in self.rows),
            tuple(letters[i] for i in self.order),
            tuple(letters[i] for i in self.reduced),
            self.cycles,
            self.bytes,
            self.work,
            self.bound,
            self.peak,
            signature(self.nest),
            self.rank,
            self.rival.spelled(letters, support) if self.rival else None,
            (letters[window.row], letters[window.tap], window.operand) if window else None,
            (letters[stretch[0]], stretch[1]) if stretch else None,
            tuple(support[skip.at] for skip in self.skips),
        )


@lru_cache(maxsize=4096)
def signature(nest: Contraction) -> str:
    """Give the sum of products as a short text: equal sums of one shape have equal texts.

    A product of matrices, where row a of the target and of one operand begins at 300·a and 64·a:

    >>> from codegen.notation import Tensor, indices, statement
    >>> (i, j, k), x, y = indices("i j k"), Tensor("x", (512, 64)), Tensor("y", (64, 300))
    >>> product = statement(Tensor("z", (512, 300))[i, j], "+=", x[i, k] * y[k, j])
    >>> signature(contraction(product))
    'float32 a512 b300 c64: 300a,b += 64a,c * 300c,b'
    """
    letter = string.ascii_letters

    def moved(operand: Operand) -> str:
        axes = []
        for axis in operand.axes:
            terms = "+".join(f"{c if c != 1 else ''}{letter[i]}" for i, c in axis.moves) or "0"
            step = f"{axis.step}" if axis.step != 1 else ""
            axes.append(f"{step}({terms})" if len(terms) > 1 else f"{step}{terms}")
        return ",".join(axes)

    sizes = " ".join(
        f"{letter[i]}{n}" if i in nest.fixed else f"{letter[i]}~{n}"
        for i, n in enumerate(nest.sizes)
    )
    skips = "".join(f", {letter[s.row]} skips {letter[s.tap]} {s.share:.2f}" for s in nest.skips)
    product = " * ".join(map(moved, nest.operands))
    return f"{nest.dtype} {sizes}: {moved(nest.target)} += {product}{skips}"


def choose_tile(nest: Contraction, machine: Machine, lane: int | None = None) -> Candidate | None:
    """Give the register tile of a sum of products, or None where there is none.

    It is the best one by the model, or what `machine.ranks` says.
    """
    if machine.ranks:
        rank = dict(machine.ranks).get(signature(nest), 0)
        machine = replace(machine, ranks=())
        if rank:
            found = tiles(nest, machine)
            return found[min(rank, len(found) - 1)] if found else None
    return _best(nest, machine, lane)


def tiles(nest: Contraction, machine: Machine, count: int = SEVERAL) -> tuple[Candidate, ...]:
    """Give the best few register tiles: the one that is taken unmeasured, then others by cycles.

    Among these is the best of each kind, because the model errs about kinds rather than about
    lengths of rows.
    """
    best = _best(nest, machine)
    if best is None:
        return ()
    found = shapes(nest, machine)
    several = {shape: None for shape in found[:PROMISING]}
    kinds: dict[Kind, Shape] = {}
    for shape in found:
        kinds.setdefault(shape.kind, shape)
    several |= dict.fromkeys(kinds.values())
    placed = [_placed(machine, _candidate(nest, shape)) for shape in several]
    same = replace(best, rival=None)
    ranked = sorted((tile for tile in placed if tile != same), key=lambda tile: tile.cycles)
    return (best, *(replace(t, rank=k + 1) for k, t in enumerate(ranked[: count - 1])))


@lru_cache(maxsize=4096)
def _best(nest: Contraction, machine: Machine, lane: int | None = None) -> Candidate | None:
    best = _first(nest, machine, lane, PROMISING)
    if best is None or best.bound != "memory":
        return best
    once = fetched_once(nest)
    if _fetching(once, once) >= CLEARLY * best.cycles:
        return best  # none can fetch so much less
    other = _first(nest, machine, lane, PATIENT)
    return other if other and other.cycles < CLEARLY * best.cycles else best


def _first(nest: Contraction, machine: Machine, lane: int | None, count: int) -> Candidate | None:
    """Give the best tile, and its rival, of so many shapes of each lane."""
    ranked: list[Candidate] = []
    for shape in shapes(nest, machine, lane, count):
        if len(ranked) > 1 and shape.cycles >= ranked[1].cycles:
            break  # memory only adds to them
        ranked.append(_placed(machine, _candidate(nest, shape)))
        ranked.sort(key=lambda tile: tile.cycles)
    if not ranked:
        return None
    return replace(ranked[0], rival=ranked[1] if len(ranked) > 1 else None)


def _candidate(nest: Contraction, shape: Shape) -> Candidate:
    """Give the whole of what a shape stands for."""
    kind, lane = shape.kind, shape.kind.lane
    across = [o.strides.get(lane) == 1 for o in nest.operands]
    rows = tuple((i, _segments(nest.sizes[i], block)) for i, block in shape.blocks)
    return Candidate(
        nest,
        lane,
        kind.lanes,
        kind.width,
        kind.vectors,
        _broadcast_first(rows, nest.operands, across),
        tuple(i for i in nest.parallel if i != lane),
        reduction_order(nest, lane, shape.window),
        shape.cycles,
        shape.bound,
        window=shape.window,
        skips=shape.skips,
    )


def least_cycles(nest: Contraction, machine: Machine) -> float:
    """Give the cycles that no schedule can go below, in the units of this model."""
    once = touched(nest)
    memory = [
        once / rate for rate, cache in ((FAR, machine.l2), (NEAR, machine.l1)) if once > cache
    ]
    return max(nest.products / machine.lanes(nest.dtype), *memory, 0.0)


def _placed(machine: Machine, tile: Candidate) -> Candidate:
    """Give the tile with its loops in the best order, and what memory adds to its cycles."""
    nest, sizes = tile.nest, tile.nest.sizes
    blocks = {i: segments[0].block for i, segments in tile.rows}
    inside = {i: sizes[i] for i in nest.reduced} | blocks
    lane = []
    if tile.lane in nest.parallel:
        block = tile.lanes[0].block
        inside[tile.lane] = block
        lane = [Around(tile.lane, -(-sizes[tile.lane] // block), sizes[tile.lane])]
    loops = [Around(i, -(-sizes[i] // blocks.get(i, 1)), sizes[i]) for i in tile.order]
    order, far, near = best_order(nest, loops, lane, inside, (machine.l1, machine.l2))
    memory = _fetching(far, near, NEAR if lane else NEAR / 2)
    if any(crowded(o, blocks, nest.dtype) for o in (*nest.operands, nest.target)):
        memory *= CROWDED
    cycles = max(tile.cycles, memory) + 0.1 * min(tile.cycles, memory)
    cycles *= UNEVEN ** len(tile.skips)
    ordered = [loop for i in order for loop in loops if loop.index == i]
    return replace(
        tile,
        order=order,
        stretch=_stretch(tile, [*ordered, *lane], inside, machine),
        cycles=cycles,
        bytes=far,
        work=tile.cycles,
        bound="memory" if memory > tile.cycles else tile.bound,
        peak=replace(nest, skips=tile.skips).products / machine.lanes(nest.dtype) / cycles,
    )


def _stretch(
    tile: Candidate, loops: Sequence[Around], inside: Mapping[int, int], machine: Machine
) -> tuple[int, int] | None:
    """Give the index along which tiles, whose loops are in order, lie side by side in the target.

    As many may finish together as part of the first cache has room for, if all is there as soon.
    """
    nest, size, (first, *_) = tile.nest, BYTES[tile.nest.dtype], tile.lanes
    target = size * math.prod(nest.sizes[i] for i in nest.target.strides)
    if nest.target.strides.get(tile.lane) != 1 or target <= machine.l2:
        return None
    index, run = tile.lane, first
    if first.block == nest.sizes[tile.lane]:
        beside = ((i, s[0]) for i, s in tile.rows if nest.target.strides.get(i) == first.block)
        index, run = next(beside, (index, run))
    results = first.block * math.prod(segments[0].block for _, segments in tile.rows)
    most, there = machine.l1 // HELD // (size * results), (run.stop - run.start) // run.block
    count = max((n for n in range(1, most + 1) if there % n == 0), default=1)
    if count == 1:
        return None
    fewer = [replace(a, trips=a.trips // count) if a.index == index else a for a in loops]
    wider = {**inside, index: inside[index] * count}

    def memory(loops: Sequence[Around], inside: Mapping[int, int]) -> float:
        return _fetching(*(fetched(nest, loops, inside, c) for c in (machine.l2, machine.l1)))

    return (index, count) if memory(fewer, wider) <= memory(loops, inside) else None


def _fetching(far: float, near: float, rate: float = NEAR) -> float:
    """Give the cycles in which so many bytes come from beyond either cache."""
    return max(far / FAR, near / rate)


def _broadcast_first(rows: Rows, operands: tuple[Operand, ...], across: list[bool]) -> Rows:
    """The rows in an order that keeps few operands in registers: outside what loads the most."""
    if len(rows) < 2:
        return rows

    def loads(row: tuple[int, Segments]) -> int:
        index, segments = row
        moved = [v for o, v in zip(operands, across, strict=True) if index in o.strides]
        return segments[0].block - (1000 if any(moved) and not all(across) else 0)

    return tuple(sorted(rows, key=loads, reverse=True))


def _segments(length: int, block: int) -> Segments:
    whole = length // block * block
    tail = (Segment(whole, length, length - whole),) if whole < length else ()
    return (Segment(0, whole, block), *tail)
