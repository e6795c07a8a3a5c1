"""Loops over a box: guards become bounds of loops, bound indices are read from data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy

from codegen.affine import Index, Size, split
from codegen.freeze import freeze, size_of, whole
from codegen.names import Names
from codegen.nest import (
    Apply,
    Element,
    Expression,
    Let,
    Loop,
    Name,
    Node,
    Number,
    Scalar,
    When,
)
from codegen.notation import Access, Binding, Guard, Statement, Tensor
from codegen.schedule.order import SHORTEST

ZERO = Number(0, "int64")
Shown = Mapping[tuple[str, tuple[Size, ...]], str]


class Loops:
    """Writes loops, guards and accesses; `local` holds the values that are in registers.

    `shown` names the arrays that show another one in a shape with fewer axes.
    """

    def __init__(self, names: Names, shown: Shown | None = None) -> None:
        self.names = names
        self.shown = shown or {}
        self.local: dict[Tensor, Name | Element] = {}

    def loops(
        self,
        order: Iterable[Index],
        s: Statement,
        leaf: list[Node],
        outside: tuple[Index, ...] = (),
        skip: set[Index] | None = None,
        *,
        rolled: bool = False,
        shared: bool = False,
    ) -> list[Node]:
        """Give nested loops in this order; each guard becomes a bound of its innermost loop.

        Guards on indices of `skip` are left to a loop inside. `rolled` keeps the innermost loop
        from being unrolled; `shared` lets several threads run those over parallel indices.
        """
        order = tuple(order)
        nodes = self.bound(s.bindings, leaf) if s.bindings else leaf
        known = [*outside, *order]
        pending = [g for g in s.guards if not set(split(g.expr)[1]) & (skip or set())]
        ready = {b.index for b in s.bindings}
        loose = [g for g in pending if set(split(g.expr)[1]) & ready]
        if loose:
            inner = self.bound(s.bindings, [When(self.condition(loose), tuple(leaf))])
            nodes = inner
        firm = [g for g in pending if g not in loose]
        for depth in range(len(order) - 1, -1, -1):
            index = order[depth]
            before = set(known[: len(outside) + depth + 1])
            mine = [
                g for g in firm if index in split(g.expr)[1] and set(split(g.expr)[1]) <= before
            ]
            firm = [g for g in firm if g not in mine]
            loop = self.bounded_loop(index, s.sizes[index], mine, nodes, (ZERO,), None)
            rolls = rolled and depth == len(order) - 1
            lanes = loop.lanes and not rolls
            nodes = [
                replace(loop, rolled=rolls, lanes=lanes, shared=shared and index in s.parallel)
            ]
        left = [g for g in firm if set(split(g.expr)[1]) <= set(outside)]
        if left:
            nodes = [When(self.condition(left), tuple(nodes))]
        return nodes

    def bounded(
        self,
        lane: Index,
        s: Statement,
        leaf: list[Node],
        known: tuple[Index, ...],
        low: tuple[Expression, ...],
        high: tuple[Expression, ...],
    ) -> list[Node]:
        """Give the lane loop, with the guards that the lane and known indices decide as bounds."""
        mine = [
            g
            for g in s.guards
            if lane in split(g.expr)[1] and set(split(g.expr)[1]) <= {*known, lane}
        ]
        return [self.bounded_loop(lane, s.sizes[lane], mine, leaf, low, high)]

    def bounded_loop(
        self,
        index: Index,
        size: Size,
        guards: list[Guard],
        body: list[Node],
        low: tuple[Expression, ...],
        high: tuple[Expression, ...] | None,
    ) -> Loop:
        """Give a loop whose bounds are the tightest of those given and those that guards imply."""
        letter = self.names.letter
        starts, stops = [*low], [*(high or (size_of(size, letter),))]
        solvable = [g for g in guards if split(g.expr)[1][index].is_Integer]
        rest = [g for g in guards if g not in solvable]
        if rest:  # a symbolic coefficient, which may be zero
            body = [When(self.condition(rest), tuple(body))]
        for g in solvable:
            start, stop = _solved(g, index)
            starts.append(start.expression(letter))
            stops.append(stop.expression(letter))
        known = isinstance(size, int) and size >= SHORTEST and len(starts) == len(stops) == 1
        lanes = known and not any(isinstance(node, Loop) for node in body)
        return Loop(letter(index), tuple(starts), tuple(stops), tuple(body), lanes=lanes)

    def condition(self, guards: Iterable[Guard]) -> Expression:
        """Whether all guards hold."""
        letter = self.names.letter
        parts: list[Expression] = []
        for g in guards:
            if g.size == 0:
                return Number(0, "bool")  # compilers warn of `0 <= i && i < 0`
            at = whole(g.expr, letter)
            parts.append(Apply("<=", (ZERO, at), "bool"))
            parts.append(Apply("<", (at, size_of(g.size, letter)), "bool"))
        total = parts[0]
        for part in parts[1:]:
            total = Apply("and", (total, part), "bool")
        return total

    def bound(self, bindings: tuple[Binding, ...], leaf: list[Node]) -> list[Node]:
        """Read the bound indices from data; a value out of range reaches nothing."""
        letter = self.names.letter
        lets: list[Node] = []
        checks: list[Expression] = []
        for b in bindings:
            value: Expression = Apply("cast", (self.read(b.value),), "int64")
            checks.append(Apply("<=", (ZERO, value), "bool"))
            if b.divisor != 1:
                value = Apply("/", (value, size_of(b.divisor, letter)), "int64")
            if b.leading:
                checks.append(Apply("<", (Name(letter(b.index)), size_of(b.size, letter)), "bool"))
            else:
                value = Apply("mod", (value, size_of(b.size, letter)), "int64")
            lets.append(Let(letter(b.index), "int64", value))
        test = checks[0]
        for check in checks[1:]:
            test = Apply("and", (test, check), "bool")
        return [*lets, When(test, tuple(leaf))]

    def element(self, tensor: Tensor, maps: Sequence[Any]) -> Element:
        """The element of a tensor's array at these coordinates."""
        at = tuple(whole(m, self.names.letter) for m in maps)
        return Element(self.array(tensor), at, tensor.dtype)

    def array(self, tensor: Tensor) -> str:
        """The name of the array that has a tensor's elements in its shape."""
        name = self.names.tensor(tensor)
        return self.shown.get((name, tensor.shape), name)

    def read(self, access: Access) -> Expression:
        """What an access reads: a register where the value is in one."""
        if access.tensor in self.local:
            return self.local[access.tensor]
        return self.element(access.tensor, access.maps)

    def body(self, s: Statement) -> Expression:
        """The value of a statement at a point, in the dtype that it computes in."""
        kind: Scalar = s.compute_dtype
        return freeze(s.body, kind, self.read, self.names.letter)


@dataclass(frozen=True)
class _Bound:
    """A bound of a loop: a numerator divided by a positive number, rounded up or down."""

    rounding: str
    numerator: Any
    divisor: int

    def expression(self, letter: Any) -> Expression:
        """Give the bound as integer arithmetic."""
        top = whole(self.numerator, letter)
        if self.divisor == 1:
            return top
        if isinstance(top, Number):
            exact = int(top.value)
            up = self.rounding == "ceil"
            return Number(-(-exact // self.divisor) if up else exact // self.divisor, "int64")
        return Apply(f"{self.rounding}_div", (top, Number(self.divisor, "int64")), "int64")


def _solved(guard: Guard, index: Index) -> tuple[_Bound, _Bound]:
    """Solve `0 ≤ c·index + rest < size` for the index: where its loop starts and stops."""
    factor = split(guard.expr)[1][index]
    rest = sympy.expand(guard.expr - factor * index)
    size = sympy.sympify(guard.size)
    c = abs(int(factor))
    if factor > 0:  # index ≥ ⌈-rest/c⌉ and index < ⌈(size - rest)/c⌉
        return _Bound("ceil", -rest, c), _Bound("ceil", sympy.expand(size - rest), c)
    # index > (rest - size)/c and index ≤ rest/c
    return (
        _Bound("floor", sympy.expand(rest - size + c), c),
        _Bound("floor", sympy.expand(rest + c), c),
    )
