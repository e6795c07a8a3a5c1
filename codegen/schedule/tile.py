"""Register tiles for sums of products: which index fills vectors, which rows share their loads.

A tile keeps `rows × vectors` accumulators in registers over the whole reduction. Each step loads
the operands that the lane index moves through as vectors and the others as single numbers:

    acc[r][m] += w[k + r, c, u, v] · x[n, c, i + u, j + v + 16·m .. + 16]

so R + M loads feed R·M multiplications. The tile with the fewest loads for each multiplication
and enough accumulators to hide their latency wins.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy

from codegen.affine import Index, index_symbols
from codegen.notation import FLOATS, Access, DType, Reduce, Statement
from codegen.schedule.order import far_first, stride

BYTES = 64  # of the widest vector register
MOST = 14  # accumulators: more would leave no registers for operands
HIDDEN = 8  # accumulators that keep the multipliers busy while results are under way
ROWS = 12  # the longest block of rows


@dataclass(frozen=True)
class Segment:
    """A stretch of an index that runs in blocks of one size."""

    start: int
    stop: int
    block: int


Segments = tuple[Segment, ...]


@dataclass(frozen=True)
class Tile:
    """A schedule: the lane index and the row indices in segments, the loops around and inside."""

    lane: Index
    lanes: tuple[Segment, ...]
    vectors: int
    rows: tuple[tuple[Index, Segments], ...]
    outer: tuple[Index, ...]
    reduced: tuple[Index, ...]

    def __str__(self) -> str:
        widths = "+".join(f"{(s.stop - s.start) // s.block}·{s.block}" for s in self.lanes)
        rows = ", ".join(f"{i} by {segments[0].block}" for i, segments in self.rows) or "-"
        return (
            f"outer {' '.join(map(str, self.outer)) or '-'}, rows {rows}, "
            f"reduce {' '.join(map(str, self.reduced)) or '-'}, "
            f"lanes {self.lane} ({widths}, {self.vectors} vectors at once)"
        )


def choose_tile(statement: Statement) -> Tile | None:
    """Give the best register tile of a sum of products, or None where there is none."""
    reads = factors(statement)
    if not reads:
        return None
    best = min(_candidates(statement, reads), key=lambda row: row[1], default=None)
    return best[0] if best else None  # of equals the first: the order of candidates is fixed


def widest_vector(dtype: DType) -> int:
    """Give how many numbers of a float type the widest vector register holds.

    >>> widest_vector("float32"), widest_vector("float64")
    (16, 8)
    """
    return BYTES // (4 if dtype == "float32" else 8)


def factors(statement: Statement) -> tuple[Access, ...]:
    """The operands of a plain sum of products of one float type; none where it is not one."""
    parts = sympy.Mul.make_args(statement.body)
    reads = tuple(p for p in parts if isinstance(p, Access))
    plain = all(isinstance(p, Access) or p.is_number for p in parts)
    kind = statement.target.dtype
    if statement.op is not Reduce.SUM or statement.bindings or statement.guards or not plain:
        return ()
    if kind not in FLOATS or any(a.tensor.dtype != kind for a in reads) or not statement.reduced:
        return ()
    return reads


def _candidates(statement: Statement, reads: tuple[Access, ...]) -> Iterator[tuple[Tile, float]]:
    widest = widest_vector(statement.target.dtype)
    used = [{i for m in a.maps for i in index_symbols(m)} for a in reads]
    order = far_first(statement)
    for lane, length in statement.box:
        steps = [stride(a.tensor, a.maps, lane) for a in reads]
        if not isinstance(length, int) or length < 4 or not set(steps) <= {0, 1} or 1 not in steps:
            continue
        parallel = lane in statement.parallel
        depth = math.prod(_length(statement.sizes[i]) for i in statement.reduced)
        closing = 12.0 * widest / depth  # adding up the lanes of each sum
        if parallel:  # storing a vector element by element, unless they lie side by side
            aside = stride(statement.target, statement.maps, lane) == 1
            closing = 0.0 if aside else 0.5 * widest / depth
        reduced = tuple(i for i in order if i != lane)
        for vectors in (1, 2, 3, 4) if parallel else (1,):
            lanes = _lanes(length, widest, vectors)
            if vectors > 1 and lanes[0].block < widest * vectors:
                continue
            passes = sum(-(-(s.stop - s.start) // min(s.block, widest)) for s in lanes)
            copies = vectors if parallel else len(lanes)
            for rows in _rows(statement, lane, MOST // copies):
                blocks = {i: segments[0].block for i, segments in rows}
                count = math.prod(blocks.values())
                loads = 0.0
                for indices in used:
                    repeated = math.prod(b for i, b in blocks.items() if i in indices)
                    # A number that is spread over a vector rides along with the multiplication.
                    loads += repeated * (vectors if lane in indices else 0.5)
                tails = sum(len(segments) - 1 for _, segments in rows)
                cost = passes * widest / length * (1 + loads / (count * vectors))
                cost *= max(1.0, HIDDEN / (count * copies))
                taken = {lane, *blocks}
                outer = tuple(i for i in statement.parallel if i not in taken)
                tile = Tile(lane, lanes, vectors, rows, outer, reduced)
                yield tile, cost + closing + 0.02 * tails


def _rows(
    statement: Statement, lane: Index, most: int
) -> Iterator[tuple[tuple[Index, Segments], ...]]:
    """Every choice of at most two parallel indices and block sizes of at most so many rows."""
    free = [
        (i, n)
        for i, n in statement.box
        if i in statement.parallel and i != lane and isinstance(n, int) and n > 1
    ]
    for chosen in itertools.chain([()], ((r,) for r in free), itertools.combinations(free, 2)):
        for blocks in itertools.product(*(_blocks(n) for _, n in chosen)):
            if math.prod(blocks) > most:
                continue
            yield tuple((i, _segments(n, b)) for (i, n), b in zip(chosen, blocks, strict=True))


@lru_cache(maxsize=1024)
def _blocks(length: int) -> tuple[int, ...]:
    """Block sizes worth trying: the length in equal parts, the last one shorter if need be."""
    parts = (-(-length // count) for count in range(1, length + 1))
    return tuple(sorted({block for block in parts if block <= ROWS}))


def _segments(length: int, block: int) -> Segments:
    whole = length // block * block
    tail = (Segment(whole, length, length - whole),) if whole < length else ()
    return (Segment(0, whole, block), *tail)


def _lanes(length: int, widest: int, vectors: int) -> Segments:
    """Cover the lane index: whole blocks of vectors, then ever narrower vectors."""
    found, at, block = [], 0, widest * vectors
    while at < length:
        stop = at + (length - at) // block * block
        if stop > at:
            found.append(Segment(at, stop, block))
        at = stop
        block = widest if block > widest else block // 2
    return tuple(found)


def _length(size: Any) -> int:
    return size if isinstance(size, int) else 64
