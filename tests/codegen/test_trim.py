"""Sums are trimmed to the points that count, and mean the same."""

import itertools

import numpy as np
import pytest

from codegen.affine import Dim
from codegen.interpret import interpret
from codegen.notation import Reduce, Statement, Tensor, indices, statement
from codegen.program import Program
from codegen.rewrite.trim import trim
from tests.codegen.running import integers

import sympy  # isort: skip

n, k, i, u = indices("n k i u")
W = Tensor("w", (2, 3))


def trimmed(s: Statement) -> str:
    given = tuple(a.tensor for a in s.reads)
    return str(trim(Program(given, (s.target,), (s,))).statements[0])


def test_one_pixel_meets_one_tap() -> None:
    x, y = Tensor("x", (4, 1)), Tensor("y", (4, 2, 1))
    s = statement(y[n, k, i], "+=", W[k, u] * x[n, i + u - 1])
    assert trimmed(s) == "y[n,k,i] += w[k,u + 1]·x[n,i + u]"


def test_taps_are_trimmed_at_both_ends() -> None:
    x, y, w = Tensor("x", (2,)), Tensor("y", (4,)), Tensor("w", (9,))
    s = statement(y[i], "+=", w[u] * x[i + u - 4])
    assert trimmed(s) == "y[i] += w[u + 1]·x[i + u - 3]   where 0 ≤ i + u - 3 < 2"


def test_taps_that_lead_beyond_the_result_are_trimmed() -> None:
    x, y = Tensor("x", (4, 1)), Tensor("y", (4, 2, 1))
    s = statement(x[n, u - 1], "+=", W[k, u] * y[n, k, 0])
    assert trimmed(s) == "x[n,u] += w[k,u + 1]·y[n,k,0]"
    x, y = Tensor("x", (4, 3)), Tensor("y", (4, 2, 3))
    s = statement(x[n, 2 * i + u - 3], "+=", W[k, u] * y[n, k, i])
    assert trimmed(s) == "x[n,2·i + u - 1] += w[k,u]·y[n,k,i + 1]   where 0 ≤ 2·i + u - 1 < 3"


def test_elements_that_no_point_reaches_are_not_visited_but_by_what_else_is_added() -> None:
    x, y, b = Tensor("x", (2,)), Tensor("y", (9,)), Tensor("b", ())
    s, start = statement(y[i], "+=", x[i - 4] * W[0, u]), statement(y[i], "=", b[()])
    case = integers(Program((x, W), (y,), (s,)))
    assert trimmed(s) == "y[i + 4] += x[i]·w[0,u]"
    before, found = (interpret(p, case.arrays, {})["y"] for p in (case.program, trim(case.program)))
    assert np.array_equal(before, found) and not before[[0, 1, 2, 3, 6, 7, 8]].any()
    both = Program((x, W, b), (y,), (start, s))
    assert trim(both) == both


def test_positions_and_unknown_sizes_are_left_alone() -> None:
    x, y = Tensor("x", (1,)), Tensor("y", (1,), "int32")
    s = Statement(y, (i,), Reduce.ARGMAX, x[i + u - 1], ((i, 1), (u, 3)))
    assert trimmed(s) == str(s)
    x, z = Tensor("x", (Dim("N"),)), Tensor("z", (1,))
    s = statement(z[i], "+=", x[i + u - 1], {i: 1, u: 3})
    assert trimmed(s) == str(s)


GEOMETRIES = [
    g
    for g in itertools.product((1, 2, 3), (1, 2, 5), range(4), (1, 2), (1, 2, -1, -2))
    if (g[0] + 2 * g[2] - abs(g[4]) * (g[1] - 1) - 1) >= 0
]


@pytest.mark.parametrize("op", ["+=", "max="])
def test_trimmed_sums_mean_the_same(op: str) -> None:
    changed = 0
    for height, taps, padding, stride, step in GEOMETRIES:
        x, w = Tensor("x", (height,)), Tensor("w", (taps,))
        out = (height + 2 * padding - abs(step) * (taps - 1) - 1) // stride + 1
        y = Tensor("y", (out,))
        begin = sympy.Integer(-padding if step > 0 else -padding - step * (taps - 1))
        body = w[u] * x[stride * i + step * u + begin]
        case = integers(Program((x, w), (y,), (statement(y[i], op, body),)))
        after = trim(case.program)
        changed += after != case.program
        before, found = (interpret(p, case.arrays, {})["y"] for p in (case.program, after))
        assert np.array_equal(before, found), case.program
    assert changed > 20
