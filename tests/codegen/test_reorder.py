"""Groups that set memory free run early; each still follows what it reads."""

import itertools

import numpy as np

from codegen.affine import Dim
from codegen.compile import Options, make_plan
from codegen.notation import Tensor, indices, statement
from codegen.program import Program
from codegen.schedule import Group
from tests.codegen.drawing import random_cases
from tests.codegen.running import Case, assert_agree

N = Dim("N")
i, j, k = indices("i j k")


def names(groups: tuple[Group, ...]) -> list[str]:
    return [kernel.name for group in groups for kernel in group.kernels]


def steps() -> Case:
    """Three layers forward, then backward; the weights' next values come last, as written."""
    x = [Tensor(f"x{n}", (N, 16)) for n in range(4)]
    dx = [Tensor(f"dx{n}", (N, 16)) for n in range(4)]
    w = [Tensor(f"w{n}", (16, 16)) for n in range(3)]
    new = [Tensor(f"next{n}", (16, 16)) for n in range(3)]
    forward = [
        statement(b[i, j], "+=", a[i, k] * m[k, j])
        for (a, b), m in zip(itertools.pairwise(x), w, strict=True)
    ]
    seed = statement(dx[3][i, j], "=", x[3][i, j] - 1)
    backward = [statement(dx[n][i, k], "+=", dx[n + 1][i, j] * w[n][k, j]) for n in (2, 1)]
    last = [statement(new[n][k, j], "+=", x[n][i, k] * dx[n + 1][i, j]) for n in range(3)]
    program = Program(
        (x[0],), (), (*forward, seed, *backward, *last), tuple(w), tuple(zip(w, new, strict=True))
    )
    rng = np.random.default_rng(0)
    arrays = {t.name: np.eye(16, k=n, dtype="float32") for n, t in enumerate(w)}
    arrays["x0"] = rng.integers(-1, 2, (5, 16)).astype("float32")
    return Case(program, arrays, {N: 5})


def test_updates_run_as_soon_as_they_let_something_go() -> None:
    options = Options(layouts=False, group=False)
    order = names(make_plan(steps().program, options).groups)
    assert order.index("next2") < order.index("dx1")
    assert_agree([steps()], options)


def test_an_update_waits_for_those_who_read_the_old_value() -> None:
    plan = make_plan(steps().program, Options(layouts=False, group=False))
    order = names(plan.groups)
    assert order.index("dx2") < order.index("next2")
    assert plan.memory.copies == ()


def test_every_group_follows_what_it_reads() -> None:
    for case in [steps(), *random_cases(100, start=50_000)]:
        plan = make_plan(case.program)
        known = {*plan.laid_out.inputs, *plan.laid_out.parameters}
        for group in plan.groups:
            made = {t for kernel in group.kernels for t in kernel.made}
            read = {plan.memory.home(t) for kernel in group.kernels for t in kernel.reads}
            assert read <= known | {plan.memory.home(t) for t in made}, f"{case}"
            known |= made | {plan.memory.home(t) for t in made}


def test_less_is_alive_or_nothing_is_moved() -> None:
    for case in [steps(), *random_cases(100, start=50_000)]:
        before, after = (make_plan(case.program, Options(reorder=r)) for r in (False, True))
        assert sorted(names(before.groups)) == sorted(names(after.groups))
        if names(before.groups) != names(after.groups):
            dims = dict.fromkeys(case.program.dims, 64)
            assert after.memory.live(dims) <= before.memory.live(dims), f"{case}"
