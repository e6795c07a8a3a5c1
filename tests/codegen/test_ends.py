"""What is left at an end: the last block of an index, the last vector of a row."""

from dataclasses import replace

import pytest

from codegen.compile import Options, make_plan
from codegen.lower.vectors import repeatable
from codegen.machine import Machine
from codegen.nest import Apply, Element, Expression, Let, Loop, Name, Number, Store
from codegen.notation import Statement, Tensor, indices, statement
from codegen.program import Program
from codegen.schedule.ends import ends
from codegen.schedule.tile import tile_of
from tests.codegen.running import assert_agree, integers

MACHINES = (Machine(), Machine(vector=32, registers=16, full=32))
b, i, j, k, p = indices("b i j k p")
place, value = Element("y", (Name("i"),), "float32"), Name("value", "float32")


def blocked(length: int, width: int = 16) -> Statement:
    """The sum in blocks of which the last is only partly there, an operand not in blocks."""
    count = -(-length // width)
    x, w = Tensor("x", (length, 5, 24)), Tensor("w", (3, 5))
    y = Tensor("y", (3, count, 24, width))
    body = w[i, k] * x[width * b + p, k, j]
    return statement(y[i, b, j, p], "+=", body, {b: count, p: width, j: 24})


def of(s: Statement) -> Program:
    return Program(tuple(a.tensor for a in s.reads), (s.target,), (s,))


# -- blocks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [35, 47, 13])
@pytest.mark.parametrize("machine", MACHINES)
def test_the_last_block_may_be_shorter(length: int, machine: Machine) -> None:
    assert_agree([integers(of(blocked(length)))], Options(machine=machine, layouts=False))


@pytest.mark.parametrize("length", [35, 13])
def test_a_sum_whose_last_block_is_shorter_has_a_tile(length: int) -> None:
    assert tile_of(blocked(length), Machine()) is not None


def test_whole_blocks_and_the_last_one_have_no_guards() -> None:
    parts = ends(blocked(35))
    assert parts is not None and parts.whole is not None
    assert not parts.whole.guards and not parts.last.guards
    assert (parts.whole.sizes[b], parts.last.sizes[p], b in parts.last.sizes) == (2, 3, False)
    only = ends(blocked(13))
    assert only is not None and only.whole is None


def test_what_follows_a_sum_sees_zeros_beyond_its_end() -> None:
    s = blocked(35)
    z = Tensor("z", s.target.shape)
    after = statement(z[i, b, j, p], "=", s.target[i, b, j, p] + 1)
    both = Program(tuple(a.tensor for a in s.reads), (z,), (s, after))
    assert_agree([integers(both)], Options(machine=Machine(), layouts=False))


def test_other_guards_cut_no_blocks() -> None:
    s = blocked(35)
    assert ends(blocked(32)) is None
    x, y = Tensor("x", (20, 5)), Tensor("y", (20,))
    assert ends(statement(y[i], "+=", x[i - 3, k], {i: 20, k: 5})) is None
    summed = statement(Tensor("t", (3,))[i], "+=", s.body, dict(s.sizes))  # the block is summed
    assert ends(summed) is None


# -- vectors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("length", [13, 29, 39])
def test_lanes_that_are_done_again_end_as_they_should(length: int, machine: Machine) -> None:
    x, w, y = Tensor("x", (5, length)), Tensor("w", (9, 5)), Tensor("y", (9, length))
    product = statement(y[i, j], "+=", w[i, k] * x[k, j])
    assert tile_of(product, machine) is not None
    assert_agree([integers(Program((x, w), (y,), (product,)))], Options(machine=machine))


@pytest.mark.parametrize("length", [13, 29, 39])
def test_what_is_updated_in_place_is_updated_once(length: int) -> None:
    x, g = Tensor("x", (5, length)), Tensor("g", (9, 5))
    w, step, new = (Tensor(name, (9, length)) for name in ("w", "step", "new"))
    statements = (
        statement(step[i, j], "+=", g[i, k] * x[k, j]),
        statement(new[i, j], "=", w[i, j] - step[i, j]),
    )
    program = Program((x, g), (), statements, parameters=(w,), updates=((w, new),))
    assert_agree([integers(program)], Options(machine=Machine(), layouts=False))


@pytest.mark.parametrize("length", [13, 29, 39])
def test_sums_of_several_parts_count_each_once(length: int) -> None:
    x, w, y = Tensor("x", (5, length)), Tensor("w", (9, 5)), Tensor("y", (18, length))
    parts = (statement(y[i + 9 * n, j], "+=", w[i, k] * x[k, j], {i: 9}) for n in (0, 1))
    assert_agree([integers(Program((x, w), (y,), tuple(parts)))], Options(machine=Machine()))


def add(a: Expression) -> Apply:
    return Apply("+", (value, a), "float32")


def test_an_element_may_be_finished_again_unless_what_is_stored_was_read() -> None:
    bias = replace(place, array="bias", at=(Name("k"),))
    assert repeatable([Let("r", "float32", add(bias)), Store(place, Name("r", "float32"))])
    assert not repeatable([Store(place, add(place))])
    assert not repeatable([Store(place, value, "+=")])
    other = replace(place, array="w")  # which may be the same memory
    assert not repeatable([Let("r", "float32", add(other)), Store(place, Name("r", "float32"))])
    assert not repeatable([Loop("q", (Number(0, "int64"),), (Number(2, "int64"),), ())])


# -- parts ------------------------------------------------------------------------------------


def text_of(*parts: Statement) -> str:
    reads = dict.fromkeys(a.tensor for s in parts for a in s.reads)
    program = Program(tuple(reads), (parts[0].target,), parts)
    assert_agree([integers(program)], Options(machine=Machine()))
    return str(make_plan(program, Options(machine=Machine())).stages["nests"])


@pytest.mark.parametrize(("phases", "filled"), [((0, 1), False), ((0,), True)])
def test_phases_need_not_add_to_anything(phases: tuple[int, ...], filled: bool) -> None:
    x, w, y = Tensor("x", (5, 29)), Tensor("w", (9, 5)), Tensor("y", (9, 58))
    text = text_of(*(statement(y[i, 2 * j + q], "+=", w[i, k] * x[k, j], {j: 29}) for q in phases))
    assert ("] = 0" in text.replace("acc", "")) or not filled
    assert "] += " not in "\n".join(line for line in text.split("\n") if line.lstrip()[:2] == "y[")


def test_sums_that_meet_add_up() -> None:
    x, w, y = Tensor("x", (5, 29)), Tensor("w", (9, 5)), Tensor("y", (9, 31))
    text_of(*(statement(y[i, j + q], "+=", w[i, k] * x[k, j], {j: 29}) for q in (0, 1)))
