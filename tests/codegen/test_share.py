"""Loops that count alike run as one, where threads still find tasks enough."""

import pytest

from codegen.compile import Options, make_plan
from codegen.lower.share import MANY, joined, parted, phases
from codegen.machine import Machine
from codegen.nest import Element, Let, Loop, Name, Node, Number, Store
from codegen.notation import Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import assert_agree, integers

i, j, k, n = indices("i j k n")


def loop(index: str, stop: int, *body: Node, start: int = 0, shared: bool = True) -> Loop:
    low, high = Number(start, "int64"), Number(stop, "int64")
    return Loop(index, (low,), (high,), body, shared=shared)


def write(array: str) -> Store:
    return Store(Element(array, (Name("i"), Name("k")), "float32"), Number(1, "float32"))


def nests(stop: int) -> list[Node]:
    return [loop("i", stop, loop("k", 6, write("y"))), loop("i", stop, loop("k", 9, write("z")))]


def test_loops_that_count_alike_are_one_if_they_make_tasks_enough() -> None:
    (one,) = joined(nests(MANY))
    assert one == loop("i", MANY, loop("k", 6, write("y")), loop("k", 9, write("z")))
    assert joined(nests(MANY - 1)) == nests(MANY - 1)


def test_loops_further_in_are_joined_too() -> None:
    (one,) = joined([loop("j", 32, loop("n", 4, loop("k", 6, write(a)))) for a in "yz"])
    assert one == loop("j", 32, loop("n", 4, loop("k", 6, write("y"), write("z"))))


def test_within_a_loop_those_that_count_alike_are_one_however_few() -> None:
    (one,) = joined(nests(2), within=True)
    assert one == loop("i", 2, loop("k", 6, write("y")), loop("k", 9, write("z")))


def test_loops_are_joined_where_those_further_in_make_tasks_enough() -> None:
    (one,) = joined([loop("j", 3, loop("n", MANY, loop("k", 6, write(a)))) for a in "yz"])
    assert one == loop("j", 3, loop("n", MANY, loop("k", 6, write("y"), write("z"))))


def test_a_loop_around_others_is_parted_where_it_makes_few_tasks() -> None:
    first, second = loop("k", 60, write("y")), loop("k", 9, write("z"))
    assert parted(loop("i", 3, first, second)) == (loop("i", 3, first), loop("i", 3, second))
    assert len(phases([loop("i", 3, first, second)], 1)) == 2
    assert len(phases([loop("i", 3, first, second)], 1, together=True)) == 1
    enough = loop("i", MANY, first, second)
    assert parted(enough) == (enough,)


def test_what_shares_anything_but_the_loop_is_not_parted() -> None:
    for other in (write("z"), loop("k", 9, write("z"), shared=False)):
        together = loop("i", 3, loop("k", 60, write("y")), other)
        assert parted(together) == (together,)


def test_what_is_not_shared_or_counts_otherwise_stays_apart() -> None:
    alone = [loop("i", 64, write(a), shared=False) for a in "yz"]
    assert joined(alone) == alone
    later = [loop("i", 64, write("y")), loop("i", 64, write("z"), start=1)]
    assert joined(later) == later


def test_loops_that_would_name_something_twice_stay_apart() -> None:
    def named(array: str) -> Loop:
        return loop("i", 64, loop("k", 6, Let("next", "int64", Name("k")), write(array)))

    assert joined([named("y"), named("z")]) == [loop("i", 64, *named("y").body, *named("z").body)]


def test_phases_of_one_result_share_the_loops_around_them() -> None:
    """So that what they all read comes from far away once."""
    x, w, y = Tensor("x", (256, 4, 67)), Tensor("w", (4, 4)), Tensor("y", (256, 128))
    halves = tuple(
        statement(y[n, 2 * j + q], "+=", w[k, 2 * i + q] * x[n, k, j + i + q], {i: 2, j: 64})
        for q in (0, 1)
    )
    program = Program((x, w), (y,), halves)
    (one,) = make_plan(program).nests
    assert len(one.schedules) == len(halves)
    assert_agree([integers(program)])


@pytest.mark.parametrize("machine", [Machine(), Machine(vector=32, registers=16, full=32)])
@pytest.mark.parametrize("rows", [29, 31])
def test_short_blocks_of_rows_are_the_interpreter(machine: Machine, rows: int) -> None:
    x, w, y = Tensor("x", (64, 40, 5)), Tensor("w", (rows, 5)), Tensor("y", (64, rows, 40))
    program = Program((x, w), (y,), (statement(y[n, k, j], "+=", w[k, i] * x[n, j, i]),))
    options = Options(machine=machine, layouts=False)
    assert_agree([integers(program)], options)
