"""Lines of memory: what is stored past the caches, and what is asked for before it is needed.

Before: for j in 0..112 by 16           After: for j in 0..112 by 16
          for k in 0..64                         for k in 0..64
            sum += w[k] · x[k, j .. j + 16]        sum += w[k] · x[k, j .. j + 16]
                                                   fetch the line of x[k, j + 31]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from codegen.affine import Index
from codegen.aligned import LINE
from codegen.machine import Machine
from codegen.nest import Element, Fetch, Node, Store
from codegen.notation import BYTES, Access, Statement, Tensor
from codegen.schedule.group import FAR
from codegen.schedule.order import stride
from codegen.schedule.search import Segment
from codegen.schedule.tile import Tile

PAGE = 4096  # bytes within which processors see where reads lead to


def streamed(s: Statement, done: Sequence[Node], along: Segment, machine: Machine) -> bool:
    """Whether the one result that is stored goes past the caches, an index along memory.

    It does where it is more than half of what they hold, in whole lines.
    """
    stores = [node for node in done if isinstance(node, Store)]
    lengths = (along.start, along.block, s.target.shape[-1])
    return (
        len(stores) == 1
        and done[-1] == stores[0]
        and stores[0].op == "="  # a sum in memory reads what is there
        and _bytes(s.target) > machine.l3 // 2
        and all(BYTES[s.target.dtype] * n % LINE == 0 for n in lengths)
    )


def far(
    s: Statement, done: Sequence[Node], tile: Tile, lane: Segment | None, machine: Machine
) -> bool:
    """Whether results go to lines that are not near, a row of lanes to neighbours."""
    beyond = _bytes(s.target) > machine.l2 and stride(s.target, s.maps, tile.lane) == 1
    return beyond and lane is not None and not streamed(s, done, lane, machine)


def ahead(
    s: Statement,
    part: Access,
    read: Element,
    tile: Tile,
    along: tuple[Index, Segment, int],
    machine: Machine,
) -> list[Node]:
    """Ask for the lines that the next block of an index reads of an operand.

    Here an element is read, and the last of `along` says how many values of the index are read from
    there on. Nothing is asked for that is near, or follows what was read just before.
    """
    index, segment, count = along
    size = BYTES[part.tensor.dtype]
    others = [i for i in (*tile.reduced, *dict(tile.rows)) if i != index]
    step, *steps = (size * stride(part.tensor, part.maps, i) for i in (index, *others))
    jumps = any(n.is_Integer and n >= PAGE for n in steps)
    beside = step.is_Integer and 0 < step < LINE
    again = segment.stop - segment.start > segment.block
    if not (jumps and beside and again and _bytes(part.tensor) > FAR * machine.l3):
        return []
    last = int(step) * (segment.block + count - 1)
    place = replace(read, dtype=part.tensor.dtype)
    return [Fetch(place, n) for n in range(last, last - int(step) * count, -LINE)]


def _bytes(tensor: Tensor) -> int:
    """The size of a tensor, as far as it is known."""
    return BYTES[tensor.dtype] * math.prod(n for n in tensor.shape if isinstance(n, int))
