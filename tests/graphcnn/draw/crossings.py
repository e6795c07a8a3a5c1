"""Looks for what runs through the labels of an SVG that Graphviz laid out."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
NARROW = frozenset(" .,:()[]/|'filtj₀₁₂₃₄₅₆₇₈₉")

Box = tuple[float, float, float, float]
Point = tuple[float, float]


def crossings(svg: str) -> Iterator[str]:
    """Say which label is crossed, and by what."""
    groups = [*ElementTree.fromstring(svg).iter(f"{SVG}g")]
    arrows = [group for group in groups if group.get("class") == "edge"]
    boxes = {id(g): box_of(g) for g in groups if g.get("class") == "node"}
    lines = {id(g): [p for path in g.iter(f"{SVG}path") for p in points(path)] for g in arrows}
    labels = [
        (id(g), *found) for g in arrows for text in g.iter(f"{SVG}text") if (found := label(text))
    ]
    for k, (owner, said, (left, top, right, bottom)) in enumerate(labels):
        for line in lines.values():
            if any(left < x < right and top < y < bottom for x, y in line):
                yield f"a line runs through {said!r}"
        for a, b, c, d in boxes.values():
            if left < c and a < right and top < d and b < bottom:
                yield f"a box hides {said!r}"
        for other, also, (a, b, c, d) in labels[:k]:
            if other != owner and left < c and a < right and top < d and b < bottom:
                yield f"{also!r} is written over {said!r}"


def numbers(text: str | None) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+(?:e-?\d+)?", text or "")]


def box_of(group: ElementTree.Element) -> Box:
    found: list[float] = []
    for shape in group.iter():
        found += numbers(shape.get("points")) + numbers(shape.get("d"))
    return min(found[::2]), min(found[1::2]), max(found[::2]), max(found[1::2])


def label(text: ElementTree.Element) -> tuple[str, Box] | None:
    said = "".join(text.itertext())
    size, x, y = (float(text.get(name, "0")) for name in ("font-size", "x", "y"))
    width = size * sum(0.28 if letter in NARROW else 0.53 for letter in said.strip())  # Helvetica
    if text.get("text-anchor") == "middle":
        left = x - width / 2
    else:  # spaces begin it
        left = x + (len(said) - len(said.lstrip())) * size * 0.28
    inside = (left + 1, y - 0.7 * size, left + width - 1, y)
    return (said.strip(), inside) if said.strip() else None


def points(path: ElementTree.Element) -> Iterator[Point]:
    """Points of cubic curves, near one another."""
    flat = numbers(path.get("d"))
    knots = list(zip(flat[::2], flat[1::2], strict=True))
    for k in range(0, len(knots) - 3, 3):
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = knots[k : k + 4]
        count = 2 + int(abs(dx - ax) + abs(dy - ay))
        for step in range(count + 1):
            t = step / count
            u = 1 - t
            a, b, c, d = u**3, 3 * u * u * t, 3 * u * t * t, t**3
            yield a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy
