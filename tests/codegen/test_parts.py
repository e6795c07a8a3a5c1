"""Long sums in parts."""

import numpy as np
import pytest

from codegen.compile import Options, load, make_plan
from codegen.machine import Machine
from codegen.notation import Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import Case, assert_agree, integers, run_c

n, i, j, k, c = indices("n i j k c")
IMAGES, SIDE = 16, 96
SHAPE = (IMAGES, SIDE, SIDE)
PLAIN = Options(layouts=False)
APART = Options(layouts=False, parts=False)
x, y, z = (Tensor(name, SHAPE) for name in ("x", "y", "z"))
total = Tensor("total", ())


def squares() -> Program:
    return Program((x,), (total,), (statement(total[()], "+=", x[n, i, j] * x[n, i, j]),))


def weights(images: int, channels: int, width: int) -> Program:
    """The gradient of a linear layer's weights, summed over images and their pixels."""
    a, b = Tensor("a", (images, channels, width)), Tensor("b", (images, channels, width))
    dw = Tensor("dw", (channels, channels))
    return Program((a, b), (dw,), (statement(dw[k, c], "+=", a[n, k, i] * b[n, c, i]),))


def test_a_long_sum_is_cut_along_its_slowest_index() -> None:
    made = make_plan(squares(), PLAIN).laid_out
    assert [s.target.shape for s in made.statements] == [(IMAGES,), ()]
    assert_agree([integers(squares())], PLAIN)


@pytest.mark.parametrize(
    "program",
    [weights(16, 4, 64), weights(2, 4, 65536), weights(64, 128, 1024)],
    ids=["short", "few", "parts as large as what they sum up"],
)
def test_other_sums_stay_whole(program: Program) -> None:
    assert len(make_plan(program, PLAIN).laid_out.statements) == 1


def test_cutting_sums_can_be_switched_off() -> None:
    assert make_plan(squares(), APART).laid_out == make_plan(squares(), APART).rewritten


def test_a_part_is_summed_where_its_terms_are_made() -> None:
    """Images pass from the kernel that makes them to the two that sum them up, one at a time."""
    bound = Tensor("bound", SHAPE)
    sums, more = Tensor("sums", ()), Tensor("more", ())
    box = {n: IMAGES, i: SIDE, j: SIDE}
    made = statement(y[n, i, j], "+=", x[n, i, k] * z[n, k, j], box | {k: SIDE})
    program = Program(
        (x, z, bound),
        (sums, more),
        (
            made,
            statement(sums[()], "+=", y[n, i, j] * bound[n, i, j]),
            statement(more[()], "+=", y[n, i, j] * y[n, i, j]),
        ),
    )
    groups = make_plan(program, PLAIN).groups
    together = [[kernel.name for kernel in g.kernels] for g in groups if g.outer]
    assert together == [["y", "sums_parts", "more_parts"]]
    assert not [g for g in make_plan(program, APART).groups if g.outer]
    assert_agree([integers(program)], PLAIN)


def transformed() -> Program:
    """A gradient to weights of images and signals that are transformed first: 9 MB of them."""
    e, t, h = indices("e t h")
    images, points, rows, width = 8, 8, 8, 1152
    x, g = Tensor("x", (images, 4, rows, 5, width)), Tensor("g", (points, 5))
    signals = Tensor("signals", (points, images, rows, width, 16))
    tiles = Tensor("tiles", (points, images, 4, rows, width))
    dw = Tensor("dw", (points, 4, 16))
    return Program(
        (x, g, signals),
        (dw,),
        (
            statement(tiles[e, n, k, t, j], "+=", g[e, h] * x[n, k, t, h, j]),
            statement(dw[e, k, c], "+=", tiles[e, n, k, t, j] * signals[e, n, t, j, c]),
        ),
    )


@pytest.mark.parametrize(("l2", "parts"), [(1 << 20, (8, 8)), (8 << 20, (8,))])
def test_a_part_of_more_terms_than_are_near_is_cut_once_more(l2: int, parts: tuple[int]) -> None:
    options = Options(layouts=False, machine=Machine(l2=l2))
    plan = make_plan(transformed(), options)
    assert plan.laid_out.statements[1].target.shape == (*parts, 8, 4, 16)
    assert_agree([integers(plan.program)], options)


@pytest.mark.parametrize(("l3", "together"), [(32 << 20, ["this n", "this t"]), (64 << 20, [])])
def test_of_what_is_far_every_choice_of_loops_is_looked_at(l3: int, together: list[str]) -> None:
    """The first three read the images again for each point of the transformation."""
    plan = make_plan(transformed(), Options(layouts=False, machine=Machine(l3=l3)))
    assert [str(d) for group in plan.groups for d, _ in group.outer] == together


def test_any_number_of_threads_adds_in_the_same_order() -> None:
    program = squares()
    rng = np.random.default_rng(0)
    case = Case(program, {"x": rng.standard_normal(SHAPE).astype("float32")}, {})
    found = {run_c(load(make_plan(program), threads=t), case)["total"].tobytes() for t in (1, 2, 5)}
    assert len(found) == 1
