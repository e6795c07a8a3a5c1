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
        (g.conv2d(IMAGE, FILTERS), 0, "∂z[n,k,i,j]/∂x[n,c,i+u,j+v] = w[k,c,u,v]   Σ_{k,i,j}"),
        (g.conv2d(IMAGE, g.input("w", (6, 1, 3, 3)), groups=3), 0,
         "∂z[n,2g+k,i,j]/∂x[n,c+g,i+u,j+v] = w[2g+k,c,u,v]   Σ_{k,i,j}"),
        (g.max_pool2d(IMAGE, 2), 0, "∂z[n,c,i,j]/∂x[n,c,2i+u,2j+v] = 1[(u,v) = argmax]"),
        (g.max_pool2d(IMAGE, 3, 2), 0,
         "∂z[n,c,i,j]/∂x[n,c,2i+u,2j+v] = 1[(u,v) = argmax]   Σ_{i,j}"),
        (g.max(SCORES, axis=1), 0, "∂z[i]/∂s[i,j] = 1[j = argmax]"),
        (g.flatten(g.input("x", (2, 3, 1, 1))), 0, "∂z[i,j]/∂x[i,j,0,0] = 1"),
        (g.reshape(g.input("x", (2, 12)), (2, 3, 4)), 0, "∂z[i,j,k]/∂x[i,4j+k] = 1"),
        (g.square(g.input("x", (2, 1, 3))), 0, "∂z/∂x = 2·x"),
        (g.sqrt(X), 0, "∂z/∂x = 1/(2·√x)"),
        (g.sigmoid(X), 0, "∂z/∂x = z·(1 − z)"),
        (g.softplus(X), 0, "∂z/∂x = exp(x)/(exp(x) + 1)"),
        (g.add(IMAGE, g.input("b", (8,))), 1, "∂z[i,j,k,l]/∂b[l] = 1   Σ_{i,j,k}"),
    ],
)  # fmt: skip
def test_local_gradient(node: Node, k: int, expected: str) -> None:
    assert shown(node, k) == expected


@pytest.mark.parametrize(
    "op, expected",
    [
        (g.softmax, "softmax(s)[i,j]·U[i,j] − softmax(s)[i,j]·(Σ_{k} softmax(s)[i,k]·U[i,k])"),
        (g.log_softmax, "U[i,j] − softmax(s)[i,j]·(Σ_{k} U[i,k])"),
    ],
    ids=["softmax", "log_softmax"],
)
def test_a_gradient_that_mixes_elements_is_one_formula(
    op: Callable[[Node], Node], expected: str
) -> None:
    node = op(SCORES)
    assert node.fragment is not None
    assert formulas.local(node.fragment, 0, ["s", "z"]) is None
    (text,) = formulas.steps(node.fragment, 0, ["s", "z", "U", "D"])
    assert text.replace("\xa0", " ") == f"D[i,j] = {expected}"


def test_where_several_points_add_to_one_element_the_sign_says_so() -> None:
    image = g.input("x", (1, 1, 5, 5))
    scattered = g.grad(g.sum(g.conv2d(image, g.input("w", (1, 1, 3, 3)))), image)
    gathered = g.grad(g.sum(g.max_pool2d(image, 2)), image)
    for node, sign in ((scattered, " += "), (gathered, " = ")):
        assert node.fragment is not None
        *_, last = formulas.statements(node.fragment, ["a", "b", "c", "d"][-len(node.inputs) - 1 :])
        assert sign in last


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
