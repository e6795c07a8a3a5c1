"""The search for faster schedules: what it takes, what it leaves, and that results stay."""

import functools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import codegen.measure
from codegen.affine import Dim
from codegen.build import CompileError, find_toolchain
from codegen.compile import LAYOUTS, Options, Plan, freeze, load, make_plan
from codegen.machine import Machine
from codegen.measure import Effort, measure
from codegen.notation import Guard, Tensor, indices, statement
from codegen.program import Program
from codegen.schedule.contraction import Contraction, contraction
from codegen.schedule.tile import SEVERAL, choose_tile, signature, tiles
from codegen.tune import CONFIRMED, Trial, Tuning, read_tuning, tune
from tests.codegen.running import Case, compile_together, differences, expected, run_c

TOLERANCE = 1e-4
needs_compiler = pytest.mark.skipif(find_toolchain() is None, reason="no compiler")
n, k, c, i, j, u, v, a, b = indices("n k c i j u v a b")
N = Dim("N")


def convolution(batch: Any = 2) -> Program:
    """A convolution of fixed sizes, and the gradient of its weight; the sum of one axis besides."""
    x, w = Tensor("x", (batch, 8, 12, 12)), Tensor("w", (16, 8, 3, 3))
    y, dw, s = Tensor("y", (batch, 16, 12, 12)), Tensor("dw", (16, 8, 3, 3)), Tensor("s", (16,))
    moved = x[n, c, i + u - 1, j + v - 1]
    return Program(
        (x, w),
        (y, dw, s),
        (
            statement(y[n, k, i, j], "+=", w[k, c, u, v] * moved),
            statement(dw[k, c, u, v], "+=", y[n, k, i, j] * moved),
            statement(s[k], "+=", w[k, c, u, v]),
        ),
        name="convolution",
    )


def deep() -> Program:
    """Two convolutions that are done in Winograd's tiles, in a group, in blocks of channels."""
    x, w = Tensor("x", (4, 32, 24, 24)), Tensor("w", (32, 32, 3, 3))
    y, z = Tensor("y", (4, 32, 24, 24)), Tensor("z", (4, 32, 24, 24))
    return Program(
        (x, w),
        (z,),
        (
            statement(y[n, k, i, j], "+=", w[k, c, u, v] * x[n, c, i + u - 1, j + v - 1]),
            statement(z[n, k, i, j], "+=", w[k, c, u, v] * y[n, c, i + u - 1, j + v - 1]),
        ),
        name="deep",
    )


def plans_of(program: Program) -> Callable[[Options], Plan]:
    return functools.cache(lambda options: make_plan(program, options))


CONVOLUTION, DEEP = plans_of(convolution()), plans_of(deep())
GIVEN = Options(machine=Machine())


class Stopwatch:
    """A measure that runs nothing: `seconds` says how long plans with some options take."""

    def __init__(self, seconds: Callable[[Plan], float], noise: float = 0, seed: int = 0) -> None:
        self.seconds, self.noise, self.random = seconds, noise, random.Random(seed)
        self.seen: list[Plan] = []

    def __call__(self, plans: Sequence[Plan]) -> list[list[float]]:
        self.seen += plans
        times = [self.seconds(p) for p in plans]
        return [[t * self.random.lognormvariate(0, self.noise) for _ in range(32)] for t in times]


def is_whole(plan: Plan) -> bool:
    return ":" not in plan.program.name


def tile_ranks(options: Options) -> dict[str, int]:
    return {key: rank for key, rank in options.choices if key != LAYOUTS}


def as_whole(program: Program, plan: Plan) -> Options:
    """The options that give the whole program what a candidate has."""
    if is_whole(plan):
        return plan.options
    return replace(GIVEN, choices=plan.options.choices)


# What is taken


def test_takes_the_tiles_that_are_fastest_alone_and_together() -> None:
    def seconds(plan: Plan) -> float:
        ranks = tile_ranks(plan.options).values()
        return (
            1.0 - 0.1 * sum(rank == 2 for rank in ranks) - 0.05 * sum(rank == 1 for rank in ranks)
        )

    found = tune(CONVOLUTION, GIVEN, Stopwatch(seconds))
    assert tile_ranks(found.options)
    assert set(tile_ranks(found.options).values()) == {2}
    assert found.ratio < 0.95


def test_takes_the_variant_of_the_whole_that_is_fastest() -> None:
    def seconds(plan: Plan) -> float:
        return 0.9 if "winograd" in plan.options.off and plan.options.group else 1.0

    found = tune(DEEP, GIVEN, Stopwatch(seconds))
    assert found.options == replace(GIVEN, off=frozenset({"winograd"}))
    assert found.ratio == pytest.approx(0.9)


def test_switches_are_tried_together() -> None:
    def seconds(plan: Plan) -> float:
        return 0.8 if LAYOUTS in dict(plan.options.choices) and not plan.options.group else 1.0

    found = tune(DEEP, GIVEN, Stopwatch(seconds))
    assert found.options == replace(GIVEN, group=False, choices=((LAYOUTS, 1),))


@pytest.mark.parametrize("seed", range(8))
def test_noise_does_not_make_it_switch(seed: int) -> None:
    found = tune(CONVOLUTION, GIVEN, Stopwatch(lambda plan: 1.0, noise=0.05, seed=seed))
    assert found.options == GIVEN
    assert found.ratio == 1


def test_a_gain_of_one_per_cent_is_not_clear() -> None:
    found = tune(CONVOLUTION, GIVEN, Stopwatch(lambda p: 0.99 if p.options != GIVEN else 1.0))
    assert found.options == GIVEN


def test_what_is_faster_only_once_is_not_taken() -> None:
    calls: list[int] = []

    def lucky(plans: Sequence[Plan]) -> list[list[float]]:
        calls.append(len(plans))
        again = len(calls) > 1
        return [[1.0 if k == 0 or again else 0.5] * 8 for k in range(len(plans))]

    only = plans_of(product())
    assert tune(only, GIVEN, lucky).options == GIVEN
    assert calls[1:] == [2] * CONFIRMED


def test_tiles_that_are_slower_together_are_not_taken() -> None:
    def seconds(plan: Plan) -> float:
        return 1.0 if not any(tile_ranks(plan.options).values()) else 2.0 if is_whole(plan) else 0.5

    found = tune(CONVOLUTION, GIVEN, Stopwatch(seconds))
    assert found.options == GIVEN


def test_what_does_not_compile_is_not_taken() -> None:
    def seconds(plan: Plan) -> float:
        return 1.0 if plan.options == GIVEN else float("inf")

    assert tune(CONVOLUTION, GIVEN, Stopwatch(seconds)).options == GIVEN


# What is looked at


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (replace(GIVEN, exact=True), lambda o: o.exact and "winograd" not in o.off),
        (replace(GIVEN, off=frozenset({"winograd"})), lambda o: "winograd" in o.off),
        (replace(GIVEN, group=False), lambda o: not o.group),
        (replace(GIVEN, layouts=False), lambda o: LAYOUTS not in dict(o.choices)),
    ],
    ids=["exact", "without Winograd", "apart", "without layouts"],
)
def test_what_is_switched_off_stays_off(given: Options, wanted: Callable[[Options], bool]) -> None:
    watch = Stopwatch(lambda plan: 1.0)
    tune(DEEP, given, watch)
    whole = [p.options for p in watch.seen if is_whole(p)]
    assert whole
    assert all(map(wanted, whole))


def test_variants_of_the_same_c_are_measured_once() -> None:
    watch = Stopwatch(lambda plan: 1.0)
    tune(DEEP, GIVEN, watch)
    texts = [p.unit.text for p in watch.seen if is_whole(p)]
    assert len(texts) == len(set(texts)) > 4


def test_a_sum_that_takes_no_time_is_left_alone() -> None:
    watch = Stopwatch(lambda plan: 1.0)
    found = tune(CONVOLUTION, GIVEN, watch)
    looked_at = {t.what for t in found.trials}
    assert "compute_s" in CONVOLUTION(GIVEN).functions
    assert "compute_s" not in looked_at
    assert len(looked_at) > 1


def test_says_how_far_it_is() -> None:
    heard: list[tuple[str, int, int]] = []
    tune(CONVOLUTION, GIVEN, Stopwatch(lambda p: 1.0), lambda *said: heard.append(said))
    assert [at for _, at, _ in heard] == list(range(len(heard)))
    assert all(at < count for _, at, count in heard)


def product() -> Program:
    x, y, z = Tensor("x", (40, 24)), Tensor("y", (24, 48)), Tensor("z", (40, 48))
    return Program((x, y), (z,), (statement(z[i, j], "+=", x[i, k] * y[k, j]),), name="product")


def nest_of(program: Program) -> Contraction:
    found = contraction(program.statements[0])
    assert found is not None
    return found


def test_the_tile_that_is_taken_untuned_is_the_first_of_several() -> None:
    nest = nest_of(product())
    several = tiles(nest, Machine())
    assert several[0] == choose_tile(nest, Machine())
    assert 2 < len(several) <= SEVERAL
    assert [t.rank for t in several] == list(range(len(several)))
    assert len({(t.lane, t.lanes, t.width, t.rows) for t in several}) == len(several)
    cycles = [t.cycles for t in several[1:]]
    assert cycles == sorted(cycles)


def test_a_rank_chooses_the_tile_of_its_own_sum_only() -> None:
    nest = nest_of(product())
    several = tiles(nest, Machine())
    chosen = Machine(ranks=((signature(nest), 2),))
    assert choose_tile(nest, chosen) == several[2]
    assert choose_tile(nest, Machine(ranks=((signature(nest), 99),))) == several[-1]
    other = nest_of(convolution())
    assert choose_tile(other, chosen) == choose_tile(other, Machine())


# Results stay


def cases() -> Iterator[Case]:
    rng = np.random.default_rng(0)
    for program, dims in (
        (convolution(), {}),
        (convolution(N), {N: 3}),
        (deep(), {}),
        (product(), {}),
    ):
        sizes = {N: 3, **dims}
        shapes = {t: tuple(sizes.get(size, size) for size in t.shape) for t in program.inputs}
        arrays = {t.name: rng.standard_normal(s, np.float32) for t, s in shapes.items()}
        yield Case(program, arrays, dims)


NAMED = {f"{case.program.name} {case.dims}": case for case in cases()}
SLOW = ("convolution {}", "deep {}")


@needs_compiler
@pytest.mark.parametrize(
    "case",
    [pytest.param(c, id=k, marks=[pytest.mark.long] * (k in SLOW)) for k, c in NAMED.items()],
)
def test_every_candidate_gives_what_the_interpreter_gives(case: Case) -> None:
    watch = Stopwatch(lambda plan: 1.0 - 0.1 * max(tile_ranks(plan.options).values(), default=0))
    tune(plans_of(case.program), GIVEN, watch)
    every = dict.fromkeys(as_whole(case.program, plan) for plan in watch.seen)
    plans = [make_plan(case.program, o, f"run{at}") for at, o in enumerate(every)]
    assert len(plans) > 4
    wanted = expected(case)
    # What is tested is the schedules: compilers need not optimise them, which takes thrice as long.
    for plan, executable in zip(plans, compile_together(plans, "debug+strict"), strict=True):
        complaints = list(differences(run_c(executable, case), wanted, TOLERANCE))
        assert not complaints, f"{plan.options}\n{complaints[0]}"


def unpadded(program: Program) -> Program:
    """Give the program for inputs that are zero nowhere, as no padding is."""
    return program.with_statements(replace(s, support=()) for s in program.statements)


@needs_compiler
def test_kernels_by_themselves_give_what_they_give_in_the_program() -> None:
    case = next(cases())
    watch = Stopwatch(lambda plan: 1.0)
    tune(CONVOLUTION, GIVEN, watch)
    rng = np.random.default_rng(0)
    by_itself = [p for p in dict.fromkeys(watch.seen) if not is_whole(p)]
    plans = [
        replace(p, entry=f"run{at}", program=unpadded(p.program)) for at, p in enumerate(by_itself)
    ]
    assert plans
    for plan, executable in zip(plans, compile_together(plans), strict=True):
        arrays = {t.name: rng.standard_normal(t.shape, np.float32) for t in plan.program.inputs}
        part = Case(plan.program, arrays, case.dims)
        assert not list(differences(run_c(executable, part), expected(part), TOLERANCE))


@needs_compiler
def test_a_tuned_program_has_the_same_bits_for_any_number_of_threads() -> None:
    case = next(cases())
    seconds = Stopwatch(lambda plan: 1.0 - 0.1 * max(tile_ranks(plan.options).values(), default=0))
    plan = CONVOLUTION(tune(CONVOLUTION, GIVEN, seconds).options)
    assert tile_ranks(plan.options)
    one, two, three = (run_c(load(plan, threads=count), case) for count in (1, 2, 3))
    for name, array in one.items():
        assert array.tobytes() == two[name].tobytes() == three[name].tobytes()


def test_frozen_programs_are_tuned_as_they_run() -> None:
    program = convolution()
    x, w = program.inputs
    frozen = replace(program, inputs=(x,), parameters=(w,), name="frozen")

    def plan_of(options: Options) -> Plan:
        return freeze(make_plan(frozen, options))[1]

    found = tune(plan_of, GIVEN, Stopwatch(lambda p: 1.0 if p.options.group else 0.9))
    assert found.trials


# Measuring


@needs_compiler
def test_measures_every_plan_in_every_round() -> None:
    plans = [make_plan(convolution(N), replace(GIVEN, layouts=on)) for on in (True, False)]
    times = measure(plans, {"N": 2}, threads=1, effort=Effort(rounds=4, few=2, burst=1e-4))
    assert [len(t) for t in times] == [4, 4]
    assert all(0 < t < 1 for seconds in times for t in seconds)


@needs_compiler
def test_slow_plans_are_measured_in_fewer_rounds() -> None:
    effort = Effort(rounds=50, few=3, burst=0.01, patience=0.01)
    (times,) = measure([make_plan(product(), GIVEN)], {}, threads=1, effort=effort)
    assert len(times) == 3


@needs_compiler
def test_a_plan_that_the_compiler_refuses_takes_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = make_plan(product(), GIVEN), make_plan(product(), GIVEN, "bad")

    def refuse(plan: Plan, **settings: Any) -> Any:
        if plan.entry == "bad":
            raise CompileError("internal compiler error")
        return load(plan, **settings)

    monkeypatch.setattr(codegen.measure, "load", refuse)
    times, forever = measure([good, bad], {}, threads=1, effort=Effort(rounds=3, burst=1e-4))
    assert forever == [float("inf")] * len(times)
    assert "internal compiler error" in caplog.text


@needs_compiler
def test_a_plan_that_computes_something_else_takes_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = make_plan(product(), GIVEN)
    (s,) = good.program.statements
    bad = make_plan(good.program.with_statements([replace(s, body=1.5 * s.body)]), GIVEN, "bad")
    other, times, forever = measure([good, good, bad], {}, 1, Effort(rounds=3, burst=1e-4))
    assert forever == [float("inf")] * len(times)
    assert all(0 < t < 1 for t in (*other, *times))
    assert "computes something else" in caplog.text


@needs_compiler
def test_random_numbers_say_nothing_where_zeros_are_expected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One tile leaves out what is zero, which random operands are not, and another does not."""
    (s,) = product().statements
    kept = replace(s, support=(Guard(k - 1, 24),))
    plans = [
        make_plan(product().with_statements([made]), GIVEN, f"run{at}")
        for at, made in enumerate((kept, replace(kept, body=1.5 * s.body)))
    ]
    for times in measure(plans, {}, threads=1, effort=Effort(rounds=3, burst=1e-4)):
        assert all(0 < t < 1 for t in times)
    assert not caplog.text


# Remembering

FOUND = Tuning(
    Options(off=frozenset({"winograd"}), group=False, choices=(("float32 a4: a += a", 3),)),
    (Trial("compute_y", "3: rows i by 4", 1e-3, 0.9, True),),
)


def test_a_tuning_is_read_as_it_was_written() -> None:
    assert read_tuning(FOUND.to_json(), Options()) == FOUND


@pytest.mark.parametrize(
    "damage",
    [
        None,
        [],
        "winograd",
        {},
        {"off": 3},
        {"off": ["prune"]},
        {"off": [["winograd"]]},
        {"group": 1},
        {"choices": [["layouts"]]},
        {"choices": [["layouts", -1]]},
        {"choices": [["layouts", True]]},
        {"choices": {"layouts": 1}},
        {"trials": [{}]},
        {"trials": [["compute_y"]]},
        {"trials": [{"what": 1, "candidate": "", "seconds": 1.0, "ratio": 1.0, "chosen": True}]},
    ],
    ids=str,
)
def test_a_damaged_tuning_is_none(damage: Any) -> None:
    value = FOUND.to_json() | damage if isinstance(damage, dict) and damage else damage
    assert read_tuning(value, Options()) is None


def test_a_tuning_switches_nothing_on_that_is_off() -> None:
    plain = Tuning(Options())
    assert read_tuning(plain.to_json(), Options(group=False)) is None
    assert read_tuning(plain.to_json(), Options(off=frozenset({"winograd"}))) is None


def test_the_table_shows_what_was_chosen_and_what_it_gains() -> None:
    lines = str(FOUND).splitlines()
    assert lines[0] == "compute_y"
    assert lines[1].startswith("* 3: rows i by 4")
    assert lines[1].endswith("1000.0 µs  90.0%")
