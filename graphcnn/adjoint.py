"""The adjoint: from what an op computes to how its gradient flows back, derived.

For each access `A[m]` in the body of `Y[lhs] op body`, put a fresh symbol `t` in its place, take
the local gradient `∂body/∂t`, and state

    dA[m] += dY[lhs] · ∂body/∂t

over the same indices and guards. No index map is inverted and nothing is known about convolution
or pooling: the result is statements again, so it can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import sympy

from codegen.affine import index_symbols
from codegen.notation import FLOATS, Access, Equal, Reduce, Statement, Tensor, accesses
from codegen.notation import statement as state
from graphcnn.fragment import Fragment

_ARG = {Reduce.MAX: Reduce.ARGMAX, Reduce.MIN: Reduce.ARGMIN}


@lru_cache(maxsize=4096)
def local_gradient(body: Any, access: Access) -> Any:
    """Give `∂body/∂access`, every other access held fixed.

    >>> x, y = Tensor("x")[()], Tensor("y")[()]
    >>> local_gradient(x * y, x), local_gradient(x**2, x)
    (y[], 2*x[])
    """
    t = sympy.Dummy("t", real=True)
    return sympy.diff(body.xreplace({access: t}), t).xreplace({t: access})


def adjoint(statement: Statement, d: dict[Tensor, Tensor]) -> Iterator[Statement]:
    """Give the statements that carry the gradient of `statement` to the tensors it reads.

    `d` names the gradient tensor of every tensor that has one, the target included.
    """
    upstream = d[statement.target][statement.maps]
    chosen: Any = sympy.S.One
    if statement.op in _ARG:
        winner = Tensor(f"{statement.target.name}_at", statement.target.shape, "int32")
        yield _winner(statement, winner)
        chosen = Equal(_position(statement), winner[statement.maps])
    for access in accesses(statement.body):
        if access.tensor in d:
            body = chosen * _times(upstream, local_gradient(statement.body, access))
            if body != 0:
                yield _over_the_points_of(statement, d[access.tensor][access.maps], body)


def _over_the_points_of(forward: Statement, left: Access, body: Any) -> Statement:
    """State `left += body` for every point of the forward statement, under its guards.

    A local gradient may have lost an index: the body of `y += x[i] + b` has the derivative 1 in
    b, once for every i. It may have lost a guarded read too, as in `y[i] += x[i - 1] + b`.
    """
    guarded = {s for guard in forward.guards for s in index_symbols(guard.expr)}
    made = state(left, "+=", body, forward.sizes)
    lost = [(i, n) for i, n in forward.box if i not in made.sizes]
    repeats = sympy.Mul(*(sympy.sympify(n) for i, n in lost if i not in guarded))
    made = state(left, "+=", body * repeats, forward.sizes)
    guards = tuple(guard for guard in forward.guards if guard not in made.guards)
    kept = tuple((i, n) for i, n in lost if i in guarded)
    return replace(made, box=made.box + kept, extra=made.extra + guards)


def _times(upstream: Any, local: Any) -> Any:
    """Multiply branch by branch: a gradient that a choice blocks is not read, not times zero."""
    if isinstance(local, sympy.Piecewise):
        return sympy.Piecewise(*((upstream * value, when) for value, when in local.args))
    return upstream * local


def _winner(statement: Statement, winner: Tensor) -> Statement:
    """The first index point (row order) at which a maximum or minimum is reached."""
    return Statement(winner, statement.maps, _ARG[statement.op], statement.body, statement.box)


def _position(statement: Statement) -> Any:
    """Where a reduction stands, counted in row order over the reduced indices."""
    position: Any = sympy.S.Zero
    for symbol in statement.reduced:
        position = position * statement.sizes[symbol] + symbol
    return sympy.expand(position)


@lru_cache(maxsize=4096)
def vjp(fragment: Fragment, wrt: int) -> Fragment | None:
    """Give the fragment that turns `dy` into the gradient of one input; None where it is zero.

    Its inputs are those forward inputs that the gradient needs and, last, the upstream gradient.
    """
    wanted = fragment.inputs[wrt]
    active = _active(fragment, wanted)
    if fragment.output not in active:
        return None
    d = _gradient_names(fragment, active)
    backward = [
        b for s in reversed(fragment.statements) if s.target in active for b in adjoint(s, d)
    ]
    every = _needed(_once((*fragment.statements, *backward)), d[wanted])
    if not any(s.target == d[wanted] for s in every):
        return None
    read = {a.tensor for s in every for a in s.reads}
    return Fragment(
        (*(t for t in fragment.inputs if t in read), d[fragment.output]),
        every,
        d[wanted],
        fragment.detached & {s.target for s in every},
        tuple((t, n) for t, n in fragment.choices if t in read),
    )


def _active(fragment: Fragment, wanted: Tensor) -> set[Tensor]:
    """The tensors through which a change of `wanted` reaches the output."""
    active = {wanted} if wanted.dtype in FLOATS else set()
    for s in fragment.statements:
        if s.target in fragment.detached or s.target.dtype not in FLOATS:
            continue
        if any(a.tensor in active and local_gradient(s.body, a) != 0 for a in accesses(s.body)):
            active.add(s.target)
    return active


def _gradient_names(fragment: Fragment, active: set[Tensor]) -> dict[Tensor, Tensor]:
    """Give each active tensor its gradient's tensor, under a name that is still free."""
    taken = {t.name for t in (*fragment.inputs, *(s.target for s in fragment.statements))}
    d: dict[Tensor, Tensor] = {}
    for tensor in sorted(active, key=lambda t: t.name):
        name = f"d{tensor.name}"
        while name in taken:
            name = f"d{name}"
        taken.add(name)
        d[tensor] = tensor.renamed(name)
    return d


def _once(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """Drop a winner that an earlier derivation has already stated."""
    winners = {Reduce.ARGMAX, Reduce.ARGMIN}
    kept: list[Statement] = []
    for s in statements:
        if s.op not in winners or s not in kept:
            kept.append(s)
    return tuple(kept)


def _needed(statements: tuple[Statement, ...], output: Tensor) -> tuple[Statement, ...]:
    """Drop statements that do not lead to the output."""
    wanted, kept = {output}, []
    for s in reversed(statements):
        if s.target in wanted:
            kept.append(s)
            wanted |= {a.tensor for a in s.reads}
    return tuple(reversed(kept))
