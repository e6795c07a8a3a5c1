"""Softmax and the losses of classification."""

from __future__ import annotations

import sympy

from graphcnn.op import (
    Definition,
    Tensor,
    choose,
    define,
    equal,
    indices,
    max_of,
    op,
    require,
)


@op
def softmax_cross_entropy(scores: Tensor, label: Tensor) -> Definition:
    """loss[n] = log Σ_j exp(scores[n,j]) − scores[n, label[n]]

    scores are logits, N×C; label is N, whole numbers from 0 to C − 1. One loss per row: take the
    `mean`. Computed with the largest score subtracted, so that no score overflows.
    """
    require(
        len(scores.shape) == 2 and label.shape == scores.shape[:1],
        f"scores are {scores.shape} and label is {label.shape}",
        rule="scores are N×C and label is N",
        fix="flatten the scores to two axes and give one label a row",
    )
    batch, classes = scores.shape
    choose(label, classes)
    n, j = indices("n j")
    top = define("top", (batch,), like=scores, detached=True)
    top[n] = max_of(scores[n, j])
    total = define("total", (batch,), like=scores)
    total[n] += sympy.exp(scores[n, j] - top[n])
    loss = define("loss", (batch,), like=scores)
    loss[n] = top[n] + sympy.log(total[n])
    loss[n] += -equal(j, label[n]) * scores[n, j]
    return loss
