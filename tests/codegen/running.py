"""Ways to run programs in C, many in one compilation, and the interpreter they must agree with."""

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from codegen.affine import Dim
from codegen.build import find_toolchain, sanitizer_environment
from codegen.compile import Executable, Options, Plan, make_plan
from codegen.emit.unit import elementary, prelude
from codegen.interpret import interpret
from codegen.notation import Tensor
from codegen.program import Program
from codegen.sizes import evaluate
from graphcnn.testing import Case, differences
from tests.codegen.calling import Arrays, Call, build_side_by_side, make

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
BUILDS = os.cpu_count() or 1  # side by side
LINES = 200  # of C for which a compiler of its own pays


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
    """Give plans, whose entries differ, compiled as few C files, one for each core."""
    shares = share_out(plans)
    built = build_side_by_side([*map(one_text, shares)], profile, compiler)
    found = {
        p.entry: Executable(
            p, library, getattr(library.lib, p.entry), getattr(library.lib, f"{p.entry}_workspace")
        )
        for share, library in zip(shares, built, strict=True)
        for p in share
    }
    return [found[p.entry] for p in plans]


def share_out(plans: Sequence[Plan]) -> list[Sequence[Plan]]:
    """Give one share of the plans, or one for each compiler where that pays."""
    lines = sum(own_text(plan).count("\n") for plan in plans)
    count = max(1, min(len(plans), BUILDS, lines // LINES))
    return [plans[k::count] for k in range(count)]


def one_text(plans: Sequence[Plan]) -> tuple[str, str]:
    """Give the C of plans as one file, and its declarations.

    Kernels are static functions that may share names, so each plan's are renamed by macros.
    """
    texts = [prelude(), elementary()]
    for plan in plans:
        kernels = [low.function.name for low in plan.nests]
        kernels += [f"share_{kernel}" for kernel in kernels]
        texts += [f"#define {kernel} {plan.unit.entry}_{kernel}" for kernel in kernels]
        texts.append(own_text(plan))
        texts += [f"#undef {kernel}" for kernel in kernels]
    return "\n".join([*texts, ""]), "".join(plan.unit.declarations for plan in plans)


def own_text(plan: Plan) -> str:
    """Give the C of a plan without the runtime that all share."""
    return plan.unit.text.replace(prelude(), "").replace(elementary(), "")


def make_plans(cases: Iterable[Case], options: Options | None = None) -> list[Plan]:
    return [make_plan(c.program, options, f"run{k}") for k, c in enumerate(cases)]


def shape_of(tensor: Tensor, dims: Mapping[Dim, int]) -> tuple[int, ...]:
    return tuple(evaluate(n, dims) for n in tensor.shape)


def run_c(executable: Executable, case: Case) -> Arrays:
    """Give outputs and updated parameters, as `make` does."""
    call = call_of(executable.plan, case)
    return make(call, executable.library.ffi, executable.library.lib, executable.team)


def call_of(plan: Plan, case: Case) -> Call:
    """Say in plain arrays and numbers what running a plan on a case is."""
    program = case.program
    kept = {t.name: case.arrays[t.name] for t in program.inputs}
    updated = {t.name: case.arrays[t.name] for t in program.parameters}
    made = {
        t.name: (shape_of(t, case.dims), t.dtype)
        for t in program.outputs
        if t.name not in kept and t.name not in updated
    }
    results = dict.fromkeys((*program.outputs, *(old for old, _ in program.updates)))
    return Call(
        entry=plan.entry,
        order=[t.name for t in plan.arrays],
        kept=kept,
        updated=updated,
        made=made,
        results=[t.name for t in results],
        dims=[case.dims[d] for d in program.dims],
        workspace=plan.memory.workspace(case.dims),
    )


def assert_agree(
    cases: Sequence[Case],
    options: Options | None = None,
    *,
    profile: str = "release",
    compiler: str | None = None,
    tolerance: float = 0,
) -> None:
    """Hold C equal to the interpreter on many programs; show the first that differs."""
    assert_plans_agree(cases, make_plans(cases, options), profile, compiler, tolerance)


def assert_plans_agree(
    cases: Sequence[Case],
    plans: Sequence[Plan],
    profile: str,
    compiler: str | None = None,
    tolerance: float = 0,
) -> None:
    """Hold the C of plans, which may serve several compilers, equal to the interpreter."""
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
    """Run each plan on its cases, watched by the sanitizers; give the results."""
    text = "from tests.codegen.calling import answer_sanitized; answer_sanitized()"
    calls = [[call_of(p, case) for case in some] for p, some in zip(plans, cases, strict=True)]
    texts = [*map(one_text, share_out(plans))]
    done = start_sanitized(text, compiler, pickle.dumps((texts, calls, compiler)))
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
