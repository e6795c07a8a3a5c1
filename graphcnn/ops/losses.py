"""Losses that are one number: squared errors and penalties on weights."""

from __future__ import annotations

import sympy

from graphcnn.errors import described
from graphcnn.op import FLOATS, Definition, Tensor, axes, define, op, require, require_dtype
from graphcnn.reshaping import product
from graphcnn.scalars import exact


@op
def mse(prediction: Tensor, target: Tensor) -> Definition:
    """loss = Σ (prediction − target)² / count, over all elements"""
    require_dtype(FLOATS, prediction, target)
    require(
        prediction.shape == target.shape,
        f"prediction is {described(prediction.shape)} and target {described(target.shape)}",
        rule="both have one shape; nothing is broadcast in a loss",
        fix="reshape one of them",
    )
    at = axes(prediction)
    loss = define("loss", (), like=prediction)
    loss[()] += (prediction[at] - target[at]) ** 2 / sympy.sympify(product(target.shape))
    return loss


@op
def l2(weights: tuple[Tensor, ...] | Tensor, lam: Tensor | float = 1) -> Definition:
    """loss = λ · Σ weights², of one tensor or several

    Its gradient is 2·λ·weights; PyTorch's `weight_decay` is this 2·λ.
    """
    several = weights if isinstance(weights, tuple) else (weights,)
    require_dtype(FLOATS, *several)
    if isinstance(lam, Tensor):
        require_dtype(FLOATS, lam)
        require(
            lam.shape == (),
            f"lam is {described(lam.shape)}",
            rule="λ is one number",
            fix="lam=1e-4",
        )
    factor = lam[()] if isinstance(lam, Tensor) else exact(lam)
    loss = define("loss", (), like=several[0])
    for w in several:
        loss[()] += factor * w[axes(w)] ** 2
    return loss
