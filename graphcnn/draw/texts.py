"""What each box says: names, formulas, arguments, local gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphcnn.adjoint import vjp
from graphcnn.draw import formulas
from graphcnn.draw.labels import cleaned, formula, quiet
from graphcnn.draw.letters import inner
from graphcnn.draw.picture import Line, Span
from graphcnn.draw.roles import DOWNSTREAM, LOCAL, QUIET, SOURCES, UPSTREAM, Role
from graphcnn.draw.view import View
from graphcnn.errors import described
from graphcnn.graph import Node, Parameter
from graphcnn.op import REGISTRY

_LONGEST_ARGUMENT = 24


def box_lines(view: View, group: tuple[Node, ...]) -> tuple[Line, ...]:
    """Give the lines of the box that a group of nodes shares."""
    node = group[0]
    role = view.roles[node]
    if view.applies_rule(node):
        op = cleaned(node.op.removesuffix("_grad"))
        rules = (line for member in group for line in ((), *rule_lines(view, member)))
        return ((Span(f"{op} backward", QUIET),), *rules)
    if role is Role.GRADIENT:
        sign, said = ("+", "sum over consumers") if node.inputs else ("1", "seed")
        return ((Span(sign, bold=True),), *quiet(said))
    if role in SOURCES:
        shown = cleaned(node.name) or view.letters[node]
        return ((Span(shown, bold=True),), *quiet(_source(node, role)))
    return (_title(node), *formula(equation(view, node)), *quiet(arguments(node)))


def rule_lines(view: View, node: Node) -> Iterator[Line]:
    """Give the rule of a backward node in rows of bounded width."""
    for line in rule(view, node):
        if len(line) > 1:
            yield line
            continue
        (span,) = line
        yield from formula(span.text, span.colour, most=4 if span.colour == LOCAL else 3)


def rule(view: View, node: Node) -> Iterator[Line]:
    """Give `∂z/∂x = y` and `∂L/∂x = ∂z/∂x · ∂L/∂z`: what a backward node does."""
    partner, wrt, letters = node.partner, node.wrt, view.letters
    assert partner is not None and wrt is not None
    ratio = f"∂{inner(letters[partner])}/∂{inner(letters[wrt])}"
    if partner.fragment is None:
        yield (Span(f"{ratio} = {cleaned(node.formula, 120)}", LOCAL),)
        return
    k = _position(partner, node)
    names = [*(inner(letters[i]) for i in partner.inputs), inner(letters[partner])]
    found = formulas.local(partner.fragment, k, names)
    if found is None:
        ends = [letters.upstream(node), letters[node]]
        for step in formulas.steps(partner.fragment, k, [*names, *ends]):
            yield (Span(step, DOWNSTREAM),)
        return
    yield (Span(f"{found.left} = {found.value}", LOCAL),)
    yield (
        Span(f"{letters[node]} = ", DOWNSTREAM),
        *(span for line in formula(found.reduction, DOWNSTREAM) for span in line),
        Span(f" {ratio}" if found.reduction else ratio, LOCAL),
        Span(" · "),
        Span(letters.upstream(node), UPSTREAM),
    )


def _position(partner: Node, node: Node) -> int:
    """Which input of its partner a backward node belongs to; the same node may be given twice."""
    places = [k for k, source in enumerate(partner.inputs) if source is node.wrt]
    same = (k for k in places if partner.fragment and vjp(partner.fragment, k) == node.fragment)
    return next(same, places[0])


def _title(node: Node) -> Line:
    op = cleaned(node.op)
    if not node.name:
        return (Span(op, bold=True),)
    return (Span(cleaned(node.name), bold=True), Span(f"  {op}", QUIET))


def equation(view: View, node: Node) -> str:
    """Give what a forward node computes, however long that is."""
    if node.fragment is None:
        return cleaned(node.formula, 120)
    letters = [view.letters[n] for n in (*node.inputs, node)]
    return formulas.forward(node.fragment, node.formula, letters)


def _source(node: Node, role: Role) -> str:
    kind = "" if node.dtype == "float32" else f" {node.dtype}"
    fixed = isinstance(node, Parameter) and not node.trainable
    return f"{role.label}{kind}{', not trained' if fixed else ''}"


def arguments(node: Node) -> str:
    """Give the static arguments that are not what the op takes by default: `padding=2`."""
    op = REGISTRY.get(node.op)
    defaults = {n: p.default for n, p in op.signature.parameters.items()} if op else {}
    return ", ".join(
        f"{name}={cleaned(str(value), _LONGEST_ARGUMENT)}"
        for name, value in node.static
        if value is not None and not _same(value, defaults.get(name))
    )


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def shape(node: Node) -> str:
    """Give the shape that an arrow carries."""
    return cleaned(described(node.shape))
