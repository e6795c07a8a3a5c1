"""Every op in the registry, in C: values and gradients, at every batch size from one compile."""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import pytest

from codegen.build import compiler_calls
from codegen.build.cache import DIRECTORY_VARIABLE
from codegen.compile import Executable
from codegen.notation import FLOATS, DType, Reduce
from graphcnn.op import REGISTRY
from tests.codegen.running import COMPILERS
from tests.codegen.test_strict import run_sanitized
from tests.graphcnn.ops.compiling import (
    SIZES,
    OpProgram,
    assert_same,
    draw_programs,
    load_together,
    spoil,
)

COMPILER = COMPILERS[0] if COMPILERS else None
# Each builds other draws: what -O3 breaks rarely depends on which compiler's it is.
BUILDS = [
    (COMPILER, "release+strict"),
    *((compiler, "debug+strict") for compiler in COMPILERS or [None]),
]
FIXED = {"broadcast_to"}  # whose shape is an argument, and drawn as numbers
Compiled = Sequence[tuple[OpProgram, Executable]]


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DIRECTORY_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


@cache
def compiled(
    compiler: str | None,
    profile: str,
    start: int,
    count: int = 1,
    dtypes: tuple[DType, ...] = FLOATS,
) -> Compiled:
    """Give so many programs of every op in every float type, compiled."""
    every = [(op, dtype) for op in sorted(REGISTRY) for dtype in dtypes]
    programs = [p for op, dtype in every for p in draw_programs(op, dtype, count, start)]
    loaded = load_together([p.program for p in programs], profile, compiler)
    return [*zip(programs, loaded, strict=True)]


def check(pairs: Compiled) -> None:
    for made, executable in pairs:
        for size in made.sizes:
            assert_same(made, executable, made.case(size))


def is_own_largest(made: OpProgram) -> bool:
    """Whether the largest of one value is taken: in x - max x algebra then sees x - x = 0."""
    tops = [s for s in made.program.statements if s.op is Reduce.MAX]
    return any(all(s.sizes[i] == 1 for i in s.reduced) for s in tops)


def check_spoilt(pairs: Compiled) -> None:
    for made, executable in pairs:
        if made.op == "astype" or is_own_largest(made):
            continue  # no integer stands for NaN
        rng = np.random.default_rng(1)
        for size in made.sizes:
            for value in (np.nan, np.inf, -np.inf):
                case = spoil(made.case(size), value, rng)
                assert_same(made, executable, case, made.padded)


@pytest.mark.parametrize("build", BUILDS, ids=lambda b: "-".join(map(str, b)))
def test_every_op_in_c_is_the_interpreter(build: tuple[str | None, str]) -> None:
    """Values and gradients for batches of 0, 1 and 33, in both float types, no warning."""
    check(compiled(*build, start=BUILDS.index(build)))


def test_one_compile_serves_every_batch_size() -> None:
    pairs = compiled(*BUILDS[-1], start=len(BUILDS) - 1)
    before = compiler_calls()
    check(pairs)
    assert compiler_calls() == before
    assert {p.op for p, _ in pairs if p.batched} >= set(REGISTRY) - FIXED
    assert all(p.sizes == SIZES for p, _ in pairs if p.batched and p.op != "slice")


def test_what_is_not_finite_stays_where_the_interpreter_has_it() -> None:
    check_spoilt(compiled(*BUILDS[0], start=0))


SANITIZED = """
from tests.graphcnn.ops.test_compiled import check, check_spoilt, compiled
pairs = compiled({compiler!r}, "sanitize+strict", start=100, dtypes=({dtype!r},))
check(pairs)
check_spoilt(pairs)
print(len(pairs))
"""


@pytest.mark.parametrize(("compiler", "dtype"), [*zip(COMPILERS, FLOATS, strict=False)])
def test_every_op_runs_clean_under_the_sanitizers(
    compiler: str, dtype: DType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFLAGS", "-O0")  # the same accesses, compiled in half the time
    done = run_sanitized(SANITIZED.format(compiler=compiler, dtype=dtype), compiler)
    assert done.returncode == 0, done.stderr[-4000:]
    assert int(done.stdout) >= len(REGISTRY)


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
    pairs = compiled(compiler, profile, start, count)
    check(pairs)
    check_spoilt(pairs)
