"""Copies that turn an array go through transposes of square blocks."""

import itertools

import numpy as np
import pytest

from codegen.affine import Dim
from codegen.compile import Options, make_plan
from codegen.machine import Machine
from codegen.notation import Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import COMPILERS, Case, assert_agree

b, i, j, k = indices("b i j k")


def turned(rows: int, columns: int, dtype: str = "float32") -> Program:
    x, y = Tensor("x", (rows, columns), dtype), Tensor("y", (columns, rows), dtype)
    return Program((x,), (y,), (statement(y[j, i], "=", x[i, j]),))


def packed(images: int | Dim, channels: int, pixels: int, lanes: int, dtype: str) -> Program:
    """Give the copy in which so many channels of a pixel stand side by side."""
    x = Tensor("x", (images, channels, pixels), dtype)
    y = Tensor("y", (images, channels // lanes, pixels, lanes), dtype)
    box = {b: images, i: channels // lanes, j: pixels, k: lanes}
    return Program((x,), (y,), (statement(y[b, i, j, k], "=", x[b, lanes * i + k, j], box),))


def case(program: Program) -> Case:
    """Give numbers all different, so that each has only one right place."""
    (x,) = program.inputs
    dims = dict.fromkeys(program.dims, 3)
    shape = [dims.get(n, n) for n in x.shape]
    values = np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape)
    return Case(program, {"x": values.astype(x.dtype)}, dims)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_what_is_turned_is_that_of_the_interpreter(compiler: str) -> None:
    sizes = itertools.product((8, 16, 20, 32), (3, 16, 21, 48), ("float32", "float64"))
    programs = [turned(*size) for size in sizes]
    more = itertools.product((1, 2, Dim("N")), (16, 21, 64), (4, 8, 16), ("float32", "float64"))
    programs += [packed(n, 32, pixels, lanes, kind) for n, pixels, lanes, kind in more]
    cases = [case(p) for p in programs]
    assert_agree(cases, profile="release+strict", compiler=compiler)


def test_rows_and_columns_that_are_whole_blocks_are_transposed() -> None:
    (nest,) = make_plan(packed(2, 32, 64, 16, "float32")).nests
    assert "transpose" in str(nest.function), str(nest.function)


def test_where_a_vector_holds_two_numbers_none_are_transposed() -> None:
    """A quarter of two is no width at all."""
    narrow = Options(machine=Machine(vector=16, registers=16, full=16))
    assert_agree([case(turned(16, 16, "float64"))], narrow)


def test_what_is_not_turned_is_copied() -> None:
    x, y = Tensor("x", (32, 32)), Tensor("y", (32, 32))
    program = Program((x,), (y,), (statement(y[i, j], "=", x[i, j]),))
    (nest,) = make_plan(program).nests
    assert "transpose" not in str(nest.function), str(nest.function)
