"""Loops leave out what padding makes zero: fewer products, the same results."""

from dataclasses import replace

import pytest

from codegen.compile import Options, make_plan
from codegen.interpret import interpret
from codegen.machine import Machine
from codegen.notation import Reduce, Statement, Tensor, indices, statement
from codegen.program import Program
from codegen.rewrite.pad import pad_reads
from codegen.schedule.contraction import contraction
from codegen.schedule.search import shapes
from codegen.schedule.tile import Tile, tile_of
from tests.codegen.running import assert_agree, integers

MACHINES = (Machine(), Machine(vector=32, registers=16, full=32))
n, k, c, i, j, u, v = indices("n k c i j u v")


def slid(size: int, taps: int, padding: int, step: int = 1, gap: int = 1) -> Program:
    """Give a convolution of few channels, and the gradients that slide over its result."""
    out = (size + 2 * padding - gap * (taps - 1) - 1) // step + 1
    x, w = Tensor("x", (3, 5, size, size)), Tensor("w", (32, 5, taps, taps))
    d = Tensor("d", (3, 32, out, out))
    row, column = step * i + gap * u - padding, step * j + gap * v - padding
    y, dw = Tensor("y", d.shape), Tensor("dw", w.shape)
    statements = (
        statement(y[n, k, i, j], "+=", w[k, c, u, v] * x[n, c, row, column]),
        statement(dw[k, c, u, v], "+=", d[n, k, i, j] * x[n, c, row, column]),
    )
    return Program((x, w, d), (y, dw), statements)


def padded(program: Program) -> list[Statement]:
    return [s for s in pad_reads(program).statements if s.support]


def tiles(program: Program, machine: Machine) -> list[Tile]:
    plan = make_plan(program, Options(machine=machine))
    found = (tile_of(s, machine) for s in plan.laid_out.statements if s.op is Reduce.SUM)
    return [tile for tile in found if tile]


SLID = [(7, 7, 3), (9, 11, 5), (10, 5, 4, 2), (9, 3, 3, 1, 3), (12, 7, 6, 3, 2)]


@pytest.mark.parametrize("sizes", SLID)
@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_left_out_changes_no_sum(sizes: tuple[int, ...], machine: Machine) -> None:
    program = slid(*sizes)
    assert any(tile.skips for tile in tiles(program, machine))
    assert_agree([integers(program)], Options(machine=machine))


@pytest.mark.parametrize("sizes", SLID)
def test_all_beyond_the_support_is_zero(sizes: tuple[int, ...]) -> None:
    case = integers(slid(*sizes))
    copied = pad_reads(case.program)
    within = [replace(s, extra=s.support, support=()) for s in copied.statements]
    assert {s.target.name for s in padded(case.program)} == {"y", "dw"}
    some, every = (
        interpret(p, case.arrays, case.dims) for p in (copied.with_statements(within), copied)
    )
    assert (some["y"] == every["y"]).all() and (some["dw"] == every["dw"]).all()


@pytest.mark.parametrize("sizes", SLID)
def test_the_share_of_the_products_that_is_left_is_counted(sizes: tuple[int, ...]) -> None:
    for s in padded(slid(*sizes)):
        nest = contraction(s)
        assert nest is not None and len(nest.skips) == 2
        for skip, guard in zip(nest.skips, s.support, strict=True):
            a, b = (s.box[place][0] for place in (skip.row, skip.tap))
            pairs = [(p, q) for p in range(s.sizes[a]) for q in range(s.sizes[b])]  # type: ignore[arg-type]
            reached = [int(guard.expr.subs({a: p, b: q})) for p, q in pairs]
            inside = [0 <= place < guard.size for place in reached]
            assert skip.share == pytest.approx(sum(inside) / len(pairs))
        ways = [way.products for way in nest.ways()]
        assert (len(ways), max(ways), min(ways)) == (4, ways[0], nest.products)


def test_loops_over_taps_begin_and_end_with_what_counts() -> None:
    program = slid(9, 11, 5)
    stages = make_plan(program, Options(machine=Machine())).stages
    assert "zero but for 0 ≤ i + u - 5 < 9" in stages["layouts"]
    assert "skip beyond 0 ≤ i + u - 5 < 9" in stages["schedules"]
    assert "for u in max(0, (5 - i))..min(11, (14 - i))" in stages["nests"]


def test_a_tile_that_skips_has_no_row_along_what_it_skips() -> None:
    (s, _) = padded(slid(9, 11, 5))
    nest = contraction(s)
    assert nest is not None
    found = shapes(nest, Machine())
    assert {len(shape.skips) for shape in found} == {0, 1}  # j runs across lanes
    for shape in found:
        rows = {*dict(shape.blocks), shape.kind.lane}
        assert not rows & {index for skip in shape.skips for index in (skip.row, skip.tap)}


def test_little_padding_is_not_worth_it() -> None:
    for s in padded(slid(80, 3, 1)):
        nest = contraction(s)
        assert nest is not None and not nest.skips
