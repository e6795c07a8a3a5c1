"""What a graph costs: parameters, multiply-adds and bytes, counted on the statements themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy

from codegen.notation import BYTES, FLOATS, Access, Reduce, Statement
from graphcnn.backward import grad
from graphcnn.errors import described
from graphcnn.graph import Constant, Graph, Node, Parameter
from graphcnn.optim import Updates, trainable


@dataclass(frozen=True)
class Row:
    """One node: the numbers that it holds if it is a parameter, and the multiply-adds it takes."""

    name: str
    op: str
    shape: tuple[Any, ...]
    parameters: int
    macs: Any
    bytes: Any


@dataclass(frozen=True)
class Summary:
    """The costs of a graph; sizes that are not known yet stay symbols, such as `352800*N`.

    `macs` are the multiply-adds of sums of products, one for each product, whether padding makes it
    zero or not. `activations` are bytes of the results of all forward nodes, `gradients` those of
    what the backward pass gives, `state` those of an optimiser's running values: what compiling
    saves by reusing memory is seen in `step.stages["memory"]`.
    """

    rows: tuple[Row, ...]
    forward: Any
    backward: Any
    update: Any
    weights: Any
    activations: Any
    gradients: Any
    state: Any

    @cached_property
    def parameters(self) -> int:
        """How many trainable numbers there are."""
        return sum(row.parameters for row in self.rows)

    def __str__(self) -> str:
        head = ("node", "op", "shape", "parameters", "multiply-adds", "bytes")
        table: list[tuple[str, ...]] = [head]
        for r in self.rows:
            numbers = (r.parameters or "", r.macs if r.macs != 0 else "", r.bytes)
            table.append((r.name, r.op, described(r.shape), *map(_spelled, numbers)))
        widths = [max(len(row[c]) for row in table) for c in range(len(head))]
        lines = [
            "  ".join(
                cell.ljust(w) if c < 3 else cell.rjust(w)
                for c, (cell, w) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        ]
        lines.insert(1, "  ".join("─" * w for w in widths))
        totals = (
            ("parameters", self.parameters),
            ("multiply-adds forward", self.forward),
            ("multiply-adds backward", self.backward),
            ("multiply-adds update", self.update),
            ("bytes of weights", self.weights),
            ("bytes of activations", self.activations),
            ("bytes of gradients", self.gradients),
            ("bytes of optimiser state", self.state),
        )
        wide = max(len(name) for name, _ in totals)
        lines += ["", *(f"{name.ljust(wide)}  {_spelled(value)}" for name, value in totals)]
        return "\n".join(lines)


def summary(output: Node | Sequence[Node], updates: Updates = ()) -> Summary:
    """Give what a graph costs, forward and, if it ends in one number, backward and update.

    >>> import graphcnn as g
    >>> x = g.input("x", (g.dim("N"), 3, 32, 32))
    >>> w, b = g.parameter("w", g.init.zeros(6, 3, 5, 5)), g.parameter("b", g.init.zeros(6))
    >>> costs = summary(g.conv2d(x, w, b, name="conv1"))
    >>> costs.parameters, costs.forward, costs.activations
    (456, 352800*N, 18816*N)
    """
    outputs = (output,) if isinstance(output, Node) else tuple(output)
    graph = Graph(outputs)
    forward = graph.nodes
    ends = [new for _, new in updates]
    weights = trainable(outputs[0]) if len(outputs) == 1 else ()
    scalar = len(outputs) == 1 and outputs[0].shape == () and outputs[0].dtype in FLOATS
    gradients = grad(outputs[0], weights) if scalar and weights else []
    backward = _new(gradients, forward)
    # An optimiser has derived gradients of its own: they are told apart by what they belong to.
    update = [n for n in _new(ends, forward) if n.partner is None and n.wrt is None]
    held = {p for p, _ in updates} - {*forward}
    rows = tuple(
        Row(
            graph.names[n],
            n.op,
            n.shape,
            math.prod(n.shape) if isinstance(n, Parameter) and n.trainable else 0,
            _macs([n]),
            _bytes(n),
        )
        for n in forward
    )
    leaves = [n for n in forward if not n.inputs and not isinstance(n, Constant)]
    return Summary(
        rows,
        _macs(forward),
        _macs(backward),
        _macs(update),
        _sum(_bytes(n) for n in forward if isinstance(n, (Parameter, Constant))),
        _sum(_bytes(n) for n in forward if n not in leaves and not isinstance(n, Constant)),
        _sum(_bytes(n) for n in gradients),
        _sum(map(_bytes, held)),
    )


def _new(ends: Iterable[Node], known: Sequence[Node]) -> list[Node]:
    before = {*known}
    return [n for n in Graph(tuple(ends)).nodes if n not in before]


def _macs(nodes: Iterable[Node]) -> Any:
    """The multiply-adds of all sums of products in some nodes."""
    return _sum(_products(s) for n in nodes if n.fragment for s in n.fragment.statements)


def _products(s: Statement) -> Any:
    parts = sympy.Mul.make_args(s.body)
    factors = [p for p in parts if not p.is_number]
    if (
        s.op is not Reduce.SUM
        or len(factors) < 2
        or not all(isinstance(p, Access) for p in factors)
    ):
        return sympy.S.Zero
    return math.prod((sympy.sympify(n) for _, n in s.box), start=sympy.S.One)


def _bytes(node: Node) -> Any:
    return BYTES[node.dtype] * math.prod(map(sympy.sympify, node.shape), start=sympy.S.One)


def _sum(terms: Iterable[Any]) -> Any:
    total = sympy.expand(sum(terms, start=sympy.S.Zero))
    return int(total) if total.is_Integer else total


def _spelled(value: Any) -> str:
    """A number with its thousands apart; symbols as they are."""
    if isinstance(value, int) or getattr(value, "is_Integer", False):
        return f"{int(value):,}"
    return str(value)
