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

from codegen.affine import Dim, index_symbols, split
from codegen.aligned import aligned_bytes, workspace
from codegen.build import CompileError
from codegen.build.cache import logger
from codegen.compile import Executable, Plan, load
from codegen.notation import Tensor
from codegen.program import Program
from codegen.sizes import evaluate

Array = npt.NDArray[Any]
Seconds = list[float]  # of one run, in each round
Arrays = dict[tuple[str, str, tuple[int, ...]], Array]

ALIKE = 1e-2  # how far results may be apart, as part of their length


@dataclass(frozen=True)
class Effort:
    """How long to measure: so many rounds, but for plans so slow that patience allows fewer."""

    rounds: int = 32
    few: int = 5
    burst: float = 0.002  # seconds that the runs of one plan take together in one round
    patience: float = 2.0  # seconds for one plan in all rounds


@dataclass(frozen=True)
class _Ready:
    """A plan that can run at once: what it is given, and what it writes, in order."""

    plan: Plan
    run: Callable[[], None]
    held: tuple[Array, ...]

    def written(self) -> list[Array]:
        """Give copies of the numbers that a run has left."""
        program = self.plan.program
        names = {t.name for t in (*program.outputs, *(old for old, _ in program.updates))}
        arrays = zip(self.plan.arrays, self.held, strict=True)
        return [a.copy() for t, a in arrays if t.name in names and a.dtype.kind == "f"]


def measure(
    plans: Sequence[Plan],
    dims: Mapping[str, int],
    threads: int | None = None,
    effort: Effort = Effort(),
) -> list[Seconds]:
    """Give the seconds of one run of each plan in each round.

    In a round all plans run, in an order that changes, so that what disturbs the machine disturbs
    all of them alike: compare within rounds. The plans share their arrays. One that the compiler
    refuses takes forever, and so does one that gives something else than the first: compilers err.
    """
    for plan in plans:
        _ = plan.unit  # here, because SymPy is not made for threads
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        loaded = list(pool.map(lambda plan: _loaded(plan, threads), plans))
    arrays: Arrays = {}
    ready = [_ready(executable, dims, arrays) if executable else None for executable in loaded]
    runs = _trusted(ready, arrays)
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


def _trusted(ready: Sequence[_Ready | None], arrays: Arrays) -> list[Callable[[], None] | None]:
    """Give the runs of those that compute what the first one does from the same numbers."""
    found: list[Callable[[], None] | None] = []
    wanted: tuple[_Ready, list[Array]] | None = None
    for one in ready:
        found.append(one.run if one else None)
        if one is None:
            continue
        for (name, *_), array in arrays.items():
            _fill(array, name)
        one.run()
        wanted = wanted or (one, one.written())
        first, values = wanted
        # Frozen parameters come packed, by each layout otherwise: then random ones say nothing.
        comparable = one.plan.arrays == first.plan.arrays and not _expects_zeros(one.plan.program)
        if comparable and not _alike(one.written(), values):
            logger.warning("a candidate of %s computes something else", one.plan.program.name)
            found[-1] = None
    return found


def _expects_zeros(program: Program) -> bool:
    """Whether a sum may leave out what is zero in an operand that is given: random ones are not."""
    for s in program.statements:
        given = (a for a in s.reads if a.tensor not in program.definitions)
        walks = [{*index_symbols(m)} for a in given for m in a.maps]
        if any({*split(g.expr)[1]} <= walk for g in s.support for walk in walks):
            return True
    return False


def _alike(found: Sequence[Array], wanted: Sequence[Array]) -> bool:
    for a, b in zip(found, wanted, strict=True):
        known = np.isfinite(a) & np.isfinite(b)
        apart, length = (np.linalg.norm(x[known].astype(float)) for x in (a - b, b))
        if apart > ALIKE * length or np.isfinite(b).any() > known.any():
            return False
    return True


def _ready(executable: Executable, named: Mapping[str, int], arrays: Arrays) -> _Ready:
    """Give one run, on arrays that are made where no other plan has made them."""
    plan, ffi = executable.plan, executable.library.ffi
    sizes = {d: named[d.name] for d in plan.program.dims}
    held = tuple(_array(t, sizes, arrays) for t in plan.arrays)
    ordered = [sizes[d] for d in plan.program.dims]
    scratch = workspace(max(1, executable.workspace_bytes(ordered)))
    scratch[:] = 0  # and so every page of it is there before the first run
    given = [ffi.from_buffer(a) for a in (*held, scratch)]
    pointers = ffi.new("void *[]", given[:-1] or 1)
    dims, team, entry = executable.dims(ordered), executable.team or ffi.NULL, executable.entry
    return _Ready(plan, lambda: entry(pointers, given[-1], dims, team), held)


def _array(tensor: Tensor, sizes: Mapping[Dim, int], arrays: Arrays) -> Array:
    """Give an array, aligned as in the workspace, where most arrays of a program live."""
    shape = tuple(evaluate(n, sizes) for n in tensor.shape)
    key = tensor.name, tensor.dtype, shape
    if key not in arrays:
        kind = np.dtype(tensor.dtype)
        arrays[key] = aligned_bytes(math.prod(shape) * kind.itemsize).view(kind).reshape(shape)
    return arrays[key]


def _fill(array: Array, name: str) -> None:
    """Write the random numbers that an array of this name starts from."""
    rng = np.random.default_rng([*name.encode()])
    match array.dtype.kind:
        case "f":
            array[...] = rng.standard_normal(array.shape, array.dtype)
        case "b":
            array[...] = rng.random(array.shape) < 0.5
        case _:
            array[...] = 0  # a label or a place: there is a first one in any case
