"""Leave garbage where it is for a while: looking for it among many small trees finds next to none.

Python looks each time that some hundred new objects stay alive, and compiling a program makes
hundreds of thousands of them, nearly all without cycles.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector from running by itself, if it would.

    >>> with collector_paused():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
