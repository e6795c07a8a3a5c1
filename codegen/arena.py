"""Where blocks of memory lie that live for a while: at offsets in one arena, as low as they go.

Blocks that never live at the same time may overlap. Which of two others lies below is decided on
sizes as they typically are; where a block starts is then the greatest end of those below it:

    conv at 0;  relu at 4096·N;  scores at max(4096·N, 40 + 1024·N)

That holds for every value of the dims, since nothing is assumed about which size is greater.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import sympy

from codegen.affine import Dim, Size
from codegen.aligned import LINE
from codegen.notation import Tensor
from codegen.sizes import evaluate

ALIGNMENT = LINE  # of whatever starts in it
TYPICAL = (1, 4, 16, 64, 256)  # values of dims for which placements are compared
MOVES = 80  # attempts to better a placement
GOOD = 1.03  # times the bytes that live at the same time: not worth another attempt

Dims: TypeAlias = Mapping[Dim, int]
Amount: TypeAlias = dict[Any, int]  # a size: the coefficient of each product of dims


@dataclass(frozen=True)
class Block:
    """The memory of a tensor, which is needed from one point in time to another."""

    tensor: Tensor
    bytes: Size
    born: int
    dies: int

    def meets(self, other: Block) -> bool:
        """Whether there is a time at which both live."""
        return self.born <= other.dies and other.born <= self.dies


@dataclass(frozen=True)
class Let:
    """A name for the greatest of some sizes, rounded up to whole cache lines."""

    name: Dim
    sizes: tuple[Size, ...]

    def value(self, dims: Dims) -> int:
        """Give the number for these dims."""
        return aligned(max(evaluate(n, dims) for n in self.sizes))


@dataclass(frozen=True)
class Arena:
    """Blocks and where each starts, in terms of dims and of the `lets`, which come in order."""

    blocks: tuple[Block, ...]
    starts: tuple[Size, ...]
    lets: tuple[Let, ...]
    ends: tuple[Size, ...]

    def values(self, dims: Dims) -> dict[Dim, int]:
        """Give the dims and the lets as numbers."""
        found = dict(dims)
        for let in self.lets:
            found[let.name] = let.value(found)
        return found

    def offsets(self, dims: Dims) -> dict[Tensor, int]:
        """Give the byte at which each tensor starts."""
        known = self.values(dims)
        pairs = zip(self.blocks, self.starts, strict=True)
        return {block.tensor: evaluate(start, known) for block, start in pairs}

    def bytes(self, dims: Dims) -> int:
        """Give the bytes of the whole arena."""
        known = self.values(dims)
        return max((evaluate(n, known) for n in self.ends), default=0)

    def live(self, dims: Dims) -> int:
        """Give the most bytes of tensors that live at the same time: no arena is smaller."""
        sizes = [max(0, evaluate(b.bytes, dims)) for b in self.blocks]
        return _live(self.blocks, sizes)

    @cached_property
    def samples(self) -> tuple[Dims, ...]:
        """Typical values of the dims."""
        return _samples(self.blocks)


def aligned(size: int) -> int:
    """Give the size rounded up to whole cache lines.

    >>> aligned(0), aligned(1), aligned(64)
    (0, 64, 64)
    """
    return -(-size // ALIGNMENT) * ALIGNMENT


def place(blocks: Sequence[Block]) -> Arena:
    """Give an arena in which blocks that live at the same time do not overlap.

    They are put one by one into the tightest gap between those they meet: the largest first, or
    those that live longest, or where most live at once. What ends on top goes earlier the next
    time. The arena that wastes least, wherever it wastes most, is kept.
    """
    search = _Search(blocks)
    search.run()
    return _spelled(blocks, search.best.upward, search.below(search.best.upward))


def _samples(blocks: Sequence[Block]) -> tuple[Dims, ...]:
    dims = {d for b in blocks for d in sympy.sympify(b.bytes).free_symbols}
    return tuple(dict.fromkeys(dims, n) for n in TYPICAL) if dims else ({},)


def _live(blocks: Sequence[Block], sizes: Sequence[int]) -> int:
    change: dict[int, int] = {}
    for block, size in zip(blocks, sizes, strict=True):
        change[block.born] = change.get(block.born, 0) + size
        change[block.dies + 1] = change.get(block.dies + 1, 0) - size
    total = most = 0
    for time in sorted(change):
        total += change[time]
        most = max(most, total)
    return most


# -- which block lies below which -------------------------------------------------------------


@dataclass(frozen=True)
class _Packing:
    """Blocks from the lowest to the highest, and the order in which they were put there.

    `waste` is how many times what lives at once they take, and `top` the block that ends on top,
    for those dims for which it is most.
    """

    waste: float
    upward: tuple[int, ...] = ()
    order: tuple[int, ...] = ()
    top: int = 0


class _Search:
    """Tries placements and keeps the best."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = blocks
        self.meets = [
            {k for k, b in enumerate(blocks) if b is not a and a.meets(b)} for a in blocks
        ]
        self.sizes = [
            [aligned(max(0, evaluate(b.bytes, dims))) for b in blocks] for dims in _samples(blocks)
        ]
        self.floors = [_live(blocks, of) for of in self.sizes]
        self.best = _Packing(math.inf)

    def run(self) -> None:
        """Try orders that are known to do well, for each of the samples; then better the best."""
        tried = []
        for of in self.sizes:
            found = [self.packed(order, of) for order in self.orders(of)]
            tried.append(min(found, key=lambda p: p.waste))
        for of, packing in zip(self.sizes, tried, strict=True):
            self.better(packing, of)

    def orders(self, sizes: Sequence[int]) -> Iterator[tuple[int, ...]]:
        everyone = range(len(self.blocks))
        lives = [b.dies - b.born for b in self.blocks]
        crowds = [self.crowd(k, sizes) for k in everyone]
        for by in ((sizes, lives), (lives, sizes), (crowds, sizes), (crowds, lives)):
            keys = [*zip(*by, strict=True)]
            yield tuple(sorted(everyone, key=keys.__getitem__, reverse=True))

    def better(self, best: _Packing, sizes: Sequence[int]) -> None:
        """Put what ended on top, or something it meets, in earlier, again and again."""
        chance = random.Random(0)
        for _ in range(MOVES):
            if self.best.waste <= GOOD:
                return
            moved = chance.choice([best.top, best.top, *sorted(self.meets[best.top])])
            order = [k for k in best.order if k != moved]
            order.insert(chance.randint(0, best.order.index(moved)), moved)
            packing = self.packed(tuple(order), sizes)
            if packing.waste <= best.waste:
                best = packing

    def packed(self, order: tuple[int, ...], sizes: Sequence[int]) -> _Packing:
        at = self.fit(order, sizes)
        upward = tuple(sorted(at, key=lambda k: (at[k], at[k] + sizes[k], k)))
        below = self.below(upward)
        found = _Packing(1, upward, order)
        for of, floor in zip(self.sizes, self.floors, strict=True):
            ends: dict[int, int] = {}
            for k in upward:
                ends[k] = max((ends[c] for c in below[k]), default=0) + of[k]
            top = max(ends, key=ends.__getitem__, default=0)
            if floor and ends[top] > found.waste * floor:
                found = _Packing(ends[top] / floor, upward, order, top)
        self.best = min(self.best, found, key=lambda p: p.waste)
        return found

    def fit(self, order: Sequence[int], sizes: Sequence[int]) -> dict[int, int]:
        """Give each block, in this order, the tightest gap that is wide enough, or the top."""
        at: dict[int, int] = {}
        for k in order:
            end, best, tightest = 0, None, math.inf
            for start, stop in sorted((at[c], at[c] + sizes[c]) for c in self.meets[k] if c in at):
                if sizes[k] <= start - end < tightest:
                    best, tightest = end, start - end
                end = max(end, stop)
            at[k] = end if best is None else best
        return at

    def below(self, upward: Sequence[int]) -> dict[int, list[int]]:
        """Give the blocks on which each one lies directly: those that no other is between."""
        height = {k: n for n, k in enumerate(upward)}
        found: dict[int, list[int]] = {}
        for k in upward:
            found[k] = []
            lower = (c for c in self.meets[k] if height[c] < height[k])
            for c in sorted(lower, key=lambda c: -height[c]):
                if not any(c in self.meets[d] for d in found[k]):
                    found[k].append(c)
        return found

    def crowd(self, k: int, sizes: Sequence[int]) -> int:
        """Give the most bytes that live at a time at which this block does."""
        near = [*self.meets[k], k]
        return _live([self.blocks[c] for c in near], [sizes[c] for c in near])


# -- offsets as expressions -------------------------------------------------------------------


class _Speller:
    """Gives names to sizes that are no plain sums, and drops ends that never are the greatest."""

    def __init__(self) -> None:
        self.lets: list[Let] = []
        self._names: dict[tuple[Size, ...], Dim] = {}
        self._bounds: dict[Dim, tuple[Amount, Amount]] = {}

    def rounded(self, size: Size) -> Amount:
        """Give a size as one of whole cache lines."""
        amount = _amount(size)
        if set(amount) <= {sympy.S.One}:
            return {sympy.S.One: aligned(max(0, amount.get(sympy.S.One, 0)))}
        if all(c >= 0 and c % ALIGNMENT == 0 for c in amount.values()):
            return amount
        if all(c >= 0 for c in amount.values()):
            return self._let("bytes", (amount,), amount)
        return self._let("bytes", (amount, {}), {})  # it may be less than zero

    def greatest(self, ends: Sequence[Amount]) -> Amount:
        """Give the greatest of some ends."""
        left = self.highest(ends)
        return left[0] if len(left) == 1 else self._let("start", left, left[0]) if left else {}

    def highest(self, ends: Sequence[Amount]) -> list[Amount]:
        """Give the ends that may be the greatest."""
        kept: list[Amount] = []
        for end in ends:
            if not any(self._reaches(other, end) for other in kept):
                kept = [other for other in kept if not self._reaches(end, other)] + [end]
        return kept

    def _let(self, word: str, of: Sequence[Amount], least: Amount) -> Amount:
        sizes = tuple(map(_size, of))
        if sizes not in self._names:
            name = Dim(f"{word} {len(self.lets)}")
            self.lets.append(Let(name, sizes))
            self._names[sizes] = name
            most: Amount = {}
            for high in (self._bound(amount, 1) for amount in of):
                for part, c in high.items():
                    most[part] = max(most.get(part, 0), aligned(c))
            self._bounds[name] = self._bound(least, 0), most
        return {self._names[sizes]: 1}

    def _bound(self, amount: Amount, side: int) -> Amount:
        """Give what an amount is at least (0) or at most (1), without any lets."""
        total: Amount = {}
        for part, c in amount.items():
            for p, more in (
                self._bounds[part][side].items() if part in self._bounds else [(part, 1)]
            ):
                total[p] = total.get(p, 0) + c * more
        return total

    def _reaches(self, high: Amount, low: Amount) -> bool:
        """Whether one amount is at least the other for all dims."""
        shared = {p: c - low.get(p, 0) for p, c in high.items()}
        rest = {p: -c for p, c in low.items() if p not in high}
        over = {p: c for p, c in (shared | rest).items() if c > 0}
        under = {p: -c for p, c in (shared | rest).items() if c < 0}
        most, least = self._bound(under, 1), self._bound(over, 0)
        return all(least.get(p, 0) >= c for p, c in most.items())


def _spelled(
    blocks: Sequence[Block], upward: Sequence[int], below: Mapping[int, Sequence[int]]
) -> Arena:
    speller = _Speller()
    starts: dict[int, Amount] = {}
    ends: dict[int, Amount] = {}
    for k in upward:
        starts[k] = speller.greatest([ends[c] for c in below[k]])
        ends[k] = _sum(starts[k], speller.rounded(blocks[k].bytes))
    return Arena(
        tuple(blocks[k] for k in upward),
        tuple(_size(starts[k]) for k in upward),
        tuple(speller.lets),
        tuple(map(_size, speller.highest([*ends.values()]))),
    )


def _amount(size: Size) -> Amount:
    if isinstance(size, int):
        return {sympy.S.One: size}
    return {part: int(c) for part, c in sympy.expand(size).as_coefficients_dict().items()}


def _size(amount: Amount) -> Size:
    if set(amount) <= {sympy.S.One}:
        return amount.get(sympy.S.One, 0)
    return sympy.Add(*(c * part for part, c in amount.items()))


def _sum(a: Amount, b: Amount) -> Amount:
    return {p: a.get(p, 0) + b.get(p, 0) for p in {**a, **b}}
