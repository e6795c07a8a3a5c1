"""Which indices are cut: where blocks end early, in groups, and where no tile could be had."""

import pytest

import graphcnn as g
from codegen.compile import Options, make_plan
from codegen.machine import Machine
from codegen.notation import Statement, Tensor, indices, statement
from codegen.program import Program
from codegen.rewrite.maps import injective
from codegen.schedule.tile import tile_of
from tests.codegen.running import assert_agree, integers, own_text

EXACT = Options(machine=Machine(), exact=True)
k, kb, kl, c, i, n = indices("k kb kl c i n")


def layer(x: tuple[int, ...], w: tuple[int, ...], bias: bool = False, **options: int) -> Program:
    nodes = [g.input("x", x), g.input("w", w), *([g.input("b", w[:1])] if bias else [])]
    return g.program.to_program([g.conv2d(*nodes, name="y", **options)]).program


def sums_of(program: Program, options: Options = EXACT) -> list[Statement]:
    """The sums of products as they are laid out."""
    laid_out = make_plan(program, options).laid_out
    return [s for s in laid_out.statements if s.reduced and len(s.reads) > 1]


def test_an_axis_that_most_tensors_share_is_cut_though_its_last_block_ends_early() -> None:
    """Else the filters in tiles would have vectors along four taps."""
    program = layer((2, 27, 64, 64), (126, 27, 7, 7), stride=3, padding=1)
    sums = sums_of(program, Options(machine=Machine()))
    (tiles,) = (s.target for s in sums if s.target.name == "y_tiles")
    assert tiles.shape[2:] == (8, *tiles.shape[3:-1], 16)


@pytest.mark.parametrize("channels", [75, 80])
def test_a_sum_starts_from_its_bias_in_blocks_that_end_early_too(channels: int) -> None:
    program = layer((2, 24, 9, 9), (channels, 24, 1, 1), bias=True)
    plan = make_plan(program, EXACT)
    (kernel,) = (low for low in plan.nests if low.function.name.startswith("compute_y"))
    assert len(kernel.schedules) == 1
    added = [line for line in own_text(plan).splitlines() if line.strip().startswith("y[")]
    assert added and not any("+=" in line for line in added)
    assert_agree([integers(program)], EXACT, profile="debug+strict")


def test_a_sum_that_adds_to_other_points_than_it_starts_from_does_so_in_memory() -> None:
    x, b, w, y = (Tensor("x", (9, 64)), Tensor("b", (64,)), Tensor("w", (9, 5)), Tensor("y", (64,)))
    start = statement(y[i], "=", b[i])
    total = statement(y[2 * i], "+=", w[c, n] * x[c, i + n], {i: 30})
    assert_agree([integers(Program((x, b, w), (y,), (start, total)))], profile="debug+strict")


@pytest.mark.parametrize(("filters", "width"), [(7, 8), (8, 8), (10, 16)])
def test_few_channels_of_a_group_lie_in_half_a_vector(filters: int, width: int) -> None:
    """Where the columns of a strided layer are no vectors, better than four taps at once."""
    program = layer((1, 20, 44, 44), (2 * filters, 10, 5, 5), stride=2, groups=2)
    (total,) = sums_of(program)
    assert [a.tensor.shape[-1] for a in total.reads if "packed" in a.tensor.name] == [width]
    assert_agree([integers(program)], EXACT, profile="debug+strict")


@pytest.mark.parametrize("filters", [48, 54])
def test_groups_of_channels_are_packed_and_cut(filters: int) -> None:
    """Two indices are digits of one axis, and a copy by them is no larger than what it copies."""
    program = layer((1, 75, 13, 13), (3 * filters, 25, 3, 3), padding=1, groups=3)
    (total,) = sums_of(program)
    assert injective(total) and tile_of(total, Machine())
    assert any("packed" in a.tensor.name and a.tensor.shape[-1] == 16 for a in total.reads)
    assert_agree([integers(program)], EXACT, profile="debug+strict")


@pytest.mark.parametrize("filters", [13, 54])
def test_a_block_ends_where_the_next_group_begins_in_double_precision_too(filters: int) -> None:
    """Vectors are shorter there, and blocks are of 8."""
    x, w = (
        g.input(name, shape, "float64")
        for name, shape in (("x", (1, 27, 5, 5)), ("w", (3 * filters, 9, 3, 3)))
    )
    program = g.program.to_program([g.conv2d(x, w, groups=3, name="y")]).program
    for machine in (Machine(), Machine(vector=16, registers=16, full=16)):
        assert_agree([integers(program)], Options(machine=machine, exact=True))


def test_lower_digits_that_a_guard_ends_early_reach_no_further() -> None:
    target = Tensor("y", (3 * 54,))
    whole = statement(target[54 * n + 16 * kb + kl], "=", 1, {n: 3, kb: 4, kl: 16})
    assert not injective(whole)
    (guarded,) = (s for s in sums_of(layer((1, 75, 13, 13), (162, 25, 3, 3), groups=3)))
    assert injective(guarded) and guarded.extra


def test_a_layout_that_leaves_a_sum_without_a_tile_is_not_free() -> None:
    program = layer((2, 136, 6, 6), (69, 136, 4, 4), padding=2, dilation=3)
    assert [tile_of(s, Machine()) is not None for s in sums_of(program)] == [True]


def test_an_index_of_half_a_vector_may_be_one() -> None:
    program = layer((1, 20, 15, 15), (8, 20, 5, 5))
    assert tile_of(sums_of(program)[0], Machine()).lanes[0].block == 8  # type: ignore[union-attr]
    assert_agree([integers(program)], EXACT, profile="debug+strict")
