"""How long plans take: compiled, then run in turns on the same random arrays, in paired rounds."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.affine import Dim
from codegen.build import CompileError
from codegen.build.cache import logger
from codegen.compile import Executable, Plan, aligned_bytes, load
from codegen.notation import Tensor
from codegen.sizes import evaluate

Array = npt.NDArray[Any]
Seconds = list[float]  # of one run, in each round
Arrays = dict[tuple[str, str, tuple[int, ...]], Array]


@dataclass(frozen=True)
class Effort:
    """How long to measure: so many rounds, but for plans so slow that patience allows fewer."""

    rounds: int = 32
    few: int = 5
    burst: float = 0.002  # seconds that the runs of one plan take together in one round
    patience: float = 2.0  # seconds for one plan in all rounds


def measure(
    plans: Sequence[Plan],
    dims: Mapping[str, int],
    threads: int | None = None,
    effort: Effort = Effort(),
) -> list[Seconds]:
    """Give the seconds of one run of each plan in each round.

    In a round all plans run, in an order that changes, so that what disturbs the machine disturbs
    all of them alike: compare within rounds. The plans share their arrays. One that the compiler
    refuses takes forever.
    """
    for plan in plans:
        _ = plan.unit  # here, because SymPy is not made for threads
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        loaded = list(pool.map(lambda plan: _loaded(plan, threads), plans))
    arrays: Arrays = {}
    runs = [_run(executable, dims, arrays) if executable else None for executable in loaded]
    times = [_seconds(run, 2) if run else math.inf for run in runs]
    slowest = max((t for t in times if t < math.inf), default=0.0)
    turn = max(effort.burst, slowest) * 2
    rounds = min(effort.rounds, max(effort.few, int(effort.patience / turn)))
    repetitions = [max(1, min(10_000, int(effort.burst / max(t, 1e-9)))) for t in times]
    found: list[Seconds] = [[] for _ in plans]
    shuffled = random.Random(0)
    order = list(range(len(plans)))
    for _ in range(rounds):
        shuffled.shuffle(order)
        for k in order:
            run = runs[k]
            if run is None:
                found[k].append(math.inf)
                continue
            run()  # what the one before left in the caches is not this one's fault
            found[k].append(_seconds(run, repetitions[k]))
    return found


def _loaded(plan: Plan, threads: int | None) -> Executable | None:
    try:
        return load(plan, threads=threads)
    except CompileError as error:
        logger.warning("a candidate of %s does not compile: %s", plan.program.name, error)
        return None


def _seconds(run: Callable[[], None], repetitions: int) -> float:
    began = time.perf_counter()
    for _ in range(repetitions):
        run()
    return (time.perf_counter() - began) / repetitions


def _run(executable: Executable, named: Mapping[str, int], arrays: Arrays) -> Callable[[], None]:
    """Give one run, on arrays that are made where no other plan has made them."""
    plan, ffi = executable.plan, executable.library.ffi
    sizes = {d: named[d.name] for d in plan.program.dims}
    held = [_array(t, sizes, arrays) for t in plan.arrays]
    ordered = [sizes[d] for d in plan.program.dims]
    scratch = aligned_bytes(max(1, executable.workspace_bytes(ordered)))
    scratch[:] = 0  # and so every page of it is there before the first run
    given = [ffi.from_buffer(a) for a in (*held, scratch)]
    pointers = ffi.new("void *[]", given[:-1] or 1)
    dims, team, entry = executable.dims(ordered), executable.team or ffi.NULL, executable.entry
    return lambda: entry(pointers, given[-1], dims, team)


def _array(tensor: Tensor, sizes: Mapping[Dim, int], arrays: Arrays) -> Array:
    shape = tuple(evaluate(n, sizes) for n in tensor.shape)
    key = tensor.name, tensor.dtype, shape
    if key not in arrays:
        rng = np.random.default_rng(0)
        kind = np.dtype(tensor.dtype)
        if kind.kind == "f":
            arrays[key] = rng.standard_normal(shape, kind)
        elif kind.kind == "b":
            arrays[key] = rng.random(shape) < 0.5
        else:
            arrays[key] = np.zeros(shape, kind)  # a label or a place: 0 is one in any case
    return arrays[key]
