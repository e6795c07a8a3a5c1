"""The threads that compiled programs share their work with: one pool for the whole process."""

import ctypes
import functools
import os
import re
from importlib import resources
from typing import Any

import _cffi_backend

from .cache import logger
from .errors import CompileError
from .module import Library, build

THREADS_VARIABLE = "GRAPHCNN_NUM_THREADS"

_COUNT = re.compile(r"\s*0*([1-9][0-9]{0,8})\s*", re.ASCII)
_DECLARATIONS = "void *team_of(int64_t threads);"


def open_team(threads: int | None = None) -> Any:  # cffi has no types
    """The team of so many threads, as cffi's `void *`, which a `team *` of any library takes.

    By default as many as `default_threads()`. The null pointer, for one thread and where there are
    no threads to be had, means the calling thread. Its threads start when they first have work.

    Raises ValueError for less than one thread, CompilerNotFound where there is no compiler.
    """
    if threads is None:
        threads = default_threads()
    if threads < 1:
        raise ValueError(f"a team has at least 1 thread, not {threads}")
    library = _load_team() if threads > 1 else None
    return library.lib.team_of(threads) if library else _cffi_backend.FFI.NULL


def default_threads() -> int:
    """`$GRAPHCNN_NUM_THREADS`, else `$OMP_NUM_THREADS`, else the cores this process may run on.

    Raises ValueError when the first is no number of threads; the second is not ours to judge.
    """
    chosen = os.environ.get(THREADS_VARIABLE)
    if chosen:
        count = _read_count(chosen)
        if count is None:
            raise ValueError(f"{THREADS_VARIABLE}={chosen!r} must be a whole number, 1 or more")
        return count
    # OpenMP takes a list, one number for each level of nesting.
    outermost = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return _read_count(outermost) or _count_cores()


def _read_count(text: str) -> int | None:
    match = _COUNT.fullmatch(text)
    return int(match[1]) if match else None


def _count_cores() -> int:
    # Not every system lets a process be bound to some of the cores.
    bound = getattr(os, "sched_getaffinity", None)
    return len(bound(0)) if bound else os.cpu_count() or 1


# Once, whatever becomes of the cache's folder: a second library would be a second pool.
@functools.cache
def _load_team() -> Library | None:
    runtime = resources.files("codegen.runtime")
    headers = {name: runtime.joinpath(name).read_text() for name in ("prelude.h", "team.h")}
    try:
        library = build(
            {"team": runtime.joinpath("team.c").read_text()}, _DECLARATIONS, headers=headers
        )
    except CompileError as error:
        logger.warning("programs run on one thread, because the pool does not compile: %s", error)
        return None
    # A second handle, never closed: programs hold pointers into the library, in any order of exit.
    ctypes.CDLL(str(library.path))
    return library
