"""Scalar expressions that op bodies share, written so that NaN passes and nothing overflows."""

from __future__ import annotations

from typing import Any

import sympy

from codegen.notation import IsNaN


def choose_if(condition: Any, value: Any, otherwise: Any) -> Any:
    """Give `value` where the condition holds, else `otherwise`; so do the derivatives."""
    return sympy.Piecewise((value, condition), (otherwise, True))


def isnan(x: Any) -> Any:
    """Whether x is not a number."""
    return IsNaN(x)
