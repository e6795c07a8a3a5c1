"""Initial values of parameters, drawn from a seeded generator; no global random state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphcnn.errors import ShapeError, user_origin

Array = npt.NDArray[Any]
Seed = int | np.random.Generator


def zeros(*shape: int) -> Array:
    """Give zeros: for biases, never for all weights (they would stay alike for ever)."""
    return np.zeros(shape, np.float32)


def constant(shape: Sequence[int], value: float) -> Array:
    """Give one value everywhere."""
    return np.full(tuple(shape), value, np.float32)


def normal(shape: Sequence[int], std: float, *, seed: Seed) -> Array:
    """Give normal values of mean zero."""
    return (_rng(seed).standard_normal(tuple(shape)) * std).astype(np.float32)


def uniform(shape: Sequence[int], bound: float, *, seed: Seed) -> Array:
    """Give uniform values in [−bound, bound)."""
    return _rng(seed).uniform(-bound, bound, tuple(shape)).astype(np.float32)


def he(shape: Sequence[int], *, seed: Seed) -> Array:
    """Give normal values of variance 2/fan_in, which keep the scale through ReLU layers.

    Weights are O×I×Kh×Kw or O×I; fan_in is everything but O.
    Source: He et al., Delving Deep into Rectifiers, 2015.

    >>> he((6, 3, 5, 5), seed=0).shape
    (6, 3, 5, 5)
    """
    return normal(shape, math.sqrt(2 / fans(shape)[0]), seed=seed)


def glorot(shape: Sequence[int], *, seed: Seed) -> Array:
    """Give uniform values of variance 2/(fan_in + fan_out).

    Source: Glorot and Bengio, Understanding the difficulty of training deep networks, 2010.
    """
    return uniform(shape, math.sqrt(6 / sum(fans(shape))), seed=seed)


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Give (fan_in, fan_out) of a weight O×I×K...: connections into and out of one unit.

    >>> fans((6, 3, 5, 5))
    (75, 150)
    """
    if len(shape) < 2:
        raise ShapeError(
            f"a weight of shape {tuple(shape)}",
            rule="fan-in and fan-out need at least two axes, O×I",
            fix="for a bias use zeros(n)",
        ).at("initial values", user_origin())
    window = math.prod(shape[2:])
    return max(1, shape[1] * window), max(1, shape[0] * window)


def _rng(seed: Seed) -> np.random.Generator:
    return seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)
