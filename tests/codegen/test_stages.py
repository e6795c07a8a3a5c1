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


def layer(size: int, batch: int) -> Program:
    """A layer of 64 filters of 3×3 on an image of any size."""
    x, w = Tensor("x", (batch, 64, size, size)), Tensor("w", (64, 64, 3, 3))
    y = Tensor("y", (batch, 64, size, size))
    body = w[k, c, u, v] * x[n, c, i + u - 1, j + v - 1]
    return Program((x, w), (y,), (statement(y[n, k, i, j], "+=", body),))


def test_functions_say_what_they_compute_from_what_and_in_which_loops() -> None:
    plan = make_plan(convolution().program, Options(machine=Machine()))
    text = plan.functions["compute_z"]
    comment = text[: text.index("*/")]
    assert "y[n,k,i] += w[k,c,u]·x_padded[n,c,i + u]" in comment
    assert "w 3×2×3, x_padded N×2×8, b 3, z N×3×6" in comment
    assert "reduce c u, rows" in comment


def test_c_is_no_longer_for_larger_tensors() -> None:
    lengths = {
        len(make_plan(layer(size, batch)).stages["c"].splitlines())
        for size in (14, 56, 224)
        for batch in (1, 8)
    }
    assert max(lengths) < 1.25 * min(lengths)
