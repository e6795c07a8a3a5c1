"""Bodies and maps as text a reader of formulas expects: `w[k,c]·x[n,c]`, `½·(a − b)`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sympy
from sympy.printing.precedence import PRECEDENCE, precedence
from sympy.printing.str import StrPrinter


class FormulaPrinter(StrPrinter):
    """SymPy's text printer with products as `·`, choices as `a if c else b`, short numbers."""

    def _print_Mul(self, expr: Any) -> str:  # noqa: N802 (SymPy's dispatch by class name)
        above: list[Any] = []
        below: list[Any] = []
        sign = ""
        for factor in expr.as_ordered_factors():
            if isinstance(factor, sympy.Rational):
                sign = "-" if (factor < 0) != bool(sign) else ""
                above += [sympy.Integer(abs(factor.p))] if abs(factor.p) != 1 else []
                below += [sympy.Integer(factor.q)] if factor.q != 1 else []
            elif factor.is_Pow and isinstance(factor.exp, sympy.Number) and factor.exp < 0:
                below.append(sympy.Pow(factor.base, -factor.exp))
            else:
                above.append(factor)
        above.sort(key=lambda f: (not f.is_Number, f.is_Add))
        top = "·".join(self._factor(f) for f in above) or "1"
        if not below:
            return sign + top
        bottom = "·".join(self._factor(f) for f in below)
        return f"{sign}{top}/{bottom if len(below) == 1 else f'({bottom})'}"

    def _print_Add(self, expr: Any, order: Any = None) -> str:  # noqa: N802
        terms = expr.as_ordered_terms()
        added = [t for t in terms if not t.could_extract_minus_sign()]
        terms.sort(key=lambda t: t not in added[:1])  # b − a rather than −a + b
        shown = [self.parenthesize(t, PRECEDENCE["Add"], strict=True) for t in terms]
        return " + ".join(shown).replace("+ -", "- ")

    def _factor(self, expr: Any) -> str:
        return str(self.parenthesize(expr, PRECEDENCE["Mul"], strict=True))

    def _print_Pow(self, expr: Any, rational: bool = False) -> str:  # noqa: N802
        base, exponent = expr.args
        if exponent == sympy.S.Half:
            return f"sqrt({self._print(base)})"
        if exponent.is_Number and exponent < -1:
            return f"1/{self._print(sympy.Pow(base, -exponent))}"
        shown = self.parenthesize(base, PRECEDENCE["Pow"])
        match exponent:
            case 2:
                return f"{shown}²"
            case -1:
                return f"1/{shown}"
        return f"{shown}^{self.parenthesize(exponent, PRECEDENCE['Pow'])}"

    def _print_Piecewise(self, expr: Any) -> str:  # noqa: N802
        text = ""
        for value, condition in expr.args:
            shown = self._print(value)
            if condition == True:  # noqa: E712 (a SymPy boolean)
                return f"({text}{shown})"
            text += f"{shown} if {self._print(condition)} else "
        return f"({text}undefined)"

    def _print_Float(self, expr: Any) -> str:  # noqa: N802
        return f"{float(expr):.12g}"

    def _print_Relational(self, expr: Any) -> str:  # noqa: N802
        symbol = {"<=": "≤", ">=": "≥", "==": "=", "!=": "≠"}.get(expr.rel_op, expr.rel_op)
        left, right = (self.parenthesize(a, precedence(expr)) for a in expr.args)
        return f"{left} {symbol} {right}"

    def _print_Or(self, expr: Any) -> str:  # noqa: N802
        return " or ".join(sorted(self._print(a) for a in expr.args))

    def _print_And(self, expr: Any) -> str:  # noqa: N802
        return " and ".join(sorted(self._print(a) for a in expr.args))


_PRINTER = FormulaPrinter()


@lru_cache(maxsize=16384)
def render(expr: Any) -> str:
    """Give an expression as a line of text.

    >>> a, b = sympy.symbols("a b")
    >>> render(-a * b / 2 + sympy.sqrt(a)), render(a * (a + b) / (1 + b) ** 2)
    ('sqrt(a) - a·b/2', 'a·(a + b)/(b + 1)²')
    """
    return str(_PRINTER.doprint(sympy.sympify(expr)))
