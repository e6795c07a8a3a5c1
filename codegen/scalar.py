"""The scalar functions a body may use, each with its meaning in NumPy and its name in C.

A body is a SymPy expression; this table is the whole vocabulary. To add a function, add its row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from sympy.codegen.cfunctions import expm1, log1p
from sympy.core.function import Function


class Power(Function):
    """x to the y where both vary; 0⁰ is 1.

    SymPy's own power has the derivative y·xʸ/x, which is 0/0 at x = 0, where y·xʸ⁻¹ holds.
    """

    nargs = 2
    is_extended_real = True
    is_real = True

    def fdiff(self, argindex: int = 1) -> Any:
        """Give the partial derivative, zero at 0⁰ and, in y, all along x = 0 ≤ y."""
        x, y = self.args
        if argindex == 1:
            there = sympy.Eq(x, 0) & sympy.Eq(y, 0)
            return sympy.Piecewise((0, there), (y * Power(x, y - 1), True))
        return sympy.Piecewise((0, sympy.Eq(x, 0) & (y >= 0)), (self * sympy.log(x), True))

    def _sympystr(self, printer: Any) -> str:
        return f"pow({', '.join(map(printer.doprint, self.args))})"


_erf = np.vectorize(math.erf, otypes=[np.float64])


@dataclass(frozen=True)
class ScalarFunction:
    """One row: the SymPy class, what NumPy computes, and the C function (double spelling)."""

    symbol: Any
    numpy: Callable[..., Any]
    c: str


def _erf_like(x: Any) -> Any:
    return _erf(x).astype(np.asarray(x).dtype) if np.size(x) else np.asarray(x)


FUNCTIONS: tuple[ScalarFunction, ...] = (
    ScalarFunction(sympy.exp, np.exp, "exp"),
    ScalarFunction(sympy.log, np.log, "log"),
    ScalarFunction(expm1, np.expm1, "expm1"),
    ScalarFunction(log1p, np.log1p, "log1p"),
    ScalarFunction(Power, np.power, "pow"),
    ScalarFunction(sympy.tanh, np.tanh, "tanh"),
    ScalarFunction(sympy.sin, np.sin, "sin"),
    ScalarFunction(sympy.cos, np.cos, "cos"),
    ScalarFunction(sympy.erf, _erf_like, "erf"),
    ScalarFunction(sympy.Abs, np.abs, "fabs"),
    ScalarFunction(sympy.floor, np.floor, "floor"),
    ScalarFunction(sympy.ceiling, np.ceil, "ceil"),
)

BY_SYMBOL = {row.symbol: row for row in FUNCTIONS}
