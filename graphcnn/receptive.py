"""What one element of a node sees of an input: the receptive field, from the index maps alone.

A sum over `x[2·i + u − 1]` for `y[i]`, with u in 0..3, sees the places 2·i − 1 to 2·i + 1 of x.
Such spans are put into one another, from the node back to the input, and spans of several ways are
joined. Nothing is known about convolution or pooling, so ops of your own have receptive fields too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from codegen.affine import Dim, Index, affine, index_symbols
from codegen.notation import Access, Statement, accesses, indices
from codegen.printing import render
from codegen.sizes import evaluate
from graphcnn.errors import GraphError, ShapeError, described, user_origin
from graphcnn.fragment import Fragment
from graphcnn.graph import Graph, Node

Mask = npt.NDArray[np.bool_]
LETTERS = "n k i j l m o p q r s t"


@dataclass(frozen=True)
class Span:
    """The places along one axis of the input: from `low` to `high`, both counted in.

    They are affine in the coordinates of the element that looks.
    """

    low: Any
    high: Any

    @property
    def size(self) -> int:
        """How many places there are, at most."""
        return int(sympy.floor(self.high - self.low)) + 1

    @property
    def jump(self) -> Any:
        """How far the span moves when the element does by one; 0 where it stays."""
        steps = [self.low.coeff(i) for i in index_symbols(self.low)]
        return steps[0] if steps else sympy.S.Zero

    @property
    def start(self) -> Any:
        """Where the span of the first element begins: below zero, it begins in the padding."""
        return self.low.xreplace(dict.fromkeys(index_symbols(self.low), sympy.S.Zero))

    def __str__(self) -> str:
        if self.low == self.high:
            return render(self.low)
        return f"{render(self.low)} .. {render(self.high)}"


@dataclass(frozen=True)
class ReceptiveField:
    """What an element of `node` sees of `of`: one span for each axis of the latter.

    >>> import graphcnn as g
    >>> x = g.input("x", (g.dim("N"), 3, 32, 32))
    >>> y = g.conv2d(x, g.input("w1", (6, 3, 5, 5)))
    >>> z = g.conv2d(g.avg_pool2d(y, 2), g.input("w2", (10, 6, 5, 5)))
    >>> field = receptive_field(z, x)
    >>> field.size, field.jump, field.start
    ((1, 3, 14, 14), (1, 0, 2, 2), (0, 0, 0, 0))
    >>> print(field)
    conv2d[n,k,i,j] sees x[n, 0 .. 2, 2·i .. 2·i + 13, 2·j .. 2·j + 13]
    """

    node: Node
    of: Node
    letters: tuple[Index, ...]
    spans: tuple[Span, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """Along each axis, how many places one element sees."""
        return tuple(span.size for span in self.spans)

    @property
    def jump(self) -> tuple[Any, ...]:
        """Along each axis, how far what the next element sees has moved."""
        return tuple(map(_number, (span.jump for span in self.spans)))

    @property
    def start(self) -> tuple[Any, ...]:
        """Along each axis, the first place that the first element sees."""
        return tuple(map(_number, (span.start for span in self.spans)))

    def at(self, *place: int, **sizes: int) -> tuple[tuple[int, int] | None, ...]:
        """Give the first and last place that the element at `place` really sees, by axis.

        What lies in the padding is not seen, nor what stride or dilation step over: where they
        step over all, it is None. Dims are 1 unless `sizes` says otherwise.

        Raises `ShapeError` where there is no such element.
        """
        dims = {d: sizes.get(d.name, 1) for d in Graph((self.node, self.of)).dims}
        shape = tuple(evaluate(n, dims) for n in self.node.shape)
        if len(place) != len(shape) or not all(
            -n <= p < n for p, n in zip(place, shape, strict=True)
        ):
            raise ShapeError(
                f"there is no element at {place}",
                rule=f"{self.node.called} is {described(shape)}: one coordinate for each axis",
                fix=f"at({', '.join('0' for _ in shape)}) is the first",
            ).at("receptive_field", user_origin())
        start = [np.arange(n) == p % n for p, n in zip(place, shape, strict=True)]
        masks = places(self.node, self.of, start, dims)
        found = (np.flatnonzero(mask) for mask in masks)
        return tuple((int(f[0]), int(f[-1])) if len(f) else None for f in found)

    def __str__(self) -> str:
        element = f"{self.node.name or self.node.op}[{','.join(map(str, self.letters))}]"
        return f"{element} sees {self.of.name or self.of.op}[{', '.join(map(str, self.spans))}]"


def receptive_field(node: Node, of: Node) -> ReceptiveField:
    """Give what one element of `node` sees of the node `of`: size, jump and start by axis.

    With several ways from one to the other the spans are joined; `at` takes padding, stride and
    dilation into account, for one element.

    Source of the recurrences that this generalises: Araujo, Norris and Sim, Computing Receptive
    Fields of Convolutional Neural Networks, Distill, 2019.

    Raises `GraphError` where `node` does not depend on `of`.
    """
    letters = indices(" ".join(LETTERS.split()[: node.ndim]))
    known: dict[Node, list[Span]] = {node: [Span(i, i) for i in letters]}
    for at in reversed(Graph((node,)).nodes):
        if at in known and at.fragment is not None and at is not of:
            for source, spans in _through(at.fragment, known[at]):
                _join(known, at.inputs[source], spans)
    if of not in known:
        raise GraphError(
            f"{node!r} does not depend on {of!r}",
            rule="a receptive field is what a node sees of something that it is computed from",
            fix="look at draw(node)",
        ).at("receptive_field", user_origin())
    return ReceptiveField(node, of, letters, tuple(known[of]))


def _number(e: Any) -> Any:
    return int(e) if e.is_Integer else e


# -- spans ------------------------------------------------------------------------------------


def _through(fragment: Fragment, spans: list[Span]) -> Iterator[tuple[int, list[Span]]]:
    """Give, for each input of an op, the spans that a span of its output sees."""
    known: dict[Any, list[Span]] = {fragment.output: spans}
    for s in reversed(fragment.statements):
        if s.target in known:
            ranges = _ranges(s, known[s.target])
            for access in accesses(s.body):
                seen = [_over(m, ranges) for m in access.maps]
                _join(known, access.tensor, [
                    _whole(n) if span is None else span
                    for span, n in zip(seen, access.tensor.shape, strict=True)
                ])  # fmt: skip
    for number, tensor in enumerate(fragment.inputs):
        if tensor in known:
            yield number, known[tensor]


def _join(known: dict[Any, list[Span]], key: Any, spans: list[Span]) -> None:
    """Widen what is seen of something by more spans."""
    before = known.get(key)
    shape = key.shape
    known[key] = spans if before is None else [
        _union(a, b, n) for a, b, n in zip(before, spans, shape, strict=True)
    ]  # fmt: skip


def _union(a: Span, b: Span, size: Any) -> Span:
    """Both spans and what lies between; all of the axis where they move apart."""
    low, high = sympy.expand(a.low - b.low), sympy.expand(a.high - b.high)
    if not (low.is_number and high.is_number):
        return _whole(size)
    return Span(a.low if low <= 0 else b.low, a.high if high >= 0 else b.high)


def _whole(size: Any) -> Span:
    return Span(sympy.S.Zero, sympy.sympify(size) - 1)


def _ranges(s: Statement, spans: Sequence[Span]) -> dict[Index, Span]:
    """The values of each index at which a statement writes what lies in the spans."""
    every = {i: _whole(n) for i, n in s.sizes.items()}
    found = dict(every)
    for m, span in zip(s.maps, spans, strict=True):
        constant, steps = _split(m)
        for i, step in steps.items():
            others = [(j, c) for j, c in steps.items() if j != i]
            rest = Span(constant, constant)
            for j, c in others:
                rest = _plus(rest, _times(every[j], c))
            if not step.is_number:
                continue
            ends = (span.low - rest.high) / step, (span.high - rest.low) / step
            low, high = ends if step > 0 else ends[::-1]
            found[i] = _within(Span(sympy.expand(low), sympy.expand(high)), every[i])
    return found


def _within(span: Span, whole: Span) -> Span:
    """A span that does not move is no longer than the axis."""
    ends = (span.low, span.high, whole.low, whole.high)
    if not all(e.is_number for e in ends):
        return span
    return Span(max(span.low, whole.low), min(span.high, whole.high))


def _over(m: Any, ranges: Mapping[Index, Span]) -> Span | None:
    """The values of a coordinate; None where they are not known."""
    constant, steps = _split(m)
    total = Span(constant, constant)
    for i, step in steps.items():
        if not step.is_number:
            return None
        total = _plus(total, _times(ranges[i], step))
    return Span(sympy.expand(total.low), sympy.expand(total.high))


def _split(m: Any) -> tuple[Any, dict[Index, Any]]:
    parts = affine(m)
    assert parts is not None  # or there would be no such access
    return parts[0], dict(parts[1])


def _plus(a: Span, b: Span) -> Span:
    return Span(a.low + b.low, a.high + b.high)


def _times(span: Span, factor: Any) -> Span:
    ends = span.low * factor, span.high * factor
    return Span(*(ends if factor > 0 else ends[::-1]))


# -- places -----------------------------------------------------------------------------------


def places(node: Node, of: Node, start: list[Mask], dims: Mapping[Dim, int]) -> list[Mask]:
    """Give the places along each axis of an input that are seen from places of a node."""
    known: dict[Any, list[Mask]] = {node: start}
    for at in reversed(Graph((node,)).nodes):
        if at not in known or at.fragment is None or at is of:
            continue
        fragment = at.fragment
        inside: dict[Any, list[Mask]] = {fragment.output: known[at]}
        for s in reversed(fragment.statements):
            if s.target in inside:
                for access in accesses(s.body):
                    _add(inside, access.tensor, _looked_at(s, access, inside[s.target], dims))
        for tensor, source in zip(fragment.inputs, at.inputs, strict=True):
            if tensor in inside:
                _add(known, source, inside[tensor])
    return known[of]


def _add(known: dict[Any, list[Mask]], key: Any, masks: list[Mask]) -> None:
    before = known.get(key, masks)
    known[key] = [a | b for a, b in zip(before, masks, strict=True)]


def _looked_at(
    s: Statement, access: Access, wanted: list[Mask], dims: Mapping[Dim, int]
) -> list[Mask]:
    """Where one access of a statement reads to write what is wanted."""
    conditions = [(m, mask) for m, mask in zip(s.maps, wanted, strict=True)]
    for guard in s.guards:
        conditions.append((guard.expr, np.ones(evaluate(guard.size, dims), bool)))
    shape = [evaluate(n, dims) for n in access.tensor.shape]
    found = [np.zeros(n, bool) for n in shape]
    for together in _apart([*(m for m, _ in conditions), *access.maps]):
        grid = np.indices([evaluate(s.sizes[i], dims) for i in together], sparse=True)
        values = dict(zip(together, grid, strict=True))
        holds: Any = np.ones([1] * len(together), bool)
        for m, mask in conditions:
            if not (own := m.free_symbols & set(together)) and m.free_symbols:
                continue
            at = _value(m, values if own else {}, dims)
            holds = holds & (at >= 0) & (at < len(mask)) & mask[np.clip(at, 0, len(mask) - 1)]
        if not np.any(holds):
            return [np.zeros(n, bool) for n in shape]
        for axis, m in enumerate(access.maps):
            if m.free_symbols & set(together):
                at = np.broadcast_to(_value(m, values, dims), np.broadcast_shapes(
                    holds.shape, *(g.shape for g in grid)
                ))  # fmt: skip
                reached = at[np.broadcast_to(holds, at.shape)]
                found[axis][reached[(reached >= 0) & (reached < shape[axis])]] = True
    for axis, m in enumerate(access.maps):
        if not any(isinstance(i, Index) for i in m.free_symbols):
            found[axis][int(_value(m, {}, dims))] = True
    return found


def _apart(maps: Sequence[Any]) -> list[tuple[Index, ...]]:
    """The indices in sets, of which no coordinate needs two."""
    sets: list[set[Index]] = []
    for m in maps:
        own = {i for i in m.free_symbols if isinstance(i, Index)}
        if own:
            meeting = [other for other in sets if other & own]
            sets = [other for other in sets if not other & own]
            sets.append(own.union(*meeting))
    return [tuple(sorted(some, key=str)) for some in sets]


def _value(m: Any, values: Mapping[Index, Any], dims: Mapping[Dim, int]) -> Any:
    constant, steps = _split(m)
    total: Any = np.asarray(evaluate(sympy.sympify(constant), dims))
    for i, step in steps.items():
        total = total + evaluate(sympy.sympify(step), dims) * values[i]
    return total
