"""Closed forms of what was derived, as textbooks write it.

Before: exp(−x)/(1 + exp(−x))² if x ≥ 0 else …      After: z·(1 − z)
Before: dtotal[i] = Σ_{j} …; dx[i,j] = … + dtotal[i]·…
                                                 After: dx[i,j] = … − softmax(x)[i,j]·(Σ_{k} …)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sympy

from codegen.affine import Index, index_symbols
from codegen.notation import Access, Reduce, Statement, Tensor, accesses, walk
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
    written: dict[Tensor, list[Statement]] = {}
    for s in derived.statements:
        written.setdefault(s.target, []).append(s)
    inner = carried(derived) - {derived.inputs[-1], derived.output}
    sources = {s.target: s for s in derived.statements}
    used = {i.name for s in derived.statements for i in s.sizes}
    free = iter(Index(name) for name in _BOUND if name not in used)

    def whole(s: Statement | None) -> Any | None:
        if s is None:
            return None
        body = s.body
        for access in accesses(body):
            if access.tensor in inner:
                bodies = [whole(_at(part, access)) for part in written[access.tensor]]
                if None in bodies:
                    return None
                body = body.xreplace({access: sympy.Add(*bodies)})
        body = with_softmax(body, sources, detached)
        return _summed(body, s.reduced, free) if s.reduced else body

    ends = written[derived.output]
    if len({s.maps for s in ends}) > 1 or not all(map(_is_plain, ends)):
        return None
    bodies = [whole(s) for s in ends]
    return None if None in bodies else with_softmax(sympy.Add(*bodies), sources, detached)


def _is_plain(s: Statement) -> bool:
    return s.op in (Reduce.SET, Reduce.SUM) and plain(s.maps) and not s.bindings


def _at(s: Statement, access: Access) -> Statement | None:
    """Give a statement that defines a tensor, stated for the place where this access reads it."""
    if not _is_plain(s) or any(i in s.reduced for m in access.maps for i in index_symbols(m)):
        return None
    if not all(isinstance(m, Index) for m in access.maps):
        return None
    return s.substitute(dict(zip(s.maps, access.maps, strict=True)))


def _summed(body: Any, over: Sequence[Index], free: Any) -> Any:
    """Give a sum with what does not depend on its indices taken out, under indices of its own."""
    own = {i: next(free, i) for i in over}
    inside, outside = sympy.S.One, sympy.S.One
    for factor in sympy.Mul.make_args(sympy.factor_terms(body)):
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


@lru_cache(maxsize=256)
def _same(a: Any, b: Any) -> bool:
    """Whether two functions of real numbers agree: all slopes do, and the values at zero."""
    names = {read: sympy.Dummy(real=True) for read in accesses(a - b)}
    apart = (a - b).xreplace(names)
    variables = tuple(apart.free_symbols)
    slopes = (sympy.cancel(apart.diff(v)) for v in variables)
    return apart.xreplace(dict.fromkeys(variables, sympy.S.Zero)) == 0 and not any(slopes)


def by_result(value: Any, body: Any, result: Any) -> Any:
    """Write a local gradient by the op's result alone if one exponential tells it, else as it is.

    >>> x, z = sympy.symbols("x z", real=True)
    >>> by_result(sympy.exp(-x) / (1 + sympy.exp(-x)) ** 2, 1 / (1 + sympy.exp(-x)), z)
    z*(1 - z)
    """
    t, z = sympy.symbols("t z", cls=sympy.Dummy, positive=True)
    exponents = [e.exp for e in walk(sympy.Tuple(body, value)) if isinstance(e, sympy.exp)]
    swaps = {sympy.exp(e): t ** (e / exponents[0]) for e in exponents}
    if not all(power.is_polynomial(t) or (1 / power).is_polynomial(t) for power in swaps.values()):
        return value
    told = sympy.numer(sympy.together(body.xreplace(swaps) - z))
    if not told.is_polynomial(t) or sympy.degree(told, t) != 1:
        return value
    slope, constant = sympy.Poly(told, t).all_coeffs()
    written = sympy.factor(value.xreplace(swaps).xreplace({t: -constant / slope}))
    if written.free_symbols != {z}:
        return value
    sums = [f for f in sympy.Mul.make_args(written) if f.is_Add]
    if sums and written.could_extract_minus_sign():  # z·(1 − z) rather than −z·(z − 1)
        written = -written / sums[0] * -sums[0]
    return written.xreplace({z: result})
