"""Closed forms: what a fragment computes, as one formula without temporaries.

Temporaries are put in place, exponentials of sums are split, and factors that do not depend on an
index leave its sum. The shift by which softmax keeps its exponentials small then cancels, which
proves that it changes no value, and a derived gradient becomes the one in the textbooks.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import sympy
from sympy.core.function import Function

from codegen.affine import Index, index_symbols
from codegen.notation import Access, Equal, Reduce, Statement, Tensor, accesses, walk
from graphcnn.fragment import Fragment


class ClosedFormError(ValueError):
    """A fragment writes through index maps or guards that one formula does not state."""


class Total(sympy.Expr):
    """The sum of a body over one index; build it with `total`, which takes factors out."""

    is_commutative = True
    is_extended_real = True
    is_real = True

    @property
    def free_symbols(self) -> set[Any]:
        """The symbols of body and size, without the index summed over."""
        body, index, size = self.args
        found: set[Any] = (body.free_symbols | size.free_symbols) - {index}
        return found

    def _sympystr(self, printer: Any) -> str:
        body, index, _ = self.args
        return f"Σ_{index}({printer.doprint(body)})"


class Softmax(Function):
    """exp(a) over the sum of all such exponentials along an index of a."""

    nargs = 1
    is_extended_real = True
    is_real = True

    def _sympystr(self, printer: Any) -> str:
        return f"softmax({printer.doprint(self.args[0])})"


def total(body: Any, index: Index, size: Any) -> Any:
    """Give Σ_index body, factors without the index in front.

    >>> i, j = Index("i"), Index("j")
    >>> x = Tensor("x", (3, 4))
    >>> print(total(sympy.exp(x[i, j] - x[i, 0]), j, 4))
    exp(-x[i,0])*Σ_j′(exp(x[i,j′]))
    """
    result = sympy.S.Zero
    for term in sympy.Add.make_args(_expanded(body)):
        outside, inside = term.as_independent(index, as_Add=False)
        result = result + outside * _sum_of(inside, index, size)  # += would state a sum of accesses
    return result


def _sum_of(inside: Any, index: Index, size: Any) -> Any:
    if inside == 1:
        return sympy.sympify(size)
    if isinstance(inside, Equal) and inside.args[0] == index:
        return sympy.S.One  # a label picks one class
    depth = 1 + max(
        (str(t.args[1]).count("′") for t in walk(inside) if isinstance(t, Total)), default=0
    )
    bound = Index("j" + "′" * depth)
    return Total(inside.xreplace({index: bound}), bound, sympy.sympify(size))


def _expanded(expr: Any) -> Any:
    return sympy.expand(expr, power_exp=True, log=True, mul=True, multinomial=True)


def closed_form(fragment: Fragment, at: Sequence[Any] | None = None) -> Any:
    """Give one element of the output as a formula over inputs, extrema and detached tensors.

    Without coordinates it is the element at the indices that the last statement writes. Raises
    `ClosedFormError` where a statement scatters or is guarded.
    """
    last = next(s for s in reversed(fragment.statements) if s.target == fragment.output)
    fresh = (Index(f"s{k}") for k in itertools.count())
    return _value(fragment, fragment.output, tuple(at or last.maps), fresh)


def _value(fragment: Fragment, tensor: Tensor, at: tuple[Any, ...], fresh: Iterator[Index]) -> Any:
    owned = [s for s in fragment.statements if s.target == tensor]
    if not owned or tensor in fragment.detached or owned[0].op not in (Reduce.SET, Reduce.SUM):
        return tensor[at]
    result = sympy.S.Zero
    for statement in owned:
        rules = _coordinates(statement, at) | {i: next(fresh) for i in statement.reduced}
        body = statement.body.xreplace(rules)
        inlined = {a: _value(fragment, a.tensor, a.maps, fresh) for a in accesses(body)}
        body = body.xreplace(inlined)
        for index in reversed(statement.reduced):
            body = total(body, rules[index], statement.sizes[index])
        result = result + body
    return _expanded(result)


def _coordinates(statement: Statement, at: tuple[Any, ...]) -> dict[Any, Any]:
    """Give the value that each index of the left side has at one element."""
    rules: dict[Any, Any] = {}
    for left, wanted in zip(statement.maps, at, strict=True):
        if isinstance(left, Index) and left not in rules:
            rules[left] = wanted
        elif left != wanted or index_symbols(left):
            raise ClosedFormError(f"{statement} at {at}")
    if statement.guards:
        raise ClosedFormError(f"{statement} is guarded")
    return rules


def needs_no_shift(fragment: Fragment) -> bool:
    """Whether the output provably does not depend on the value of any detached tensor."""
    return not any(a.tensor in fragment.detached for a in accesses(closed_form(fragment)))


def textbook(fragment: Fragment) -> Any:
    """Give the closed form with softmax by its name and common factors in front.

    >>> from graphcnn.adjoint import vjp
    >>> from graphcnn.op import REGISTRY
    >>> scores, label = Tensor("scores", (8, 10)), Tensor("label", (8,), "int32")
    >>> forward = REGISTRY["softmax_cross_entropy"].fragment({"scores": scores, "label": label})
    >>> from codegen.printing import render
    >>> print(render(textbook(vjp(forward, 0))))
    dloss[n]·(softmax(scores[n,j]) - [j = label[n]])
    """
    terms = [_softmax_named(t) for t in sympy.Add.make_args(closed_form(fragment))]
    factors = [set(sympy.Mul.make_args(t)) for t in terms]
    common = set.intersection(*factors) if len(terms) > 1 else set()
    front = sympy.Mul(*(f for f in common if isinstance(f, Access)))
    return sympy.Mul(front, sympy.Add(*(t / front for t in terms)))


def _softmax_named(term: Any) -> Any:
    """Write exp(a) / Σ exp(a) as softmax(a), in the sums among the factors of a term too."""
    factors = list(sympy.Mul.make_args(term))
    for below in [f for f in factors if f.is_Pow and isinstance(f.base, Total)]:
        left = below.exp
        for k, above in enumerate(factors):
            named = _over_its_sum(above, below.base) if left.is_negative else None
            if named is not None:
                factors[k] = named
                left += 1
        factors[factors.index(below)] = below.base**left
    return sympy.Mul(*factors)


def _over_its_sum(above: Any, below: Total) -> Any | None:
    """Give exp(a) / Σ exp(a), or a sum of such terms; None if a factor is neither."""
    if isinstance(above, Total):
        body, bound, size = above.args
        parts = list(sympy.Mul.make_args(body))
        for k, part in enumerate(parts):
            if (named := _over_its_sum(part, below)) is not None:
                return Total(sympy.Mul(*parts[:k], named, *parts[k + 1 :]), bound, size)
        return None
    exponential, bound, _ = below.args
    indices = (i for i in above.free_symbols if isinstance(i, Index))
    fits = isinstance(above, sympy.exp) and any(
        exponential.xreplace({bound: i}) == above for i in indices
    )
    return Softmax(above.args[0]) if fits else None
