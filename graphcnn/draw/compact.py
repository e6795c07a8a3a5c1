"""The SVG of a picture, made small enough for a page that shows a thousand boxes.

What the page's style sheet says for all texts is dropped from each, and so is what only tools read.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from graphcnn.draw.roles import INK

_DECIMAL = re.compile(r"-?\d*\.\d+")
_NUMBERS = ("d", "points", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "rx", "ry", "viewBox")
_SAID_BY_STYLE = {
    "font-family": None,
    "style": None,  # the page's policy forbids it
    "text-anchor": "start",
    "stroke": "transparent",
    "{http://www.w3.org/XML/1998/namespace}space": None,
}
_FONT_SIZES = {"node": "12.00", "edge": "10.00", "graph": "11.00"}


def compact(svg: str) -> str:
    r"""Give an SVG as an element of a page.

    >>> compact('<svg viewBox="0 0 1.04 2.00" width="2pt">\n<title>x</title></svg>')
    '<svg viewBox="0 0 1 2" width="1" height="2" class="picture" />'
    """
    root = ElementTree.fromstring(svg)
    _shrink(root, "")
    _, _, width, height = (root.get("viewBox") or "0 0 1 1").split()
    root.attrib |= {"width": width, "height": height, "class": "picture"}
    _drop_paper(root)
    return ElementTree.tostring(root, "unicode")


def _shrink(element: ElementTree.Element, kind: str) -> None:
    element.tag = element.tag.rpartition("}")[2]
    kind = element.get("class", kind)
    said = {**_SAID_BY_STYLE, "font-size": _FONT_SIZES.get(kind)}
    element.attrib = {
        name: _rounded(value) if name in _NUMBERS else value
        for name, value in element.attrib.items()
        if name not in said or said[name] not in (None, value)
    }
    if element.tag == "text" and element.get("fill") == INK:
        del element.attrib["fill"]
    for child in list(element):
        # A browser would show titles, which are keys, as tool tips; a page has its own style.
        if child.tag.endswith(("title", "style")):
            element.remove(child)
        else:
            _shrink(child, kind)
    if element.tag not in ("text", "tspan"):
        element.text = None
    element.tail = None


def _rounded(numbers: str) -> str:
    return _DECIMAL.sub(lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), numbers)


def _drop_paper(root: ElementTree.Element) -> None:
    """Drop the sheet behind the picture: the page is the paper."""
    graph = root.find("g")
    sheet = graph.find("polygon") if graph is not None else None
    if graph is not None and sheet is not None and sheet is next(iter(graph)):
        graph.remove(sheet)
