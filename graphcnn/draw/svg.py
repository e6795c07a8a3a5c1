"""The SVG that Graphviz writes, made to look the same whatever fonts the reader has.

A line in several colours is one text element of several spans: the reader's fonts, which are not
those that Graphviz measured, then open no gaps inside a line.
"""

from __future__ import annotations

from itertools import groupby
from xml.etree import ElementTree

from graphcnn.draw.dot import legend_lines
from graphcnn.draw.picture import Line, Picture
from graphcnn.draw.roles import DARK, DARK_PAPER, INK

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_STYLES = ("fill", "font-weight", "baseline-shift")
_CLASS = "graphcnn"
_SWAPS = "".join(
    f'.{_CLASS} [{what}="{light}"] {{{what}: {dark}}}\n'
    for light, dark in DARK.items()
    for what in ("fill", "stroke")
)
_STYLE = f"""
@media screen and (prefers-color-scheme: dark) {{
{_SWAPS}.{_CLASS} text:not([fill]) {{fill: {DARK[INK]}}}
.{_CLASS} > g > polygon:first-of-type {{fill: {DARK_PAPER}}}
}}
"""


def with_whole_lines(svg: str) -> str:
    """Join the pieces into which Graphviz cuts a line of a rich label."""
    root = ElementTree.fromstring(svg)
    for text in root.iter(_tag("text")):
        text.set(_SPACE, "preserve")
    for group in root.iter(_tag("g")):
        if group.get("class") in ("node", "edge"):
            for _, pieces in groupby(group.findall(_tag("text")), lambda piece: piece.get("y")):
                _join(group, list(pieces))
    return _written(root)


def with_dark_style(svg: str) -> str:
    """Let an SVG be light or dark as its reader prefers, and light in print.

    The rules are those of one class, so that they change nothing else on a page around it.
    """
    root = ElementTree.fromstring(svg)
    root.set("class", _CLASS)
    style = ElementTree.Element(_tag("style"))
    style.text = _STYLE
    root.insert(0, style)
    return _written(root)


def _join(group: ElementTree.Element, pieces: list[ElementTree.Element]) -> None:
    first, *others = pieces
    if not others or any(p.get("text-anchor") != "start" for p in pieces):
        return
    parts = [(piece.text or "", _style(piece)) for piece in pieces]
    first.text = None
    for name in _STYLES:
        first.attrib.pop(name, None)
    for text, style in parts:
        _add_span(first, text, style)
    for piece in others:
        group.remove(piece)


def _style(text: ElementTree.Element) -> dict[str, str]:
    return {name: value for name in _STYLES if (value := text.get(name)) is not None}


def with_colours(svg: str, picture: Picture) -> str:
    """Paint an SVG that came of plain labels."""
    root = ElementTree.fromstring(svg)
    lines = {box.key: box.lines for box in picture.boxes}
    for group in root.iter(_tag("g")):
        match group.get("class"):
            case "node":
                _paint(group, lines.get(group.findtext(_tag("title")) or "", ()))
            case "graph":
                _paint(group, legend_lines(picture))
    return _written(root)


def _paint(group: ElementTree.Element, lines: tuple[Line, ...]) -> None:
    written = [line for line in lines if line]
    for element, line in zip(group.findall(_tag("text")), written, strict=False):
        element.text = None
        element.set(_SPACE, "preserve")
        for span in line:
            style = {"fill": span.colour}
            style |= {"font-weight": "bold"} if span.bold else {}
            style |= {"baseline-shift": "sub"} if span.subscript else {}
            _add_span(element, span.text, style)


def _add_span(element: ElementTree.Element, text: str, style: dict[str, str]) -> None:
    if "baseline-shift" in style:
        style = {**style, "font-size": "75%"}
    ElementTree.SubElement(element, _tag("tspan"), style).text = text


def _tag(name: str) -> str:
    return f"{{{_SVG}}}{name}"


def _written(root: ElementTree.Element) -> str:
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    text = ElementTree.tostring(root, "unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'
