"""Results that are more than the caches hold go past them, and are the same."""

from dataclasses import replace

import numpy as np
import pytest
import sympy

from codegen.compile import Options, aligned_bytes, load, make_plan
from codegen.machine import Machine
from codegen.nest import streams
from codegen.notation import Statement, Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import expected, integers, own_text

i, j, k = indices("i j k")
SMALL = Machine(l3=1 << 10)


def product(rows: int, columns: int, *more: Statement, dtype: str = "float32") -> Program:
    x, w = Tensor("x", (rows, 5), dtype), Tensor("w", (5, columns), dtype)  # type: ignore[arg-type]
    y = Tensor("y", (rows, columns), dtype)  # type: ignore[arg-type]
    outputs = (more[-1].target,) if more else (y,)
    return Program((x, w), outputs, (statement(y[i, j], "+=", x[i, k] * w[k, j]), *more))


def cut(rows: int, columns: int) -> Program:
    y, z = Tensor("y", (rows, columns)), Tensor("z", (rows, columns))
    return product(
        rows, columns, statement(z[i, j], "=", sympy.Piecewise((0, y[i, j] <= 0), (y[i, j], True)))
    )


def streamed(program: Program, machine: Machine = SMALL) -> bool:
    plan = make_plan(program, Options(machine=machine))
    return any(streams(low.function.body) for low in plan.nests)


@pytest.mark.parametrize("program", [product(9, 64), cut(9, 64), product(9, 64, dtype="float64")])
@pytest.mark.parametrize("offset", [0, 4, 8])
@pytest.mark.parametrize("machine", [SMALL, replace(SMALL, full=32), replace(SMALL, vector=32)])
def test_streamed_results_are_the_same_wherever_they_go(
    program: Program, offset: int, machine: Machine
) -> None:
    case = integers(program)
    plan = make_plan(program, Options(machine=machine))
    assert "STREAM(" in own_text(plan) and "END_OF_STREAM" in own_text(plan)
    (result,) = program.outputs
    count = 9 * 64 * np.dtype(result.dtype).itemsize
    shifted = offset * np.dtype(result.dtype).itemsize // 4
    found = aligned_bytes(count + 64)[shifted : shifted + count].view(result.dtype).reshape(9, 64)
    for threads in (1, 2):
        found[:] = np.nan
        load(plan, threads=threads).run({**case.arrays, result.name: found}, {})
        assert np.array_equal(found, expected(case)[result.name])


def test_what_the_caches_hold_is_not_streamed() -> None:
    assert not streamed(cut(9, 64), Machine())


def test_rows_that_are_not_whole_lines_are_not_streamed() -> None:
    assert not streamed(cut(90, 60))
