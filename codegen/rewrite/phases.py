"""See what moves in strides as phases, each of which slides one by one.

Before: y[n,k,i] += w[k,c,u]·x[n,c,2·i + u - 3]                                      u < 7
After:  y[n,k,i] += w'[k,c,q,u]·x'[n,c,q,i + u]                              q < 2,  u < 4
        where w'[k,c,q,u] is w[k,c,2·u + q] and x'[n,c,q,j] is x[n,c,2·j + q - 3]

The index that moves by less is counted in digits, the lower of which is the phase. To an index
that is summed over, phases are like channels; to one of the result, as where a filter is dilated
or in the gradient to weights, they are further results. What is seen beyond the end of a tensor,
like an eighth of seven taps, reads as zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy

from codegen.affine import Index, split
from codegen.notation import Access, Statement, Tensor, accesses
from codegen.notation import statement as state


@dataclass(frozen=True)
class View:
    """A tensor seen with other axes: what is seen at `letters` is held at `maps`."""

    seen: Tensor
    letters: tuple[Index, ...]
    tensor: Tensor
    maps: tuple[Any, ...]

    def held(self, maps: tuple[Any, ...]) -> tuple[Any, ...]:
        """Give where the tensor holds what is seen there."""
        rules = dict(zip(self.letters, maps, strict=True))
        return tuple(sympy.expand(m.xreplace(rules)) for m in self.maps)


Views = Mapping[Tensor, View]


def operands(s: Statement, out: Index, filter: Index) -> tuple[Access, Access]:
    """Give what two indices move along together, and what it is multiplied with."""
    first, second = sympy.Mul.make_args(s.body)
    moved = any({out, filter} <= m.free_symbols for m in first.maps)
    return (first, second) if moved else (second, first)


def in_phases(s: Statement, out: Index, filter: Index) -> tuple[Statement, Views] | None:
    """Give a sum of two factors' products in which two indices slide one by one, and its views.

    None where they cannot: the larger step has to be a multiple of the smaller one, and the index
    that is counted in digits must run along the whole of an axis.
    """
    x, w = operands(s, out, filter)
    axis = next(k for k, m in enumerate(x.maps) if out in m.free_symbols)
    start, moves = split(x.maps[axis])
    if not all(number.is_Integer for number in (start, *moves.values())) or moves[out] < 0:
        return None
    least, stride = sorted(abs(int(step)) for step in moves.values())
    if stride == 1:
        return s, {}
    cut = filter if moves[out] == stride else out
    y = s.target[s.maps]
    side = w if cut == filter else y
    along = [(k, side.tensor.shape[k]) for k, m in enumerate(side.maps) if cut in m.free_symbols]
    # Views go by the names of their tensors: of one that slides along itself there would be two.
    if stride % least or x.tensor == w.tensor or [n for _, n in along] != [s.sizes[cut]]:
        return None

    phases = stride // least
    phase = Index(f"q{cut.name}")
    while phase in s.sizes:
        phase = Index(f"{phase.name}_")
    sizes = {**s.sizes, cut: -(-int(s.sizes[cut]) // phases), phase: phases}
    last = int(sizes[filter]) - 1
    back = last if moves[filter] < 0 else 0

    def slid(j: Any, q: Any) -> Any:
        return stride * (j - back) + moves[cut] * q + start

    def digits(j: Any, q: Any) -> Any:
        return phases * j + q

    place = out + back + (filter if moves[filter] > 0 else -filter)
    x, seen = _seen(x, axis, phase, (phases, int(sizes[out]) + last), slid, place)
    side, other = _seen(side, along[0][0], phase, (phases, int(sizes[cut])), digits, cut)
    w, y = (side, y) if cut == filter else (w, side)
    return state(y, "+=", w * x, sizes), {seen.seen: seen, other.seen: other}


def _seen(
    access: Access, axis: int, phase: Index, shape: tuple[int, int], held: Any, place: Any
) -> tuple[Access, View]:
    """Give an access to a tensor seen in phases along an axis, and how it is seen."""
    letters: list[Any] = [Index(f"a{k}") for k in range(access.tensor.rank)]
    at = [m if k != axis else held(m, phase) for k, m in enumerate(letters)]
    sizes = list(access.tensor.shape)
    maps = list(access.maps)
    sizes[axis : axis + 1] = shape
    maps[axis : axis + 1] = phase, place
    letters.insert(axis, phase)
    # It goes by the tensor's name: no program ever holds both.
    tensor = Tensor(access.tensor.name, sizes, access.tensor.dtype)
    return tensor[tuple(maps)], View(tensor, tuple(letters), access.tensor, tuple(at))


def unseen(s: Statement, views: Views) -> Statement:
    """Give the statement with all that is seen replaced by what is held.

    >>> x, (i,) = Tensor("x", (6,)), (Index("i"),)
    >>> y, z = Tensor("y", (3,)), Tensor("x", (2, 3))
    >>> odd = View(z, (Index("q"), Index("j")), x, (2 * Index("j") + Index("q"),))
    >>> print(unseen(state(y[i], "=", z[1, i]), {z: odd}))
    y[i] = x[2·i + 1]
    """
    while found := [t for t in (s.target, *(a.tensor for a in s.reads)) if t in views]:
        rules = {
            a: views[a.tensor].tensor[views[a.tensor].held(a.maps)]
            for a in accesses(s.body)
            if a.tensor in found
        }
        view = views.get(s.target)
        target, maps = (view.tensor, view.held(s.maps)) if view else (s.target, s.maps)
        s = replace(s, target=target, maps=maps, body=s.body.xreplace(rules))
    return s
