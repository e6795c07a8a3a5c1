"""Rows of a tile read what others have loaded, and finish whole vectors in registers."""

import platform
import re

import pytest
import sympy

from codegen.compile import Options, make_plan
from codegen.machine import Machine
from codegen.notation import Statement, Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import COMPILERS, assert_agree, integers, own_text

g, i, j, u, v = indices("g i j u v")
NARROW = Machine(vector=32, registers=16, full=32)
HALVED = Machine(full=32)


def depthwise(
    rows: int,
    columns: int,
    taps: int = 3,
    *more: Statement,
    step: int = 1,
    gap: int = 1,
    dtype: str = "float32",
) -> Program:
    """Each row looks at `taps` rows of x that lie `gap` apart, each next row `step` further.

    The first tap looks at the last of them where the gap is negative, which is turned round.
    """
    height = step * (rows - 1) + abs(gap) * (taps - 1) + 1
    above = max(0, -gap) * (taps - 1)
    x = Tensor("x", (2, height, columns + 2), dtype)  # type: ignore[arg-type]
    w = Tensor("w", (2, taps, 3), dtype)  # type: ignore[arg-type]
    y = Tensor("y", (2, rows, columns), dtype)  # type: ignore[arg-type]
    s = statement(y[g, i, j], "+=", w[g, u, v] * x[g, step * i + gap * u + above, j + v])
    outputs = (more[-1].target,) if more else (y,)
    reads = {a.tensor for m in more for a in m.reads} - {y}
    return Program((x, w, *sorted(reads, key=str)), outputs, (s, *more))


def text(program: Program, machine: Machine = HALVED) -> str:
    return own_text(make_plan(program, Options(machine=machine, layouts=False, exact=True)))


SHARED = {(1, 1, 3), (1, 2, 3), (1, 1, 7), (1, -1, 3), (1, -2, 3)}
STEPS = [*sorted(SHARED), (2, 1, 3), (2, 1, 2), (3, 1, 5), (2, 3, 3), (2, -1, 5)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("machine", [Machine(), HALVED, NARROW])
def test_windows_give_the_same(machine: Machine, dtype: str) -> None:
    options = Options(machine=machine, layouts=False, exact=True)
    programs = [
        depthwise(rows, columns, taps, step=step, gap=gap, dtype=dtype)
        for step, gap, taps in STEPS
        for rows, columns in [(14, 28), (29, 16), (5, 44)]
    ]
    assert_agree([integers(p) for p in programs], options)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_windows_satisfy_strict_compilers(compiler: str) -> None:
    options = Options(layouts=False, exact=True)
    cases = [integers(depthwise(14, 28)), integers(depthwise(14, 28, step=2))]
    for profile in ("debug+strict", "release+strict"):
        assert_agree(cases, options, profile=profile, compiler=compiler)


@pytest.mark.parametrize(("step", "gap", "taps"), [*sorted(SHARED), (2, 1, 3)])
def test_rows_share_what_they_load(step: int, gap: int, taps: int) -> None:
    assert "HOLD(" in text(depthwise(14, 28, taps, step=step, gap=gap))


def test_rows_that_look_at_other_places_share_nothing() -> None:
    assert "HOLD(" not in text(depthwise(14, 28, 2, step=2))
    assert "HOLD(" not in text(depthwise(14, 28, step=2, gap=2))  # odd rows are seen by nobody


def gram(dtype: str = "float32") -> Program:
    """Products of rows with rows: lanes run along what is summed, and rows share both operands."""
    a, b = (Tensor(n, (8, 64), dtype) for n in "ab")  # type: ignore[arg-type]
    c = Tensor("c", (8, 8), dtype)  # type: ignore[arg-type]
    return Program((a, b), (c,), (statement(c[g, i], "+=", a[g, j] * b[i, j]),))


def correlation(dtype: str = "float32") -> Program:
    """Filters that share the images they slide over: lanes run along the images."""
    x, w = Tensor("x", (3, 40), dtype), Tensor("w", (8, 3, 5), dtype)  # type: ignore[arg-type]
    out = Tensor("out", (8, 36), dtype)  # type: ignore[arg-type]
    return Program((x, w), (out,), (statement(out[g, i], "+=", w[g, j, u] * x[j, i + u]),))


@pytest.mark.parametrize("machine", [Machine(), HALVED, NARROW])
@pytest.mark.parametrize("program", [gram(), correlation(), gram("float64")])
def test_a_vector_that_several_rows_use_is_read_once(program: Program, machine: Machine) -> None:
    added = re.findall(r"acc\w*\[.*\] \+= .*", text(program, machine))
    assert added and not [line for line in added if re.search(r"x\d+ \*\)&", line)]
    assert_agree([integers(program)], Options(machine=machine, layouts=False, exact=True))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="flags of x86")
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("flags", ["-march=x86-64", "-march=x86-64 -mavx2 -mfma"])
def test_vectors_may_be_wider_than_registers(
    compiler: str, flags: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFLAGS", flags)
    options = Options(machine=HALVED, layouts=False, exact=True)
    assert_agree([integers(depthwise(14, 28))], options, compiler=compiler)


z, b, r = Tensor("z", (2, 14, 28)), Tensor("b", (2,)), Tensor("r", (2, 14, 28))
y = Tensor("y", (2, 14, 28))
FINISHED = {
    "bias": y[g, i, j] + b[g],
    "scaled": 2 * y[g, i, j] - b[g] * y[g, i, j],
    "residual": y[g, i, j] + r[g, i, j],
    "both": (y[g, i, j] + b[g]) * r[g, i, j] / 2,
}
ALONE = {
    "relu": sympy.Piecewise((0, y[g, i, j] <= 0), (y[g, i, j], True)),
    "backwards": y[g, i, j] + r[g, i, 27 - j],
}


@pytest.mark.parametrize("what", FINISHED)
def test_results_are_finished_in_registers(what: str) -> None:
    program = depthwise(14, 28, 3, statement(z[g, i, j], "=", FINISHED[what]))
    assert "float tile[" not in text(program)
    assert_agree([integers(program)], Options(layouts=False, exact=True), profile="release+strict")


@pytest.mark.parametrize("what", ALONE)
def test_results_are_finished_one_by_one_where_vectors_cannot(what: str) -> None:
    program = depthwise(14, 28, 3, statement(z[g, i, j], "=", ALONE[what]))
    assert "float tile[" in text(program)
    assert_agree([integers(program)], Options(layouts=False, exact=True), profile="release+strict")
