"""Masks are read from what was cut: the value that was cut need not be kept."""

import numpy as np
import pytest

from codegen.affine import Dim
from codegen.compile import Options, load, make_plan
from codegen.notation import Statement, Tensor, indices, statement
from codegen.program import Program
from codegen.rewrite.masks import read_masks
from tests.codegen.running import Case, assert_agree, run_c

import sympy  # isort: skip

N = Dim("N")
i, j, k = indices("i j k")
X, W, DZ = Tensor("x", (N, 7)), Tensor("w", (7, 7)), Tensor("dz", (N, 7))
Y, Z, DY = Tensor("y", (N, 7)), Tensor("cut", (N, 7)), Tensor("dy", (N, 7))
SUM = statement(Y[i, j], "+=", X[i, k] * W[k, j])


def relu(value: object, cut: float = 0) -> sympy.Expr:
    return sympy.Piecewise((cut, value <= cut), (value, True))  # type: ignore[operator]


def masked(condition: object) -> Statement:
    return statement(DY[i, j], "=", sympy.Piecewise((0, condition), (DZ[i, j], True)))


def shown(*statements: Statement, outputs: tuple[Tensor, ...] = (Z, DY)) -> str:
    return str(read_masks(Program((X, W, DZ), outputs, statements)).statements[-1].body)


def test_a_mask_is_read_from_what_was_cut() -> None:
    kept = statement(Z[i, j], "=", relu(Y[i, j]))
    assert "cut[i,j] <= 0" in shown(SUM, kept, masked(Y[i, j] <= 0))
    assert "cut[i,j] > 0" in shown(SUM, kept, masked(Y[i, j] > 0))


def test_a_mask_that_is_made_before_the_cut_is_asked_as_before() -> None:
    kept = statement(Z[i, j], "=", relu(Y[i, j]))
    program = Program((X, W, DZ), (DY, Z), (SUM, masked(Y[i, j] <= 0), kept))
    assert read_masks(program) == program


def test_a_mask_may_be_read_anywhere() -> None:
    kept = statement(Z[i, j], "=", relu(Y[i, j]))
    assert "cut[i,6 - j] <= 0" in shown(SUM, kept, masked(Y[i, 6 - j] <= 0))


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        (relu(Y[i, j]), Y[i, j] < 0),  # -1 is below zero, and was cut to it
        (relu(Y[i, j]), Y[i, j] >= 0),
        (relu(Y[i, j]), Y[i, j] <= 1),
        (relu(Y[i, j], 1), Y[i, j] <= 0),
        (sympy.Piecewise((Y[i, j] / 8, Y[i, j] <= 0), (Y[i, j], True)), Y[i, j] <= 0),
        (relu(Y[i, j]), Y[i, j] - 1 <= 0),
    ],
)
def test_other_questions_are_asked_as_before(kept: sympy.Expr, asked: object) -> None:
    assert "cut[" not in shown(SUM, statement(Z[i, j], "=", kept), masked(asked))


def test_what_is_kept_anyway_is_asked_as_before() -> None:
    kept = statement(Z[i, j], "=", relu(Y[i, j]))
    assert "cut[" not in shown(SUM, kept, masked(Y[i, j] <= 0), outputs=(Y, Z, DY))


def test_a_given_value_is_asked_as_before() -> None:
    kept = statement(Z[i, j], "=", relu(X[i, j]))
    assert "cut[" not in shown(kept, masked(X[i, j] <= 0))


def test_the_value_that_was_cut_is_let_go_at_once() -> None:
    kept = statement(Z[i, j], "=", relu(Y[i, j]))
    program = Program((X, W, DZ), (Z, DY), (SUM, kept, masked(Y[i, j] <= 0)))

    def last(off: frozenset[str]) -> int:
        options = Options(off=off, fuse=False)
        return max((b.dies for b in make_plan(program, options).memory.arena.blocks), default=0)

    assert last(frozenset()) < last(frozenset({"read masks"}))


def test_results_have_the_same_bits_with_nan_and_infinity_too() -> None:
    kept = statement(Z[i, j], "=", relu(Y[i, j]))
    program = Program((X, W, DZ), (Z, DY), (SUM, kept, masked(Y[i, j] <= 0)))
    rng = np.random.default_rng(0)
    x = rng.integers(-2, 3, (5, 7)).astype("float32")
    x[1, 1], x[2, 2], x[3] = np.nan, np.inf, 0
    arrays = {"x": x, "w": np.eye(7, dtype="float32"), "dz": x[::-1].copy()}
    arrays["w"][0, 0] = -1e-45
    case = Case(program, arrays, {N: 5})
    assert_agree([case], profile="debug+strict")
    off = load(make_plan(program, Options(off=frozenset({"read masks"}))))
    on = run_c(load(make_plan(program)), case)
    for name, array in run_c(off, case).items():
        assert array.tobytes() == on[name].tobytes(), name
