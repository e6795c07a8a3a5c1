"""Memory: nothing that is still needed is overwritten, and updates see the old values."""

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from codegen.affine import Dim
from codegen.arena import aligned
from codegen.compile import PLAIN, Options, Plan, load, make_plan
from codegen.memory import MemoryPlan, find_views
from codegen.notation import NotationError, Statement, Tensor, indices, statement
from codegen.program import Program
from codegen.sizes import evaluate
from tests.codegen.drawing import random_cases
from tests.codegen.running import Case, assert_agree, differences, expected, run_c

N = Dim("N")
i, j, k = indices("i j k")
p, q = Tensor("p", (7,), "float64"), Tensor("q", (7,), "float64")
a, b = Tensor("a", (7,), "float64"), Tensor("b", (7,), "float64")


def overwritten(plan: Plan, memory: MemoryPlan, dims: Mapping[Dim, int]) -> list[str]:
    """Run the plan on paper: whose values are in the bytes of a tensor when it is read?"""
    views = find_views(plan.laid_out) if plan.options.views else {}
    offsets = memory.arena.offsets(dims)
    sizes = {b.tensor: evaluate(b.bytes, dims) for b in memory.arena.blocks}

    def shown(t: Tensor) -> Tensor:
        return shown(views[t]) if t in views else t

    def cells(t: Tensor) -> range:
        home = memory.home(t)
        return range(offsets[home], offsets[home] + sizes[home]) if home in offsets else range(0)

    owner: dict[int, Tensor] = {}
    wrong = []
    for at, group in enumerate(plan.groups):
        reading = {shown(t) for k in group.kernels for t in k.reads}
        made = [t for k in group.kernels for t in k.made]
        for t in reading.difference(made):
            wrong += [
                f"group {at} reads {t}, there is {owner.get(c)}"
                for c in cells(t)
                if owner.get(c) != t
            ]
        written: dict[int, Tensor] = {}
        for t in made:
            if t not in memory.stored:
                continue
            over = {owner.get(c) for c in cells(t)} & reading | {written.get(c) for c in cells(t)}
            wrong += [f"group {at} writes {t} over {o}" for o in over - {None, memory.base.get(t)}]
            written |= dict.fromkeys(cells(t), t)
        owner |= written
    return wrong


@pytest.mark.parametrize("options", [Options(), PLAIN], ids=["default", "plain"])
def test_no_two_live_tensors_share_memory(options: Options) -> None:
    for case in [chain(), *random_cases(150, start=40_000)]:
        plan = make_plan(case.program, options)
        wrong = overwritten(plan, plan.memory, case.dims)
        assert not wrong, f"{case}\n{plan.memory}"


def chain() -> Case:
    """Ten products one after another: two arrays are alive at a time."""
    w = Tensor("w", (4, 4))
    t = [Tensor(f"t{n}", (4, N)) for n in range(11)]
    steps = [statement(new[i, j], "+=", w[i, k] * old[k, j]) for old, new in itertools.pairwise(t)]
    rng = np.random.default_rng(0)
    arrays = {
        "w": np.eye(4, k=1, dtype="float32"),
        "t0": rng.integers(-2, 3, (4, 3)).astype("float32"),
    }
    return Case(Program((w, t[0]), (t[-1],), tuple(steps)), arrays, {N: 3})


def test_ten_steps_take_the_memory_of_two() -> None:
    case = chain()
    plan = make_plan(case.program, Options(layouts=False))
    for n in (1, 4, 100):
        assert plan.memory.live({N: n}) == 2 * 4 * 4 * n
        assert plan.memory.workspace({N: n}) == 2 * aligned(4 * 4 * n)
    assert_agree([case], profile="debug+strict")


def test_the_simulation_notices_a_wrong_plan() -> None:
    plan = make_plan(chain().program, Options(layouts=False))
    arena = plan.memory.arena
    wrong = replace(plan.memory, arena=replace(arena, starts=(0,) * len(arena.starts)))
    assert overwritten(plan, wrong, {N: 3})


def in_two_sums() -> Program:
    """A sum over what another sum has made, for any number of rows."""
    x, y, z = Tensor("x", (N, 5)), Tensor("y", (N, 5)), Tensor("z", (N,))
    first = statement(y[i, j], "+=", x[i, k] * x[i, j])
    return Program((x,), (z,), (first, statement(z[i], "+=", y[i, j] * y[i, 4 - j])))


def test_the_report_says_what_is_alive_at_once() -> None:
    program = in_two_sums()
    shown = [" ".join(line.split()) for line in str(make_plan(program).memory).splitlines()]
    assert shown[2:6] == [
        "20*N bytes y: at 0, while groups 0 to 1 run",
        "bytes 0 = 20*N, rounded up to 64",
        "64 bytes workspace at N = 1; 20 live at the same time, 3.200 of them",
        "1280 bytes workspace at N = 64; 1280 live at the same time, 1.000 of them",
    ]


# -- in place -----------------------------------------------------------------------------------

SUMS = Tensor("sums", (N, 7))  # which a product leaves in memory, since a later sum reads it too
GIVEN = (Tensor("x", (N, 7)), Tensor("w", (7, 7)))


def after_sums(*statements: Statement, in_place: bool) -> None:
    """Whether `t` is written over the sums; the results are right in any case."""
    x, w = GIVEN
    first = (statement(SUMS[i, j], "+=", x[i, k] * w[k, j]), *statements)
    program = Program(GIVEN, (statements[-1].target,), first)
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.integers(-2, 3, (5, 7)).astype("float32"),
        "w": rng.integers(-2, 3, (7, 7)).astype("float32"),
    }
    case = Case(program, arrays, {N: 5})
    options = Options(fuse=False, layouts=False, off=frozenset({"inline"}))
    plan = make_plan(program, options)
    t = statements[0].target
    assert (plan.memory.home(t) == SUMS) == in_place, plan.memory
    assert not overwritten(plan, plan.memory, case.dims)
    assert_agree([case], options, profile="debug+strict")


T, U, Z = Tensor("t", (N, 7)), Tensor("u", (N, 7)), Tensor("z", (N,))


def summed(tensor: Tensor) -> Statement:
    return statement(Z[i], "+=", tensor[i, j] * tensor[i, 6 - j])


def test_a_result_is_written_over_an_operand_that_dies() -> None:
    after_sums(statement(T[i, j], "=", SUMS[i, j] ** 2 - 3), summed(T), in_place=True)


def test_a_chain_of_results_is_written_over_the_first() -> None:
    steps = [statement(T[i, j], "=", 2 * SUMS[i, j]), statement(U[i, j], "=", T[i, j] - 1)]
    after_sums(*steps, summed(U), in_place=True)


def test_an_operand_read_elsewhere_too_is_not_written_over() -> None:
    after_sums(statement(T[i, j], "=", SUMS[i, j] * SUMS[i, 6 - j]), summed(T), in_place=False)


def test_an_operand_of_a_sum_is_not_written_over() -> None:
    w = GIVEN[1]
    after_sums(statement(T[i, j], "+=", SUMS[i, k] * w[k, j]), summed(T), in_place=False)


def test_an_operand_read_later_is_not_written_over() -> None:
    after_sums(
        statement(T[i, j], "=", SUMS[i, j] ** 2),
        statement(Z[i], "+=", T[i, j] * SUMS[i, 6 - j]),
        in_place=False,
    )


def test_an_operand_with_a_view_that_is_read_later_is_not_written_over() -> None:
    flat = Tensor("flat", (7 * N,))
    after_sums(
        statement(T[i, j], "=", SUMS[i, j] ** 2),
        statement(flat[7 * i + j], "=", SUMS[i, j]),
        statement(Z[i], "+=", T[i, j] * flat[7 * i + 6 - j], {i: N, j: 7}),
        in_place=False,
    )


def test_a_result_of_another_dtype_is_not_written_over_its_operand() -> None:
    double = Tensor("t", (N, 7), "float64")
    after_sums(statement(double[i, j], "=", SUMS[i, j] ** 2), summed(double), in_place=False)


def test_one_operand_has_one_result_in_its_place() -> None:
    after_sums(
        statement(T[i, j], "=", SUMS[i, j] + 1),
        statement(U[i, j], "=", SUMS[i, j] - 1),
        statement(Z[i], "+=", T[i, j] * U[i, 6 - j]),
        in_place=False,
    )


# -- updates ------------------------------------------------------------------------------------


def updated(
    *statements: Statement,
    updates: tuple[tuple[Tensor, Tensor], ...],
    outputs: tuple[Tensor, ...] = (),
) -> None:
    program = Program((), outputs, statements, parameters=(p, q), updates=updates)
    arrays = {"p": np.arange(7.0), "q": 10 - np.arange(7.0)}
    for options in (Options(), PLAIN):
        assert_agree([Case(program, arrays, {})], options, profile="debug+strict")


def test_parameters_can_be_swapped() -> None:
    updated(statement(a[i], "=", q[i]), statement(b[i], "=", p[i]), updates=((p, a), (q, b)))


def test_each_of_two_parameters_can_step_by_the_other() -> None:
    updated(
        statement(a[i], "=", p[i] - 2 * q[i]),
        statement(b[i], "=", q[i] - 3 * p[i]),
        updates=((p, a), (q, b)),
    )


@pytest.mark.parametrize("shift", [-1, 1])
def test_an_update_may_read_its_neighbours(shift: int) -> None:
    updated(statement(a[i], "=", p[i] + p[i + shift]), updates=((p, a),))


def test_an_update_may_read_itself_mirrored() -> None:
    updated(statement(a[i], "=", p[6 - i]), updates=((p, a),))


def test_an_update_may_sum_over_the_old_value() -> None:
    w = Tensor("w", (7, 7), "float64")
    updated(
        statement(w[i, j], "=", p[i] - q[j]),
        statement(a[i], "+=", w[i, j] * p[j]),
        updates=((p, a),),
    )


def test_a_parameter_read_after_its_update_is_the_old_one() -> None:
    total = Tensor("total", (), "float64")
    updated(
        statement(a[i], "=", p[i] + 1),
        statement(total[()], "+=", p[i] * q[i]),
        updates=((p, a),),
        outputs=(total,),
    )


def test_a_later_stage_of_the_same_kernel_sees_the_old_value() -> None:
    updated(
        statement(a[i], "=", 2 * p[i] + q[i]),
        statement(b[i], "=", a[i] * p[i]),
        updates=((p, a), (q, b)),
    )


def test_an_update_may_also_be_an_output() -> None:
    updated(statement(a[i], "=", p[i] + 1), updates=((p, a),), outputs=(a,))


def test_two_parameters_may_take_the_same_value() -> None:
    updated(statement(a[i], "=", p[i] + q[i]), updates=((p, a), (q, a)))


def test_a_view_of_a_parameter_shows_its_old_value() -> None:
    r = Tensor("r", (1, 7), "float64")
    total = Tensor("total", (), "float64")
    updated(
        statement(r[0, i], "=", p[i]),
        statement(a[i], "=", p[i] + 1),
        statement(total[()], "+=", r[0, i] * a[i]),
        updates=((p, a),),
        outputs=(total,),
    )


def test_a_view_of_an_update_shows_its_new_value() -> None:
    r = Tensor("r", (1, 7), "float64")
    total = Tensor("total", (), "float64")
    updated(
        statement(a[i], "=", p[i] + 1),
        statement(r[0, i], "=", a[i]),
        statement(total[()], "+=", r[0, i] * r[j, i] * p[i], {i: 7, j: 1}),
        updates=((p, a),),
        outputs=(total,),
    )


def test_a_view_takes_no_memory_and_no_kernel() -> None:
    x, y, z = Tensor("x", (N, 3, 4)), Tensor("y", (N, 12)), Tensor("z", (N,))
    program = Program(
        (x,),
        (z,),
        (statement(y[i, 4 * j + k], "=", x[i, j, k]), statement(z[i], "+=", y[i, j] ** 2)),
    )
    plan = make_plan(program, Options(off=frozenset({"inline"})))
    assert plan.memory.home(y) == x
    assert plan.memory.arena.blocks == () and len(plan.kernels) == 1


def test_given_tensors_are_no_next_values() -> None:
    with pytest.raises(NotationError, match=r"q float64\[7\] cannot become the next p"):
        Program((), (), (), parameters=(p, q), updates=((p, q), (q, p)))


def test_a_next_value_has_the_dtype_of_its_parameter() -> None:
    n = Tensor("n", (7,), "int32")
    with pytest.raises(NotationError, match="cannot become the next p"):
        Program((), (), (statement(n[i], "=", 1),), parameters=(p,), updates=((p, n),))


def test_a_parameter_has_one_next_value() -> None:
    fill = statement(a[i], "=", 1)
    with pytest.raises(NotationError, match="updated twice"):
        Program((), (), (fill,), parameters=(p,), updates=((p, a), (p, a)))


def test_one_executable_serves_every_size() -> None:
    """Each run poisons outputs and workspace, and compares its bytes with the plan."""
    program = in_two_sums()
    executable = load(make_plan(program), profile="debug")
    rng = np.random.default_rng(0)
    for n in (0, 1, 2, 33):
        x_array = rng.integers(-2, 3, (n, 5)).astype("float32")
        case = Case(program, {"x": x_array}, {N: n})
        assert not [*differences(run_c(executable, case), expected(case))]


def test_two_runs_are_bit_identical() -> None:
    rng = np.random.default_rng(0)
    x, y = Tensor("x", (1001,)), Tensor("y", ())
    program = Program((x,), (y,), (statement(y[()], "+=", x[i] ** 3),))
    case = Case(program, {"x": rng.normal(size=1001).astype("float32")}, {})
    executable = load(make_plan(program))
    assert run_c(executable, case)["y"].tobytes() == run_c(executable, case)["y"].tobytes()
