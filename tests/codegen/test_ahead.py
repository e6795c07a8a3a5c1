"""Lines of operands that are far are asked for before they are read."""

import itertools
import re
from dataclasses import replace

import pytest

from codegen.aligned import LINE
from codegen.compile import Options, make_plan
from codegen.machine import Machine
from codegen.notation import Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import COMPILERS, assert_agree, assert_clean, integers, own_text

c, i, j, k, u = indices("c i j k u")
SMALL = Machine(l3=16 << 10)


def product(columns: int, dtype: str = "float32") -> Program:
    w, x = Tensor("w", (8, 6), dtype), Tensor("x", (6, columns), dtype)  # type: ignore[arg-type]
    y = Tensor("y", (8, columns), dtype)  # type: ignore[arg-type]
    return Program((w, x), (y,), (statement(y[i, j], "+=", w[i, k] * x[k, j]),))


def sliding(columns: int) -> Program:
    """A window slides over the rows of each of several planes."""
    w, x = Tensor("w", (3, 6, 3)), Tensor("x", (6, 10, columns))
    y = Tensor("y", (3, 8, columns))
    return Program((w, x), (y,), (statement(y[c, i, j], "+=", w[c, k, u] * x[k, i + u, j]),))


def apart(pixels: int, step: int = 2) -> Program:
    """Lanes run along filters, and each of several pixels is one number of every channel."""
    w, x = Tensor("w", (8, 16)), Tensor("x", (8, 2, step * pixels))
    y = Tensor("y", (2, pixels, 16))
    return Program((w, x), (y,), (statement(y[i, j, k], "+=", w[c, k] * x[c, i, step * j]),))


def taps(pixels: int) -> Program:
    """The same under a window of three taps that slides along the pixels."""
    w, x = Tensor("w", (8, 3, 16)), Tensor("x", (8, 2, pixels + 2))
    y = Tensor("y", (2, pixels, 16))
    return Program((w, x), (y,), (statement(y[i, j, k], "+=", w[c, u, k] * x[c, i, j + u]),))


def asked(program: Program, machine: Machine = SMALL) -> list[int]:
    """How many bytes beyond what they read loops ask for."""
    text = own_text(make_plan(program, Options(machine=machine, layouts=False, exact=True)))
    return [int(n) for n in re.findall(r"AHEAD\(&x\[.*, (\d+)\);", text)]


PRODUCTS = (product(1024), product(1030), product(512, "float64"))
NARROW = replace(SMALL, vector=32, full=32, registers=16)
PAIRS = [
    *itertools.product(PRODUCTS, (SMALL, NARROW)),
    (sliding(1024), SMALL),
    (sliding(1030), SMALL),
    *itertools.product((apart(600), apart(600, 5), taps(1030)), (SMALL, NARROW)),
]


@pytest.mark.parametrize(("program", "machine"), PAIRS)
def test_results_are_the_same(program: Program, machine: Machine) -> None:
    options = Options(machine=machine, layouts=False, exact=True)
    assert asked(program, machine)
    assert_agree([integers(program)], options)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_asking_for_what_lies_beyond_an_array_reads_nothing(compiler: str) -> None:
    options = Options(machine=SMALL, layouts=False, exact=True)
    programs = (product(1024), product(1030), sliding(1024), apart(600), apart(600, 5))
    assert_clean([(integers(program), options) for program in programs], compiler)


def test_a_loop_asks_for_the_end_of_what_its_next_block_reads() -> None:
    """Four vectors of 16 numbers at once: the next block of them starts 64 numbers on."""
    assert asked(product(1024)) == [4 * (4 * 16 + 15)]


@pytest.mark.parametrize("step", [2, 3, 4, 5])
def test_every_line_that_the_next_numbers_lie_in_is_asked_for(step: int) -> None:
    """They lie from the last number of this block to that of the next, a line apart."""
    program = apart(600, step)
    plan = make_plan(program, Options(machine=SMALL, layouts=False, exact=True))
    block = re.findall(r"rows j by (\d+)", plan.stages["schedules"])[0]  # then of its rival
    numbers = [4 * step * (int(block) * n - 1) for n in (1, 2)]
    reaches = asked(program)
    assert reaches[0] == numbers[1]
    gaps = [further - n for further, n in itertools.pairwise([*reaches, numbers[0]])]
    assert all(0 < gap <= LINE for gap in gaps)
    assert gaps[:-1] == [LINE] * (len(gaps) - 1)


def test_what_is_near_is_not_asked_for() -> None:
    assert not asked(product(1024), Machine())


def test_rows_within_a_page_are_not_asked_for() -> None:
    assert not asked(product(1000))


def test_what_is_read_only_once_in_passing_is_not_asked_for() -> None:
    """One block of lanes has no next one."""
    w, x, y = Tensor("w", (8, 6)), Tensor("x", (6, 256, 16)), Tensor("y", (8, 16))
    assert not asked(Program((w, x), (y,), (statement(y[i, j], "+=", w[i, k] * x[k, 5, j]),)))
