"""From a layout to one in which no line runs through the text on another arrow.

Graphviz places boxes, lines and labels, and now and then draws a line through a label, or a label
far from its own line. Such a label moves to a free place beside its line; boxes and lines stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
_WAYS = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9)  # along a line, the middle first
_GAP, _FAR = 4.0, 12.0  # points, between a label and its own line: wanted, and at most
_STEP = 4.0  # points, between the places of a line that are looked at


@dataclass(frozen=True)
class Rectangle:
    """The place of a text or of a box: its middle and half its size, in points."""

    x: float
    y: float
    right: float
    up: float

    def holds(self, points: Points) -> npt.NDArray[np.bool_]:
        """Tell which points lie inside."""
        away = abs(points - (self.x, self.y))
        return (away[:, 0] < self.right) & (away[:, 1] < self.up)


Attributes = dict[str, str]


@dataclass(frozen=True)
class Places:
    """What fixes a layout, as DOT attributes: of the graph, of each box, of each arrow."""

    graph: Attributes
    boxes: Mapping[str, Attributes]
    arrows: Mapping[str, Attributes]


def places(laid_out: bytes) -> Places:
    """Read a layout that Graphviz gives as JSON, and move the labels that lines run through."""
    laid = json.loads(laid_out)
    nodes = [o for o in laid.get("objects", ()) if "pos" in o]
    edges = [e for e in laid.get("edges", ()) if "id" in e]
    moved = _moved({e["id"]: e for e in edges}, [_box(node) for node in nodes])
    return Places(
        {"layout": "nop2", **_some(laid, "bb", "lp", "lwidth", "lheight")},
        {o["name"]: _some(o, "pos", "width", "height") for o in nodes},
        {e["id"]: _some(e, "pos", "lp") | moved.get(e["id"], {}) for e in edges},
    )


def _some(given: Mapping[str, str], *names: str) -> Attributes:
    return {name: given[name] for name in names if name in given}


def _moved(arrows: Mapping[str, Any], boxes: list[Rectangle]) -> dict[str, Attributes]:
    """Give the new places of labels, one after the other."""
    lines = {name: _line(arrow["pos"]) for name, arrow in arrows.items()}
    labels = {name: _label(arrow) for name, arrow in arrows.items() if "lp" in arrow}
    taken = np.array([astuple(r) for r in (*boxes, *labels.values())])
    least = np.array([line.min(axis=0) for line in lines.values()])
    most = np.array([line.max(axis=0) for line in lines.values()])
    every = [*lines.values()]

    def faults(place: Rectangle, line: Points) -> float:
        """Count what meets a text; that it stands far from its own line is the least of faults."""
        middle, half = (place.x, place.y), np.array((place.right, place.up))
        hidden = (abs(taken[:, :2] - middle) < taken[:, 2:] + half).all(axis=1)
        about = ((least < middle + half) & (most > middle - half)).all(axis=1)
        crossed = (place.holds(every[k]).any() for k in np.flatnonzero(about))
        near = replace(place, right=place.right + _FAR, up=place.up + _FAR)
        return int(hidden.sum()) + sum(crossed) + (not near.holds(line).any()) / 2

    moved: dict[str, Attributes] = {}
    for row, (name, label) in enumerate(labels.items(), len(boxes)):
        taken[row] = np.nan  # its own place is free
        judge, best = partial(faults, line=lines[name]), label
        if judge(label):
            best = min((label, *_beside(lines[name], label)), key=judge)
        if best != label:
            moved[name] = {"lp": f"{best.x:.5g},{best.y:.5g}"}
        taken[row] = astuple(best)
    return moved


def _beside(line: Points, label: Rectangle) -> Iterator[Rectangle]:
    """Give the places on both sides of a line, as near to it as the text may stand."""
    for way in _WAYS:
        k = round(way * (len(line) - 2))
        x, y = line[k]
        along = line[k + 1] - line[k]
        across = np.array([along[1], -along[0]]) / (np.hypot(*along) or 1.0)
        for normal in (across, -across):
            apart = label.right * abs(normal[0]) + label.up * abs(normal[1]) + _GAP
            yield replace(label, x=x + apart * normal[0], y=y + apart * normal[1])


def _box(node: Mapping[str, str]) -> Rectangle:
    x, y = map(float, node["pos"].split(","))
    return Rectangle(x, y, 36 * float(node["width"]), 36 * float(node["height"]))  # from inches


def _label(arrow: Mapping[str, Any]) -> Rectangle:
    """Give the place of the text on an arrow, without the spaces that begin and end it."""
    x, y = map(float, arrow["lp"].split(","))
    texts = [step for step in arrow["_ldraw_"] if step["op"] == "T"]
    size = next(step["size"] for step in arrow["_ldraw_"] if step["op"] == "F")
    width = max(step["width"] for step in texts) - size
    return Rectangle(x, y, width / 2, len(texts) * size * 0.55)


def _line(pos: str) -> Points:
    """Give points of a line of cubic curves, `e,x,y` and `s,x,y` of its heads left out."""
    given = [part.split(",") for part in pos.replace(";", " ").split()]
    knots = np.array([(float(x), float(y)) for x, y in (p for p in given if len(p) == 2)])
    curves = [_curve(knots[k : k + 4]) for k in range(0, len(knots) - 3, 3)]
    return np.concatenate([*curves, np.empty((0, 2))])


def _curve(knots: Points) -> Points:
    length = np.hypot(*np.diff(knots, axis=0).T).sum()
    t = np.linspace(0, 1, 2 + int(length / _STEP))[:, None]
    a, b, c, d = knots
    curve: Points = (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d
    return curve
