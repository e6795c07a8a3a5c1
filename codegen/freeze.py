"""From SymPy bodies and maps to the expressions of loop nests; the last file that knows SymPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from codegen.affine import Dim, Index, Size, split
from codegen.nest import Apply, Expression, Name, Number, Scalar
from codegen.notation import FLOATS, Access, Equal, IsNaN, NotationError
from codegen.scalar import BY_SYMBOL

Read = Callable[[Access], Expression]
Letter = Callable[[Any], str]


def whole(expr: Any, letter: Letter) -> Expression:
    """Give an affine expression over indices and sizes as integer arithmetic."""
    constant, coefficients = split(sympy.sympify(expr))
    positive: list[Expression] = []
    negative: list[Expression] = []
    for symbol, factor in coefficients.items():
        side = negative if factor.is_Integer and factor < 0 else positive
        side.append(_scaled(abs(factor) if factor.is_Integer else factor, symbol, letter))
    for term in sympy.Add.make_args(constant):
        if term == 0:
            continue
        sign = bool(term.as_coeff_Mul()[0] < 0)
        (negative if sign else positive).append(_size(-term if sign else term, letter))
    total = positive[0] if positive else Number(0, "int64")
    for term in positive[1:]:
        total = Apply("+", (total, term), "int64")
    for term in negative:
        total = Apply("-", (total, term), "int64")
    return total


def _scaled(factor: Any, symbol: Any, letter: Letter) -> Expression:
    name = Name(letter(symbol))
    return name if factor == 1 else Apply("*", (_size(factor, letter), name), "int64")


def _size(expr: Any, letter: Letter) -> Expression:
    factors: list[Expression] = []
    for factor in sympy.Mul.make_args(expr):
        base, power = factor.as_base_exp()
        if base.is_Integer and power == 1:
            factors.append(Number(int(base), "int64"))
        elif isinstance(base, Dim) and power.is_Integer and power > 0:
            factors += [Name(letter(base))] * int(power)
        elif base.is_Add:
            factors.append(whole(base, letter))
        else:
            raise NotationError(f"{expr} is not a whole expression in sizes")
    total = factors[0]
    for f in factors[1:]:
        total = Apply("*", (total, f), "int64")
    return total


def size_of(size: Size, letter: Letter) -> Expression:
    """Give a size as an integer expression."""
    return whole(sympy.expand(size), letter)


def freeze(expr: Any, dtype: Scalar, read: Read, letter: Letter) -> Expression:
    """Give a body as an expression of one dtype; `read` places accesses, `letter` names symbols.

    Small whole powers become products, negative ones divisions, `a + (-1)·b` a subtraction.
    Raises `NotationError` for a function that has no row in `scalar.py`.
    """

    def go(e: Any) -> Expression:
        match e:
            case Access():
                return cast(read(e))
            case Equal():
                return Apply("==", (integer(e.args[0]), integer(e.args[1])), "bool")
            case IsNaN():
                return Apply("isnan", (go(e.args[0]),), "bool")
            case Index() | Dim():
                return cast(Name(letter(e)))
            case sympy.Integer() | sympy.Float() | sympy.NumberSymbol():
                return Number(float(e), dtype)
            case sympy.Rational():
                return Number(float(e), dtype)
            case sympy.core.numbers.Infinity() | sympy.core.numbers.NegativeInfinity():
                return Number(float(e), dtype)
            case sympy.Add():
                return add(e)
            case sympy.Mul():
                return multiply(e)
            case sympy.Pow():
                return power(e)
            case sympy.Piecewise():
                return choice(e)
            case sympy.core.relational.Relational():
                return Apply(e.rel_op, (go(e.args[0]), go(e.args[1])), "bool")
            case sympy.Or() | sympy.And():
                op = "or" if isinstance(e, sympy.Or) else "and"
                ordered = sorted(e.args, key=str)
                return fold(op, [go(a) for a in ordered], "bool")
            case sympy.Not():
                return Apply("not", (go(e.args[0]),), "bool")
            case sympy.logic.boolalg.BooleanAtom():
                return Number(1 if e else 0, "bool")
            case sympy.sign():
                x = go(e.args[0])
                zero = Number(0, dtype)
                up, down = Apply(">", (x, zero), "bool"), Apply("<", (x, zero), "bool")
                return Apply(
                    "-", (Apply("cast", (up,), dtype), Apply("cast", (down,), dtype)), dtype
                )
            case _ if type(e) in BY_SYMBOL:
                return function(BY_SYMBOL[type(e)].c, [cast(go(a)) for a in e.args])
        if e.is_number:
            return Number(float(e), dtype)
        raise NotationError(f"no C spelling for {type(e).__name__} in {e}; add it to scalar.py")

    def function(name: str, args: list[Expression]) -> Expression:
        if dtype in FLOATS:
            return Apply(name, tuple(args), dtype)
        wide = tuple(Apply("cast", (a,), "float64") for a in args)
        return Apply("cast", (Apply(name, wide, "float64"),), dtype)

    def cast(e: Expression) -> Expression:
        return e if e.dtype == dtype else Apply("cast", (e,), dtype)

    def integer(e: Any) -> Expression:
        return read(e) if isinstance(e, Access) else whole(e, letter)

    def fold(op: str, args: list[Expression], kind: Scalar) -> Expression:
        total = args[0]
        for arg in args[1:]:
            total = Apply(op, (total, arg), kind)
        return total

    def add(e: Any) -> Expression:
        terms = e.as_ordered_terms()
        signs = [bool(_leading(t) < 0) for t in terms]
        order = sorted(range(len(terms)), key=lambda k: signs[k])
        total: Expression | None = None
        for k in order:
            if total is None:
                total = go(terms[k])
            elif signs[k]:
                total = Apply("-", (total, go(-terms[k])), dtype)
            else:
                total = Apply("+", (total, go(terms[k])), dtype)
        assert total is not None
        return total

    def multiply(e: Any) -> Expression:
        factors = list(e.args)
        brackets = [f for f in factors if isinstance(f, Equal)]
        if brackets:
            rest = go(sympy.Mul(*(f for f in factors if not isinstance(f, Equal))))
            condition = fold("and", [go(b) for b in brackets], "bool")
            return Apply("select", (condition, rest, Number(0, dtype)), dtype)
        above: list[Expression] = []
        below: list[Expression] = []
        scale = sympy.S.One
        for f in factors:
            if isinstance(f, sympy.Rational) and f.q != 1:
                above += [Number(f.p, dtype)] if abs(f.p) != 1 else []
                below.append(Number(f.q, dtype))
                scale = -scale if f.p == -1 else scale
            elif f == -1:
                scale = -scale
            elif f.is_Pow and f.exp.is_number and f.exp < 0:
                below.append(go(sympy.Pow(f.base, -f.exp)))
            else:
                above.append(go(f))
        total = fold("*", above, dtype) if above else Number(1, dtype)
        if below:
            total = Apply("/", (total, fold("*", below, dtype)), dtype)
        return Apply("neg", (total,), dtype) if scale == -1 else total

    def power(e: Any) -> Expression:
        base, exponent = e.base, e.exp
        if exponent.is_Integer and 1 < abs(int(exponent)) <= 8:
            product = fold("*", [go(base)] * abs(int(exponent)), dtype)
            return product if exponent > 0 else Apply("/", (Number(1, dtype), product), dtype)
        if exponent == -1:
            return Apply("/", (Number(1, dtype), go(base)), dtype)
        if exponent == sympy.S.Half:
            return Apply("sqrt", (go(base),), dtype)
        if exponent == -sympy.S.Half:
            return Apply("/", (Number(1, dtype), Apply("sqrt", (go(base),), dtype)), dtype)
        return function("pow", [go(base), go(exponent)])

    def choice(e: Any) -> Expression:
        *head, (last, otherwise) = e.args
        if otherwise != True:  # noqa: E712 (a SymPy boolean)
            raise NotationError(f"{e}: the last branch of a choice must be 'otherwise'")
        result = go(last)
        for value, condition in reversed(head):
            result = Apply("select", (go(condition), go(value), result), dtype)
        return result

    return go(expr)


def _leading(term: Any) -> Any:
    """The sign-carrying number of a term."""
    coefficient = term.as_coeff_Mul()[0]
    return coefficient if coefficient.is_number and coefficient.is_real else sympy.S.One
