"""The register tiles that one core is quickest with, if memory took no time.

A tile is a choice of lanes and of rows. For one index across lanes all choices are looked at
together, as columns of numbers: what a step multiplies, what it loads, what its results cost.
Cycles are counted in multiply-adds of the widest vectors, of which a core starts one in each.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codegen.aligned import LINE
from codegen.machine import Machine
from codegen.notation import BYTES
from codegen.schedule.contraction import Contraction, Operand, Skip
from codegen.schedule.rows import Column, Rows, rows_of
from codegen.schedule.traffic import fetched_once
from codegen.schedule.window import Window, slid, windows

BUSY = 5.0  # cycles until a result can be added to: a step takes no less
ENTRY = 5.0  # cycles to enter the innermost loop once more
PROMISING = 5  # tiles of each lane whose use of memory may be looked at
PATIENT = 60  # the same where memory takes the time: others that take longer may fetch less
TURNED = 0.7  # cycles to store an element of a vector whose neighbours come from the next rows
SWEPT = 2.0  # the same where several vectors stand side by side, which are not turned
MASKED = 28.0  # cycles to store a vector of which a part is beyond an end
HOPS = 4.0  # where they do not
FEWEST = 4  # rows that are worth turning
SETS = 64  # places that a line of the first cache may go to, by its address: a power of two
FULL = 6  # lines that each of them holds besides others
WAYS = 16  # lines that each place of the second cache holds
COLLIDE = 2.0  # times as long that elements take to store if half of it is full with their lines
CROWDED = 1.5  # times as long that memory takes where there are more
CLOSE = 14.0  # cycles to add up the lanes of one vector


@dataclass(frozen=True)
class Segment:
    """A stretch of an index that runs in blocks of one size."""

    start: int
    stop: int
    block: int


Segments = tuple[Segment, ...]


@dataclass(frozen=True)
class Kind:
    """An index across lanes, and how vectors of one width cover it."""

    lane: int
    lanes: Segments
    width: int

    @property
    def vectors(self) -> int:
        """How many stand side by side."""
        return max(1, self.lanes[0].block // self.width)


@dataclass(frozen=True)
class Shape:
    """A kind with blocks of rows, perhaps under a window, and the cycles if memory took no time."""

    kind: Kind
    blocks: tuple[tuple[int, int], ...]
    window: Window | None
    bound: str
    cycles: float
    skips: tuple[Skip, ...] = ()


def shapes(
    nest: Contraction, machine: Machine, lane: int | None = None, count: int = PROMISING
) -> list[Shape]:
    """Give the cheapest shapes of each lane and the cheapest of each kind, of equals the first.

    `lane` asks for those with this index across lanes only.
    """
    found: list[Shape] = []
    for way in nest.ways():
        for index in range(len(nest.sizes)) if lane is None else (lane,):
            found += _cheapest(way, machine, index, count)
    return sorted(found, key=lambda shape: shape.cycles)


def _cheapest(nest: Contraction, machine: Machine, lane: int, count: int) -> Iterator[Shape]:
    """Give the cheapest shapes with this index across lanes, and the cheapest of each kind."""
    kinds = tuple(_kinds(nest, machine, lane))
    if not kinds:
        return
    free = [i for i in nest.parallel if i != lane and i in nest.fixed and nest.sizes[i] > 1]
    rows = rows_of(
        tuple(nest.sizes[i] for i in free),
        tuple(machine.registers // _copies(nest, kind) for kind in kinds),
        streams=lane not in nest.parallel,
        slides=bool(windows(nest, lane)),
    )
    blocks = dict(zip(free, rows.blocks, strict=True))
    sliding = windows(nest, lane) if lane in nest.parallel else ()
    ways = (None, *sliding)
    multiply, loads = _step(nest, machine, kinds, sliding, rows, blocks)
    cycles = _cycles(nest, machine, kinds, ways, rows, blocks, multiply, loads).T.ravel()
    picked = list(np.argsort(cycles, kind="stable")[:count])
    for k in range(len(kinds)):
        first, last = np.searchsorted(rows.limit, (k, k + 1)) * len(ways)
        if first < last:
            picked.append(first + np.argmin(cycles[first:last]))
    for place in dict.fromkeys(map(int, picked)):
        if cycles[place] < math.inf:
            at, way = divmod(place, len(ways))
            yield Shape(
                kinds[rows.limit[at]],
                tuple((i, int(block[at])) for i, block in blocks.items() if block[at] > 1),
                ways[way],
                _bound(multiply[at], loads[way, at], machine),
                float(cycles[place]),
                nest.skips,
            )


def _bound(multiply: float, loads: float, machine: Machine) -> str:
    """What takes the time in a step."""
    if loads > multiply:
        return "loads"
    return "multiply-adds" if multiply > BUSY * machine.rate else "latency"


def _kinds(nest: Contraction, machine: Machine, lane: int) -> Iterator[Kind]:
    """Every way to run along this index with vectors."""
    length = nest.sizes[lane]
    steps = [o.strides.get(lane, 0) for o in nest.operands]
    if lane not in nest.fixed or length < 4 or not set(steps) <= {0, 1} or 1 not in steps:
        return
    widest = machine.lanes(nest.dtype)
    width = widest
    narrowest = widest if length % widest == 0 else widest * machine.full // machine.vector
    while width >= narrowest:
        again = lane in nest.parallel
        for vectors in (1, 2, 3, 4) if again else (1,):
            if vectors == 1 or width * vectors <= length:
                yield Kind(lane, cover(length, width * vectors, width, again=again), width)
        width //= 2


def _copies(nest: Contraction, kind: Kind) -> int:
    """How many registers the results of one row take."""
    return kind.vectors if kind.lane in nest.parallel else len(kind.lanes)


def _once(machine: Machine, nest: Contraction, kind: Kind) -> tuple[float, float]:
    """Give the multiply-adds of one row in one step, and of all steps along the lane index.

    Stretches narrower than the full rate needs cost as much.
    """
    widest = machine.lanes(nest.dtype)
    narrowest = widest * machine.full // machine.vector
    once = sum((s.stop - s.start) // s.block * max(s.block, narrowest) / widest for s in kind.lanes)
    if kind.lane not in nest.parallel:
        return once, once
    return kind.vectors * max(kind.width, narrowest) / widest, once


def _step(
    nest: Contraction, machine: Machine, kinds: Sequence[Kind], sliding: Sequence[Window],
    rows: Rows, blocks: Mapping[int, Column],
) -> tuple[Column, Column]:  # fmt: skip
    """Give the cycles that the multiply-adds and the loads of one step take with each choice.

    There is a row of loads without a window, and one under each of some; what has no room in the
    registers takes forever.
    """
    lane, count, registers = kinds[0].lane, rows.count, machine.registers
    across = [o.strides.get(lane) == 1 for o in nest.operands]
    weights = np.array([_weights(nest, machine, kind) for kind in kinds])[rows.limit].T
    copies = np.array([_copies(nest, kind) for kind in kinds])[rows.limit]
    at_once = np.array([_once(machine, nest, kind)[0] for kind in kinds])[rows.limit]
    uses = [_product(blocks, o.strides, np.ones_like(count)) for o in nest.operands]
    held = [n * copies if moves else n for n, moves in zip(uses, across, strict=True)]
    spare = sum(held) - np.max(held, axis=0)
    # One more is for a number at work; where multiply-adds cannot take it from memory, gcc
    # without any to spare reads every vector again rather than keep a few.
    spare = spare + np.where((spare > 1) & (not machine.spreads), 2, 1)
    own = [n * weight for n, weight in zip(uses, weights, strict=True)]
    load = sum(own)
    multiply = np.maximum(count * at_once, BUSY * machine.rate)
    loads = [load]
    for window in sliding:
        room = registers // copies - count
        sweeps = np.array([len(kind.lanes) for kind in kinds])[rows.limit]
        below = blocks.get(window.row, np.ones_like(count))
        spared = slid(window, below, uses, own[window.operand], count, copies, room, sweeps)
        loads.append(np.where(load > multiply, load - spared, np.inf))
    return multiply, np.where(count * copies + spare <= registers, np.array(loads), np.inf)


def _weights(nest: Contraction, machine: Machine, kind: Kind) -> list[float]:
    """Give the cycles that it takes to load from each operand once."""
    lane, (at_once, _) = kind.lane, _once(machine, nest, kind)
    # Half of the loads of 32 bytes that start anywhere touch two lines, and all of those of 64.
    split = kind.width / machine.lanes(nest.dtype) * machine.vector / 64
    some = at_once * (1 + split * machine.rate)
    return [
        (at_once if o.alone(lane) else some) if o.strides.get(lane) == 1 else 0.5 * machine.rate
        for o in nest.operands
    ]


def _cycles(
    nest: Contraction, machine: Machine, kinds: Sequence[Kind], ways: Sequence[Window | None],
    rows: Rows, blocks: Mapping[int, Column], multiply: Column, loads: Column,
) -> Column:  # fmt: skip
    """Give the cycles of all steps of all tiles, with what it takes to begin and to store."""
    lane = kinds[0].lane
    parallel = lane in nest.parallel
    summed = (nest.sizes[i] for i in reduction_order(nest, lane))
    depth = math.prod((*summed, *(skip.share for skip in nest.skips)))
    others = math.prod(nest.sizes[i] for i in nest.parallel if i != lane)
    paces = [_once(machine, nest, kind) for kind in kinds]
    passes = np.array([others * (o / at if parallel else 1.0) for at, o in paces])[rows.limit]
    copies = np.array([_copies(nest, kind) for kind in kinds])[rows.limit]
    entries = np.array([_entries(nest, lane, window) for window in ways]).reshape(-1, 1)
    step = np.maximum(multiply, loads) + 0.15 * np.minimum(multiply, loads)
    one = (
        depth * step + entries + rows.count * copies * _closing(nest, machine, kinds, rows, blocks)
    )
    if not parallel:
        crowds = (crowded(o, blocks, nest.dtype) for o in nest.operands)
        one = one * np.where(functools.reduce(operator.or_, crowds), CROWDED, 1.0)
    cycles: Column = passes / rows.count * one * (1 + 0.03 * rows.tails)
    return cycles


def _closing(
    nest: Contraction, machine: Machine, kinds: Sequence[Kind], rows: Rows,
    blocks: Mapping[int, Column],
) -> Any:  # fmt: skip
    """Give the cycles that it takes to store a vector of results."""
    lane = kinds[0].lane
    if lane not in nest.parallel:
        return CLOSE
    if nest.target.strides.get(lane) == 1:
        return MASKED if lane in nest.guarded else 1.0
    # Elements that leave a vector one by one had better find their neighbours in a row.
    width, vectors = (np.array([(k.width, k.vectors) for k in kinds])[rows.limit]).T
    run = np.ones_like(rows.count)
    goes_on = run > 0
    for i, size in _chain(nest):
        block = blocks.get(i, np.int64(1))
        run = np.where(goes_on, run * block, run)
        goes_on = goes_on & (block == size)
    apart = np.where(run > 1, SWEPT, HOPS)
    lines = {**blocks, lane: width}
    collide = crowded(nest.target, lines, nest.dtype, machine.l2 // (LINE * WAYS), WAYS // 2)
    apart = np.where(collide, COLLIDE * apart, apart)
    apart = np.where((run >= FEWEST) & (vectors == 1), TURNED, apart)
    return apart * (2.0 if fetched_once(nest) > machine.l2 else 1.0) * width


def _product(blocks: Mapping[int, Column], indices: Collection[int], one: Column) -> Column:
    """Multiply the blocks of some indices."""
    return math.prod((block for i, block in blocks.items() if i in indices), start=one)


def crowded(
    operand: Operand, blocks: Mapping[int, Any], dtype: str, places: int = SETS, held: int = FULL
) -> Any:
    """Whether the rows of a tile lie so far apart in steps of a cache's size that they collide.

    A block may be a number or a column of them.
    """
    factors, lines = places, 1  # the lowest bit of the one is the greatest factor they share
    for i, block in blocks.items():
        step = abs(operand.strides.get(i, 0)) * BYTES[dtype] // LINE
        if step:
            factors, lines = factors | step * (block > 1), lines * block
    return lines > held * places // (factors & -factors)


def _entries(nest: Contraction, lane: int, window: Window | None) -> float:
    """The cycles to enter the innermost loops of one tile, which the taps of a window are not."""
    order = [i for i in reduction_order(nest, lane) if window is None or i != window.tap]
    return math.prod(nest.sizes[i] for i in order[:-1]) * ENTRY


@functools.lru_cache(maxsize=4096)
def _chain(nest: Contraction) -> tuple[tuple[int, int], ...]:
    """The parallel indices that count the target's elements as they lie, each with its size."""
    found: list[tuple[int, int]] = []
    reach = 1
    while True:
        steps = [i for i in nest.parallel if nest.target.strides.get(i) == reach]
        if not steps or (found and found[-1][1] == 1):
            return tuple(found)
        found.append((steps[0], nest.sizes[steps[0]]))
        reach *= nest.sizes[steps[0]]


def reduction_order(nest: Contraction, lane: int, window: Window | None = None) -> tuple[int, ...]:
    """The reduced indices but the lane, those with the longest steps through memory first.

    The taps of a window come last.
    """

    def reach(index: int) -> int:
        if window and index == window.tap:
            return -1
        return max((abs(o.strides.get(index, 0)) for o in nest.operands), default=0)

    return tuple(sorted((i for i in nest.reduced if i != lane), key=reach, reverse=True))


def cover(length: int, block: int, width: int, *, again: bool = False) -> Segments:
    """Cover the lane index: whole blocks of vectors, then ever narrower vectors.

    Where lanes may be done `again`, one vector that reaches back does all that is left.

    >>> [(s.start, s.stop, s.block) for s in cover(39, 32, 16)]
    [(0, 32, 32), (32, 36, 4), (36, 38, 2), (38, 39, 1)]
    >>> [(s.start, s.stop, s.block) for s in cover(39, 32, 16, again=True)]
    [(0, 32, 32), (31, 39, 8)]
    """
    found, at = [], 0
    while at < length:
        left = length - at
        back = 1 << (left - 1).bit_length()
        if again and left < min(block, width) and back <= min(width, length):
            found.append(Segment(length - back, length, back))
            break
        stop = at + left // block * block
        if stop > at:
            found.append(Segment(at, stop, block))
        at = stop
        block = width if block > width else block // 2
    return tuple(found)


def apart(lanes: Segments, width: int) -> Segments:
    """Give segments of lanes without those that are done again."""
    return cover(lanes[-1].stop, lanes[0].block, width)
