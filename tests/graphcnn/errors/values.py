"""Nodes taken for the values that they only stand for."""

import numpy as np

import graphcnn as g
from graphcnn.errors import DTypeError
from tests.graphcnn.errors.catalogue import scores, wrong


@wrong(DTypeError)
def node_as_a_condition() -> None:
    x = g.input("x", (3,))
    if x > 0:  # here
        g.relu(x)


@wrong(DTypeError)
def loop_over_a_node() -> None:
    for _ in g.input("x", (4, 3)):  # here
        pass


@wrong(DTypeError)
def search_in_a_node() -> None:
    _ = 3 in g.input("x", (4, 3))  # here


@wrong(DTypeError)
def choice_by_identity() -> None:
    x, y = g.input("x", (3,)), g.input("y", (3,))
    g.where(x == y, x, 0.0)  # here


@wrong(DTypeError)
def node_as_a_python_number() -> None:
    float(g.sum(scores(), name="total"))  # here


@wrong(DTypeError)
def node_as_an_array() -> None:
    np.asarray(scores())  # here


@wrong(DTypeError)
def nodes_in_an_array() -> None:
    np.array([g.input("x"), g.input("y")])  # here


@wrong(DTypeError)
def numpy_function_of_a_node() -> None:
    np.mean(scores())  # here


@wrong(DTypeError)
def array_compared_with_a_node() -> None:
    _ = np.zeros(3, "float32") == g.input("x", (3,))  # here


@wrong(DTypeError)
def assignment_into_a_node() -> None:
    scores()[0] = 1.0  # type: ignore[assignment]  # here
