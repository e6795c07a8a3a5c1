"""From a graph to a picture: which boxes there are and which arrows join them.

Forward nodes are a box each. The backward nodes of one forward node share a box beside it, with a
local gradient for each input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from graphcnn.draw.costs import BoxCost, costs, fill, scale
from graphcnn.draw.details import details, order
from graphcnn.draw.labels import quiet
from graphcnn.draw.picture import Arrow, Box, Line, Picture, Span
from graphcnn.draw.roles import DOWNSTREAM, INK, LOCAL, QUIET, SOURCES, UPSTREAM, Role
from graphcnn.draw.texts import box_lines, shape
from graphcnn.draw.view import Group, Updates, View
from graphcnn.graph import Node


def to_picture(view: View, outputs: Sequence[Node], updates: Updates = ()) -> Picture:
    """Give the picture of a graph that ends in these nodes.

    `updates` pairs each parameter with the node of its next value.
    """
    found = costs(view)
    slowest = max((cost.seconds for cost in found.values()), default=0.0)
    boxes = (*_node_boxes(view, found, slowest), *_result_boxes(view, outputs, updates))
    arrows = (*_node_arrows(view), *_result_arrows(view, outputs, updates))
    return Picture(
        boxes,
        arrows,
        tuple(dict.fromkeys(_pairs(view, outputs))),
        tuple(role for role in Role if any(box.role is role for box in boxes)),
        _notes(view, arrows),
        tuple(frame.caption for frame in view.frames),
        order(view, boxes),
        details(view, boxes),
        scale(slowest) if view.profile else (),
    )


def _node_boxes(view: View, found: Mapping[Group, BoxCost], slowest: float) -> Iterator[Box]:
    for group in view.groups:
        role, lines, colour = view.role(group), box_lines(view, group), ""
        if view.profile is not None:
            cost = found.get(group)
            lines = _in_ink((*lines, *(quiet(str(cost)) if cost else ())))
            colour = fill(cost.seconds if cost else 0.0, slowest)
        yield Box(view.keys[group[0]], role, lines, role in SOURCES, colour)


def _in_ink(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Write lines in one colour, which can be read on every fill."""
    return tuple(tuple(replace(span, colour=INK) for span in line) for line in lines)


def _node_arrows(view: View) -> Iterator[Arrow]:
    arrows = (a for a in _each_arrow(view) if a.tail != a.head)
    yield from _merged(arrows) if view.level == "layers" else arrows


def _each_arrow(view: View) -> Iterator[Arrow]:
    drawn: set[Arrow] = set()
    for node in view.graph.nodes:
        rule = view.applies_rule(node)
        for k, source in enumerate(node.inputs):
            if not rule:
                yield _arrow(view, source, node)
                continue
            last = k == len(node.inputs) - 1
            arrow = _upstream_arrow(view, source, node) if last else _saved(view, source, node)
            if arrow is not None and arrow not in drawn:
                drawn.add(arrow)
                yield arrow


def _merged(arrows: Iterable[Arrow]) -> Iterator[Arrow]:
    """Give one arrow for all that go from one box to another, with the labels of the first two."""
    together: dict[Arrow, list[Arrow]] = {}
    for arrow in arrows:
        together.setdefault(replace(arrow, label="", values=()), []).append(arrow)
    for arrow, same in together.items():
        labels = [*dict.fromkeys(a.label for a in same)]
        label = ", ".join([*labels[:2], *(["…"] if labels[2:] else [])])
        yield replace(arrow, label=label, values=same[0].values if len(labels) == 1 else ())


def _arrow(view: View, source: Node, node: Node) -> Arrow:
    tail, head = view.keys[source], view.keys[node]
    if view.roles[source] is Role.GRADIENT:
        up = view.roles[node] is Role.GRADIENT
        values = view.values(source)
        return Arrow(tail, head, _gradient(view, source), (DOWNSTREAM,), up=up, values=values)
    return Arrow(
        tail, head, shape(source), main=source is _latest(view, node), values=view.values(source)
    )


def _latest(view: View, node: Node) -> Node | None:
    """Give the input that was computed last: arrows from it are the spine of the picture."""
    computed = [i for i in node.inputs if view.roles[i] not in SOURCES]
    return max(computed, key=view.number.__getitem__, default=None)


def _gradient(view: View, node: Node) -> str:
    """Name a gradient; between layers, which show no letters, give its shape."""
    told = view.level != "layers" or node.wrt is None or node.wrt.name
    return view.letters[node] if told and node.partner is not None else shape(node)


def _upstream_arrow(view: View, source: Node, node: Node) -> Arrow:
    passed_on = view.roles[source] is Role.GRADIENT and source.partner is not None
    colours = (DOWNSTREAM, UPSTREAM) if passed_on else (UPSTREAM,)
    return Arrow(
        view.keys[source],
        view.keys[node],
        _gradient(view, source) if view.level == "layers" else view.letters.upstream(node),
        colours,
        up=True,
        main=True,
        values=view.values(source),
    )


def _saved(view: View, source: Node, node: Node) -> Arrow | None:
    """Show where a rule finds forward values, unless the op beside it shows that."""
    if node.partner in view.keys:
        return None
    ends = view.keys[source], view.keys[node]
    return Arrow(*ends, shape(source), (QUIET,), dashed=True, values=view.values(source))


# ── What the graph gives ──────────────────────────────────────────────────────────────────────────


def _has_result(view: View, node: Node) -> bool:
    """Whether an output gets a box of its own; a layer names the gradients it gives."""
    role = view.roles[node]
    return role not in SOURCES and not (view.level == "layers" and role is Role.GRADIENT)


def _result_key(view: View, node: Node) -> str:
    return f"{view.keys[node]}_{view.groups[int(view.keys[node][1:])].index(node)}_result"


def _result_boxes(view: View, outputs: Sequence[Node], updates: Updates) -> Iterator[Box]:
    for node in dict.fromkeys(outputs):
        if not _has_result(view, node):
            continue
        role = view.roles[node]
        letter, shown = view.letters[node], Role.RESULT
        colour = INK
        if role in (Role.GRADIENT, Role.LOSS):
            shown = role
        if role is Role.GRADIENT:
            colour = DOWNSTREAM
        elif node in view.letters.losses.values() and view.letters.of_loss(node) != letter:
            told = view.level != "layers" or node.name
            letter = view.letters.of_loss(node) + (f" = {letter}" if told else "")
        yield Box(_result_key(view, node), shown, ((Span(letter, colour, bold=True),),), True)
    if view.level == "layers":
        return
    for k, (old, _) in enumerate(updates):
        line = (Span(f"{view.letters[old]} ←", bold=True), Span("  next value", QUIET))
        yield Box(f"u{k}", Role.UPDATE, (line,), True)


def _result_arrows(view: View, outputs: Sequence[Node], updates: Updates) -> Iterator[Arrow]:
    for node in dict.fromkeys(outputs):
        if not _has_result(view, node):
            continue
        key = _result_key(view, node)
        if view.roles[node] is Role.GRADIENT:
            letter, values = view.letters[node], view.values(node)
            yield Arrow(view.keys[node], key, letter, (DOWNSTREAM,), up=True, values=values)
        else:
            yield Arrow(view.keys[node], key, shape(node), main=True, values=view.values(node))
    if view.level == "layers":
        return
    for k, (_, new) in enumerate(updates):
        yield Arrow(view.keys[new], f"u{k}", shape(new), values=view.values(new))


def _pairs(view: View, outputs: Sequence[Node]) -> Iterator[tuple[str, str]]:
    """Stand each gradient rule beside its op, and the seed beside the loss."""
    for node in (n for group in view.groups for n in group):
        partner = node.partner
        if partner is None or not view.applies_rule(node) or partner not in view.keys:
            continue
        if view.roles[partner] is not Role.GRADIENT:
            yield view.keys[partner], view.keys[node]
        if view.level != "layers" and view.letters.losses[node] is partner and partner in outputs:
            yield _result_key(view, partner), view.keys[node.inputs[-1]]


def _notes(view: View, arrows: Sequence[Arrow]) -> tuple[Span, ...]:
    """Explain what letters and arrows mean, as far as they occur."""
    rules = any(map(view.applies_rule, view.graph.nodes))
    green = rules and view.profile is None  # with costs, boxes are written in ink
    notes = (
        (green, Span("local gradient: how the op's output changes with an input", LOCAL)),
        (rules, Span("upstream gradient: what arrives", UPSTREAM)),
        (rules, Span("downstream gradient: what is passed on", DOWNSTREAM)),
        (any(a.dashed for a in arrows), Span("dashed: a value that a local gradient needs", QUIET)),
    )
    return tuple(note for occurs, note in notes if occurs)
