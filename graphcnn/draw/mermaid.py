"""From a picture to Mermaid, the text that wikis and code hosts draw by themselves.

Before: draw(z)        After: flowchart TD
                                  n0(["<b>x</b><br>input"]):::input
                                  n2["<b>z</b>  multiply<br>z = x · y"]:::loss
                                  n0 -->|"scalar"| n2

Boxes have the colours of their roles and arrows those of the gradients that they carry; text in a
box has one colour.
"""

from __future__ import annotations

import re

from graphcnn.draw.dot import arrow_lines
from graphcnn.draw.picture import Arrow, Box, Line, Picture, Span
from graphcnn.draw.roles import INK

_UNSAFE = re.compile(r"[!-'*+./:-<>-@\\^_`{-~-]")  # ASCII that markup or Markdown may be made of


def to_mermaid(picture: Picture) -> str:
    """Give the Mermaid text of a picture; equal pictures give equal text.

    >>> from graphcnn.draw import draw
    >>> from graphcnn.graph import input
    >>> print(to_mermaid(draw(input("x")).picture))
    flowchart TD
        n0(["<b>x</b><br>input"]):::input
        classDef input fill:#dff1fb,stroke:#3c93c2,color:#1a1a1a
    """
    rows = [*map(_box, picture.boxes), *map(_arrow, picture.arrows)]
    rows += [f"style {box.key} fill:{box.fill}" for box in picture.boxes if box.fill]
    rows += [_style(k, arrow) for k, arrow in enumerate(picture.arrows) if arrow.colours != (INK,)]
    rows += [
        f"classDef {role.label} fill:{role.fill},stroke:{role.outline},color:{INK}"
        for role in dict.fromkeys(box.role for box in picture.boxes)
    ]
    return "\n    ".join(["flowchart TD", *rows])


def escaped(text: str) -> str:
    """Give text with each character that could mean something written as its number.

    >>> escaped('"<b>"'), escaped("∂L/∂x[n, c]")
    ('#34;#60;b#62;#34;', '∂L#47;∂x[n, c]')
    """
    return _UNSAFE.sub(lambda found: f"#{ord(found[0])};", text)


def _box(box: Box) -> str:
    text = "<br>".join(map(_line, filter(None, box.lines)))
    left, right = ("([", "])") if box.rounded else ("[", "]")
    return f'{box.key}{left}"{text}"{right}:::{box.role.label}'


def _line(line: Line) -> str:
    return "".join(map(_span, line))


def _span(span: Span) -> str:
    text = escaped(span.text)
    text = f"<sub>{text}</sub>" if span.subscript else text
    return f"<b>{text}</b>" if span.bold else text


def _arrow(arrow: Arrow) -> str:
    stroke = "-.->" if arrow.dashed else "-->"
    lines = "<br>".join(map(escaped, arrow_lines(arrow)))
    label = f'|"{lines}"|' if lines else ""
    return f"{arrow.tail} {stroke}{label} {arrow.head}"


def _style(k: int, arrow: Arrow) -> str:
    """Colour an arrow for what it brings to its head."""
    return f"linkStyle {k} stroke:{arrow.colours[-1]},color:{arrow.colours[-1]}"
