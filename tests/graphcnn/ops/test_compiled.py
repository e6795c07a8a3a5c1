"""Every op in the registry, in C: values and gradients, at every batch size from one compile."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
import pytest

from codegen.build import compiler_calls
from codegen.compile import Executable, Plan, make_plan
from codegen.notation import FLOATS, DType, Reduce
from graphcnn.op import REGISTRY
from tests.codegen.running import COMPILERS, Case, compile_together, run_sanitized
from tests.graphcnn.ops.compiling import (
    SIZES,
    OpProgram,
    assert_right,
    assert_same,
    draw_programs,
    spoil,
)

pytestmark = pytest.mark.usefixtures("own_cache")
COMPILER = COMPILERS[0] if COMPILERS else None
Build = tuple[str | None, str, int, tuple[DType, ...]]  # start of the draws, their dtypes
# Each builds other draws: what -O3 breaks rarely depends on which compiler's it is. float64 at -O3
# is that of test_graphs.py, and of long runs.
BUILDS: list[Build] = [
    (COMPILER, "release+strict", 0, ("float32",)),
    *((c, "debug+strict", k, FLOATS) for k, c in enumerate(COMPILERS or [None], 1)),
]
FIXED = {"broadcast_to"}  # whose shape is an argument, and drawn as numbers
Compiled = Sequence[tuple[OpProgram, Executable]]
Runs = Iterator[tuple[Case, OpProgram]]  # and the program that says what is right


@cache
def compiled(
    compiler: str | None,
    profile: str,
    start: int,
    dtypes: tuple[DType, ...] = FLOATS,
    count: int = 1,
) -> Compiled:
    """Give so many programs of every op in some float types, compiled."""
    programs = drawn(start, count, dtypes)
    return [*zip(programs, compile_together(planned(programs), profile, compiler), strict=True)]


def drawn(start: int, count: int, dtypes: tuple[DType, ...]) -> Sequence[OpProgram]:
    every = [(op, dtype) for op in sorted(REGISTRY) for dtype in dtypes]
    return [p for op, dtype in every for p in draw_programs(op, dtype, count, start)]


def planned(programs: Sequence[OpProgram]) -> Sequence[Plan]:
    return [make_plan(p.program, entry=f"run{k}") for k, p in enumerate(programs)]


def finite(made: OpProgram) -> Runs:
    for size in made.sizes:
        yield made.case(size), made


def spoilt(made: OpProgram) -> Runs:
    if made.op == "astype" or is_own_largest(made):
        return  # no integer stands for NaN
    rng = np.random.default_rng(1)
    for size in made.sizes:
        for value in (np.nan, np.inf, -np.inf):
            yield spoil(made.case(size), value, rng), made.padded


def check(pairs: Compiled, runs: Callable[[OpProgram], Runs] = finite) -> None:
    for made, executable in pairs:
        for case, meaning in runs(made):
            assert_same(made, executable, case, meaning)


def is_own_largest(made: OpProgram) -> bool:
    """Whether the largest of one value is taken: in x - max x algebra then sees x - x = 0."""
    tops = [s for s in made.program.statements if s.op is Reduce.MAX]
    return any(all(s.sizes[i] == 1 for i in s.reduced) for s in tops)


@pytest.mark.parametrize("build", BUILDS, ids=lambda b: "-".join(map(str, b[:2])))
def test_every_op_in_c_is_the_interpreter(build: Build) -> None:
    """Values and gradients for batches of 0, 1 and 33, in both float types, no warning."""
    check(compiled(*build))


def test_one_compile_serves_every_batch_size() -> None:
    pairs = compiled(*BUILDS[-1])
    before = compiler_calls()
    check(pairs)
    assert compiler_calls() == before
    assert {p.op for p, _ in pairs if p.batched} >= set(REGISTRY) - FIXED
    assert all(p.sizes == SIZES for p, _ in pairs if p.batched and p.op != "slice")


def test_what_is_not_finite_stays_where_the_interpreter_has_it() -> None:
    check(compiled(*BUILDS[0]), spoilt)


@pytest.mark.parametrize(("compiler", "dtype"), [*zip(COMPILERS, FLOATS, strict=False)])
def test_every_op_runs_clean_under_the_sanitizers(compiler: str, dtype: DType) -> None:
    programs = drawn(100, 1, (dtype,))
    assert len(programs) >= len(REGISTRY)
    plans = planned(programs)
    runs = [[*finite(p), *spoilt(p)] for p in programs]
    found = run_sanitized(plans, [[case for case, _ in some] for some in runs], compiler)
    for plan, some, results in zip(plans, runs, found, strict=True):
        for (case, meaning), made in zip(some, results, strict=True):
            assert_right(meaning, plan, case, made)


@pytest.mark.long
@pytest.mark.parametrize("compiler", COMPILERS or [None])
@pytest.mark.parametrize(
    ("start", "count", "profile"),
    [(k, 10, "debug+strict") for k in range(1000, 1010)]
    + [(k, 3, "release+strict") for k in range(2000, 2003)],
)
def test_every_op_in_c_is_the_interpreter_for_many_draws(
    start: int, count: int, profile: str, compiler: str | None
) -> None:
    pairs = compiled(compiler, profile, start, count=count)
    check(pairs)
    check(pairs, spoilt)
