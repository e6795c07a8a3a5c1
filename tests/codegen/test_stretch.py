"""Tiles side by side in memory that is not near finish together, and change it as if alone."""

import math
from dataclasses import replace
from typing import Any

import pytest
import sympy

from codegen.compile import Options, make_plan
from codegen.machine import Machine
from codegen.notation import Tensor, indices, statement
from codegen.program import Program
from codegen.schedule.tile import tile_of
from tests.codegen.running import assert_agree, integers

NEAR = Machine()
FAR = replace(NEAR, l2=1 << 10)  # which few results go beyond
MACHINES = (FAR, replace(FAR, full=32), replace(FAR, vector=32, registers=16, full=32))
b, i, j, k, p = indices("b i j k p")


def bounded(old: Any, step: Any) -> Any:
    """An update that C does not know of vectors."""
    return sympy.Piecewise((0, old <= step), (old - step, True))


def rows(length: int) -> Program:
    """Vectors side by side in a row, the row in one piece."""
    x, g = Tensor("x", (5, length)), Tensor("g", (16, 5))
    w, step, new = (Tensor(name, (16, length)) for name in ("w", "step", "new"))
    statements = (
        statement(step[i, j], "+=", g[i, k] * x[k, j]),
        statement(new[i, j], "=", bounded(w[i, j], step[i, j])),
    )
    return Program((x, g), (), statements, parameters=(w,), updates=((w, new),))


def blocks(count: int) -> Program:
    """The same in blocks of 16, an index counting them."""
    x, g = Tensor("x", (5, 16 * count)), Tensor("g", (16, 5))
    step = Tensor("step", (16, count, 16))
    w, new = (Tensor(name, (16, 16 * count)) for name in ("w", "new"))
    box = {i: 16, b: count, p: 16}
    at = (i, 16 * b + p)
    statements = (
        statement(step[i, b, p], "+=", g[i, k] * x[k, 16 * b + p], box | {k: 5}),
        statement(new[at], "=", bounded(w[at], step[i, b, p]), box),
    )
    return Program((x, g), (), statements, parameters=(w,), updates=((w, new),))


def together(program: Program, machine: Machine) -> bool:
    return "tiles[" in str(make_plan(program, Options(machine=machine, layouts=False)).stages["c"])


PROGRAMS = (rows(192), rows(200), rows(384), blocks(12), blocks(26), blocks(7))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("machine", MACHINES)
def test_what_finishes_together_is_changed_once(program: Program, machine: Machine) -> None:
    assert_agree([integers(program)], Options(machine=machine, layouts=False))


@pytest.mark.parametrize("program", [rows(192), blocks(12)])
def test_tiles_wait_for_each_other_where_they_change_what_is_far(program: Program) -> None:
    assert together(program, FAR)
    assert not together(program, NEAR)


def test_tiles_of_what_is_only_written_do_not_wait() -> None:
    made = rows(192)
    step, _ = made.statements
    cut = statement(Tensor("z", step.target.shape)[i, j], "=", bounded(step.target[i, j], 1))
    assert not together(Program(made.inputs, (cut.target,), (step, cut)), FAR)


def test_few_results_wait_in_the_first_cache() -> None:
    step, _ = rows(384).statements
    waiting = []
    for l1 in (4 << 10, 8 << 10, 32 << 10):
        tile = tile_of(step, replace(FAR, l1=l1))
        assert tile is not None
        count = tile.stretch[1] if tile.stretch else 1
        deep = math.prod(segments[0].block for _, segments in tile.rows)
        waiting.append(count * deep * tile.lanes[0].block if count > 1 else 0)
        assert 4 * waiting[-1] <= l1 // 4
    assert waiting[-1] > waiting[0]
