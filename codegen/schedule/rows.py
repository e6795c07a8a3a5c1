"""Blocks of rows worth trying, as columns: one choice is one entry of each.

Of rows i and j of 6, one or both run in blocks, of two to four rows in all:

>>> for column in rows_of((6, 6), (4,), streams=False, slides=False).blocks:
...     print(*column)
2 3 1 1 2
1 1 2 3 2
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

ROWS = 16  # the longest block of rows: compilers unroll such loops completely
TOGETHER = 3  # indices whose rows stand in one tile
STREAMS = 4  # rows that run through memory side by side: what fetches ahead follows so many

Column = npt.NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """Choices of rows: the block of each index (1 where it has none), and what follows from them.

    There are `count` rows in all; of `tails` indices the last block is shorter. Those of several
    limits stand one after the other: `limit` says which one each choice keeps to.
    """

    blocks: tuple[Column, ...]
    count: Column
    tails: Column
    limit: Column


@lru_cache(maxsize=1024)
def rows_of(
    sizes: tuple[int, ...], limits: tuple[int, ...], *, streams: bool, slides: bool
) -> Rows:
    """Give the choices for indices of these sizes, at most three of them, within each limit.

    Far smaller ones than the largest never win, but where rows are streams of memory or share,
    because they slide, what they load.
    """
    every, count = _grid(sizes, max(limits))
    chosen = []
    for most in limits:
        largest = max(int(count[count <= most].max(initial=0)), 1)
        least = -(-largest // (3 if slides else 2))
        least = min(least, STREAMS) if streams else least
        chosen.append(np.flatnonzero((count >= least) & (count <= max(most, 1))))
    at = np.concatenate(chosen)
    blocks = every[:, at]
    tails = (np.array(sizes, np.int64).reshape(-1, 1) % blocks > 0).sum(axis=0)
    limit = np.repeat(np.arange(len(limits)), [len(c) for c in chosen])
    return Rows(tuple(blocks), count[at], tails, limit)


@lru_cache(maxsize=256)
def _grid(sizes: tuple[int, ...], most: int) -> tuple[Column, Column]:
    """Every choice of so many rows as a column, fewer indices first, and how many rows it has."""
    parts = []
    for k in range(min(TOGETHER, len(sizes)) + 1):
        for places in itertools.combinations(range(len(sizes)), k):
            axes = [blocks_of(sizes[p]) for p in places]
            part = np.ones((len(sizes), *map(len, axes)), np.int64)
            for turn, (p, axis) in enumerate(zip(places, axes, strict=True)):
                part[p] = axis.reshape(-1, *(1 for _ in places[turn + 1 :]))
            part = part.reshape(len(sizes), -1) if len(sizes) else np.ones((0, 1), np.int64)
            parts.append(part[:, part.prod(axis=0) <= max(most, 1)])
    every = np.concatenate(parts, axis=1)
    return every, every.prod(axis=0)


@lru_cache(maxsize=1024)
def blocks_of(length: int) -> Column:
    """Block sizes worth trying: the length in equal parts, the last one shorter if need be."""
    parts = {-(-length // count) for count in range(1, length + 1)}
    return np.array(sorted(b for b in parts if 1 < b <= ROWS), np.int64)
