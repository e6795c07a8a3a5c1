"""What a nest of loops fetches from beyond a cache, and the order of loops that fetches least.

The outermost loops inside of which everything touched still fits in the cache fetch each operand
once; what runs around them fetches it again, but for loops that leave an operand where it is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from codegen.aligned import LINE
from codegen.notation import BYTES
from codegen.schedule.contraction import Axis, Contraction, Operand

FILLED = 0.8  # the part of a cache that one operand after the other can count on
ORDERED = 3  # loops whose order is tried; the shortest others stay inside

Footprints = Callable[[frozenset[int]], tuple[float, ...]]


@dataclass(frozen=True)
class Around:
    """A loop around a tile: how often it runs, and how far its index gets in all."""

    index: int
    trips: int
    extent: int


@lru_cache(maxsize=4096)
def fetched_once(nest: Contraction) -> float:
    """Give the bytes, in whole lines, that come from beyond a cache if all come once."""
    return fetched(nest, (), dict(enumerate(nest.sizes)), 0)


def fetched(
    nest: Contraction, loops: Sequence[Around], tile: Mapping[int, int], cache: int
) -> float:
    """Give the bytes that come from beyond a cache of so many bytes, loops outermost first."""
    return _fetched(nest, loops, _footprints(nest, loops, tile), cache)


def _fetched(
    nest: Contraction, loops: Sequence[Around], footprints: Footprints, cache: int
) -> float:
    opened: frozenset[int] = frozenset()
    inside = footprints(opened)
    depth = len(loops)
    if sum(inside) > FILLED * cache:  # not even one tile stays: every pass fetches all
        return math.prod(loop.trips for loop in loops) * sum(inside)
    while depth:
        opened |= {loops[depth - 1].index}
        more = footprints(opened)
        if sum(more) > FILLED * cache:
            break
        inside, depth = more, depth - 1
    total = 0.0
    for o, count in zip((*nest.operands, nest.target), inside, strict=True):
        last = depth
        while last and loops[last - 1].index not in o.strides:
            last -= 1
        total += count * math.prod(loop.trips for loop in loops[:last])
    return total


def touched(nest: Contraction) -> float:
    """Give the bytes that a nest must read or write, however its operands are stored."""
    size = BYTES[nest.dtype]
    sizes = dict(enumerate(nest.sizes))
    every = (*nest.operands, nest.target)
    return float(sum(size * math.prod(_reach(a, sizes) for a in o.axes) for o in every))


def best_order(
    nest: Contraction, loops: Sequence[Around], lane: Sequence[Around], tile: Mapping[int, int],
    caches: tuple[int, int],
) -> tuple[tuple[int, ...], float, float]:  # fmt: skip
    """Give the order of loops, outermost first, that fetches the fewest bytes, and how many.

    That is from beyond the second of two caches; with them come those from beyond the first.
    """
    longest = sorted(loops, key=lambda loop: loop.trips, reverse=True)[:ORDERED]
    moving = [loop for loop in loops if loop.trips > 1 and loop in longest]
    still = [loop for loop in loops if loop not in moving]
    near, far = caches
    if fetched_once(nest) <= FILLED * far:
        moving, still = [], [*moving, *still]  # all stays near in any order
    footprints = _footprints(nest, (*loops, *lane), tile)
    if sum(footprints(frozenset())) > FILLED * far:
        moving, still = [], [*moving, *still]  # nothing stays near in any order
    best: tuple[tuple[Around, ...], float] | None = None
    for order in itertools.permutations(moving):
        around = (*order, *still, *lane)
        count = _fetched(nest, around, footprints, far)
        if best is None or count < 0.98 * best[1]:
            best = around, count
    assert best is not None
    around, count = best
    indices = tuple(loop.index for loop in around[: len(loops)])
    return indices, count, _fetched(nest, around, footprints, near)


def _footprints(nest: Contraction, loops: Sequence[Around], tile: Mapping[int, int]) -> Footprints:
    """Give what counts the bytes of each operand inside some of the loops, each set of them once.

    Orders of the same loops ask for the same sets again and again.
    """
    extents = {loop.index: loop.extent for loop in loops}
    size = BYTES[nest.dtype]
    operands = (*nest.operands, nest.target)

    @cache
    def count(at: int, opened: frozenset[int]) -> float:
        within = {**tile, **{i: extents[i] for i in opened}}
        return _footprint(operands[at], within, size, operands[at] is nest.target)

    @cache
    def footprints(opened: frozenset[int]) -> tuple[float, ...]:
        return tuple(count(k, opened.intersection(o.strides)) for k, o in enumerate(operands))

    return footprints


def _footprint(
    operand: Operand, extents: Mapping[int, int], size: int, written: bool = False
) -> float:
    """The bytes that an access moves while each index covers its extent, lines rounded up.

    What is written comes and goes, and a row that is not whole lines spoils one more.
    """
    total, line = size, LINE // size
    for axis in operand.axes:
        extent = _reach(axis, extents)
        if axis.step == 1 and axis.moves:
            whole = extent % line == 0
            extent = extent if whole else max(extent, line) + (line - 1 if written else 0)
        total *= extent
    return 2 * total if written else total


def _reach(axis: Axis, extents: Mapping[int, int]) -> int:
    """How many places along an axis are visited while each index covers its extent."""
    if len(axis.moves) == 1:
        return extents.get(axis.moves[0][0], 1)
    reach = points = 1
    for i, c in axis.moves:
        extent = extents.get(i, 1)
        reach += abs(c) * (extent - 1)
        points *= extent
    return min(reach, points)
