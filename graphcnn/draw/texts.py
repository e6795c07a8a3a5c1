"""What each box says: names, formulas, arguments, local gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from graphcnn.adjoint import vjp
from graphcnn.draw import formulas
from graphcnn.draw.labels import cleaned, formula, quiet
from graphcnn.draw.letters import inner
from graphcnn.draw.picture import Line, Span
from graphcnn.draw.roles import DOWNSTREAM, LOCAL, QUIET, SOURCES, UPSTREAM, Role
from graphcnn.draw.view import Group, View
from graphcnn.errors import described
from graphcnn.graph import Node, Parameter
from graphcnn.op import REGISTRY

_LONGEST_ARGUMENT = 24
_FEW, _MOST_OPS = 4, 8  # of what a layer consists of, shown at most


def box_lines(view: View, group: Group) -> tuple[Line, ...]:
    """Give the lines of the box that a group of nodes shares."""
    if group in view.titles:
        return _layer_lines(view, group)
    node = group[0]
    role = view.roles[node]
    if view.applies_rule(node):
        op = cleaned(node.op.removesuffix("_grad"))
        rules = (line for member in group for line in ((), *rule_lines(view, member)))
        return ((Span(f"{op} backward", QUIET),), *rules)
    if role is Role.GRADIENT:
        return ((Span("+" if node.inputs else "1", bold=True),), *quiet(_joint(node)))
    if role in SOURCES:
        shown = cleaned(node.name) or view.letters[node]
        return ((Span(shown, bold=True),), *quiet(_source(node, role)))
    equations = (row for text in equations_of(view, node) for row in formula(text))
    return (_title(node), *equations, *quiet(arguments(node)))


def title(view: View, group: Group) -> str:
    """Give what a box is called where it is spoken of."""
    node = group[0]
    if group in view.titles:
        return cleaned(view.titles[group])
    if view.applies_rule(node):
        return f"{cleaned(node.op.removesuffix('_grad'))} backward"
    if view.roles[node] is Role.GRADIENT:
        return _joint(node)
    return cleaned(node.name) or cleaned(node.op)


def _joint(node: Node) -> str:
    """Give what a gradient is that applies no rule: where gradients begin, or meet."""
    return "sum over consumers" if node.inputs else "seed"


def _layer_lines(view: View, group: Group) -> tuple[Line, ...]:
    """Give what a layer is made of: its ops and weights, or what of its weights it works out."""
    layer = view.titles[group]
    head = (Span(cleaned(layer), bold=True),)
    match view.role(group):
        case Role.GRADIENT:
            about = dict.fromkeys(n.wrt for n in group if isinstance(n.wrt, Parameter))
            return (head, *quiet(_few([f"∂L/∂{_own(w, layer)}" for w in about], "gradients")))
        case Role.UPDATE:
            old = [old for old, new in view.updates if new in group]
            old.sort(key=lambda p: not (isinstance(p, Parameter) and p.trainable))
            return (head, *quiet(_few([f"{_own(p, layer)} ←" for p in old], "parameters")))
    ops = [cleaned(op) for op, _ in groupby(n.op for n in group if n.inputs)]
    weights = [n for n in group if isinstance(n, Parameter) and n.trainable]
    if len(ops) > _MOST_OPS:
        ops = [*ops[: _MOST_OPS - 2], "…", ops[-1]]
    lines = (head, *quiet(" → ".join(ops)))
    if weights:
        count = sum(math.prod(w.shape) for w in weights)
        few = len(weights) <= _FEW
        shown = _few([f"{_own(w, layer)} {shape(w)}" for w in weights], "parameters")
        lines += quiet(f"{count:,} weights{':' if few else ' in'} {shown}")
    return lines


def _own(weight: Node, layer: str) -> str:
    """Give the name of a weight without that of its layer, which may say what of it is done."""
    return cleaned(weight.name.removeprefix(f"{layer.rpartition(' ')[0] or layer}."))


def _few(texts: Sequence[str], of_what: str) -> str:
    """Give a few texts, and of many their number."""
    return ", ".join(texts) if len(texts) <= _FEW else f"{len(texts)} {of_what}"


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
    # A box has one text: with several moments, the numbers of each are among the details.
    known = view.has_local(node) and len(view.frames) == 1
    number = view.frames[0].locals[node].text if known else found.value
    shown = found.value if number == found.value else f"{found.value} = {number}"
    yield (Span(f"{found.left} = {shown}", LOCAL),)
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


def equations_of(view: View, node: Node) -> list[str]:
    """Give what a forward node computes, however long that is."""
    if node.fragment is None:
        return [cleaned(node.formula, 120)]
    letters = [view.letters[n] for n in (*node.inputs, node)]
    if view.level == "statements":
        return formulas.statements(node.fragment, letters)
    return [formulas.forward(node.fragment, node.formula, letters, bool(node.static))]


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
