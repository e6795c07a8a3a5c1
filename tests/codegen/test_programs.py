"""C computes what the interpreter does, whatever is optimised: drawn programs, bit by bit."""

import os
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.compile import PLAIN, Options, Plan
from codegen.rewrite import PASSES, rewrite
from tests.codegen.drawing import cases, random_cases
from tests.codegen.running import (
    COMPILERS,
    Case,
    assert_agree,
    assert_plans_agree,
    differences,
    expected,
    make_plans,
)

OPTIONS = {
    "default": Options(),
    "plain": PLAIN,
    "not fused": Options(fuse=False),
    "no views": Options(views=False),
}
# What a name of a long test run adds to the seeds, so that each run sees other programs.
OTHER_SEEDS = int(os.environ.get("GRAPHCNN_SEED", "1000000"))


@cache
def plans_of(count: int, start: int, options: str) -> list[Plan]:
    """Give the plans of drawn cases, for all compilers."""
    return make_plans(random_cases(count, start), OPTIONS[options])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_c_is_the_interpreter(compiler: str, options: str) -> None:
    """At -O0, where any warning is an error too."""
    assert_plans_agree(random_cases(80), plans_of(80, 0, options), "debug+strict", compiler)


@pytest.mark.parametrize("options", ["default", "plain"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_optimised_c_is_the_interpreter(compiler: str, options: str) -> None:
    """At -O3; other seeds, because what -O3 breaks rarely depends on the program's details."""
    some, plans = random_cases(25, start=10_000), plans_of(25, 10_000, options)
    assert_plans_agree(some, plans, "release+strict", compiler)


@pytest.mark.parametrize("name", sorted({p.name for p in PASSES}))
def test_c_is_the_interpreter_with_one_pass_off(name: str) -> None:
    assert_agree(random_cases(25, start=20_000), Options(off=frozenset({name})), profile="debug")


@pytest.mark.long
@pytest.mark.parametrize("options", OPTIONS)
def test_c_is_the_interpreter_for_thousands_of_programs(options: str) -> None:
    for start in range(OTHER_SEEDS, OTHER_SEEDS + 40_000, 10_000):
        some = random_cases(1000, start)
        assert_agree(some, OPTIONS[options], profile="debug+strict")


def test_cases_are_not_trivial() -> None:
    """The drawn programs exercise what they are meant to: guards, scatters, empty arrays."""
    some = random_cases(300)
    statements = [s for c in some for s in c.program.statements]
    assert sum(bool(s.guards) for s in statements) > 100
    assert sum(bool(s.reduced) for s in statements) > 100
    assert sum(len(c.program.dims) > 0 for c in some) > 60
    nothing = [c for c in some if all(not v.any() for v in expected(c).values())]
    assert len(nothing) < len(some) / 2


@given(cases())
def test_the_short_way_through_einsum_means_the_same(case: Case) -> None:
    assert not [*differences(expected(case, fast=True), expected(case))]


def rewritten(case: Case, off: frozenset[str] = frozenset()) -> Case:
    program, _ = rewrite(case.program, off)
    return Case(program, case.arrays, case.dims)


@settings(max_examples=60)
@given(cases())
def test_rewriting_keeps_the_meaning(case: Case) -> None:
    assert not [*differences(expected(rewritten(case)), expected(case))]


@pytest.mark.parametrize("name", sorted({p.name for p in PASSES}))
def test_each_pass_alone_keeps_the_meaning(name: str) -> None:
    @given(cases())
    def claim(case: Case) -> None:
        others = frozenset(p.name for p in PASSES if p.name != name)
        assert not [*differences(expected(rewritten(case, others)), expected(case))]

    claim()


@settings(max_examples=20)
@given(cases(), st.sets(st.sampled_from(sorted({p.name for p in PASSES}))))
def test_any_passes_off_keeps_the_meaning(case: Case, off: set[str]) -> None:
    assert not [*differences(expected(rewritten(case, frozenset(off))), expected(case))]


@given(cases())
def test_rewriting_twice_changes_no_meaning_and_fails_never(case: Case) -> None:
    twice = rewritten(rewritten(case))
    assert not [*differences(expected(twice), expected(case))]


@pytest.mark.long
@settings(max_examples=100)
@given(cases())
def test_shrunk(case: Case) -> None:
    """The same claim one program at a time, for Hypothesis to find the smallest that fails."""
    assert_agree([case], profile="debug+strict")
    assert_agree([case], PLAIN, profile="debug+strict")
