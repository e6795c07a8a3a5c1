"""Windows that slide over the rows of a tile: a vector that one row has loaded serves the next.

Of `acc[i] += w[u] · x[i + u]`, 14 rows and 3 taps u load 16 vectors instead of 42.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from codegen.schedule.contraction import Contraction
from codegen.schedule.rows import Column

LONGEST = 16  # places under a window: compilers unroll loops that are no longer
UNROLLED = 128  # multiply-adds under one: compilers take long for more


@dataclass(frozen=True)
class Window:
    """A row index and a reduced one, the tap, that move an operand along one axis.

    The axis moves by `step` from row to row and by `gap` from tap to tap.
    """

    operand: int
    row: int
    tap: int
    taps: int
    step: int
    gap: int

    @property
    def reach(self) -> int:
        """How many places along the axis one row looks at.

        >>> Window(0, 1, 2, taps=3, step=1, gap=2).reach
        5
        """
        return self.gap * (self.taps - 1) + 1

    def loads(self, rows: int) -> int:
        """How many places neighbouring rows look at together."""
        return self.step * (rows - 1) + self.reach


@lru_cache(maxsize=4096)
def windows(nest: Contraction, lane: int) -> tuple[Window, ...]:
    """Give the windows of operands that are loaded as vectors along a lane index."""
    found = []
    for at, operand in enumerate(nest.operands):
        if operand.strides.get(lane) != 1:
            continue
        used = [i for axis in operand.axes for i, _ in axis.moves]
        for axis in operand.axes:
            once = {i: c for i, c in axis.moves if used.count(i) == 1 and i in nest.fixed}
            if any(i == lane for i, _ in axis.moves):
                continue
            for row in (i for i in once if i in nest.parallel):
                for tap in (i for i in once if i not in nest.parallel):
                    window = Window(at, row, tap, nest.sizes[tap], once[row], once[tap])
                    if _slides(window):
                        found.append(window)
    return tuple(found)


def _slides(window: Window) -> bool:
    """Whether neighbouring rows share places, and look at every place between their ends."""
    step, gap = window.step, window.gap
    return gap > 0 and 0 < step < window.reach <= LONGEST and math.gcd(step, gap) == 1


def slid(
    window: Window, rows: Column, uses: Sequence[Column], own: Column, count: Column,
    vectors: Column, room: Column, sweeps: Column,
) -> Column:  # fmt: skip
    """Give what a window spares of its operand's `own` loads in one step, -inf where it cannot be.

    Each choice has so many `rows` under the window of the `count` in all, `uses` of each operand,
    `vectors` that stand in a row and for each of them `room` in registers. Where each of several
    stretches of lanes sweeps over all rows, no other row may move what is loaded: it would come
    from far away each time.
    """
    taps, moved = window.taps, uses[window.operand]
    numbers = taps * (sum(uses) - moved)
    fits = (rows > 1) & (window.reach + numbers < room) & (count * vectors * taps <= UNROLLED)
    fits &= (sweeps == 1) | (moved == rows)
    spared: Column = own * (1 - (window.step * (rows - 1) + window.reach) / (rows * taps))
    return np.where(fits, spared, -np.inf)
