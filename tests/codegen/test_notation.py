"""Statements and programs: what is inferred, what is refused and why, how they read."""

import subprocess
import sys

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from codegen.affine import Dim, Index, bounds, is_affine, nonnegative, split
from codegen.compile import make_plan
from codegen.interpret import interpret
from codegen.notation import (
    NotationError,
    Reduce,
    Statement,
    Tensor,
    argmax_of,
    equal,
    indices,
    max_of,
    statement,
)
from codegen.printing import render
from codegen.program import Program
from tests.codegen.drawing import random_cases

N = Dim("N")
n, k, c, i, j, u = indices("n k c i j u")
x, w = Tensor("x", (N, 3, 32)), Tensor("w", (6, 3, 5))
y = Tensor("y", (N, 6, 32))
p, q = Tensor("p", (3,)), Tensor("q", (3,))


# ── Statements ────────────────────────────────────────────────────────────────────────────────────


def test_ranges_come_from_the_axes_where_an_index_stands_alone() -> None:
    s = statement(y[n, k, i], "+=", w[k, c, u] * x[n, c, i + u - 2])
    assert s.sizes == {n: N, k: 6, i: 32, c: 3, u: 5}
    assert s.parallel == (n, k, i)
    assert s.reduced == (c, u)


def test_a_read_that_may_leave_its_tensor_is_guarded() -> None:
    s = statement(y[n, k, i], "+=", w[k, c, u] * x[n, c, i + u - 2])
    assert str(s) == "y[n,k,i] += w[k,c,u]·x[n,c,i + u - 2]   where 0 ≤ i + u - 2 < 32"


def test_a_read_that_provably_stays_inside_is_not() -> None:
    assert (
        statement(Tensor("y", (28,))[i], "+=", Tensor("x", (32,))[i + u], {i: 28, u: 5}).guards
        == ()
    )


def test_an_excluded_point_counts_nothing() -> None:
    line, out = Tensor("x", (3,), "float64"), Tensor("y", (3,), "float64")
    program = Program((line,), (out,), (statement(out[i], "=", 5 + line[i - 1]),))
    np.testing.assert_array_equal(interpret(program, {"x": np.ones(3)})["y"], [0, 6, 6])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: y[n, k], r"y has 3 axes but is read with 2 coordinates: y\[n, k\]"),
        (lambda: y[n, k, i * j], "i\\*j is not affine"),
        (lambda: y[n, k, i / 2], "i/2 is not affine"),
        (lambda: y[n, k, i**2], "is not affine"),
        (lambda: Tensor("z", (3,), "int8"), "dtype 'int8' is not one of float32, float64"),  # type: ignore[arg-type]
        (lambda: statement(y[n, k, i], "=", y[n, k, i] + 1), "never reads its own target"),
        (
            lambda: statement(y[n, k, i], "=", x[n, c, i]),
            "'=' writes one element once, but c would write it again",
        ),
        (lambda: statement(y[n, k, i + u], "=", x[n, 0, i]), "no axis gives u a range; state it"),
        (
            lambda: statement(y[n, k, i + u], "=", x[n, 0, i], {n: N, k: 6, i: 30, u: 3}),
            "'=' writes one element once, but i and u meet",
        ),
        (
            lambda: statement(p[2 * i - 3 * u], "max=", q[j], {i: 30, u: 3, j: 3}),
            "'max=' writes one element once, but i and u meet",
        ),
        (lambda: statement(Tensor("z", (3, 4))[i, i], "=", 0), "index i has size 3 and size 4"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused(make: object, reason: str) -> None:
    with pytest.raises(NotationError, match=reason):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("left", "ranges"),
    [
        ((3 * i + u,), {i: 5, u: 3}),  # digits of a number
        ((N * i + u,), {i: 5, u: N}),
        ((i, i), {i: 5}),  # a diagonal
        ((i + u, i - u), {i: 5, u: 3}),  # two coordinates that tell them apart
        ((2 * i - 3 * u,), {i: 3, u: 2}),  # too short to meet
    ],
)
def test_an_assignment_that_writes_once_is_accepted(
    left: tuple[object, ...], ranges: dict[Index, int]
) -> None:
    target = Tensor("z", [99] * len(left))
    assert statement(target[left], "=", 1, ranges).op is Reduce.SET


def test_tensors_are_equal_by_value_and_not_iterable() -> None:
    assert Tensor("x", (N, 3)) == Tensor("x", (N, 3))
    assert Tensor("x", (N, 3)) != Tensor("x", (N, 3), "float64")
    with pytest.raises(TypeError, match="not iterable"):
        list(x)


@pytest.mark.parametrize(("left", "right", "value"), [(i, i, 1), (i, i + 1, 0), (2 * i, i + i, 1)])
def test_an_equality_that_needs_no_data_is_decided(left: object, right: object, value: int) -> None:
    assert equal(left, right) == value


def test_choices_print_as_formulas() -> None:
    label = Tensor("label", (N,), "int32")
    s = statement(Tensor("loss", (N,))[n], "+=", equal(j, label[n]) * Tensor("s", (N, 10))[n, j])
    assert str(s) == "loss[n] += [j = label[n]]·s[n,j]"


@pytest.mark.parametrize("made", [max_of(x[n, c, i]), argmax_of(x[n, c, i])])
def test_the_best_prints_with_its_rule(made: object) -> None:
    s = Statement(Tensor("m", (N,)), (n,), made.op, made.body, ((n, N), (c, 3), (i, 32)))  # type: ignore[attr-defined]
    assert str(s) == f"m[n] {made.op.value} x[n,c,i]"  # type: ignore[attr-defined]


# ── Formulas ──────────────────────────────────────────────────────────────────────────────────────

a, b = sympy.symbols("a b")


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (a - (b - 1), "a - b + 1"),
        (-a * b / 2, "-a·b/2"),
        (sympy.Rational(-3, 4) * a, "-3·a/4"),
        (-sympy.Rational(3, 4) * a / b, "-3·a/(4·b)"),
        (a / (b + 1), "a/(b + 1)"),
        ((a + b) * (a - b), "(a - b)·(a + b)"),
        (1 / a, "1/a"),
        (a**2, "a²"),
        (a**-2, "1/a²"),
        (a**b, "a^b"),
        (sympy.sqrt(a + b), "sqrt(a + b)"),
        (sympy.Piecewise((a, a > 0), (0, True)), "(a if a > 0 else 0)"),
        (sympy.Float("0.1") * a, "0.1·a"),
    ],
)
def test_formulas_read_as_written_by_hand(formula: object, text: str) -> None:
    assert render(formula) == text


@given(st.data())
def test_a_rendered_formula_means_what_it_says(data: st.DataObject) -> None:
    """Read back by Python with the signs of mathematics replaced, and evaluated at a point."""
    leaf = st.sampled_from([a, b, *map(sympy.Integer, range(-3, 4)), sympy.Rational(-2, 3)])
    tree = st.recursive(
        leaf,
        lambda inner: st.tuples(st.sampled_from("+-*/"), inner, inner).map(_combined),
        max_leaves=8,
    )
    formula = data.draw(tree)
    if formula.has(sympy.zoo, sympy.nan):
        return
    text = render(formula).replace("·", "*").replace("²", "**2").replace("^", "**")
    back = sympy.parse_expr(text)
    point = {a: sympy.Rational(7, 3), b: sympy.Rational(-5, 11)}
    assert back.subs(point) == formula.subs(point), text


def _combined(parts: tuple[str, sympy.Expr, sympy.Expr]) -> sympy.Expr:
    op, left, right = parts
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    return left / right


# ── Affine maps ───────────────────────────────────────────────────────────────────────────────────


@given(
    st.lists(st.tuples(st.integers(-4, 4), st.integers(1, 5)), min_size=1, max_size=3),
    st.integers(-9, 9),
)
def test_bounds_are_reached_and_never_passed(terms: list[tuple[int, int]], offset: int) -> None:
    letters = indices("i j u")[: len(terms)]
    expr = sum((f * s for (f, _), s in zip(terms, letters, strict=True)), sympy.Integer(offset))
    sizes = {s: size for (_, size), s in zip(terms, letters, strict=True)}
    grids = np.meshgrid(*(np.arange(size) for _, size in terms))
    values = sum((f * g for (f, _), g in zip(terms, grids, strict=True)), np.array(offset))
    assert bounds(expr, sizes) == (values.min(), values.max())


def test_nonnegative_is_a_proof_for_every_size() -> None:
    assert nonnegative(2 * N + 1) and nonnegative(sympy.Integer(0))
    assert not nonnegative(N - 1)  # N may be zero
    assert not nonnegative(1 - N)


def test_affine_means_whole_coefficients() -> None:
    assert is_affine(N * i + 2 * u - 3) and is_affine(2 * (i + 1))
    assert not is_affine(i * u) and not is_affine(i / 2) and not is_affine(sympy.sin(i))
    assert split(N * i + 2 * u - 3) == (-3, {i: N, u: 2})


# ── Programs ──────────────────────────────────────────────────────────────────────────────────────

line = Tensor("x", (3,))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Program((line,), (p,), ()), "output p is never computed"),
        (lambda: Program((line,), (q,), (statement(q[i], "=", p[i]),)), "p is not finished yet"),
        (
            lambda: Program((line,), (q,), (statement(line[i], "=", 1), statement(q[i], "=", 1))),
            "x is given, not computed",
        ),
        (
            lambda: Program(
                (line,),
                (q,),
                (
                    statement(p[i], "+=", line[i]),
                    statement(q[i], "=", p[i]),
                    statement(p[i], "+=", line[i]),
                ),
            ),
            "p is not finished yet",
        ),
        (
            lambda: Program(
                (line,), (q,), (statement(q[i], "=", line[i]), statement(q[i], "=", line[i]))
            ),
            "owned by statements that disagree",
        ),
        (
            lambda: Program(
                (line,), (q,), (statement(q[i], "+=", line[i]), statement(q[i], "max=", line[i]))
            ),
            "owned by statements that disagree",
        ),
        (
            lambda: Program((line, Tensor("x", (4,))), (q,), (statement(q[i], "=", line[i]),)),
            "two different tensors are called x",
        ),
    ],
)
def test_programs_without_meaning_are_refused(make: object, reason: str) -> None:
    with pytest.raises(NotationError, match=reason):
        make()  # type: ignore[operator]


def test_a_program_knows_every_size_that_it_needs() -> None:
    M = Dim("M")
    s = statement(Tensor("t", ())[()], "+=", Tensor("x", (N,))[M * i], {i: Dim("K")})
    program = Program((Tensor("x", (N,)),), (s.target,), (s,))
    assert [d.name for d in program.dims] == ["K", "M", "N"]


# ── Determinism ───────────────────────────────────────────────────────────────────────────────────

CHILD = """
import hashlib
from codegen.compile import PLAIN, make_plan
from tests.codegen.drawing import random_cases
text = "".join(
    make_plan(case.program, options).unit.text
    for case in random_cases(20, start=50_000) for options in (None, PLAIN)
)
print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_equal_programs_give_equal_bytes_in_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever order its hashes put sets into."""
    digests = set()
    for hash_seed in ("0", "1"):
        monkeypatch.setenv("PYTHONHASHSEED", hash_seed)
        done = subprocess.run(
            [sys.executable, "-c", CHILD], capture_output=True, text=True, check=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1


def test_planning_twice_gives_the_same_stages() -> None:
    for case in random_cases(20):
        assert make_plan(case.program).stages == make_plan(case.program).stages
