"""Three small programs, every stage of them as text, and the same plans compiled and run."""

from collections.abc import Callable

import numpy as np
import pytest
import sympy

from codegen.affine import Dim
from codegen.compile import Options, load, make_plan
from codegen.emit.unit import prelude
from codegen.machine import Machine
from codegen.notation import Tensor, equal, indices, statement
from codegen.program import Program
from tests.codegen.running import Case, differences, expected, run_c

N = Dim("N")
n, k, c, i, j, u, v = indices("n k c i j u v")


def convolution() -> Case:
    """A padded convolution, its bias and ReLU, and the gradient of its input."""
    x, w, b = Tensor("x", (N, 2, 6)), Tensor("w", (3, 2, 3)), Tensor("b", (3,))
    y, z = Tensor("y", (N, 3, 6)), Tensor("z", (N, 3, 6))
    dz, dx = Tensor("dz", (N, 3, 6)), Tensor("dx", (N, 2, 6))
    with_bias = y[n, k, i] + b[k]
    program = Program(
        (x, w, b, dz),
        (z, dx),
        (
            statement(y[n, k, i], "+=", w[k, c, u] * x[n, c, i + u - 1]),
            statement(z[n, k, i], "=", sympy.Piecewise((with_bias, with_bias > 0), (0, True))),
            statement(dx[n, c, i + u - 1], "+=", w[k, c, u] * dz[n, k, i]),
        ),
        name="convolution",
    )
    return _case(program, {N: 2})


def update() -> Case:
    """A step of gradient descent, in place."""
    x, w, dw = Tensor("x", (N, 4)), Tensor("w", (4,)), Tensor("dw", (4,))
    s, e, new = Tensor("s", (N,)), Tensor("e", (N,)), Tensor("new", (4,))
    program = Program(
        (x,),
        (e,),
        (
            statement(s[n], "+=", x[n, i] * w[i]),
            statement(e[n], "=", s[n] - 1),
            statement(dw[i], "+=", e[n] * x[n, i]),
            statement(new[i], "=", w[i] - 2 * dw[i]),
        ),
        parameters=(w,),
        updates=((w, new),),
        name="update",
    )
    return _case(program, {N: 3})


def choice() -> Case:
    """A maximum, the score that a label picks, and its gradient's scatter."""
    s, label = Tensor("s", (N, 5)), Tensor("label", (N,), "int32")
    m, loss, ds = Tensor("m", (N,)), Tensor("loss", (N,)), Tensor("ds", (N, 5))
    program = Program(
        (s, label),
        (loss, ds),
        (
            statement(m[n], "max=", s[n, j]),
            statement(loss[n], "+=", equal(j, label[n]) * (m[n] - s[n, j])),
            statement(ds[n, j], "+=", -equal(j, label[n]) * m[n]),
        ),
        name="choice",
    )
    return _case(program, {N: 3})


def _case(program: Program, dims: dict[Dim, int]) -> Case:
    rng = np.random.default_rng(0)
    arrays = {
        t.name: rng.integers(0 if t.dtype == "int32" else -2, 3, [dims.get(a, a) for a in t.shape])
        for t in (*program.inputs, *program.parameters)
    }
    typed = {t.name: arrays[t.name].astype(t.dtype) for t in (*program.inputs, *program.parameters)}
    return Case(program, typed, dims)


@pytest.mark.parametrize("make", [convolution, update, choice])
def test_stages(make: Callable[[], Case], golden: Callable[[str, str], None]) -> None:
    case = make()
    plan = make_plan(case.program, Options(machine=Machine()))
    stages = plan.stages | {"c": plan.unit.text.replace(prelude(), "/* (the prelude) */\n")}
    text = "\n\n".join(f"── {name} ──\n{stage.strip()}" for name, stage in stages.items())
    golden(f"{make.__name__}.txt", text + "\n")
    assert not [*differences(run_c(load(plan, profile="debug+strict"), case), expected(case))]
