"""Closed forms of what was derived, as textbooks write it.

Before: exp(−x)/(1 + exp(−x))² if x ≥ 0 else …      After: z·(1 − z)
Before: dtotal[i] = Σ_{j} …; dx[i,j] = … + dtotal[i]·…
                                                 After: dx[i,j] = … − softmax(x)[i,j]·(Σ_{k} …)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, count
from typing import Any

import sympy

from codegen.affine import Index, index_symbols
from codegen.notation import Reduce, Statement, Tensor, accesses, walk
from codegen.rewrite.maps import plain
from graphcnn.fragment import Fragment

Sources = Mapping[Tensor, Statement]
_BOUND = "klmpqrst"  # letters for the index of a sum inside a formula


class Total(sympy.Function):
    """A sum inside a formula: of its first argument, over the indices that follow."""


def in_one(derived: Fragment, detached: frozenset[Tensor]) -> Any | None:
    """Give the body of a derived gradient with all it leads through put in; None if it is no one.

    Forward tensors that it needs keep their letters.
    """
    inner = carried(derived) - {derived.inputs[-1], derived.output}
    written = {
        t: [s for s in derived.statements if s.target == t] for t in (*inner, derived.output)
    }
    if not all(map(_is_formula, written.values())):
        return None
    sources = {s.target: s for s in derived.statements}
    used = {i.name for s in derived.statements for i in s.sizes}
    letters = chain(_BOUND, map("k{}".format, count()))
    free = (Index(letter) for letter in letters if letter not in used)

    def whole(tensor: Tensor) -> Any:
        return with_softmax(sympy.Add(*map(term, written[tensor])), sources, detached)

    def term(s: Statement) -> Any:
        known = {
            a: whole(a.tensor).xreplace(dict(zip(written[a.tensor][0].maps, a.maps, strict=True)))
            for a in accesses(s.body)
            if a.tensor in inner
        }
        body = with_softmax(s.body.xreplace(known), sources, detached)
        return _summed(body, s.reduced, free) if s.reduced else body

    return whole(derived.output)


def _is_formula(statements: Sequence[Statement]) -> bool:
    """Whether statements that define a tensor say one thing of all its elements."""
    return len({s.maps for s in statements}) == 1 and all(
        s.op in (Reduce.SET, Reduce.SUM) and plain(s.maps) and not s.bindings for s in statements
    )


def _summed(body: Any, over: Sequence[Index], free: Iterator[Index]) -> Any:
    """Give a sum with what does not depend on its indices taken out, under indices of its own."""
    own = {i: next(free) for i in over}
    names = _names(body)
    back = {name: read for read, name in names.items()}
    inside, outside = sympy.S.One, sympy.S.One
    for part in sympy.Mul.make_args(sympy.factor_terms(body.xreplace(names))):
        factor = part.xreplace(back)
        reads = {i for a in accesses(factor) for m in a.maps for i in index_symbols(m)}
        if reads & set(over) or factor.free_symbols & set(over):
            inside *= factor
        else:
            outside *= factor
    return outside * Total(inside.xreplace(own), *own.values())


def carried(derived: Fragment) -> set[Tensor]:
    """The tensors through which the upstream gradient passes on its way to the output."""
    found = {derived.inputs[-1]}
    for s in derived.statements:
        if any(a.tensor in found for a in accesses(s.body)):
            found.add(s.target)
    return found


def with_softmax(value: Any, sources: Sources, detached: frozenset[Tensor]) -> Any:
    """Write an exponential over its own sum, which is what a softmax is, as one."""
    terms = sympy.Add.make_args(sympy.expand_mul(value))
    written = [_softmax(term, sources, detached) for term in terms]
    return value if written == list(terms) else sympy.Add(*written)


def _softmax(term: Any, sources: Sources, detached: frozenset[Tensor]) -> Any:
    factors = list(sympy.Mul.make_args(term))
    for exponential in (f for f in factors if isinstance(f, sympy.exp)):
        scores = [a for a in accesses(exponential) if a.tensor not in detached]
        for total in accesses(term):
            s = sources.get(total.tensor)
            summed = s is not None and s.op is Reduce.SUM and s.body == exponential
            divisor = next((f for f in factors if f.as_base_exp()[0] == total), None)
            if summed and divisor is not None and divisor.exp < 0 and len(scores) == 1:
                softmax = Tensor(f"softmax({scores[0].tensor.name})", scores[0].tensor.shape)
                rest = [f for f in factors if f not in (exponential, divisor)]
                return sympy.Mul(*rest, divisor * total, softmax[scores[0].maps])
    return term


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
