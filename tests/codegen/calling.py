"""Calls of compiled C, described in plain arrays and numbers, made here or beside a sanitizer.

Python is many times slower there, so nothing in this file needs SymPy.
"""

import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.build import Library, build, require_toolchain

Array = npt.NDArray[Any]
Arrays = dict[str, Array]

POISON = 0xFF  # bytes of this value are NaN as floats, -1 as integers
MARGIN = 64  # bytes kept behind the workspace to see whether anybody writes there


@dataclass(frozen=True)
class Call:
    """Arrays by name: those that stay, those that are updated, shapes and dtypes of those made.

    `order` is that in which `entry` takes them; `results` are those to be given back.
    """

    entry: str
    order: Sequence[str]
    kept: Mapping[str, Array]
    updated: Mapping[str, Array]
    made: Mapping[str, tuple[tuple[int, ...], str]]
    results: Sequence[str]
    dims: Sequence[int]
    workspace: int


def make(call: Call, ffi: Any, lib: Any, team: Any = None) -> Arrays:
    """Give outputs and updated parameters; outputs and workspace start out as poison.

    Every array has exactly its size, and what lies behind the workspace must stay as it was.
    """
    held = {name: array.copy() for name, array in {**call.kept, **call.updated}.items()}
    held |= {name: poisoned((*shape, 1), dtype) for name, (shape, dtype) in call.made.items()}
    dims = ffi.new("int64_t[]", [*call.dims, 0])
    count = getattr(lib, f"{call.entry}_workspace")(dims)
    assert count == call.workspace
    room = np.full(count + MARGIN + 64, POISON, np.uint8)
    start = -room.ctypes.data % 64
    workspace = room[start : start + count + MARGIN]
    pointers = ffi.new("void *[]", [ffi.from_buffer(held[name]) for name in call.order] or 1)
    getattr(lib, call.entry)(pointers, ffi.from_buffer(workspace), dims, team or ffi.NULL)
    assert (workspace[count:] == POISON).all(), "written behind the workspace"
    for name, array in call.kept.items():
        assert held[name].tobytes() == array.tobytes(), f"{name} was written"
    shapes = {name: shape for name, (shape, _) in call.made.items()}
    return {n: held[n].reshape(shapes[n]) if n in shapes else held[n] for n in call.results}


def poisoned(shape: Sequence[int], dtype: str) -> Array:
    """Give an array in which every byte not written shows."""
    array = np.empty(shape, dtype)
    array.view(np.uint8).reshape(-1)[:] = POISON if dtype != "bool" else 1
    return array


def build_side_by_side(
    texts: Sequence[tuple[str, str]], profile: str, compiler: str | None
) -> list[Library]:
    """Give the libraries of pairs of C and its declarations."""
    toolchain = require_toolchain(compiler)  # asked once, not by each thread

    def built(pair: tuple[str, str]) -> Library:
        text, declarations = pair
        return build({"together": text}, declarations, profile=profile, toolchain=toolchain)

    with ThreadPoolExecutor(max(1, len(texts))) as pool:
        return [*pool.map(built, texts)]


def answer_sanitized() -> None:
    """Read texts and calls, write the results, in a process that started with a sanitizer."""
    del os.environ["LD_PRELOAD"]  # the compiler needs none
    texts, calls, compiler = pickle.load(sys.stdin.buffer)
    libraries = build_side_by_side(texts, "sanitize+strict", compiler)
    of = {name: library for library in libraries for name in dir(library.lib)}
    found = [[make(c, of[c.entry].ffi, of[c.entry].lib) for c in some] for some in calls]
    pickle.dump(found, sys.stdout.buffer)
