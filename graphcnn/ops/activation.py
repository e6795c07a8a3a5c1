"""Activation functions. At a kink the gradient is the one from the left: relu'(0) = 0."""

from __future__ import annotations

from graphcnn.op import Definition, Tensor, elementwise, op
from graphcnn.scalars import choose_if


@op
def relu(x: Tensor) -> Definition:
    """y = 0 if x ≤ 0 else x; a NaN stays a NaN"""
    return elementwise(lambda x: choose_if(x <= 0, 0, x), x)
