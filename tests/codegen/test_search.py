"""Tiles are searched as columns of numbers: what is found is what one by one would be found."""

import itertools
import math

import numpy as np
import pytest

from codegen.machine import Machine
from codegen.notation import Statement, Tensor, indices, statement
from codegen.schedule import layout, tile
from codegen.schedule.contraction import Axis, Contraction, Operand, contraction
from codegen.schedule.rows import ROWS, TOGETHER, blocks_of, rows_of
from codegen.schedule.search import PROMISING, crowded, shapes
from tests.codegen.test_layout import drawn

MACHINES = [Machine(), Machine(vector=32, registers=16, full=32)]


def product(rows: int, columns: int, depth: int) -> Statement:
    i, j, k = indices("i j k")
    x, y = Tensor("x", (rows, depth)), Tensor("y", (depth, columns))
    return statement(Tensor("z", (rows, columns))[i, j], "+=", x[i, k] * y[k, j])


def nest_of(s: Statement) -> Contraction:
    nest = contraction(s)
    assert nest is not None
    return nest


@pytest.mark.parametrize("length", [1, 2, 6, 28, 100])
def test_blocks_are_equal_parts_of_a_length(length: int) -> None:
    parts = {math.ceil(length / n) for n in range(1, length + 1)}
    assert blocks_of(length).tolist() == [b for b in range(2, ROWS + 1) if b in parts]


@pytest.mark.parametrize("sizes", [(), (6,), (28, 3), (4, 6, 10, 5)])
@pytest.mark.parametrize("limits", [(32,), (1, 8, 14)])
@pytest.mark.parametrize("slides", [False, True])
def test_choices_of_rows_are_those_near_the_most(
    sizes: tuple[int, ...], limits: tuple[int, ...], slides: bool
) -> None:
    rows = rows_of(sizes, limits, streams=False, slides=slides)
    found = list(zip(*(c.tolist() for c in (*rows.blocks, rows.limit)), strict=True))
    expected = []
    choices = [[1, *blocks_of(n).tolist()] for n in sizes]
    for at, most in enumerate(limits):
        every = [
            blocks
            for blocks in itertools.product(*choices)
            if math.prod(blocks) <= most and sum(b > 1 for b in blocks) <= TOGETHER
        ]
        largest = max(map(math.prod, every))
        few = [b for b in every if math.prod(b) * (3 if slides else 2) >= largest]
        expected += [(*blocks, at) for blocks in few]
    assert sorted(found) == sorted(expected)
    assert rows.count.tolist() == [math.prod(blocks) for *blocks, _ in found]
    assert rows.tails.tolist() == [
        sum(n % b > 0 for n, b in zip(sizes, blocks, strict=True)) for *blocks, _ in found
    ]


def test_a_column_of_blocks_is_crowded_where_each_one_is() -> None:
    operand = Operand((Axis(1024, ((0, 1),)), Axis(192, ((1, 1),)), Axis(1, ((2, 1),))))
    pairs = list(itertools.product((1, 2, 7, 8, 16), (1, 3, 13)))
    first, second = np.array(pairs).T
    one_by_one = [
        bool(crowded(operand, {i: b for i, b in enumerate(pair) if b > 1}, "float32"))
        for pair in pairs
    ]
    assert crowded(operand, {0: first, 1: second}, "float32").tolist() == one_by_one
    assert {*one_by_one} == {True, False}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("sizes", [(64, 64, 64), (7, 100, 3000), (3000, 20, 50)])
def test_tiles_that_are_not_placed_could_not_have_won(
    machine: Machine, sizes: tuple[int, int, int]
) -> None:
    nest = nest_of(product(*sizes))
    found = shapes(nest, machine)
    assert [s.cycles for s in found] == sorted(s.cycles for s in found)
    placed = [tile._placed(machine, tile._candidate(nest, s)) for s in found]
    first, second = sorted(placed, key=lambda t: t.cycles)[:2]
    best = tile._first(nest, machine, None, PROMISING)
    assert best is not None and best.rival is not None
    assert (best.cycles, best.rows, best.lanes) == (first.cycles, first.rows, first.lanes)
    assert best.rival == second


def test_where_memory_takes_the_time_tiles_that_fetch_less_are_looked_at() -> None:
    """Weights of 3.5 MB: blocks of two, not five, leave half of the second cache to the rest."""
    n, b, i, j, p, c, u, v = indices("n b i j p c u v")
    w, x = Tensor("w", (10, 46, 11, 11, 16)), Tensor("x", (8, 46, 18, 18))
    y = Tensor("y", (8, 10, 8, 8, 16))
    s = statement(y[n, b, i, j, p], "+=", w[b, c, u, v, p] * x[n, c, i + u, j + v])
    nest = nest_of(s)
    soon, late = tile._first(nest, Machine(), None, PROMISING), tile._best(nest, Machine())
    assert soon is not None and late is not None
    assert (soon.bound, late.bound) == ("memory", "multiply-adds")
    assert late.bytes < soon.bytes / 10
    assert late.cycles < tile.CLEARLY * soon.cycles


def test_each_kind_is_among_the_shapes() -> None:
    nest = nest_of(product(64, 64, 64))
    assert {s.kind.vectors for s in shapes(nest, Machine())} == {1, 2, 3, 4}


def test_a_layout_that_is_left_undecided_would_not_have_been_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = 0
    decided = layout._decided

    def watched(start: layout.Layout, machine: Machine, limit: float) -> layout.Layout:
        nonlocal left
        found = decided(start, machine, limit)
        left += found.cycles > limit
        return found

    def whole(start: layout.Layout, machine: Machine, limit: float) -> layout.Layout:
        return decided(start, machine, math.inf)

    for case in drawn(60):
        monkeypatch.setattr(layout, "_decided", watched)
        taken = layout.lay_out(case.program, Machine())
        monkeypatch.setattr(layout, "_decided", whole)
        assert taken == layout.lay_out(case.program, Machine())
    assert left
