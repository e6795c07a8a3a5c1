"""What surrounds a copy is filled; what the copy writes is left to it."""

import pytest

from codegen.affine import Dim
from codegen.compile import Options, make_plan
from codegen.nest import Loop, Node, Number, Store
from codegen.notation import Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import assert_agree, integers

n, i, j, a, b, c = indices("n i j a b c")
N = Dim("N")
CUTS = [((1, 1), (1, 1)), ((0, 2), (3, 0)), ((2, 0), (0, 0)), ((0, 0), (0, 1))]


def framed(batch: int, *cuts: tuple[int, int], value: float = 0) -> Program:
    """Copies of 5×28 pixels with a frame of one value."""
    (up, down), (left, right) = cuts
    x = Tensor("x", (batch, 5, 28))
    y = Tensor("y", (batch, 5 + up + down, 28 + left + right))
    fill = statement(y[a, b, c], "=", value)
    return Program((x,), (y,), (fill, statement(y[n, i + up, j + left], "=", x[n, i, j])))


@pytest.mark.parametrize("value", [0, 2])
def test_frames_are_the_same(value: float) -> None:
    programs = [framed(3, *cuts, value=value) for cuts in CUTS]
    assert_agree([integers(p) for p in programs], profile="debug+strict")


def filled(nodes: tuple[Node, ...]) -> float:
    """How many elements are set to a number."""
    count = 0.0
    for node in nodes:
        match node:
            case Loop(_, (Number(low),), (Number(high),), body):
                count += (high - low) * filled(body)
            case Store(_, Number()):
                count += 1
    return count


@pytest.mark.parametrize(("up", "left"), [(1, 1), (2, 1), (2, 0)])
def test_copies_are_not_filled_before(up: int, left: int) -> None:
    plan = make_plan(framed(3, (up, up), (left, left)), Options())
    (low,) = plan.nests
    assert filled(low.function.body) == 3 * ((5 + 2 * up) * (28 + 2 * left) - 5 * 28)


def test_copies_that_are_no_rows_of_a_batch_are_not_filled_before() -> None:
    x, y = Tensor("x", (5, 28)), Tensor("y", (7, 30))
    copy = statement(y[i + 1, j + 1], "=", x[i, j])
    program = Program((x,), (y,), (statement(y[a, b], "=", 0), copy))
    bodies = (low.function.body for low in make_plan(program).nests)
    assert sum(map(filled, bodies)) == 7 * 30 - 5 * 28
    assert_agree([integers(program)], profile="debug+strict")


def test_every_gap_between_copies_is_filled() -> None:
    x, y = Tensor("x", (3, 4)), Tensor("y", (3, 12))
    parts = (statement(y[n, j + start], "=", x[n, j]) for start in (1, 7))
    program = Program((x,), (y,), (statement(y[a, b], "=", 0), *parts))
    assert_agree([integers(program)], profile="debug+strict")


def test_rows_of_any_number_are_framed() -> None:
    x, y = Tensor("x", (N, 4)), Tensor("y", (N, 6))
    copy = statement(y[n, j + 1], "=", x[n, j])
    program = Program((x,), (y,), (statement(y[a, b], "=", 0), copy))
    assert_agree([integers(program, {N: 5})], profile="debug+strict")
