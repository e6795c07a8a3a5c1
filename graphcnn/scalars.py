"""Scalar expressions that op bodies share, written so that NaN passes and nothing overflows."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy

from codegen.notation import DType, IsNaN, equal


def choose_if(condition: Any, value: Any, otherwise: Any) -> Any:
    """Give `value` where the condition holds, else `otherwise`; so do the derivatives."""
    return sympy.Piecewise((value, condition), (otherwise, True))


def isnan(x: Any) -> Any:
    """Whether x is not a number."""
    return IsNaN(x)


def is_true(x: Any) -> Any:
    """Whether a bool, or any number, is not zero."""
    return sympy.Ne(x, 0)


def picks(index: Any, label: Any) -> Any:
    """Whether an index is the one that a label picks."""
    return sympy.Ne(equal(index, label), 0)


def is_finite(x: Any, dtype: DType) -> Any:
    """Whether x is a number other than ±∞."""
    return sympy.Abs(x) <= sympy.Float(float(np.finfo(dtype).max))


def exact(number: float) -> Any:
    """Give a number as SymPy's, as a whole number or fraction where it is a short one.

    >>> exact(2.0), exact(0.5)
    (2, 1/2)
    """
    if number in (float("inf"), float("-inf")) or number != number:
        return sympy.sympify(number)
    fraction = sympy.Rational(number)
    return fraction if fraction.q <= 64 else sympy.Float(number)


def sigmoid_of(x: Any) -> Any:
    """Give 1/(1 + exp(−x)), written with the exponential that cannot overflow."""
    return choose_if(x >= 0, 1 / (1 + sympy.exp(-x)), sympy.exp(x) / (1 + sympy.exp(x)))
