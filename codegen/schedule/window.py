"""Windows that slide over the rows of a tile: a vector that one row has loaded serves the next.

Of `acc[i] += w[u] · x[i + u]`, 14 rows and 3 taps u load 16 vectors instead of 42.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from codegen.schedule.contraction import Contraction

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
    nest: Contraction,
    sliding: Sequence[Window],
    blocks: Mapping[int, int],
    weights: Sequence[float],
    load: float,
    room: int,
    vectors: int,
    sweeps: int,
) -> Iterator[tuple[float, Window]]:
    """Give what the loads of one step become with each of some windows for which there is room.

    That is the number of registers that are left, for each of the vectors that stand in a row.
    Where each of several stretches of lanes sweeps over all rows, no other row may move what is
    loaded: it would come from far away each time.
    """
    count = math.prod(blocks.values())
    for window in sliding:
        rows = blocks.get(window.row, 1)
        if rows == 1:
            continue
        uses = [math.prod(b for i, b in blocks.items() if i in o.strides) for o in nest.operands]
        numbers = window.taps * (sum(uses) - uses[window.operand])
        fits = window.reach + numbers < room and count * vectors * window.taps <= UNROLLED
        moved = nest.operands[window.operand].strides.keys() & blocks.keys()
        if fits and (sweeps == 1 or moved == {window.row}):
            own = uses[window.operand] * weights[window.operand]
            yield load - own * (1 - window.loads(rows) / (rows * window.taps)), window
