"""Arrays for results, in memory that the caller has let go of, if there is any.

Memory fresh from the system is slow: it is cleared page by page when it is first written, which may
take longer than the step itself, and allocators give much of it back as soon as it is free.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.aligned import aligned_bytes

LARGE = 16 << 10  # bytes of an array for which it pays to see where it starts
KEPT = 2  # places for each result: while one is made, the one before may still be looked at
UNUSED = 2  # references to memory that nobody else has: ours, and that of the count


class Room:
    """Memory for so many results of a step; what anybody still refers to is never given again."""

    def __init__(self, results: int = 1) -> None:
        self._most = KEPT * results
        self._lock = threading.Lock()
        self._kept: dict[int, list[npt.NDArray[np.uint8]]] = {}

    def maker(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Callable[[], npt.NDArray[Any]]:
        """Give what makes arrays that are not filled yet; they start where vectors may start.

        >>> empty = Room().maker((256, 256), np.dtype("float32"))
        >>> first = empty()
        >>> place = first.ctypes.data
        >>> empty().ctypes.data == place
        False
        >>> del first
        >>> empty().ctypes.data == place
        True
        """
        size = math.prod(shape) * dtype.itemsize
        if size < LARGE:
            return partial(np.empty, shape, dtype)
        return partial(self._empty, shape, dtype, size)

    def _empty(self, shape: Sequence[int], dtype: np.dtype[Any], size: int) -> npt.NDArray[Any]:
        with self._lock:
            return self._bytes(size).view(dtype).reshape(shape)

    def _bytes(self, size: int) -> npt.NDArray[np.uint8]:
        kept = self._kept.setdefault(size, [])
        for memory in kept:
            # Arrays made of it refer to what it is a part of itself.
            if _COUNTED and sys.getrefcount(memory.base) == UNUSED:
                return memory
        kept.append(aligned_bytes(size))
        del kept[: -self._most]
        return kept[-1]


# Only where one thread runs at a time does the count say who else refers to an array.
_COUNTED = hasattr(sys, "getrefcount") and getattr(sys, "_is_gil_enabled", lambda: True)()
