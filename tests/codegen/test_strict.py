"""All C that comes out compiles without a warning and touches nothing that is not its own."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from codegen.build import find_toolchain
from codegen.compile import PLAIN, Options, Plan, load, make_plan
from codegen.notation import FLOATS, Tensor, indices, statement
from codegen.program import Program
from graphcnn.op import REGISTRY
from graphcnn.testing import apply, case_of
from graphcnn.testing.strategies import arguments_of
from tests.codegen.drawing import random_cases
from tests.codegen.running import (
    COMPILERS,
    Case,
    assert_clean,
    assert_plans_agree,
    compile_together,
    differences,
    expected,
    make_plans,
    run_c,
    start_sanitized,
)

OPTIONS = {"default": Options(), "plain": PLAIN}
# Relative to the largest value of an array: executors may differ by the order of sums, by fused
# products and by their libraries' last digits. 1000 terms at half a unit in the last place each.
TOLERANCE = 1e-12


def op_cases(op: str, examples: int = 2) -> list[Case]:
    """An op and its gradients, in float64, on the arguments that its own tests draw."""
    found: list[Case] = []

    @seed(1)
    @settings(max_examples=examples, database=None, deadline=None)
    @given(arguments_of(op), st.integers(0, 2**16))
    def collect(arguments: dict[str, object], random: int) -> None:
        built = apply(op, arguments)
        wanted, arrays = [built.node], dict(built.arrays)
        if built.node.dtype in FLOATS:
            derived = built.gradients
            wanted += derived
            rng = np.random.default_rng(random)
            arrays["seed"] = rng.uniform(-1, 1, built.node.shape).astype(built.node.dtype)
        found.append(case_of(wanted, arrays))

    collect()
    return found


@functools.cache
def all_ops() -> list[Case]:
    return [case for op in sorted(REGISTRY) for case in op_cases(op)]


SUITES: dict[str, Callable[[], list[Case]]] = {
    "drawn": lambda: random_cases(40, start=30_000),
    "ops": all_ops,
}


@functools.cache
def plans_of(suite: str, options: str) -> list[Plan]:
    """Give the plans of a suite, for all compilers and profiles."""
    return make_plans(SUITES[suite](), OPTIONS[options])


@pytest.mark.parametrize("options", OPTIONS)
def test_every_op_in_c_is_the_interpreter(options: str) -> None:
    """Values and gradients of the whole registry."""
    plans = plans_of("ops", options)
    assert_plans_agree(all_ops(), plans, "debug+strict", tolerance=TOLERANCE)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    ("options", "profile"), [("default", "release+strict"), ("plain", "debug+strict")]
)
def test_no_compiler_has_anything_to_say(
    suite: str, compiler: str, options: str, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pedantic too: of GNU C, the text needs nothing but what every compiler here speaks.

    The default without optimisation is compiled as strictly by the tests that run it.
    """
    monkeypatch.setenv("CFLAGS", "-pedantic")
    compile_together(plans_of(suite, options), profile, compiler)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_parts_compile_as_strictly_as_the_whole(
    compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long programs compile in parts, whose functions are declared before they are defined."""
    monkeypatch.setattr("codegen.emit.unit.PART", 20)
    case = max(random_cases(50), key=lambda c: len(c.program.statements))
    plan = make_plan(case.program, PLAIN)
    assert len([*plan.parts()]) > 2
    executable = load(plan, profile="debug+strict", toolchain=find_toolchain(compiler))
    assert not [*differences(run_c(executable, case), expected(case))]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_program_that_needs_no_helper_has_no_warning_for_it(compiler: str) -> None:
    x, y, (i,) = Tensor("x", (3,)), Tensor("y", (3,)), indices("i")
    program = Program((x,), (y,), (statement(y[i], "=", 2 * x[i]),))
    load(make_plan(program), profile="debug+strict", toolchain=find_toolchain(compiler))


# Sanitized runs take longest: the first compiler each time, all of them in long runs.
SANITIZERS = [
    *COMPILERS[:1],
    *(pytest.param(name, marks=pytest.mark.long) for name in COMPILERS[1:]),
]


@pytest.mark.parametrize("compiler", SANITIZERS)
def test_no_sanitizer_has_anything_to_say(compiler: str) -> None:
    """Arrays have exactly their size, so that one element too far is seen.

    Of every op it is claimed in tests/graphcnn/ops/test_compiled.py.
    """
    some = [(case, OPTIONS["default"]) for case in random_cases(20, start=30_000)]
    some += [(case, OPTIONS["plain"]) for case in random_cases(10, start=31_000)]
    assert_clean(some, compiler, TOLERANCE)


BAD = """
import numpy as np
from codegen.build import build, find_toolchain
library = build(
    {{"bad": "float bad(const float *x) {{ return x[3]; }}"}},
    "float bad(const float *x);", profile="sanitize", toolchain=find_toolchain({compiler!r}),
)
library.lib.bad(library.ffi.from_buffer("float *", np.zeros(3, "float32")))
"""


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_sanitizers_see_one_element_too_far(compiler: str) -> None:
    done = start_sanitized(BAD.format(compiler=compiler), compiler)
    assert done.returncode != 0
    assert b"heap-buffer-overflow" in done.stderr
