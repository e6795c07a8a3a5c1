"""The best of small windows: each lane holds its whole window in registers."""

import itertools

import numpy as np
import pytest

from codegen.compile import make_plan
from codegen.notation import Reduce, Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import COMPILERS, Case, assert_agree

i, j, u, v, n = indices("i j u v n")
PLACES = (Reduce.ARGMAX, Reduce.ARGMIN)
POOLS = (Reduce.MAX, Reduce.MIN, *PLACES)


def of_many(op: Reduce, window: int, count: int) -> Program:
    """Give the best of each window in so many images side by side."""
    size = 4 * window
    x = Tensor("x", (size, size, count))
    y = Tensor("y", (4, 4, count), "int32" if op in PLACES else "float32")
    read = x[window * i + u, window * j + v, n]
    box = {i: 4, j: 4, n: count, u: window, v: window}
    return Program((x,), (y,), (statement(y[i, j, n], op, read, box),))


def of_one(op: Reduce, window: int, count: int) -> Program:
    """Give the best of each window in one image, so many in a row."""
    x = Tensor("x", (4 * window, count * window))
    y = Tensor("y", (4, count), "int32" if op in PLACES else "float32")
    read = x[window * i + u, window * j + v]
    return Program(
        (x,), (y,), (statement(y[i, j], op, read, {i: 4, j: count, u: window, v: window}),)
    )


def case(program: Program) -> Case:
    """Give few different numbers, so that equals compete, and some that are none."""
    rng = np.random.default_rng(0)
    (x,) = program.inputs
    values = rng.integers(-3, 4, x.shape).astype("float32")
    values[rng.random(x.shape) < 0.1] = np.nan
    return Case(program, {"x": values}, {})


@pytest.mark.parametrize("profile", ["debug+strict", "release+strict"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_best_of_a_window_is_that_of_the_interpreter(compiler: str, profile: str) -> None:
    drawn = itertools.product((of_many, of_one), POOLS, (2, 3, 5), (8, 16, 21))
    cases = [case(make(op, window, count)) for make, op, window, count in drawn]
    assert_agree(cases, profile=profile, compiler=compiler)


@pytest.mark.parametrize("op", POOLS)
def test_only_the_best_of_many_is_held_in_memory(op: Reduce) -> None:
    for window, held in ((2, False), (3, False), (5, True)):
        (nest,) = make_plan(of_many(op, window, 16)).nests
        assert ("float32[16]" in str(nest.function)) == held, str(nest.function)
