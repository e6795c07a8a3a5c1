"""One formula for branches that are told apart only to be computed well.

Before: exp(−x)/(1 + exp(−x))² if x ≥ 0 else …        After: z·(1 − z)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sympy

from codegen.notation import accesses, walk


def merged(value: Any) -> Any:
    """Write two branches that are the same function, told apart to be computed well, as one.

    >>> x = sympy.Symbol("x", real=True)
    >>> e = sympy.exp
    >>> merged(sympy.Piecewise((1 / (1 + e(-x)), x >= 0), (e(x) / (1 + e(x)), True)))
    1/(1 + exp(-x))
    """
    if not isinstance(value, sympy.Piecewise) or len(value.args) != 2:
        return value
    (yes, _), (no, _) = value.args
    return min(yes, no, key=sympy.count_ops) if _same(yes, no) else value


def _names(expr: Any) -> dict[Any, sympy.Dummy]:
    """Give a symbol for each access: SymPy adds polynomials with +=, which accesses take over."""
    return {read: sympy.Dummy(f"x{k}", real=True) for k, read in enumerate(accesses(expr))}


@lru_cache(maxsize=256)
def _same(a: Any, b: Any) -> bool:
    """Whether two functions of real numbers agree: all slopes do, and the values at zero."""
    apart = (a - b).xreplace(_names(a - b))
    variables = tuple(apart.free_symbols)
    at_zero = apart.xreplace(dict.fromkeys(variables, sympy.S.Zero))
    return bool(at_zero == 0) and all(_is_zero(apart.diff(v)) for v in variables)


def _is_zero(expr: Any) -> bool:
    """Whether a quotient of polynomials in variables and one exponential is zero; else no."""
    t = sympy.Dummy("t", positive=True)
    rational = expr.xreplace(_powers(expr, t))
    field = sympy.QQ.frac_field(t, *sorted(rational.free_symbols - {t}, key=str))
    try:
        return not field.from_sympy(rational)
    except ValueError:
        return False


def _powers(expr: Any, t: sympy.Dummy) -> dict[Any, Any]:
    """Give each exponential as a power of t, which stands for the first of them."""
    exponents = [e.exp for e in walk(expr) if isinstance(e, sympy.exp)]
    return {sympy.exp(e): t ** (e / exponents[0]) for e in exponents}


def by_result(value: Any, body: Any, result: Any) -> Any:
    """Write a local gradient by the op's result alone if one exponential tells it, else as it is.

    >>> x, z = sympy.symbols("x z", real=True)
    >>> by_result(sympy.exp(-x) / (1 + sympy.exp(-x)) ** 2, 1 / (1 + sympy.exp(-x)), z)
    z*(1 - z)
    """
    t, z = sympy.symbols("t z", cls=sympy.Dummy, positive=True)
    both = sympy.Tuple(body, value).xreplace(_names(sympy.Tuple(body, value)))
    told, shown = both.xreplace(_powers(both, t))
    told = sympy.numer(sympy.together(told - z))
    if not told.is_polynomial(t) or sympy.degree(told, t) != 1:
        return value
    slope, constant = sympy.Poly(told, t).all_coeffs()
    written = sympy.factor(shown.xreplace({t: -constant / slope}))
    if written.free_symbols != {z}:
        return value
    sums = [f for f in sympy.Mul.make_args(written) if f.is_Add]
    if sums and written.could_extract_minus_sign():  # z·(1 − z) rather than −z·(z − 1)
        written = -written / sums[0] * -sums[0]
    return written.xreplace({z: result})
