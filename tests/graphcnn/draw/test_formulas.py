"""Local gradients in textbook form are those derived."""

import re
from collections.abc import Callable

import pytest

import graphcnn as g
from graphcnn.draw import formulas
from graphcnn.graph import Node

SCORES, LABEL = g.input("s", (4, 3)), g.input("t", (4,), "int32")
IMAGE, FILTERS = g.input("x", (2, 3, 8, 8)), g.input("w", (5, 3, 3, 3))
X, Y = g.input("x", (4,)), g.input("y", (4,))


def shown(node: Node, k: int) -> str:
    assert node.fragment is not None
    letters = [*(n.name for n in node.inputs), "z"]
    found = formulas.local(node.fragment, k, letters)
    assert found is not None
    sums = f"   {found.reduction}" if found.reduction else ""
    return f"{found.left} = {found.value}{sums}"


@pytest.mark.parametrize(
    "node, k, expected",
    [
        (X - Y, 1, "∂z/∂y = −1"),
        (X / Y, 1, "∂z/∂y = −x/y²"),
        (g.relu(X), 0, "∂z/∂x = 1[x > 0]"),
        (g.maximum(X, Y), 1, "∂z/∂y = 1[x < y]"),
        (g.mean(X), 0, "∂z/∂x[i] = 1/4"),
        (g.softmax_cross_entropy(SCORES, LABEL), 0,
         "∂z[n]/∂s[n,j] = softmax(s)[n,j] − 1[j = t[n]]"),
        (g.conv2d(IMAGE, FILTERS, stride=2, padding=1), 1,
         "∂z[n,k,i,j]/∂w[k,c,u,v] = x[n,c,2i+u−1,2j+v−1]   Σ_{n,i,j}"),
        (g.conv2d(IMAGE, FILTERS), 0, "∂z[n,k,i,j]/∂x[n,c,i+u,j+v] = w[k,c,u,v]   Σ"),
        (g.max_pool2d(IMAGE, 2), 0,
         "∂z[n,c,i,j]/∂x[n,c,2i+u,2j+v] = 1[(u,v) = argmax]   Σ"),
        (g.add(IMAGE, g.input("b", (8,))), 1, "∂z[i,j,k,l]/∂b[l] = 1   Σ_{i,j,k}"),
    ],
)  # fmt: skip
def test_local_gradient(node: Node, k: int, expected: str) -> None:
    assert shown(node, k) == expected


@pytest.mark.parametrize("op", [g.softmax, g.log_softmax])
def test_a_gradient_that_mixes_elements_is_not_shown_as_one_factor(op: object) -> None:
    node = op(SCORES)  # type: ignore[operator]
    letters = ["s", "z", "∂L/∂z", "∂L/∂s"]
    assert formulas.local(node.fragment, 0, letters) is None
    *_, last = formulas.steps(node.fragment, 0, letters)
    assert last.startswith("∂L/∂s[i,j] = ") and "∂L/∂z[i,j]" in last


def test_letters_that_occur_in_a_local_gradient_are_explained() -> None:
    node = g.logsumexp(SCORES, axis=1)
    assert "softmax(s)" in shown(node, 0)


def test_nothing_passes_a_stopped_gradient() -> None:
    node = g.stop_gradient(X)
    assert node.fragment is not None
    assert formulas.local(node.fragment, 0, ["x", "z"]) is None
    assert formulas.steps(node.fragment, 0, ["x", "z", "dz", "dx"]) == []


@pytest.mark.parametrize(
    "op",
    [g.abs, g.elu, g.erf, g.exp, g.gelu, g.leaky_relu, g.log, g.negative, g.reciprocal, g.relu,
     g.sigmoid, g.silu, g.softplus, g.sqrt, g.square, g.tanh, lambda x: g.power(x, 3)],
)  # fmt: skip
def test_a_formula_is_about_the_operand_wherever_it_stands(op: Callable[[Node], Node]) -> None:
    node = op(X)
    assert node.fragment is not None
    text = formulas.forward(node.fragment, node.formula, ["in", "y"])
    assert "in" in text
    assert not re.search(r"(?<![a-z])[xˣ](?![a-z])", text)


def test_operands_keep_their_order_whatever_they_are_called() -> None:
    node = g.subtract(g.input("z2"), g.input("a1"))
    assert node.fragment is not None
    assert formulas.forward(node.fragment, node.formula, ["z2", "a1", "y"]) == "y = z2 − a1"
