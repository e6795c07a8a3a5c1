"""Types that do not meet, and arguments of the wrong kind."""

from typing import Any

import numpy as np

import graphcnn as g
from graphcnn.errors import DTypeError, ShapeError
from graphcnn.graph import Node
from tests.graphcnn.errors.catalogue import N, image, scores, weight, wrong


@wrong(DTypeError)
def float_labels() -> None:
    g.softmax_cross_entropy(scores(), g.input("label", (N,)))  # here


@wrong(DTypeError)
def whole_numbers_into_a_convolution() -> None:
    g.conv2d(image(N, 1, 8, 8, dtype="int32"), weight(6, 1, 3, 3))  # here


@wrong(DTypeError)
def float32_with_float64() -> None:
    g.input("x", (3,)) * g.input("target", (3,), "float64")  # here


@wrong(DTypeError)
def float32_with_an_array_of_float64() -> None:
    g.input("x", (3,)) * np.ones(3)  # here


@wrong(DTypeError)
def dtype_that_does_not_exist() -> None:
    scores().astype("float16")  # here


@wrong(DTypeError)
def unknown_argument() -> None:
    g.conv2d(image(N, 1, 8, 8), weight(6, 1, 3, 3), strides=2)  # type: ignore[call-arg]  # here


@wrong(DTypeError)
def layer_that_returns_nothing() -> None:
    def layer(x: Node) -> Any:
        g.relu(x)

    g.relu(layer(scores()))  # here


@wrong(DTypeError)
def input_without_a_name() -> None:
    g.input("", (N, 3))  # here


@wrong(DTypeError)
def text_as_an_operand() -> None:
    scores() + "1"  # here


@wrong(DTypeError)
def rows_of_unequal_length() -> None:
    g.parameter("w", [[1.0, 2.0], [3.0]])  # here


@wrong(DTypeError)
def text_where_a_number_is_wanted() -> None:
    g.softplus(scores(), beta="1")  # type: ignore[call-arg]  # here


@wrong(ShapeError)
def broadcast_to_a_negative_size() -> None:
    g.broadcast_to(g.input("x", (1,)), (-3,))  # here


@wrong(ShapeError)
def more_axes_than_letters() -> None:
    g.input("x", (1,) * 13)  # here
