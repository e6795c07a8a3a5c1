"""Results that are more than the caches hold go past them, and are the same."""

import itertools
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import sympy

from codegen.aligned import aligned_bytes
from codegen.compile import Options, load, make_plan
from codegen.machine import Machine
from codegen.nest import streams
from codegen.notation import Statement, Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import assert_agree, expected, integers, own_text

i, j, k = indices("i j k")
SMALL = Machine(l3=1 << 10)


def product(rows: int, columns: int, *more: Statement, dtype: str = "float32") -> Program:
    x, w = Tensor("x", (rows, 5), dtype), Tensor("w", (5, columns), dtype)  # type: ignore[arg-type]
    y = Tensor("y", (rows, columns), dtype)  # type: ignore[arg-type]
    outputs = (more[-1].target,) if more else (y,)
    return Program((x, w), outputs, (statement(y[i, j], "+=", x[i, k] * w[k, j]), *more))


def turned(rows: int, columns: int) -> Program:
    """Vectors run along the columns, results lie along the rows, and copies are no way out."""
    x, w = Tensor("x", (rows, 5)), Tensor("w", (5, columns))
    y = Tensor("y", (columns, rows))
    return Program((x, w), (y,), (statement(y[j, i], "+=", x[i, k] * w[k, j]),))


def cut(rows: int, columns: int) -> Program:
    y, z = Tensor("y", (rows, columns)), Tensor("z", (rows, columns))
    return product(
        rows, columns, statement(z[i, j], "=", sympy.Piecewise((0, y[i, j] <= 0), (y[i, j], True)))
    )


def streamed(program: Program, machine: Machine = SMALL) -> bool:
    plan = make_plan(program, Options(machine=machine))
    return any(streams(low.function.body) for low in plan.nests)


PROGRAMS = (product(9, 64), cut(9, 64), product(9, 64, dtype="float64"))
MACHINES = (SMALL, replace(SMALL, full=32), replace(SMALL, vector=32))
STREAMED = [*itertools.product(PROGRAMS, MACHINES), (turned(48, 64), SMALL)]


@pytest.mark.parametrize(("program", "machine"), STREAMED)
@pytest.mark.parametrize("offset", [0, 4, 8])
def test_streamed_results_are_the_same_wherever_they_go(
    program: Program, machine: Machine, offset: int
) -> None:
    case = integers(program)
    plan = make_plan(program, Options(machine=machine, layouts=False))
    assert "STREAM(" in own_text(plan) and "END_OF_STREAM" in own_text(plan)
    (result,) = program.outputs
    size = np.dtype(result.dtype).itemsize
    count, shifted = math.prod(result.shape) * size, offset * size // 4
    room = aligned_bytes(count + 64)[shifted : shifted + count]
    found = room.view(result.dtype).reshape(result.shape)
    for threads in (1, 2):
        found[:] = np.nan
        load(plan, threads=threads).run({**case.arrays, result.name: found}, {})
        assert np.array_equal(found, expected(case)[result.name])


@pytest.mark.parametrize("rows", [4, 13, 14, 30, 48])
@pytest.mark.parametrize("columns", [4, 8, 16, 44])
@pytest.mark.parametrize("machine", [Machine(), SMALL, Machine(vector=32, registers=16, full=32)])
def test_turned_results_are_the_same(rows: int, columns: int, machine: Machine) -> None:
    options = Options(machine=machine, layouts=False)
    assert_agree([integers(turned(rows, columns))], options, profile="debug+strict")


@pytest.mark.parametrize(("taps", "together"), [(2, 4), (3, 9), (4, 16)])
def test_results_of_several_rows_are_turned_together(taps: int, together: int) -> None:
    """As gradients to weights are: dw[k,c,u,v], lanes along c, neighbours along u and v."""
    n, c, u, v = indices("n c u v")
    x, dy = Tensor("x", (1, 7, 7, 64)), Tensor("dy", (1, 32, 8 - taps, 8 - taps))
    dw = Tensor("dw", (32, 64, taps, taps))
    s = statement(dw[k, c, u, v], "+=", dy[n, k, i, j] * x[n, i + u, j + v, c])
    program = Program((x, dy), (dw,), (s,))
    options = Options(machine=Machine(), layouts=False, exact=True)
    text = own_text(make_plan(program, options))
    assert re.search(rf"transpose_float32x16\(.*, {together}\);", text)
    assert_agree([integers(program)], options, profile="debug+strict")


@pytest.mark.parametrize("name", ["transpose_float32x16", "float32x16", "LOW16", "rows"])
def test_a_tensor_may_be_called_as_what_the_runtime_has(name: str) -> None:
    program = turned(48, 64)
    (y,) = program.outputs
    named = y.renamed(name)
    moved = tuple(s.substitute({y: named}) for s in program.statements)
    again = replace(program, outputs=(named,), statements=moved)
    assert_agree([integers(again)], Options(machine=Machine(), layouts=False))


def test_results_are_turned_where_lanes_hop() -> None:
    text = own_text(make_plan(turned(48, 64), Options(machine=Machine(), layouts=False)))
    assert "transpose_float32x16(" in text


def test_sums_in_memory_add_to_what_is_there() -> None:
    """Statements that own parts of a tensor add to what others left there."""
    x, w, y = Tensor("x", (9, 5)), Tensor("w", (5, 64)), Tensor("y", (9, 96))
    parts = (statement(y[i, j + 32 * n], "+=", x[i, k] * w[k, j], {j: 64}) for n in (0, 1))
    case = integers(Program((x, w), (y,), tuple(parts)))
    assert_agree([case], Options(machine=SMALL, layouts=False))


def test_what_the_caches_hold_is_not_streamed() -> None:
    assert not streamed(cut(9, 64), Machine())


def test_rows_that_are_not_whole_lines_are_not_streamed() -> None:
    assert not streamed(product(90, 60))
