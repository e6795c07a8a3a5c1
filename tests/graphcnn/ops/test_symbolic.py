"""What is proved with symbols rather than sampled: shifts cancel, gradients are the textbook's."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import sympy

from codegen.affine import Dim, Index
from codegen.notation import Access, Equal, Tensor, statement
from codegen.printing import render
from graphcnn.adjoint import vjp
from graphcnn.fragment import Fragment
from graphcnn.op import REGISTRY
from graphcnn.scalars import sigmoid_of
from graphcnn.simplify import (
    ClosedFormError,
    Softmax,
    Total,
    closed_form,
    needs_no_shift,
    textbook,
)

N, C = Dim("N"), Dim("C")
n, j = Index("n"), Index("j")
x = Tensor("x", (N, C))
scores, label = Tensor("scores", (N, C)), Tensor("label", (N,), "int32")

SHIFTED = {
    "softmax": {"x": x, "axis": -1},
    "log_softmax": {"x": x, "axis": -1},
    "logsumexp": {"x": x, "axis": 1, "keepdims": False},
    "softmax_cross_entropy": {"scores": scores, "label": label},
}


def forward(op: str) -> Fragment:
    return REGISTRY[op].fragment(dict(SHIFTED[op]))


def shifted_ops() -> set[str]:
    """Ops of a matrix (and labels) with a detached tensor on the way to the output."""
    found = set()
    for name, op in REGISTRY.items():
        arguments = {
            p: q.default for p, q in op.signature.parameters.items() if q.default is not q.empty
        }
        floats = [p for p in op.tensors if p != "label"]
        arguments |= {p: Tensor(p, (N, C)) for p in floats}
        arguments |= {"label": label} if "label" in op.tensors else {}
        try:
            fragment = op.fragment(arguments)
        except (TypeError, ValueError, IndexError):
            continue  # not an op of a matrix
        if fragment.detached - {fragment.output}:
            found.add(name)
    return found


def test_every_op_with_a_shift_is_proved_here() -> None:
    assert shifted_ops() == set(SHIFTED)


@pytest.mark.parametrize("op", SHIFTED)
def test_neither_value_nor_gradient_depends_on_the_shift(op: str) -> None:
    value = forward(op)
    gradient = vjp(value, 0)
    assert gradient is not None
    assert value.detached and gradient.detached
    assert needs_no_shift(value), closed_form(value)
    assert needs_no_shift(gradient), closed_form(gradient)


def test_a_shift_that_matters_is_noticed() -> None:
    value = forward("log_softmax")
    (top,) = value.detached
    statements = [
        s if s.target != value.output else replace(s, body=s.body + top[s.maps[:1]])
        for s in value.statements
    ]
    broken = Fragment(value.inputs, tuple(statements), value.output, value.detached)
    assert not needs_no_shift(broken)


def test_the_gradient_of_cross_entropy_is_p_minus_one_hot() -> None:
    gradient = vjp(forward("softmax_cross_entropy"), 0)
    assert gradient is not None
    upstream = gradient.inputs[-1]
    softmax = closed_form(forward("softmax"), (n, j)).xreplace({x: scores})
    wanted = upstream[n] * (softmax - Equal(j, label[n]))
    assert sympy.expand(closed_form(gradient, (n, j)) - wanted) == 0
    assert render(textbook(gradient)) == "dloss[n]·(softmax(scores[n,j]) - [j = label[n]])"


def test_gradients_read_as_in_the_textbook() -> None:
    ops = ("softmax", "log_softmax", "logsumexp")
    assert {op: render(textbook(vjp(forward(op), 0))) for op in ops} == {
        "softmax": "softmax(x[i,j])·dy[i,j] - softmax(x[i,j])·Σ_j′(softmax(x[i,j′])·dy[i,j′])",
        "log_softmax": "dy[i,j] - softmax(x[i,j])·Σ_j′(dy[i,j′])",
        "logsumexp": "softmax(x[i,j])·dy[i]",
    }


def test_a_sum_names_one_softmax_whatever_else_stands_there() -> None:
    """exp(x)·exp(z)/Σ exp(x), and with the square of the sum one exponential more."""
    z = Tensor("z", (N, C))
    y = Tensor("y", (N, C))
    total = Tensor("total", (N,))
    summed = statement(total[n], "+=", sympy.exp(x[n, j]))
    for power, expected in (
        (1, "exp(z[n,j])·softmax(x[n,j])"),
        (2, "exp(z[n,j])·softmax(x[n,j])/Σ_j′(exp(x[n,j′]))"),
    ):
        body = sympy.exp(x[n, j]) * sympy.exp(z[n, j]) / total[n] ** power
        fragment = Fragment((x, z), (summed, statement(y[n, j], "=", body)), y)
        assert render(textbook(fragment)) == expected


def softmax(rows: np.ndarray) -> np.ndarray:
    return np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)


def value_of(formula: sympy.Expr, at: dict[Index, int], arrays: dict[str, np.ndarray]) -> float:
    """What a closed form says of one element, sums and softmax done by NumPy."""
    match formula:
        case Total(args=(body, index, size)):
            return sum(value_of(body, at | {index: k}, arrays) for k in range(int(size)))
        case Softmax(args=(Access() as read,)):
            return float(softmax(arrays[read.tensor.name])[place_of(read, at)])
        case Access() as read:
            return float(arrays[read.tensor.name][place_of(read, at)])
        case sympy.Number():
            return float(formula)
    return float(formula.func(*(value_of(part, at, arrays) for part in formula.args)))


def place_of(read: Access, at: dict[Index, int]) -> tuple[int, ...]:
    return tuple(int(m.subs(at)) for m in read.maps)


@pytest.mark.parametrize(
    "op, f",
    [
        ("softmax", softmax),
        ("log_softmax", lambda rows: np.log(softmax(rows))),
        ("logsumexp", lambda rows: np.log(np.exp(rows).sum(axis=1))),
        ("var", lambda rows: rows.var(axis=1)),
    ],
)
def test_a_closed_gradient_is_the_slope(op: str, f: Callable[[np.ndarray], np.ndarray]) -> None:
    rows = np.random.default_rng(0).normal(size=(3, 4))
    given = {"x": Tensor("x", rows.shape, "float64"), "axis": 1, "keepdims": False, "correction": 0}
    accepted = REGISTRY[op].signature.parameters
    gradient = vjp(REGISTRY[op].fragment({p: given[p] for p in accepted}), 0)
    assert gradient is not None
    upstream = np.random.default_rng(1).normal(size=f(rows).shape)
    arrays = {"x": rows, gradient.inputs[-1].name: upstream}
    for place in np.ndindex(rows.shape):
        step = np.zeros_like(rows)
        step[place] = 1e-6
        slope = ((f(rows + step) - f(rows - step)) * upstream).sum() / 2e-6
        where = dict(zip(gradient.statements[-1].maps, place, strict=True))
        said = value_of(textbook(gradient), where, arrays)
        assert said == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_the_derivative_of_sigmoid_is_s_times_one_minus_s_on_both_branches() -> None:
    t = sympy.Symbol("t", real=True)
    s = 1 / (1 + sympy.exp(-t))
    for branch, _ in sympy.diff(sigmoid_of(t), t).args:
        assert sympy.simplify(branch - s * (1 - s)) == 0


def test_a_scatter_has_no_closed_form() -> None:
    image, weight = Tensor("x", (1, 1, 4, 4)), Tensor("weight", (1, 1, 3, 3))
    conv = REGISTRY["conv2d"].fragment(
        {
            "x": image,
            "weight": weight,
            "bias": None,
            "stride": 1,
            "padding": 0,
            "dilation": 1,
            "groups": 1,
        }
    )
    gradient = vjp(conv, 0)
    assert gradient is not None
    with pytest.raises(ClosedFormError):
        closed_form(gradient)


def test_a_closed_form_has_the_value_of_its_fragment() -> None:
    form = closed_form(forward("logsumexp"), (n,))
    row = np.array([0.3, -1.0, 2.0])
    (inner,) = form.args
    body, bound, _ = inner.args
    values = [float(body.xreplace({x[n, bound]: sympy.Float(v)})) for v in row]
    assert float(np.log(sum(values))) == pytest.approx(np.log(np.exp(row).sum()))
