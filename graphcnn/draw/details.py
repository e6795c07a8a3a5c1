"""What is known of each box beyond what it says: facts, statements, values, and its C."""

from __future__ import annotations

from collections.abc import Iterator

from graphcnn.draw import formulas
from graphcnn.draw.labels import cleaned, spans
from graphcnn.draw.picture import Box, Detail, Line, Span, Value
from graphcnn.draw.roles import DOWNSTREAM, INK, LOCAL, Role
from graphcnn.draw.texts import arguments, shape, title
from graphcnn.draw.view import Group, View
from graphcnn.graph import Parameter

_LONGEST = 200


def details(view: View, boxes: tuple[Box, ...]) -> tuple[Detail, ...]:
    """Give the detail of each box."""
    groups = {view.keys[group[0]]: group for group in view.groups}
    return tuple(
        _detail(view, groups[box.key]) if box.key in groups else _title_of(box) for box in boxes
    )


def order(view: View, boxes: tuple[Box, ...]) -> tuple[tuple[str, ...], ...]:
    """Give the keys of the boxes as they are computed: all that is given first, then one by one."""
    given = tuple(view.keys[g[0]] for g in view.groups if not any(n.inputs for n in g))
    known = {view.keys[g[0]] for g in view.groups}
    others = tuple(box.key for box in boxes if box.key not in known)
    later = [(view.keys[g[0]],) for g in view.groups if view.keys[g[0]] not in given]
    return tuple(filter(None, (given, *later, others)))


def _title_of(box: Box) -> Detail:
    return Detail("".join(span.text for line in box.lines[:1] for span in line))


def _detail(view: View, group: Group) -> Detail:
    texts = dict.fromkeys(view.code[node] for node in group if node in view.code)
    return Detail(
        title(view, group),
        tuple(_facts(view, group)),
        tuple(_formulas(view, group)),
        "\n".join(texts),
        tuple(_values(view, group)),
    )


def _facts(view: View, group: Group) -> Iterator[tuple[str, str]]:
    node = group[0]
    computed = [n for n in group if n.inputs]
    if group in view.titles:
        yield "nodes", f"{len(computed)}"
        for weight in (n for n in group if isinstance(n, Parameter)):
            yield cleaned(weight.name), shape(weight)
    else:
        yield "op", cleaned(node.op)
        yield "shape", ", ".join(dict.fromkeys(map(shape, group)))
        yield "dtype", node.dtype
        if given := arguments(node):
            yield "arguments", given
    about = node.origin if node.partner is None else node.partner.origin
    if about is not None:
        yield "made at", cleaned(str(about), _LONGEST)
        if about.text:
            yield "line", cleaned(about.text, _LONGEST)


def _formulas(view: View, group: Group) -> Iterator[Line]:
    """Give the statements of the nodes in index notation, as far as the box does not show them."""
    if group in view.titles:
        return
    for node in group:
        if node.fragment is None:
            continue
        letters = [view.letters[n] for n in (*node.inputs, node)]
        if view.applies_rule(node):
            letters[-2] = view.letters.upstream(node)
        colour = DOWNSTREAM if view.roles[node] is Role.GRADIENT else INK
        for equation in formulas.statements(node.fragment, letters):
            yield spans(equation, colour)


def _values(view: View, group: Group) -> Iterator[tuple[Span, tuple[Value, ...]]]:
    if not view.frames:
        return
    for node in group:
        gradient = view.roles[node] is Role.GRADIENT
        letter = Span(view.letters[node], DOWNSTREAM if gradient else INK)
        yield letter, tuple(frame.values[node] for frame in view.frames)
        if view.has_local(node) and node.partner is not None and node.wrt is not None:
            ratio = f"∂{view.letters[node.partner]}/∂{view.letters[node.wrt]}"
            yield Span(ratio, LOCAL), tuple(frame.locals[node] for frame in view.frames)
