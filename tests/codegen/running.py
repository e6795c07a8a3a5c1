"""Ways to run programs in C, many in one compilation, and the interpreter they must agree with."""

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.affine import Dim
from codegen.build import build, find_toolchain, require_toolchain, sanitizer_environment
from codegen.compile import Executable, Options, Plan, make_plan
from codegen.emit.unit import elementary, prelude
from codegen.interpret import interpret
from codegen.notation import Tensor
from codegen.program import Program
from codegen.sizes import evaluate

Array = npt.NDArray[Any]
Arrays = dict[str, Array]

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
POISON = 0xFF  # bytes of this value are NaN as floats, -1 as integers
MARGIN = 64  # bytes kept behind the workspace to see whether anybody writes there


@dataclass(frozen=True)
class Case:
    """A program with arrays for its inputs and parameters, and the values of its dims."""

    program: Program
    arrays: Mapping[str, Array]
    dims: Mapping[Dim, int]

    def __str__(self) -> str:
        dims = ", ".join(f"{d} = {n}" for d, n in self.dims.items())
        return f"{self.program}\nwith {dims or 'no dims'}"


def integers(
    program: Program, dims: Mapping[Dim, int] | None = None, seed: int = 0, largest: int = 2
) -> Case:
    """Give a program small integers: sums of few products of them are exact in any order."""
    rng = np.random.default_rng(seed)
    sizes = {d: (dims or {})[d] for d in program.dims}
    arrays = {
        t.name: rng.integers(-largest, largest + 1, shape_of(t, sizes)).astype(t.dtype)
        for t in (*program.inputs, *program.parameters)
    }
    return Case(program, arrays, sizes)


def expected(case: Case, *, fast: bool = False) -> Arrays:
    """Give the outputs and the parameters' next values, by the interpreter."""
    made = interpret(case.program, case.arrays, case.dims, fast=fast)
    outputs = {t.name: made[t.name] for t in case.program.outputs}
    return outputs | {old.name: made[new.name] for old, new in case.program.updates}


def compile_together(
    plans: Sequence[Plan], profile: str = "release", compiler: str | None = None
) -> list[Executable]:
    """Give plans, whose entries differ, compiled as one C file: one compiler run for all of them.

    Kernels are static functions that may share names, so each plan's are renamed by macros.
    """
    texts = [prelude(), elementary()]
    for plan in plans:
        kernels = [low.function.name for low in plan.nests]
        kernels += [f"share_{kernel}" for kernel in kernels]
        texts += [f"#define {kernel} {plan.unit.entry}_{kernel}" for kernel in kernels]
        texts.append(own_text(plan))
        texts += [f"#undef {kernel}" for kernel in kernels]
    library = build(
        {"together": "\n".join([*texts, ""])},
        "".join(plan.unit.declarations for plan in plans),
        profile=profile,
        toolchain=find_toolchain(compiler) if compiler else None,
    )
    entries = [plan.unit.entry for plan in plans]
    return [
        Executable(p, library, getattr(library.lib, e), getattr(library.lib, f"{e}_workspace"))
        for p, e in zip(plans, entries, strict=True)
    ]


def compile_at_once(
    plans: Sequence[Plan], profile: str, compiler: str | None = None, builds: int = 2
) -> list[Executable]:
    """Give plans compiled in a few builds, side by side."""
    require_toolchain()  # asked once, not by each thread
    for plan in plans:
        assert plan.unit.text  # made here: SymPy is not made for threads, which only wait for C
    shares = [plans[k::builds] for k in range(builds) if plans[k::builds]]
    with ThreadPoolExecutor(builds) as pool:
        work = partial(compile_together, profile=profile, compiler=compiler)
        built = list(pool.map(work, shares))
    found = {e.plan.unit.entry: e for share in built for e in share}
    return [found[plan.unit.entry] for plan in plans]


def own_text(plan: Plan) -> str:
    """Give the C of a plan without the runtime that all share."""
    return plan.unit.text.replace(prelude(), "").replace(elementary(), "")


def make_plans(cases: Iterable[Case], options: Options | None = None) -> list[Plan]:
    return [make_plan(c.program, options, f"run{k}") for k, c in enumerate(cases)]


def poisoned(shape: Sequence[int], dtype: str) -> Array:
    """Give an array in which every byte not written shows."""
    array = np.empty(shape, dtype)
    array.view(np.uint8).reshape(-1)[:] = POISON if dtype != "bool" else 1
    return array


def shape_of(tensor: Tensor, dims: Mapping[Dim, int]) -> tuple[int, ...]:
    return tuple(evaluate(n, dims) for n in tensor.shape)


def run_c(executable: Executable, case: Case) -> Arrays:
    """Give outputs and updated parameters; outputs and workspace start out as poison.

    Every array has exactly its size, and what lies behind the workspace must stay as it was.
    """
    program = case.program
    given = {t.name: case.arrays[t.name].copy() for t in program.inputs}
    given |= {t.name: case.arrays[t.name].copy() for t in program.parameters}
    for t in program.outputs:
        if t.name not in given:
            given[t.name] = poisoned((*shape_of(t, case.dims), 1), t.dtype)
    held = [given[t.name] for t in executable.plan.unit.arrays]
    ffi = executable.library.ffi
    sizes = [case.dims[d] for d in program.dims]
    count = executable.workspace_bytes(sizes)
    assert count == executable.plan.memory.workspace(case.dims)
    room = np.full(count + MARGIN + 64, POISON, np.uint8)
    start = -room.ctypes.data % 64
    workspace = room[start : start + count + MARGIN]
    pointers = ffi.new("void *[]", [ffi.from_buffer(a) for a in held] or 1)
    team = executable.team or ffi.NULL
    executable.entry(pointers, ffi.from_buffer(workspace), executable.dims(sizes), team)
    assert (workspace[count:] == POISON).all(), "written behind the workspace"
    for t in program.inputs:
        assert given[t.name].tobytes() == case.arrays[t.name].tobytes(), f"{t.name} was written"
    wanted = {t.name: t for t in (*program.outputs, *(old for old, _ in program.updates))}
    return {n: given[n].reshape(shape_of(t, case.dims)) for n, t in wanted.items()}


def differences(
    found: Mapping[str, Array], wanted: Mapping[str, Array], tolerance: float = 0
) -> Iterator[str]:
    """Say where two results differ; a tolerance is relative to the largest value of the array."""
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        other = found[name]
        if array.size == 0 or array.dtype.kind != "f" or tolerance == 0:
            same = np.array_equal(other, array, equal_nan=array.dtype.kind == "f")
        else:
            finite = np.where(np.isfinite(array), abs(array), 0)
            atol = tolerance * max(1.0, float(finite.max()))
            same = np.allclose(other, array, rtol=tolerance, atol=atol, equal_nan=True)
        if not same:
            yield f"{name}: found\n{other}\nwanted\n{array}"


def assert_agree(
    cases: Sequence[Case],
    options: Options | None = None,
    *,
    profile: str = "release",
    compiler: str | None = None,
    tolerance: float = 0,
) -> None:
    """Hold C equal to the interpreter on many programs; show the first that differs."""
    plans = make_plans(cases, options)
    executables = compile_together(plans, profile, compiler)
    for case, executable in zip(cases, executables, strict=True):
        assert_expected(case, executable.plan, run_c(executable, case), tolerance)


def assert_expected(case: Case, plan: Plan, found: Arrays, tolerance: float = 0) -> None:
    """Hold what C gave equal to the interpreter; show all stages where it is not."""
    for difference in differences(found, expected(case), tolerance):
        stages = "\n\n".join(f"-- {n} --\n{t}" for n, t in plan.stages.items() if n != "c")
        code = own_text(plan)
        raise AssertionError(f"{case}\n\n{difference}\n\n{stages}\n\n-- c --\n{code}")


def start_sanitized(
    text: str, compiler: str, given: bytes = b""
) -> "subprocess.CompletedProcess[bytes]":
    """Run Python with a sanitizer's runtime loaded first, its own small arrays on the heap."""
    toolchain = find_toolchain(compiler)
    assert toolchain is not None
    variables = sanitizer_environment(toolchain) | {"PYTHONMALLOC": "malloc"}
    variables["CFLAGS"] = "-O0"  # the same accesses, compiled in half the time
    return subprocess.run(
        [sys.executable, "-c", text],
        env={**os.environ, **variables},
        input=given,
        capture_output=True,
        check=False,
    )


def run_sanitized(
    plans: Sequence[Plan], cases: Sequence[Sequence[Case]], compiler: str
) -> list[list[Arrays]]:
    """Run each plan on its cases, watched by the sanitizers; give the results.

    All but the C is done here: Python is many times slower beside a sanitizer.
    """
    text = "from tests.codegen.running import _answer_sanitized; _answer_sanitized()"
    done = start_sanitized(text, compiler, pickle.dumps((plans, cases, compiler)))
    assert done.returncode == 0, done.stderr[-4000:].decode()
    found: list[list[Arrays]] = pickle.loads(done.stdout)
    return found


def assert_clean(
    programs: Iterable[tuple[Case, Options]], compiler: str, tolerance: float = 0
) -> None:
    """Hold C equal to the interpreter, and let the sanitizers have nothing to say."""
    pairs = [*programs]
    plans = [make_plan(case.program, o, f"run{k}") for k, (case, o) in enumerate(pairs)]
    found = run_sanitized(plans, [[case] for case, _ in pairs], compiler)
    for (case, _), plan, (made,) in zip(pairs, plans, found, strict=True):
        assert_expected(case, plan, made, tolerance)


def _answer_sanitized() -> None:
    plans, cases, compiler = pickle.load(sys.stdin.buffer)
    executables = compile_at_once(plans, "sanitize+strict", compiler)
    found = [[run_c(e, case) for case in some] for e, some in zip(executables, cases, strict=True)]
    pickle.dump(found, sys.stdout.buffer)
