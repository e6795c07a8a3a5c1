"""C text: the value that was meant, with the parentheses it needs; floating modes put back."""

import math
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from codegen.affine import Index
from codegen.build import build
from codegen.compile import load, make_plan
from codegen.emit.printer import Printer, commented, literal
from codegen.nest import Apply, Expression, Function, Name, Number
from codegen.notation import IsNaN, Tensor, max_of, statement
from codegen.program import Program
from tests.codegen.running import Case, assert_agree, run_c

PRINTER = Printer(Function("f", (), (), (), ()))
a, b, c = (Name(name, "float32") for name in "abc")
i, j = Index("i"), Index("j")


def apply(op: str, *args: Expression, dtype: str = "float32") -> Expression:
    return Apply(op, args, dtype)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (apply("-", a, apply("-", b, c)), "a - (b - c)"),
        (apply("-", apply("-", a, b), c), "a - b - c"),
        (apply("+", a, apply("+", b, c)), "a + (b + c)"),
        (apply("/", a, apply("*", b, c)), "a / (b * c)"),
        (apply("*", a, apply("/", b, c)), "a * (b / c)"),
        (apply("*", apply("+", a, b), c), "(a + b) * c"),
        (apply("neg", apply("+", a, b)), "-(a + b)"),
        (apply("neg", apply("neg", a)), "-(-a)"),
        (apply("neg", Number(-2, "float32")), "-(-2.0f)"),
        (apply("-", a, Number(-2, "float32")), "a - -2.0f"),
        (apply("cast", apply("+", a, b), dtype="float64"), "(double)(a + b)"),
        (apply("select", apply("<", a, b, dtype="bool"), a, b), "a < b ? a : b"),
        (apply("==", apply("<", a, b, dtype="bool"), c, dtype="bool"), "(a < b) == c"),
        (
            apply("or", apply("and", a, b, dtype="bool"), c, dtype="bool"),
            "(a && b) || c",
        ),
        (apply("and", apply("or", a, b, dtype="bool"), c, dtype="bool"), "(a || b) && c"),
        (apply("not", apply("<", a, b, dtype="bool"), dtype="bool"), "!(a < b)"),
        (apply("exp", apply("-", a, b)), "exp_f32(a - b)"),
        (apply("exp", a, dtype="float64"), "exp(a)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parentheses_keep_the_order_of_operations(expression: Expression, text: str) -> None:
    assert PRINTER.expression(expression) == text


@pytest.mark.parametrize(
    "text", ["*/", "/*", "*\\", "\\*", "??/", "???/", "/*/", "**//**", "x\ny", "\\", "// \\"]
)
def test_no_text_ends_its_comment_or_continues_it(text: str) -> None:
    safe = commented(text)
    assert not any(bad in safe for bad in ("*/", "/*", "??", "\\", "\n"))


@given(st.floats(allow_nan=False, width=32))
def test_single_literals_read_back(value: float) -> None:
    text = literal(value, "float32")
    if math.isfinite(value):
        assert text.endswith("f")
        assert np.float32(text.removesuffix("f")) == np.float32(value)
    else:
        assert text == ("INFINITY" if value > 0 else "-INFINITY")


@given(st.floats(allow_nan=False))
def test_double_literals_read_back(value: float) -> None:
    text = literal(value, "float64")
    assert "." in text or "e" in text or "INFINITY" in text  # or C would take it for an integer
    if math.isfinite(value):
        assert float(text) == value


@given(st.integers(-(2**31) + 1, 2**31 - 1))
def test_integer_literals_read_back(value: int) -> None:
    assert int(literal(value, "int32")) == value


def test_c_reads_literals_as_they_were_meant() -> None:
    """The compiler's own reading of a thousand drawn numbers, to the last bit."""
    rng = np.random.default_rng(0)
    doubles = [*rng.integers(0, 2**64, 500, np.uint64).view(np.float64), 0.1, 5e-324, 1e308, -0.0]
    singles = [*rng.integers(0, 2**32, 500, np.uint32).view(np.float32), 0.1, 1e-45, 3e38, 1e39]
    doubles = [float(v) for v in doubles if v == v]
    singles = [float(v) for v in singles if v == v]
    text = "#include <math.h>\n"
    for kind, dtype, values in (("double", "float64", doubles), ("float", "float32", singles)):
        shown = ",\n".join(literal(v, dtype) for v in values)
        text += f"const {kind} {kind}s[] = {{{shown}}};\nconst {kind} *get_{kind}s(void);\n"
        text += f"const {kind} *get_{kind}s(void) {{ return {kind}s; }}\n"
    library = build(
        {"literals": text},
        "const double *get_doubles(void); const float *get_floats(void);",
        profile="debug",
    )
    found = library.lib.get_doubles()
    assert [found[k] for k in range(len(doubles))] == doubles
    found = library.lib.get_floats()
    with np.errstate(over="ignore"):
        assert [found[k] for k in range(len(singles))] == [float(np.float32(v)) for v in singles]


def one(body: Any, dtype: str = "float32", shape: tuple[int, ...] = (9,)) -> Program:
    x, y = Tensor("x", shape, dtype), Tensor("y", shape, dtype)  # type: ignore[arg-type]
    return Program((x,), (y,), (statement(y[i], "=", body(x[i])),))


EDGES = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1, -1, 3e38, -3e38], "float32")


@pytest.mark.parametrize(
    "body",
    [
        lambda x: sympy.Piecewise((x, (x > 0) | IsNaN(x)), (0, True)),
        lambda x: sympy.Piecewise((0, x < 0), (x, True)),
        lambda x: sympy.Piecewise((x, IsNaN(x)), (1, True)),
        lambda x: sympy.Abs(x),
        lambda x: x + sympy.oo,
        lambda x: sympy.Piecewise((sympy.nan, x > 0), (x, True)),
    ],
    ids=["relu", "relu by less", "isnan", "abs", "infinity", "literal nan"],
)
def test_nan_and_infinity_pass_through_choices(body: Any) -> None:
    assert_agree([Case(one(body), {"x": EDGES}, {})], profile="release+strict")


def test_nan_wins_every_maximum() -> None:
    x, y = Tensor("x", (3, 4)), Tensor("y", (3,))
    made = max_of(x[i, j])
    program = Program((x,), (y,), (statement(y[i], made.op, made.body),))
    values = np.array([[1, np.nan, 3, 4], [np.nan, 1, 2, 3], [1, 2, 3, np.nan]], "float32")
    plan = make_plan(program)
    assert np.isnan(run_c(load(plan), Case(program, {"x": values}, {}))["y"]).all()


def test_denormals_are_flushed_inside_and_kept_outside() -> None:
    smallest = np.float32(1e-45)
    program = one(lambda x: x * 2, shape=(1,))
    found = run_c(load(make_plan(program)), Case(program, {"x": np.array([smallest])}, {}))
    assert found["y"] == 0
    assert smallest * np.float32(2) > 0  # Python's own arithmetic is as it was


def test_the_callers_rounding_mode_is_put_back() -> None:
    text = (
        "#include <fenv.h>\n"
        "int set_up(void);\nint set_up(void) { return fesetround(FE_UPWARD); }\n"
        "int mode(void);\nint mode(void) { const int m = fegetround(); fesetround(FE_TONEAREST);\n"
        "    return m == FE_UPWARD; }\n"
    )
    library = build({"modes": text}, "int set_up(void); int mode(void);", profile="debug")
    program = one(lambda x: x * 2)
    executable, case = load(make_plan(program)), Case(program, {"x": EDGES}, {})
    library.lib.set_up()
    try:
        run_c(executable, case)
    finally:
        kept = library.lib.mode()
    assert kept
