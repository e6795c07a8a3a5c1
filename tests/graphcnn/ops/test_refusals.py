"""What does not fit is refused where it is written, with the rule and what to do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphcnn as g
from graphcnn.errors import DTypeError, ShapeError
from graphcnn.graph import Node

N = g.dim("N")


def floats(*shape: object) -> Node:
    return g.input("x", shape)


def ones(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape, "float32")


def whole(*shape: object) -> Node:
    return g.input("k", shape, "int32")


SHAPES: dict[str, tuple[Callable[[], Node], str]] = {
    "transposed weight": (lambda: g.linear(floats(8, 3), ones(3, 9)), "did you mean weight.T"),
    "transposed matrix": (lambda: floats(8, 3) @ ones(9, 3), "did you mean y.T"),
    "channels": (lambda: g.conv2d(floats(8, 3, 32, 32), ones(32, 16, 3, 3)), "3 channels"),
    "kernel": (lambda: g.conv2d(floats(1, 1, 4, 4), ones(1, 1, 5, 5)), "5 long"),
    "pool padding": (lambda: g.max_pool2d(floats(1, 1, 8, 8), 2, padding=2), "half a window"),
    "one-hot labels": (
        lambda: g.softmax_cross_entropy(floats(8, 3), whole(8, 3)),
        "argmax(label, axis=1)",
    ),
    "broadcasting": (lambda: floats(8, 3) + ones(4), "do not broadcast"),
    "loss shapes": (lambda: g.mse(floats(8), ones(8, 1)), "nothing is broadcast"),
    "reshape": (lambda: g.reshape(floats(4, 3), (5, -1)), "12 elements"),
    "two unknowns": (lambda: g.reshape(floats(4, 3), (-1, -1)), "one may be -1"),
    "unknown batch": (lambda: g.reshape(floats(N, 3), (6, -1)), "3*N elements"),
    "axis": (lambda: g.sum(floats(4, 3), axis=2), "axis 2"),
    "axis twice": (lambda: g.sum(floats(4, 3), axis=(0, -2)), "twice"),
    "index": (lambda: floats(4)[4], "from -4 to 3"),
    "indices": (lambda: floats(4)[0, 0], "at most 1 indices"),
    "step": (lambda: floats(N)[::2], "symbolic"),
    "nothing to choose": (lambda: g.max(floats(0)), "does not exist"),
    "concatenate": (lambda: g.concatenate([floats(2, 3), ones(2, 4)], 0), "equal sizes"),
    "stack": (lambda: g.stack([floats(2), ones(3)]), "concatenate"),
    "reflect": (lambda: g.pad(floats(3), ((3, 0),), "reflect"), "width < size"),
    "cropping": (lambda: g.pad(floats(3), ((-1, 0),)), "use a slice"),
    "squeeze": (lambda: g.squeeze(floats(3), 0), "size 1"),
    "transpose": (lambda: g.transpose(floats(3, 2), (0, 0)), "once"),
    "broadcast_to": (lambda: g.broadcast_to(floats(3), (1,)), "repeat"),
    "clip": (lambda: g.clip(floats(3), 1, 0), "low ≤ high"),
}

DTYPES: dict[str, tuple[Callable[[], Node], str]] = {
    "float labels": (lambda: g.softmax_cross_entropy(floats(8, 3), g.input("y", (8,))), "int32"),
    "integer image": (lambda: g.conv2d(whole(1, 1, 4, 4), ones(1, 1, 3, 3)), 'astype("float32")'),
    "integer exp": (lambda: g.exp(whole(3)), "k holds int32"),
    "integer division": (lambda: g.divide(whole(3), whole(3)), "float32 or float64"),
    "bool sum": (lambda: g.add(floats(3) > 0, floats(3) > 1), "bool"),
    "float condition": (lambda: g.where(floats(3), 1.0, 0.0), "condition"),
    "array index": (lambda: floats(3)[np.array([0, 1])], "whole number"),
    "mode": (lambda: g.pad(floats(3), ((1, 1),), "mirror"), "mode is one of"),
    "flat widths": (lambda: g.pad(floats(3), (1, 1)), "pair (before, after)"),
    "gelu": (lambda: g.gelu(floats(3), "sigmoid"), '"none" or "tanh"'),
    "one tensor": (lambda: g.concatenate(floats(3)), "tuple or list"),
    "dtype": (lambda: g.astype(floats(3), "float16"), "dtypes are"),
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes_that_do_not_fit(case: str) -> None:
    refused(*SHAPES[case], ShapeError)


@pytest.mark.parametrize("case", DTYPES)
def test_types_that_do_not_fit(case: str) -> None:
    refused(*DTYPES[case], DTypeError)


def refused(build: Callable[[], Node], hint: str, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        build()
    text = str(caught.value)
    assert hint in text
    assert "rule: " in text and "fix: " in text
    assert "test_refusals.py:" in text


def test_full_words_for_symbolic_sizes() -> None:
    x = g.input("x", (N, 3, 4))
    assert g.reshape(x, (N, -1)).shape == (N, 12)
    assert g.reshape(x, (-1, 6)).shape == (2 * N, 6)
    assert g.flatten(x).shape == (N, 12)
    assert x[1:, ::-1, -1].shape == (N - 1, 3)
    assert g.concatenate([x, x]).shape == (2 * N, 3, 4)
