"""Any name compiles and runs: keywords, quotes, comment ends, macros, names of generated code."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from codegen.affine import Dim, Index
from codegen.compile import PLAIN, Options, make_plan
from codegen.emit.unit import prelude
from codegen.names import identifier
from codegen.notation import Tensor, statement
from codegen.program import Program
from tests.codegen.running import COMPILERS, Case, assert_agree

STRANGE = [
    '"); system("x', "int", "café 1", "*/", "/*", "\\", "*\\", "\\*", "??/", "???/", "%s%n", "",
    "2x", "a b", "a-b", "a.b", "a_b", "a__b", "_", "__init__", "日本", "x\ny", "\x00", "#define x",
    "i", "n", "N", "z0", "ii", "x_", "total", "total_", "row", "lanes", "lane", "value", "best",
    "at", "sum", "e", "before", "bytes", "slot0", "slot1", "run", "run_workspace", "arrays",
    "workspace", "dims", "compute_t", "compute_y", "float_mode", "flush_denormals",
    "exp", "expf", "floorf", "y1", "gamma", "signgam", "errno", "NAN", "INFINITY", "linux", "unix",
    "x" * 100, "x" * 101,
]  # fmt: skip


def used(name: str, other: str = "w") -> Case:
    """A program in which the name is an input, a sum that stays in memory, and all but a letter."""
    i, n = Index("i"), Index("n")
    N = Dim("N")
    x, w = Tensor(name, (N, 17), "float64"), Tensor(other, (17,), "float64")
    t, y = Tensor("t", (17, N), "float64"), Tensor("y", (N,), "float64")
    program = Program(
        (x, w),
        (y,),
        (
            statement(t[i, n], "=", x[n, i] * w[i] + w[16 - i]),
            statement(y[n], "+=", t[i, n] * x[n, 16 - i]),
        ),
        name=name,
    )
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.integers(-2, 3, (3, 17)).astype("float64"),
        other: rng.integers(-2, 3, 17).astype("float64"),
    }
    return Case(program, arrays, {N: 3})


@pytest.mark.parametrize("compiler", COMPILERS)
def test_tensors_may_have_any_name(compiler: str) -> None:
    names = [n for n in STRANGE if n not in ("y", "t", "w")]
    for options in (Options(), PLAIN):
        assert_agree([used(n) for n in names], options, profile="debug+strict", compiler=compiler)


def test_names_that_become_equal_stay_two_tensors() -> None:
    pairs = [("a b", "a-b"), ("é", "è"), ("x" * 100, "x" * 101), ("a b", "a_b_1"), ("", "_")]
    assert_agree([used(*pair) for pair in pairs], profile="debug+strict")


def test_outputs_and_updated_parameters_may_have_any_name() -> None:
    cases = []
    i = Index("i")
    for name in STRANGE:
        w, new, copy = (Tensor(n, (3,), "float64") for n in (name, f"{name} next", f"{name} copy"))
        program = Program(
            (),
            (copy,),
            (statement(new[i], "=", w[2 - i]), statement(copy[i], "=", w[i])),
            parameters=(w,),
            updates=((w, new),),
        )
        cases.append(Case(program, {name: np.arange(3.0)}, {}))
    assert_agree(cases, profile="debug+strict")


@pytest.mark.parametrize("name", ["n", "N", "int", "bytes", "dims", "at", "x", "compute_y", "é"])
def test_dims_and_indices_may_have_any_name(name: str) -> None:
    dim, letter = Dim(name), Index(name)
    x, y, t = Tensor("x", (dim, 3)), Tensor("y", (dim,)), Tensor("t", (dim,))
    program = Program(
        (x,),
        (y, t),
        (
            statement(y[letter], "+=", x[letter, Index("j")]),
            statement(t[Index("i")], "=", y[Index("i")]),
        ),
    )
    case = Case(program, {"x": np.ones((4, 3), "float32")}, {dim: 4})
    for options in (Options(), PLAIN):
        assert_agree([case], options, profile="debug+strict")


def test_merged_letters_meet_no_other_letter() -> None:
    a, b, ab = Index("a"), Index("b"), Index("ab")
    x, y = Tensor("x", (2, 3, 4)), Tensor("y", (4, 2, 3))
    program = Program((x,), (y,), (statement(y[ab, a, b], "=", x[a, b, ab] + ab),))
    assert_agree([Case(program, {"x": np.ones((2, 3, 4), "float32")}, {})], profile="debug+strict")


def macros() -> list[str]:
    """The names that stand for something else after the headers that every program includes."""
    done = subprocess.run(
        [shutil.which("gcc") or "cc", "-march=native", "-std=gnu11", "-dM", "-E", "-"],
        input=prelude(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = re.findall(r"#define (\w+)\b(?!\()", done.stdout)
    return [name for name in found if identifier(name) == name]


@pytest.mark.skipif(not COMPILERS, reason="needs a compiler to ask")
def test_no_macro_of_the_headers_becomes_a_name() -> None:
    i = Index("i")
    for name in macros():
        x, y = Tensor(name, (3,)), Tensor("y", (3,))
        plan = make_plan(Program((x,), (y,), (statement(y[i], "=", x[i]),)))
        (function,) = (low.function for low in plan.nests)
        assert name not in {a.name for a in function.arrays}, name
