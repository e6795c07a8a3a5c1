"""What a nest of loops fetches from beyond a cache, and the order of loops that fetches least.

The outermost loops inside of which everything touched still fits in the cache fetch each operand
once; what runs around them fetches it again, but for loops that leave an operand where it is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codegen.affine import Index
from codegen.schedule.contraction import Contraction, Operand

FILLED = 0.7  # the part of a cache that one operand after the other can count on
LINE = 64  # bytes that come together


@dataclass(frozen=True)
class Around:
    """A loop around a tile: how often it runs, and how far its index gets in all."""

    index: Index
    trips: int
    extent: int


def fetched(
    nest: Contraction, loops: Sequence[Around], tile: Mapping[Index, int], cache: int
) -> float:
    """Give the bytes that come from beyond a cache of so many bytes, loops outermost first."""
    operands = (*nest.operands, nest.target)
    size = 4 if nest.dtype == "float32" else 8
    extents = dict(tile)
    inside = [_footprint(o, extents, size) for o in operands]
    depth = len(loops)
    if sum(inside) > FILLED * cache:  # not even one tile stays: every pass fetches all
        passes = math.prod(loop.trips for loop in loops)
        return passes * sum(inside)
    while depth:
        loop = loops[depth - 1]
        extents[loop.index] = loop.extent
        more = [_footprint(o, extents, size) for o in operands]
        if sum(more) > FILLED * cache:
            break
        inside, depth = more, depth - 1
    total = 0.0
    for o, bytes_ in zip(operands, inside, strict=True):
        outside = list(loops[:depth])
        while outside and not o.uses(outside[-1].index):
            outside.pop()
        total += bytes_ * math.prod(loop.trips for loop in outside)
    return total


def best_order(
    nest: Contraction, loops: Sequence[Around], lane: Sequence[Around], tile: Mapping[Index, int],
    cache: int,
) -> tuple[tuple[Index, ...], float]:  # fmt: skip
    """Give the order of loops, outermost first, that fetches the fewest bytes, and how many."""
    moving = [loop for loop in loops if loop.trips > 1]
    still = [loop for loop in loops if loop.trips == 1]
    best: tuple[tuple[Index, ...], float] | None = None
    for order in itertools.permutations(moving):
        bytes_ = fetched(nest, (*order, *lane), tile, cache)
        if best is None or bytes_ < 0.98 * best[1]:
            best = tuple(loop.index for loop in (*order, *still)), bytes_
    assert best is not None
    return best


def _footprint(operand: Operand, extents: Mapping[Index, int], size: int) -> float:
    """The bytes that an access touches while each index covers its extent, lines rounded up."""
    total = float(size)
    for axis in operand.axes:
        reach = 1 + sum(abs(c) * (extents.get(i, 1) - 1) for i, c in axis.moves)
        points = math.prod(extents.get(i, 1) for i, _ in axis.moves)
        extent = min(reach, points)
        total *= max(extent, LINE // size) if axis.step == 1 else extent
    return total
