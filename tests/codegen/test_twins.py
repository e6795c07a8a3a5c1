"""Functions that differ in names only are one function in C, and those that do more are not."""

import numpy as np
import pytest

from codegen.compile import PLAIN, Plan, make_plan
from codegen.notation import Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import Case, assert_agree

i, j = indices("i j")


def doubled(lengths: tuple[int, int], factors: tuple[float, float], second: str) -> Case:
    """Two tensors, each a multiple of its input; the second input has a dtype of its own."""
    x, u = Tensor("x", lengths[:1]), Tensor("u", lengths[1:], second)
    y, v = Tensor("y", lengths[:1]), Tensor("v", lengths[1:], second)
    program = Program(
        (x, u),
        (y, v),
        (statement(y[i], "=", factors[0] * x[i]), statement(v[j], "=", factors[1] * u[j])),
    )
    arrays = {t.name: np.arange(1, 1 + t.shape[0], dtype=t.dtype) for t in (x, u)}
    return Case(program, arrays, {})


def plan_of(case: Case) -> Plan:
    return make_plan(case.program, PLAIN)


def test_twins_are_one_function_that_is_called_for_both() -> None:
    case = doubled((3, 3), (2, 2), "float32")
    plan = plan_of(case)
    assert [*plan.functions] == ["compute_y"]
    assert [low.function.name for low in plan.nests] == ["compute_y", "compute_y"]
    assert plan.unit.text.count("compute_y(") == 3
    assert_agree([case], PLAIN, profile="debug+strict")


def test_the_call_for_another_says_what_it_computes() -> None:
    assert "/* v[j] = 2·u[j] */" in plan_of(doubled((3, 3), (2, 2), "float32")).unit.text


@pytest.mark.parametrize(
    ("lengths", "factors", "second"),
    [((3, 4), (2, 2), "float32"), ((3, 3), (2, 3), "float32"), ((3, 3), (2, 2), "float64")],
)
def test_other_sizes_numbers_or_types_are_other_functions(
    lengths: tuple[int, int], factors: tuple[float, float], second: str
) -> None:
    case = doubled(lengths, factors, second)
    assert [*plan_of(case).functions] == ["compute_y", "compute_v"]
    assert_agree([case], PLAIN, profile="debug+strict")
