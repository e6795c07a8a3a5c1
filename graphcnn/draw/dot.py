"""From a picture to DOT, the language of Graphviz.

Rich labels need a Graphviz with HTML-like labels; plain ones give the same boxes in one colour.
"""

from __future__ import annotations

import html
from collections.abc import Callable

import graphviz

from graphcnn.draw.labels import as_html, as_plain, html_line
from graphcnn.draw.picture import Arrow, Box, Line, Picture, Span
from graphcnn.draw.place import Places
from graphcnn.draw.roles import INK, PAPER, QUIET, SOURCES

Spelling = Callable[[tuple[Line, ...]], str]
_ROUNDED = ' STYLE="ROUNDED"'
_FONT = "Helvetica,Arial,sans-serif"
_GRAPH = {
    "rankdir": "TB",
    "bgcolor": PAPER,
    "fontname": _FONT,
    "fontsize": "11",
    "labelloc": "b",
    "nodesep": "0.35",
    "ranksep": "0.45",
    "pad": "0.2",
}
# Of many boxes, straight arrows are enough, and a good place is as good as the best: Graphviz would
# look for it for a minute. The first number counts tries for each of its nodes.
_MANY = 400
_LARGE = {"nslimit": "0.1", "splines": "line"}
_NODE = {
    "shape": "box",
    "style": "filled",
    "fontname": _FONT,
    "fontsize": "12",
    "fontcolor": INK,
    "margin": "0.16,0.09",
    "height": "0.3",
    "penwidth": "1.3",
}
_EDGE = {"fontname": _FONT, "fontsize": "10", "arrowsize": "0.7", "penwidth": "1.2"}


def to_dot(picture: Picture, *, rich: bool = True, at: Places | None = None) -> str:
    """Give the DOT text of a picture, with a layout if there is one; equal ones give equal text."""
    size = _LARGE if is_large(picture) else {}
    whole = _GRAPH | size | (at.graph if at else {})
    graph = graphviz.Digraph(
        "graphcnn", graph_attr=whole, node_attr=dict(_NODE), edge_attr=dict(_EDGE)
    )
    spelled = as_html if rich else as_plain
    if picture.roles or picture.notes:  # Graphviz rejects a table without rows
        graph.attr(label=_legend_html(picture) if rich else as_plain(legend_lines(picture)))
    for box in picture.boxes:
        place = at.boxes[box.key] if at else {}
        graph.node(
            box.key, spelled(box.lines), id=f"box-{box.key}", **_box_attributes(box), **place
        )
    for k, arrow in enumerate(picture.arrows):
        name = f"arrow-{k}"
        _add_arrow(graph, arrow, spelled, id=name, **(at.arrows[name] if at else {}))
    for left, right in () if at else picture.pairs:
        with graph.subgraph() as row:
            row.attr(rank="same")
            row.edge(left, right, style="invis")
    text: str = graph.source
    return text


def is_large(picture: Picture) -> bool:
    """Whether a picture is drawn in haste."""
    return len(picture.boxes) > _MANY


def arrow_lines(arrow: Arrow) -> tuple[str, ...]:
    """Give what stands on an arrow: its label and, where they are known, its first values."""
    return tuple(filter(None, (arrow.label, *arrow.values[:1])))


def _box_attributes(box: Box) -> dict[str, str]:
    style = "filled,rounded" if box.rounded else "filled"
    return {"fillcolor": box.fill or box.role.fill, "color": box.role.outline, "style": style}


def _add_arrow(graph: graphviz.Digraph, arrow: Arrow, spelled: Spelling, **given: str) -> None:
    """Add an arrow; one that points up is declared downwards and drawn from its end."""
    ends, colours = (arrow.tail, arrow.head), arrow.colours
    attributes = {**given, "fontcolor": arrow.colours[-1]}
    if arrow.up:
        ends, colours = (arrow.head, arrow.tail), tuple(reversed(colours))
        attributes["dir"] = "back"
    if arrow.dashed:
        attributes["style"] = "dashed"
    if lines := arrow_lines(arrow):
        # The spaces keep the text off the line.
        attributes["label"] = spelled(
            tuple((Span(f"  {text}  ", arrow.colours[-1]),) for text in lines)
        )
    if arrow.main:
        attributes["weight"] = "50"
    attributes["color"] = f"{colours[0]};0.5:{colours[1]}" if colours[1:] else colours[0]
    graph.edge(*ends, **attributes)


# ── The legend ────────────────────────────────────────────────────────────────────────────────────


def _legend_html(picture: Picture) -> str:
    cells = "".join(
        f'<TD BORDER="1" COLOR="{role.outline}" BGCOLOR="{PAPER if picture.scale else role.fill}"'
        f"{_ROUNDED if role in SOURCES else ''}>{role.label}</TD>"
        for role in picture.roles
    )
    cells += "".join(
        f'<TD BORDER="1" COLOR="{QUIET}" BGCOLOR="{fill}">{html.escape(text)}</TD>'
        for text, fill in picture.scale
    )
    swatches = f'<TABLE BORDER="0" CELLSPACING="6" CELLPADDING="4"><TR>{cells}</TR></TABLE>'
    notes = "".join(f'{html_line((note,))}<BR ALIGN="LEFT"/>' for note in picture.notes)
    rows = "".join(f"<TR><TD>{part}</TD></TR>" for part in (swatches, notes) if part)
    return f'<<TABLE BORDER="0" CELLSPACING="0" CELLPADDING="4">{rows}</TABLE>>'


def legend_lines(picture: Picture) -> tuple[Line, ...]:
    """Give the legend as lines of text."""
    swatches = [(Span("■ ", r.outline), Span(f"{r.label}   ")) for r in picture.roles]
    swatches += [(Span("■ ", fill), Span(f"{text}   ")) for text, fill in picture.scale]
    rows = (tuple(span for swatch in swatches for span in swatch), *((n,) for n in picture.notes))
    return tuple(row for row in rows if row)
