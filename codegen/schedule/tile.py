"""Register tiles for sums of products: which index fills vectors, which rows share their loads.

A tile keeps `rows × vectors` accumulators in registers over the whole reduction. Each step loads
the operands that the lane index moves through as vectors and the others as single numbers:

    acc[k][m] += w[k_start + k, c, u, v] · x[n, c, i + u, j + v + 16·m .. + 16]

so that K + M loads feed K·M multiplications. The tile that takes the fewest cycles wins, by a
model of one core: so many multiply-adds, so many loads a cycle. Where these are what takes the
time, rows may look at what others have loaded, through a window that slides over them.
"""

from __future__ import annotations

import heapq
import itertools
import math
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from codegen.affine import Index, split
from codegen.machine import Machine
from codegen.notation import BYTES, Guard, Statement
from codegen.schedule.contraction import Contraction, Operand, contraction
from codegen.schedule.ends import ends
from codegen.schedule.traffic import LINE, Around, best_order, fetched, fetched_once, touched
from codegen.schedule.window import Window, slid, windows

BUSY = 4.0  # cycles until a result can be added to: a step takes no less
ROWS = 16  # the longest block of rows: compilers unroll such loops completely
ENTRY = 5.0  # cycles to enter the innermost loop once more
PROMISING = 5  # tiles whose use of memory is looked at
SEVERAL = 8  # tiles that are worth measuring
NEAR = 32.0  # bytes that come from the second cache in one cycle; half as many in mere streams
FAR = 10.0  # bytes that come from beyond it
TURNED = 0.7  # cycles to store an element of a vector whose neighbours come from the next rows
SWEPT = 2.0  # the same where several vectors stand side by side, which are not turned
HOPS = 4.0  # where they do not
SETS = 64  # places that a line of the first cache may go to, by its address
FULL = 6  # lines that each of them holds besides others
FEWEST = 4  # rows that are worth turning
STREAMS = 4  # rows that run through memory side by side: what fetches ahead follows so many
CROWDED = 1.5  # times as long that memory takes where there are more
CLOSE = 14.0  # cycles to add up the lanes of one vector


@dataclass(frozen=True)
class Segment:
    """A stretch of an index that runs in blocks of one size."""

    start: int
    stop: int
    block: int


Segments = tuple[Segment, ...]
Rows = tuple[tuple[int, Segments], ...]
Blocks = tuple[tuple[int, int], ...]
Shape = tuple[int, Segments, int, Blocks, str, Window | None]


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
        return f"rows {rows}, {slid}lanes {self.lane} ({widths}, {self.vectors} vectors at once)"

    def __str__(self) -> str:
        order, reduced = (" ".join(map(str, i)) or "-" for i in (self.order, self.reduced))
        text = (
            f"outer {order}, reduce {reduced}, {self.shape}, "
            f"about {self.cycles:.3g} cycles, {self.bytes:.3g} bytes\n"
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
    tile = found.spelled(letters)
    written = {Guard(m, n) for m, n in zip(statement.maps, statement.target.shape, strict=True)}
    written -= {
        Guard(m, n) for a in statement.reads for m, n in zip(a.maps, a.tensor.shape, strict=True)
    }
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

    def spelled(self, letters: tuple[Index, ...]) -> Tile:
        """Give the tile in the letters of a statement."""
        window = self.window
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
            self.rival.spelled(letters) if self.rival else None,
            (letters[window.row], letters[window.tap], window.operand) if window else None,
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
    return f"{nest.dtype} {sizes}: {moved(nest.target)} += {' * '.join(map(moved, nest.operands))}"


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
    found = sorted(_shapes(nest, machine), key=lambda pair: pair[0])
    several = {pair[1]: pair for pair in found[:PROMISING]}
    kinds: dict[tuple[int, Segments, int], tuple[float, Shape]] = {}
    for pair in found:
        kinds.setdefault(pair[1][:3], pair)
    several |= {pair[1]: pair for pair in kinds.values()}
    placed = [_placed(machine, _candidate(nest, *pair)) for pair in several.values()]
    same = replace(best, rival=None)
    ranked = sorted((tile for tile in placed if tile != same), key=lambda tile: tile.cycles)
    return (best, *(replace(t, rank=k + 1) for k, t in enumerate(ranked[: count - 1])))


@lru_cache(maxsize=4096)
def _best(nest: Contraction, machine: Machine, lane: int | None = None) -> Candidate | None:
    found = _shapes(nest, machine, lane)
    promising = heapq.nsmallest(PROMISING, found, key=lambda pair: pair[0])  # of equals the first
    placed = [_placed(machine, _candidate(nest, *pair)) for pair in promising]
    ranked = sorted(placed, key=lambda tile: tile.cycles)
    if not ranked:
        return None
    return replace(ranked[0], rival=ranked[1] if len(ranked) > 1 else None)


def _shapes(
    nest: Contraction, machine: Machine, lane: int | None = None
) -> list[tuple[float, Shape]]:
    """Every tile, and its cycles if memory took no time."""
    found: list[tuple[float, Shape]] = []
    for index, length in enumerate(nest.sizes):
        if lane in (None, index):
            found += _candidates(nest, machine, index, length)
    return found


def _candidate(nest: Contraction, cycles: float, shape: Shape) -> Candidate:
    """Give the whole of what a shape stands for."""
    lane, lanes, width, blocks, bound, window = shape
    across = [o.strides.get(lane) == 1 for o in nest.operands]
    rows = tuple((i, _segments(nest.sizes[i], block)) for i, block in blocks)
    return Candidate(
        nest,
        lane,
        lanes,
        width,
        max(1, lanes[0].block // width),
        _broadcast_first(rows, nest.operands, across),
        tuple(i for i in nest.parallel if i != lane),
        _reduction_order(nest, lane, window),
        cycles,
        bound,
        window=window,
    )


def least_cycles(nest: Contraction, machine: Machine) -> float:
    """Give the cycles that no schedule can go below, in the units of this model."""
    once = touched(nest)
    memory = [
        once / rate for rate, cache in ((FAR, machine.l2), (NEAR, machine.l1)) if once > cache
    ]
    return max(nest.products / machine.lanes(nest.dtype), *memory, 0.0)


def crowded(operand: Operand, blocks: Mapping[int, int], dtype: str) -> bool:
    """Whether the rows of a tile lie so far apart in steps of a cache's size that they collide."""
    size = BYTES[dtype]
    steps = {i: abs(operand.strides.get(i, 0)) * size // LINE for i in blocks}
    apart = [i for i, step in steps.items() if step]
    sets = SETS // math.gcd(SETS, *(steps[i] for i in apart))
    return math.prod(blocks[i] for i in apart) > FULL * sets


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
    order, far = best_order(nest, loops, lane, inside, machine.l2)
    by_index = {loop.index: loop for loop in loops}
    near = fetched(nest, [*(by_index[i] for i in order), *lane], inside, machine.l1)
    memory = max(far / FAR, near / (NEAR if lane else NEAR / 2))
    if any(crowded(o, blocks, nest.dtype) for o in (*nest.operands, nest.target)):
        memory *= CROWDED
    cycles = max(tile.cycles, memory) + 0.1 * min(tile.cycles, memory)
    return replace(
        tile,
        order=order,
        cycles=cycles,
        bytes=far,
        work=tile.cycles,
        bound="memory" if memory > tile.cycles else tile.bound,
        peak=nest.products / machine.lanes(nest.dtype) / cycles,
    )


def _candidates(
    nest: Contraction, machine: Machine, lane: int, length: int
) -> Iterator[tuple[float, Shape]]:
    """Every tile with this index across lanes, and its cycles."""
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
                lanes = cover(length, width * vectors, width, again=again)
                yield from _tiles(nest, machine, lane, lanes, width)
        width //= 2


def _tiles(
    nest: Contraction, machine: Machine, lane: int, lanes: Segments, width: int
) -> Iterator[tuple[float, Shape]]:
    """Every tile with this index across lanes of this width, by its rows.

    Cycles are counted in multiply-adds of the widest vectors, of which a core starts one in each.
    """
    sizes, parallel = nest.sizes, lane in nest.parallel
    widest = machine.lanes(nest.dtype)
    narrowest = widest * machine.full // machine.vector
    vectors = max(1, lanes[0].block // width)
    copies = vectors if parallel else len(lanes)
    # One pass over the lane index; stretches narrower than the full rate needs cost as much.
    once = sum((s.stop - s.start) // s.block * max(s.block, narrowest) / widest for s in lanes)
    at_once = vectors * max(width, narrowest) / widest if parallel else once
    order = _reduction_order(nest, lane)
    depth = math.prod(sizes[i] for i in order)
    across = [o.strides.get(lane) == 1 for o in nest.operands]
    # Half of the loads of 32 bytes that start anywhere touch two lines, and all of those of 64.
    split_lines = 1 + width / widest * machine.vector / 64
    weights = [
        (at_once if o.alone(lane) else at_once * split_lines) if v else 0.5
        for o, v in zip(nest.operands, across, strict=True)
    ]
    aside = nest.target.strides.get(lane) == 1
    others = math.prod(sizes[i] for i in nest.parallel if i != lane)
    passes = others * (once / at_once if parallel else 1.0)
    far = fetched_once(nest) > machine.l2
    chain = _chain(nest)
    sliding = windows(nest, lane) if parallel else ()
    entries = {w: _entries(nest, lane, w) for w in (None, *sliding)}
    rest = [
        (o.strides, copies if v else 1, w)
        for o, v, w in zip(nest.operands, across, weights, strict=True)
    ]
    for blocks, count, tails in _rows(nest, lane, machine.registers // copies):
        load = held = most = 0.0
        for strides, copied, weight in rest:
            uses = 1
            for i, block in blocks:
                if i in strides:
                    uses *= block
            load += uses * weight
            held += uses * copied
            most = max(most, uses * copied)
        # One more is for a number at work; where multiply-adds cannot take it from memory, gcc
        # without any to spare reads every vector again rather than keep a few.
        several = held - most > 1 and not machine.spreads
        if count * copies + held - most + (2 if several else 1) > machine.registers:
            continue
        multiply = max(count * at_once, BUSY)
        # Elements that leave a vector one by one had better find their neighbours in a row.
        apart = _apart(chain, dict(blocks), vectors) * (2.0 if far else 1.0)
        close = CLOSE if not parallel else 1.0 if aside else apart * width
        ways: list[tuple[float, Window | None]] = [(load, None)]
        if sliding and load > multiply:
            room = machine.registers // copies - count
            ways += slid(nest, sliding, dict(blocks), weights, load, room, copies, len(lanes))
        for loads, window in ways:
            step = max(multiply, loads) + 0.15 * min(multiply, loads)
            one = depth * step + entries[window] + count * copies * close
            if not parallel and any(crowded(o, dict(blocks), nest.dtype) for o in nest.operands):
                one *= CROWDED
            bound = "multiply-adds" if multiply > BUSY else "latency"
            bound = "loads" if loads > multiply else bound
            shape = (lane, lanes, width, blocks, bound, window)
            yield passes / count * one * (1 + 0.03 * tails), shape


def _entries(nest: Contraction, lane: int, window: Window | None) -> float:
    """The cycles to enter the innermost loops of one tile, which the taps of a window are not."""
    order = [i for i in _reduction_order(nest, lane) if window is None or i != window.tap]
    return math.prod(nest.sizes[i] for i in order[:-1]) * ENTRY


@lru_cache(maxsize=4096)
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


def _apart(chain: tuple[tuple[int, int], ...], blocks: Mapping[int, int], vectors: int) -> float:
    """The cycles to store an element of a vector whose neighbours in memory are in other rows."""
    run = 1
    for i, size in chain:
        run *= blocks.get(i, 1)
        if blocks.get(i) != size:
            break
    if run >= FEWEST and vectors == 1:
        return TURNED
    return SWEPT if run > 1 else HOPS


def _reduction_order(nest: Contraction, lane: int, window: Window | None = None) -> tuple[int, ...]:
    """The reduced indices but the lane, those with the longest steps through memory first.

    The taps of a window come last.
    """

    def reach(index: int) -> int:
        if window and index == window.tap:
            return -1
        return max((abs(o.strides.get(index, 0)) for o in nest.operands), default=0)

    return tuple(sorted((i for i in nest.reduced if i != lane), key=reach, reverse=True))


def _broadcast_first(rows: Rows, operands: tuple[Operand, ...], across: list[bool]) -> Rows:
    """The rows in an order that keeps few operands in registers: outside what loads the most."""
    if len(rows) < 2:
        return rows

    def loads(row: tuple[int, Segments]) -> int:
        index, segments = row
        moved = [v for o, v in zip(operands, across, strict=True) if index in o.strides]
        return segments[0].block - (1000 if any(moved) and not all(across) else 0)

    return tuple(sorted(rows, key=loads, reverse=True))


def _rows(nest: Contraction, lane: int, most: int) -> tuple[tuple[Blocks, int, int], ...]:
    """Choices of at most three parallel indices and block sizes of at most so many rows.

    Each comes with the number of rows, and of indices whose last block is shorter.
    """
    free = tuple(
        (i, nest.sizes[i])
        for i in nest.parallel
        if i != lane and i in nest.fixed and nest.sizes[i] > 1
    )
    return _rows_of(free, lane in nest.parallel, most, bool(windows(nest, lane)))


@lru_cache(maxsize=4096)
def _rows_of(
    free: tuple[tuple[int, int], ...], many: bool, most: int, slides: bool
) -> tuple[tuple[Blocks, int, int], ...]:
    """The rows of all nests with these indices and sizes, which many nests share."""
    several = [c for k in range(min(3, len(free)) + 1) for c in itertools.combinations(free, k)]
    choices = [tuple(_blocks(n) for _, n in chosen) for chosen in several]
    largest = max(max(_reached(blocks, most)) for blocks in choices)
    # Far smaller ones never win, but where rows are streams of memory or share what they load.
    least = -(-largest // (3 if slides else 2))
    least = least if many else min(least, STREAMS)
    found = []
    for chosen, sizes in zip(several, choices, strict=True):
        for blocks in _products(sizes, least, most):
            tails = sum(n % b > 0 for (_, n), b in zip(chosen, blocks, strict=True))
            rows = tuple(zip((i for i, _ in chosen), blocks, strict=True))
            found.append((rows, math.prod(blocks), tails))
    return tuple(found)


def _reached(choices: tuple[tuple[int, ...], ...], most: int) -> set[int]:
    """Every product of one number from each choice that stays within a limit; 0 if none does."""
    reached = {1}
    for blocks in choices:
        reached = {a * b for a in reached for b in blocks if a * b <= most}
    return reached or {0}


def _products(
    choices: tuple[tuple[int, ...], ...], least: int, most: int
) -> Iterator[tuple[int, ...]]:
    """Every combination whose product stays within limits."""
    if not choices:
        if least <= 1:
            yield ()
        return
    rest = math.prod(max(blocks, default=0) for blocks in choices[1:])
    for first in choices[0]:
        if first <= most and first * rest >= least:
            for others in _products(choices[1:], -(-least // first), most // first):
                yield (first, *others)


@lru_cache(maxsize=1024)
def _blocks(length: int) -> tuple[int, ...]:
    """Block sizes worth trying: the length in equal parts, the last one shorter if need be."""
    parts = (-(-length // count) for count in range(1, length + 1))
    return tuple(sorted({block for block in parts if 1 < block <= ROWS}))


def _segments(length: int, block: int) -> Segments:
    whole = length // block * block
    tail = (Segment(whole, length, length - whole),) if whole < length else ()
    return (Segment(0, whole, block), *tail)


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
