"""Softmax along an axis, its logarithm, and the losses of classification: one loss per row.

Each is computed with the largest score subtracted, which changes no value (the shift cancels) and
keeps every exponential at or below one.
"""

from __future__ import annotations

import sympy

from graphcnn.axes import axis_of, without
from graphcnn.errors import described
from graphcnn.op import (
    FLOATS,
    Definition,
    Tensor,
    axes,
    choose,
    define,
    equal,
    indices,
    max_of,
    op,
    require,
    require_dtype,
)
from graphcnn.scalars import choose_if, picks


@op
def softmax(x: Tensor, axis: int = -1) -> Definition:
    """y[…,j] = exp(x[…,j]) / Σ_k exp(x[…,k])"""
    top, total = _shift_and_total(x, axis)
    at, row = axes(x), without(axes(x), (axis_of(axis, x.shape),))
    y = define("y", x.shape, like=x)
    y[at] = sympy.exp(x[at] - top[row]) / total[row]
    return y


@op
def log_softmax(x: Tensor, axis: int = -1) -> Definition:
    """y[…,j] = x[…,j] − log Σ_k exp(x[…,k])"""
    top, total = _shift_and_total(x, axis)
    at, row = axes(x), without(axes(x), (axis_of(axis, x.shape),))
    y = define("y", x.shape, like=x)
    y[at] = x[at] - top[row] - sympy.log(total[row])
    return y


def _shift_and_total(x: Tensor, axis: int) -> tuple[Definition, Definition]:
    """State the largest x along the axis, which passes no gradient, and Σ exp(x − largest)."""
    require_dtype(FLOATS, x)
    gone = (axis_of(axis, x.shape),)
    at, row, shape = axes(x), without(axes(x), gone), without(x.shape, gone)
    top = define("top", shape, like=x, detached=True)
    top[row] = max_of(x[at])
    total = define("total", shape, like=x)
    total[row] += sympy.exp(x[at] - top[row])
    return top, total


@op
def softmax_cross_entropy(scores: Tensor, label: Tensor) -> Definition:
    """loss[n] = log Σ_j exp(scores[n,j]) − scores[n, label[n]]

    scores are logits, N×C; label is N, whole numbers from 0 to C − 1. One loss per row: take the
    `mean`. Its gradient is softmax(scores) minus one at the label. The largest score is taken from
    the label's own before anything is added, so that large scores cost no digits.
    """
    _require_rows("scores", scores, label)
    batch, classes = scores.shape
    choose(label, classes)
    n, j = indices("n j")
    top = define("top", (batch,), like=scores, detached=True)
    top[n] = max_of(scores[n, j])
    total = define("total", (batch,), like=scores)
    total[n] += sympy.exp(scores[n, j] - top[n])
    loss = define("loss", (batch,), like=scores)
    loss[n] = sympy.log(total[n])
    loss[n] += equal(j, label[n]) * (top[n] - scores[n, j])
    return loss


@op
def nll(log_probabilities: Tensor, label: Tensor) -> Definition:
    """loss[n] = −log_probabilities[n, label[n]]

    log_probabilities are N×C, as log_softmax gives them; label is N. One loss per row.
    """
    _require_rows("log_probabilities", log_probabilities, label)
    choose(label, log_probabilities.shape[1])
    n, j = indices("n j")
    loss = define("loss", label.shape, like=log_probabilities)
    loss[n] += -equal(j, label[n]) * log_probabilities[n, j]
    return loss


@op
def multiclass_hinge(scores: Tensor, label: Tensor, margin: float = 1) -> Definition:
    """loss[n] = Σ_{j ≠ label[n]} max(0, scores[n,j] − scores[n, label[n]] + margin)

    The loss of the multiclass support vector machine (Weston and Watkins, 1999): scores are N×C,
    label is N, one loss per row. PyTorch's multi_margin_loss divides it by C.
    """
    _require_rows("scores", scores, label)
    batch, classes = scores.shape
    choose(label, classes)
    n, j = indices("n j")
    own = define("own", (batch,), like=scores)
    own[n] += equal(j, label[n]) * scores[n, j]
    excess = scores[n, j] - own[n] + margin
    loss = define("loss", (batch,), like=scores)
    loss[n] += choose_if(picks(j, label[n]) | (excess <= 0), 0, excess)
    return loss


def _require_rows(name: str, scores: Tensor, label: Tensor) -> None:
    require_dtype(FLOATS, scores)
    require(
        len(scores.shape) == 2 and label.shape == scores.shape[:1],
        f"{name} are {described(scores.shape)} and label is {described(label.shape)}",
        rule=f"{name} are N×C and label is N",
        fix="give argmax(label, axis=1) of one-hot labels"
        if label.shape == scores.shape
        else f"flatten {name} to two axes and give one label a row",
    )
