r"""From a picture to a LaTeX document: every box with its formulas, in the picture's colours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from graphcnn.draw.labels import joined, said
from graphcnn.draw.latex import to_latex
from graphcnn.draw.picture import Box, Line, Picture, Span
from graphcnn.draw.roles import DOWNSTREAM, LOCAL, QUIET, SOURCES, UPSTREAM, Role
from graphcnn.draw.spelling import pieces

_COLOURS = {"local": LOCAL, "upstream": UPSTREAM, "downstream": DOWNSTREAM, "quiet": QUIET}
_NAMES = {colour: name for name, colour in _COLOURS.items()}
_HEADINGS = ("Forward", "Backward", "Updates")
_BRACKETS = dict.fromkeys("([{⟨", 1) | dict.fromkeys(")]}⟩", -1)
_KNOWN = re.compile(r"[\x00-\x7fÀ-ÅÇ-ÏÑ-ÖÙ-Ýà-åç-ïñ-öù-ýÿ]")  # by every TeX, with any font


def to_document(picture: Picture) -> str:
    r"""Give a LaTeX document with the formulas of a picture; equal pictures give equal text.

    >>> from graphcnn.draw import draw
    >>> from graphcnn.graph import input
    >>> print(to_document(draw(input("x") * input("y")).picture))
    \documentclass{article}
    ...
    \paragraph{multiply}
    \begin{align*}
    z &= x \cdot y
    \end{align*}
    ...
    """
    body = [*map(_note, picture.notes)]
    for heading in _HEADINGS:
        boxes = [box for box in picture.boxes if _heading(box.role) == heading]
        body += [rf"\section*{{{heading}}}", *map(_box, boxes)] if boxes else []
    text = "\n\n".join(body)
    return "\n".join([*_preamble(text), r"\begin{document}", "", text, "", r"\end{document}", ""])


def _preamble(body: str) -> Iterator[str]:
    yield r"\documentclass{article}"
    yield r"\usepackage[margin=2cm]{geometry}"
    yield r"\usepackage{amsmath}"
    yield r"\usepackage{xcolor}"
    for name, colour in _COLOURS.items():
        yield rf"\definecolor{{{name}}}{{HTML}}{{{colour.removeprefix('#').upper()}}}"
    yield r"\allowdisplaybreaks"
    strange = sorted({c for c in body if not _KNOWN.match(c)})
    if strange:
        yield "% pdfTeX has no fonts for these; XeTeX and LuaTeX show them."
        yield r"\ifdefined\DeclareUnicodeCharacter"
        for character in strange:
            code = f"{ord(character):04X}"
            yield rf"\DeclareUnicodeCharacter{{{code}}}{{\texttt{{U+{code}}}}}"
        yield r"\fi"


def _heading(role: Role) -> str:
    return {Role.GRADIENT: "Backward", Role.UPDATE: "Updates"}.get(role, "Forward")


def _note(note: Span) -> str:
    return rf"\noindent {_coloured(_prose(note.text), note.colour)}"


# ── Boxes ─────────────────────────────────────────────────────────────────────────────────────────


def _box(box: Box) -> str:
    title, *lines = _lines(box)
    rows = [rf"\paragraph{{{_title(box, title)}}}"]
    remarks: list[str] = []
    equations: list[str] = []
    for line in lines:
        if _is_remark(line):
            remarks.append(_coloured(_prose(said(line)), QUIET))
        else:
            equations += _equations(line)
    rows += remarks
    if equations:
        rows += [r"\begin{align*}", " \\\\\n".join(equations), r"\end{align*}"]
    return "\n".join(rows)


def _lines(box: Box) -> list[Line]:
    """Give the lines of a box as they were before they were broken into rows."""
    found: list[list[Line]] = []
    for line in filter(None, box.lines):
        if found and line[0].text.startswith("\u2003"):
            found[-1].append(line)
        else:
            found.append([line])
    return [
        rows[0] if not rows[1:] else (Span(joined([*map(said, rows)]), rows[0][0].colour),)
        for rows in found
    ]


def _title(box: Box, title: Line) -> str:
    """Give the first line of a box: a result is called by its formula, all else by its name."""
    if box.rounded and box.role not in SOURCES:
        return "".join(f"${_math(span)}$" if span.bold else _span(span) for span in title)
    return "".join(map(_span, title))


def _span(span: Span) -> str:
    return _coloured(_prose(span.text), span.colour)


def _is_remark(line: Line) -> bool:
    return all(span.colour == QUIET for span in line)


# ── Formulas ──────────────────────────────────────────────────────────────────────────────────────


def _equations(line: Line) -> Iterator[str]:
    """Give a formula as rows that are aligned at their equals signs."""
    if len({span.colour for span in line}) == 1:
        for equation in _parts(said(line), "; "):
            left, *right = _parts(equation, " = ", most=1)
            yield _aligned(left, right, line[0].colour)
        return
    first, *others = _of_one_colour(line)
    left, *right = _parts(first.text, " = ", most=1)
    values = [*(Span(text, first.colour) for text in right if text), *others]
    yield f"{_math(Span(left, first.colour))} &= {' '.join(map(_math, values))}"


def _aligned(left: str, right: Iterable[str], colour: str) -> str:
    sides = [_math(Span(side, colour)) for side in (left, *right)]
    return " &= ".join(sides) if sides[1:] else f"& {sides[0]}"


def _parts(text: str, at: str, most: int = -1) -> list[str]:
    """Cut a formula outside its brackets.

    >>> _parts("y[i = 1] = a = b", " = ", most=1)
    ['y[i = 1]', 'a = b']
    """
    found: list[str] = []
    start = depth = 0
    for k, character in enumerate(text):
        depth += _BRACKETS.get(character, 0)
        if depth < 1 and k >= start and text.startswith(at, k) and len(found) != most:
            found.append(text[start:k])
            start = k + len(at)
    return [*found, text[start:]]


def _of_one_colour(line: Line) -> list[Span]:
    groups = groupby(line, lambda span: span.colour)
    return [Span(said(tuple(spans)), colour) for colour, spans in groups]


def _math(span: Span) -> str:
    return _coloured(to_latex(span.text), span.colour)


# ── Text ──────────────────────────────────────────────────────────────────────────────────────────


def _prose(text: str) -> str:
    """Give text outside formulas."""
    return "".join(f"${piece}$" if command else piece for piece, command in pieces(text))


def _coloured(text: str, colour: str) -> str:
    name = _NAMES.get(colour)
    return text if name is None else rf"\textcolor{{{name}}}{{{text}}}"
