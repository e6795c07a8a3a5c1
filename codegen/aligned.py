"""Arrays that start where vectors may start, and not all at the same place of a page.

A vector that lies across two cache lines takes two loads. And of arrays that start at the same
place, rows whose length is a multiple of a page meet in a few lines of the first cache:

Before: w[o,c] at 16 + 4096·k, v[o,c] at 16 + 4096·m
After:  w[o,c] at 320 + 4096·k, v[o,c] at 640 + 4096·m
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

LINE = 64  # bytes of a cache line, and of the widest vector register
PAGE = 4096  # bytes after which addresses come to the same lines of a first cache
STEP = 5 * LINE  # from one array's place in its page to the next one's
LARGE = 4 * PAGE  # bytes of an array that may meet others
HUGE = 2 << 20  # bytes of the large pages that a system may have

_turns = itertools.count(1)


def aligned_bytes(count: int, alignment: int = LINE, after: int = 0) -> npt.NDArray[np.uint8]:
    """Give that many bytes, starting so far after a multiple of the alignment."""
    raw = np.empty(count + alignment + after, np.uint8)
    start = -raw.ctypes.data % alignment + after
    return raw[start : start + count]


def workspace(count: int) -> npt.NDArray[np.uint8]:
    """Give that many bytes to work in; many of them start where large pages may start.

    numpy asks for such pages from twice their size on. They take fewer entries of the table of
    pages that a core remembers, and pieces of them do not meet by chance in the second cache.
    """
    return aligned_bytes(count, HUGE if count >= 2 * HUGE else LINE)


def aligned_copy(array: npt.NDArray[np.generic], dtype: str) -> npt.NDArray[np.generic]:
    """Give a copy of an array in row order; large ones take turns in where they start.

    >>> import numpy as np
    >>> one, two = (aligned_copy(np.ones((64, 64)), "float32") for _ in range(2))
    >>> one.ctypes.data % 64, (two.ctypes.data - one.ctypes.data) % 4096
    (0, 320)
    """
    kind = np.dtype(dtype)
    count = math.prod(array.shape) * kind.itemsize
    if count < LARGE:
        memory = aligned_bytes(count)
    else:
        memory = aligned_bytes(count, PAGE, next(_turns) * STEP % PAGE)
    copy = memory.view(kind).reshape(array.shape)
    copy[...] = array
    return copy
