"""Is the C right? It must give what the interpreter gives, however it is compiled and shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.build.team import open_team
from codegen.compile import Executable, Options, load, make_plan
from codegen.interpret import interpret
from codegen.machine import this_machine
from codegen.notation import DType
from codegen.sizes import evaluate
from graphcnn.errors import GraphError, user_origin
from graphcnn.graph import Node
from graphcnn.testing.applying import SEED, apply, rounded
from graphcnn.testing.cases import Case, case_of, differences
from graphcnn.testing.check import check_gradients

Array = npt.NDArray[Any]

PROFILES = ("debug", "release")  # -O0 and -O3
THREADS = (1, 2)
TOLERANCES = {"float32": 1e-4, "float64": 1e-11}  # of the largest value: sums in another order


class ResultMismatch(GraphError, AssertionError):  # noqa: N818 (says what is the case)
    """Two ways to compute the same do not give the same."""


def check_compiled(
    outputs: Node | Sequence[Node],
    at: Mapping[str, Any],
    *,
    profiles: Sequence[str] = PROFILES,
    threads: Sequence[int] = THREADS,
    tolerance: float | None = None,
) -> None:
    """Hold C equal to the interpreter, at -O0 and at -O3, on one thread and on two.

    `at` holds the arrays of the inputs by name. `tolerance` is relative to the largest value of an
    array; between numbers of threads every bit is the same. Work is shared however little it is.

    >>> import graphcnn as g
    >>> x = g.input("x", (g.dim("N"), 3), "float64")
    >>> loss = g.sum(g.tanh(x) * x)
    >>> check_compiled([loss, g.grad(loss, x)], {"x": np.ones((2, 3))})

    Raises `ResultMismatch` with the way of computing that differs and both arrays.
    """
    case = case_of([outputs] if isinstance(outputs, Node) else outputs, at)
    made = interpret(case.program, case.arrays, case.dims, fast=False)
    wanted = {t.name: np.asarray(made[t.name]) for t in case.program.outputs}
    if tolerance is None:
        tolerance = max(map(_tolerance, case.program.outputs), default=0.0)
    plan = make_plan(case.program, every_loop_shared())
    executables = {profile: load(plan, profile=profile, threads=1) for profile in profiles}
    for profile, executable in executables.items():
        alone: dict[str, Array] | None = None
        for count in threads:
            found = run_compiled(replace(executable, team=open_team(count)), case)
            what = f"C of profile {profile!r} on {count} thread{'s'[: count > 1]}"
            _require_same(found, wanted, tolerance, f"{what} differs from the interpreter")
            alone = alone or found
            _require_same(found, alone, 0, f"{what} differs from that on {threads[0]}")


def _tolerance(tensor: Any) -> float:
    return TOLERANCES.get(tensor.dtype, 0.0)


def _require_same(
    found: Mapping[str, Array], wanted: Mapping[str, Array], tolerance: float, problem: str
) -> None:
    for difference in differences(found, wanted, tolerance):
        raise ResultMismatch(
            f"{problem}: {difference}",
            rule="a graph has one value, whoever computes it"
            + (f", to {tolerance:.0e} of the largest" if tolerance else ""),
            fix="where a value lies on an edge (a comparison, a tie) move it off; else report it",
        ).at("check_compiled", user_origin())


def run_compiled(executable: Executable, case: Case) -> dict[str, Array]:
    """Give the outputs of a compiled program by name."""
    made = {
        t.name: np.empty([evaluate(n, case.dims) for n in t.shape], t.dtype)
        for t in case.program.outputs
    }
    held = {n: np.ascontiguousarray(a) for n, a in case.arrays.items()}
    executable.run(held | made, case.dims)
    return made


def every_loop_shared() -> Options:
    """Give options for plans whose threads share loops that are too short for it to pay."""
    return Options(machine=replace(this_machine(), wake=1))


def check_op(
    op: str | Callable[..., Node],
    arguments: Mapping[str, Any],
    *,
    reference: Callable[..., Any] | None = None,
    dtype: DType = "float64",
    seed: int = 0,
) -> None:
    """Hold an op to all that ours are held to, for one set of arguments.

    Its value is that of `reference`, a function of the same arguments in NumPy; its derived
    gradient is the slope; and value and gradient in C are those of the interpreter.

    >>> import graphcnn as g
    >>> check_op(g.softplus, {"x": np.linspace(-2, 2, 6).reshape(2, 3), "beta": 2.0})
    >>> check_op(g.square, {"x": np.ones(3)}, reference=lambda x: 2 * x)
    Traceback (most recent call last):
    graphcnn.testing.compiled.ResultMismatch: check_op at ...: not its reference: value: found ...
    """
    made = apply(op, arguments, dtype)
    case = case_of([made.node], made.arrays)
    values = interpret(case.program, case.arrays, case.dims, fast=False)
    if reference is not None:
        (output,) = case.program.outputs
        found = {"value": np.asarray(values[output.name])}
        wanted = {"value": np.asarray(reference(**rounded(arguments, dtype)))}
        if wanted["value"].shape != found["value"].shape:
            raise ResultMismatch(
                f"the op gives {found['value'].shape}, its reference {wanted['value'].shape}",
                rule="both have one shape",
                fix="compare the shape in define(...) with that of the reference",
            ).at("check_op", user_origin())
        for difference in differences(found, wanted, TOLERANCES.get(dtype, 0.0)):
            raise ResultMismatch(
                f"not its reference: {difference}",
                rule="the declaration and the reference compute the same formula",
                fix="try a smaller example, and print the node's fragment",
            ).at("check_op", user_origin())
    outputs, arrays = [made.node], dict(made.arrays)
    if made.floats and made.node.dtype in TOLERANCES:
        check_gradients(made.node, made.arrays, seed=seed)
        outputs += made.gradients
        rng = np.random.default_rng(seed)
        arrays[SEED] = rng.uniform(-1, 1, values[case.program.outputs[0].name].shape)
    check_compiled(outputs, arrays)
