"""Whether a peer computed what the reference says: nobody is fast at the wrong thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

TOLERANCE = 1e-4  # of ‖error‖ ÷ ‖expected‖, in float32, with room for Winograd
SQUARE_TOLERANCE = 1e-2  # rounding may take a unit across the kink of its ReLU, or not
STEP_TOLERANCE = 1e-1  # RMSProp's first step is ±1 by the gradient's sign, also where it is tiny


class WrongResultError(Exception):
    """A peer's result is not what the reference says."""


def verify(
    found: Mapping[str, Array], expected: Mapping[str, Array], before: Mapping[str, Array]
) -> float:
    """Give the largest error of a direct result; raise WrongResultError where one is too large.

    Names in `before` are weights: their step, not their value, is compared.
    """
    if found.keys() != expected.keys():
        raise WrongResultError(f"results {sorted(found)}, expected {sorted(expected)}")
    errors = {}
    for name, right in expected.items():
        got = np.asarray(found[name], np.float64)
        if got.shape != right.shape:
            raise WrongResultError(f"{name} has shape {got.shape}, expected {right.shape}")
        scale = np.linalg.norm(right - before[name]) if name in before else np.linalg.norm(right)
        errors[name] = float(np.linalg.norm(got - right) / (scale or 1))
        allowed = _tolerance(name, before)
        if not errors[name] <= allowed:
            raise WrongResultError(f"{name} is off by {errors[name]:.1e}, allowed is {allowed:.0e}")
    return max(e for name, e in errors.items() if _tolerance(name, before) == TOLERANCE)


def _tolerance(name: str, before: Mapping[str, Array]) -> float:
    if name in before:
        return STEP_TOLERANCE
    return SQUARE_TOLERANCE if name.endswith("mean_square") else TOLERANCE
