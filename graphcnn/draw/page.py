"""From a picture to one page of HTML to explore: pan, search, follow and replay it.

The page loads nothing and may run no script but its own, whatever users call their nodes: names
travel as JSON and are shown as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import zlib
from importlib.resources import files
from typing import Any

from graphcnn.draw.compact import compact
from graphcnn.draw.labels import cleaned
from graphcnn.draw.picture import Arrow, Detail, Line, Picture, Span, Value
from graphcnn.draw.roles import DARK, INK, Role

_SCRIPTS = (
    "data.js",
    "view.js",
    "sight.js",
    "pointers.js",
    "panel.js",
    "choose.js",
    "frames.js",
    "play.js",
    "search.js",
    "keys.js",
    "start.js",
)
_SLOT = re.compile(r"\{\{(\w+)\}\}")
_LONGEST_TITLE = 120
_LARGE = 200_000  # characters: from here on, readers wait for the bytes rather than read them
_UNSAFE = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def to_page(picture: Picture, svg: str, title: str = "graphcnn") -> str:
    """Give the page of a picture that is drawn in this SVG; equal pictures give equal text."""
    style = _read("page.css") + _palette()
    script = "".join(map(_read, _SCRIPTS))
    slots = {
        "policy": f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'",
        "title": html.escape(cleaned(title, _LONGEST_TITLE)),
        "style": style,
        "svg": compact(svg),
        "data": _packed(as_json(_data(picture))),
        "script": script,
    }
    return _SLOT.sub(lambda slot: slots[slot[1]], _read("page.html"))


def as_json(data: object) -> str:
    r"""Give JSON that ends no script element, whatever its strings say.

    >>> print(as_json(["</script>"]))
    ["\u003c/script\u003e"]
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A lone surrogate is no character: UTF-8 has no bytes for it.
    return re.sub("[\ud800-\udfff]", "\ufffd", text.translate(_UNSAFE))


def _packed(text: str) -> str:
    """Compress what is large; the page tells by the first character."""
    if len(text) < _LARGE:
        return text
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _read(name: str) -> str:
    return files("graphcnn.draw").joinpath("web", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _palette() -> str:
    """Give the style rules that swap the picture's colours on dark paper.

    The panel writes in the same colours, by the names of their variables.
    """
    variables = "".join(f"{_variable(light)}:{dark};" for light, dark in DARK.items())
    rules = "".join(
        f'[{what}="{light}"]{{{what}:var({_variable(light)})}}\n'
        for light in DARK
        for what in ("fill", "stroke")
    )
    return (
        f".picture{{fill:{INK}}}\n"
        "@media screen and (prefers-color-scheme: dark){\n"
        f":root{{{variables}}}\n.picture{{fill:{DARK[INK]}}}\n{rules}}}\n"
    )


def _variable(colour: str) -> str:
    return f"--c{colour.removeprefix('#')}"


# ── What the SVG does not say ─────────────────────────────────────────────────────────────────────


def _data(picture: Picture) -> dict[str, Any]:
    place = {box.key: k for k, box in enumerate(picture.boxes)}
    roles = list(dict.fromkeys(box.role for box in picture.boxes))
    return {
        "roles": [_role(role) for role in roles],
        "boxes": [[box.key, roles.index(box.role)] for box in picture.boxes],
        "arrows": [_arrow(arrow, place) for arrow in picture.arrows],
        "frames": picture.frames,
        "order": [[place[key] for key in keys if key in place] for keys in picture.order],
        "details": [_detail(detail) for detail in picture.details[: len(picture.boxes)]],
    }


def _role(role: Role) -> tuple[str, str, str]:
    return role.label, role.fill, role.outline


def _arrow(arrow: Arrow, place: dict[str, int]) -> list[Any]:
    ends = [place.get(arrow.tail, -1), place.get(arrow.head, -1), int(arrow.up)]
    return [*ends, arrow.values] if arrow.values else ends


def _detail(detail: Detail) -> dict[str, Any]:
    said = {
        "title": detail.title,
        "facts": detail.facts,
        "formulas": [_line(line) for line in detail.formulas],
        "code": detail.code,
        "values": [[_span(letter), [_value(v) for v in vs]] for letter, vs in detail.values],
    }
    return {name: what for name, what in said.items() if what}


def _line(line: Line) -> list[Any]:
    return [_span(span) for span in line]


def _span(span: Span) -> list[Any]:
    """Give text, colour, bold and subscript, without those at the end that are as usual."""
    style = [span.colour, int(span.bold), int(span.subscript)]
    usual = [INK, 0, 0]
    while style and style[-1] == usual[len(style) - 1]:
        style.pop()
    return [span.text, *style]


def _value(value: Value) -> list[Any]:
    if value.heat is None:
        return [value.text]
    rows, low, high = value.heat.rows, f"{value.heat.low:.4g}", f"{value.heat.high:.4g}"
    pixels = base64.b64encode(b"".join(rows)).decode()
    return [value.text, len(rows), pixels, low, high]
