"""What a nest of loops fetches from beyond a cache, and the order of loops that fetches least.

The outermost loops inside of which everything touched still fits in the cache fetch each operand
once; what runs around them fetches it again, but for loops that leave an operand where it is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from codegen.schedule.contraction import Contraction, Operand

FILLED = 0.8  # the part of a cache that one operand after the other can count on
LINE = 64  # bytes that come together
ORDERED = 4  # loops whose order is tried; the shortest others stay inside


@dataclass(frozen=True)
class Around:
    """A loop around a tile: how often it runs, and how far its index gets in all."""

    index: int
    trips: int
    extent: int


def fetched(
    nest: Contraction, loops: Sequence[Around], tile: Mapping[int, int], cache: int
) -> float:
    """Give the bytes that come from beyond a cache of so many bytes, loops outermost first."""
    operands = (*nest.operands, nest.target)
    size = 4 if nest.dtype == "float32" else 8
    extents = dict(tile)
    inside = [_footprint(o, extents, size) for o in operands]
    depth = len(loops)
    if sum(inside) > FILLED * cache:  # not even one tile stays: every pass fetches all
        return math.prod(loop.trips for loop in loops) * sum(inside)
    while depth:
        loop = loops[depth - 1]
        extents[loop.index] = loop.extent
        more = [
            _footprint(o, extents, size) if loop.index in o.strides else known
            for o, known in zip(operands, inside, strict=True)
        ]
        if sum(more) > FILLED * cache:
            break
        inside, depth = more, depth - 1
    total = 0.0
    for o, count in zip(operands, inside, strict=True):
        last = depth
        while last and loops[last - 1].index not in o.strides:
            last -= 1
        total += count * math.prod(loop.trips for loop in loops[:last])
    return total


def best_order(
    loops: Sequence[Around], cost: Callable[[Sequence[Around]], float]
) -> tuple[Around, ...]:
    """Give the order of loops, outermost first, that costs least; of equals the first."""
    longest = sorted(loops, key=lambda loop: loop.trips, reverse=True)[:ORDERED]
    moving = [loop for loop in loops if loop.trips > 1 and loop in longest]
    still = [loop for loop in loops if loop not in moving]
    best: tuple[Around, ...] = (*moving, *still)
    least = cost(best)
    for order in itertools.permutations(moving):
        found = cost((*order, *still))
        if found < 0.98 * least:
            best, least = (*order, *still), found
    return best


def _footprint(operand: Operand, extents: Mapping[int, int], size: int) -> float:
    """The bytes that an access touches while each index covers its extent, lines rounded up."""
    total = size
    for axis in operand.axes:
        reach = points = 1
        for i, c in axis.moves:
            extent = extents.get(i, 1)
            reach += abs(c) * (extent - 1)
            points *= extent
        extent = min(reach, points)
        if axis.step == 1 and axis.moves and extent % (LINE // size):
            extent += LINE // size - 1  # it may start anywhere in a line
        total *= extent
    return total
