"""Text that is safe to draw, whatever a user called a node."""

from __future__ import annotations

import html
import re
import textwrap
import unicodedata
from collections.abc import Sequence

import graphviz

from graphcnn.draw.picture import Line, Span
from graphcnn.draw.roles import INK, QUIET

LONGEST = 32
_WIDTH = 52
_SUBSCRIPT = re.compile(r"(?<=[Σxn])_(\{[^{}]*\}|\w\b)")  # of Σ, max and min
_JOINERS = "\u200c\u200d"


def cleaned(text: str, longest: int = LONGEST) -> str:
    r"""Give the text on one line, without characters that nobody sees, shortened in the middle.

    >>> cleaned("a\nb\x00"), cleaned("weights of the first layer", 16)
    ('a↵b�', 'weights …t layer')
    """
    if len(text) > longest:
        half = (longest - 1) // 2
        text = f"{text[: longest - 1 - half]}…{text[-half:]}"
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character == "\n":
        return "↵"
    if character == "\t":
        return " "
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    return "\ufffd" if hidden and character not in _JOINERS else character


def formula(text: str, colour: str = INK, most: int = 3) -> tuple[Line, ...]:
    """Give a formula as lines of bounded width, `_{...}` as subscripts.

    >>> [[span.text for span in line] for line in formula("y = Σ_{c,u} w")]
    [['y = Σ', 'c,u', ' w']]
    """
    rows = wrapped(text)
    if len(rows) > most:
        rows = [*rows[: most - 1], f"{rows[most - 1]} …"]
    return tuple(spans(row, colour) for row in rows)


def wrapped(text: str, width: int = _WIDTH) -> list[str]:
    """Break a formula after spaces and dots outside its brackets; later lines are indented.

    >>> wrapped("y[n, k] = w[k, c]·x[n, c]", 20)
    ['y[n, k] = w[k, c]·', '\u2003x[n, c]']
    """
    rows = [""]
    for piece in _pieces(text, width):
        if rows[-1].strip() and len(rows[-1]) + len(piece.rstrip()) > width:
            rows.append("\u2003")
        rows[-1] += piece
    return [row.rstrip(" ") for row in rows if row.strip()]


def _pieces(text: str, width: int) -> list[str]:
    depth = 0
    pieces = [""]
    for character in text:
        depth += (character in "[(") - (character in ")]")
        pieces[-1] += character
        if (character in " ·" and depth < 1) or len(pieces[-1]) >= width:
            pieces.append("")
    return [piece for piece in pieces if piece]


def joined(rows: Sequence[str], width: int = _WIDTH) -> str:
    """Give the formula that was broken into these rows.

    >>> joined(["y[n, k] = w[k, c]·", "\u2003x[n, c]"], 20)
    'y[n, k] = w[k, c]·x[n, c]'
    """
    text = "".join(rows[:1])
    whole = len(text) >= width and len(_pieces(text, width)) == 1
    for row in rows[1:]:
        # A whole row is one piece, cut where there was nothing to break at.
        text += ("" if whole or text.endswith("·") else " ") + row[1:]
        whole = len(row) > width
    return text


def spans(row: str, colour: str) -> Line:
    """Give one line of a formula, `_{...}` as subscripts."""
    pieces = _SUBSCRIPT.split(row)
    return tuple(
        Span(piece.strip("{}") if k % 2 else piece, colour, subscript=bool(k % 2))
        for k, piece in enumerate(pieces)
        if piece
    )


def said(line: Line) -> str:
    """Give the formula that these spans show.

    >>> said((Span("y = Σ"), Span("c,u", subscript=True), Span(" w")))
    'y = Σ_{c,u} w'
    """
    text = ""
    for span in line:
        limits = len(span.text) > 1 or text.endswith(("Σ", "max", "min"))
        written = f"_{{{span.text}}}" if limits else f"_{span.text}"
        text += written if span.subscript else span.text
    return text


def quiet(text: str) -> tuple[Line, ...]:
    """Give remarks as grey lines."""
    return tuple((Span(row, QUIET),) for row in textwrap.wrap(text, _WIDTH)[:2])


def as_html(lines: tuple[Line, ...]) -> str:
    """Give lines as a Graphviz HTML-like label, titles centred, everything in them escaped.

    An empty line is a gap.
    """
    if len(lines) == 1:
        return f"<{html_line(lines[0])}>"
    rows = "".join(
        f'<TR><TD ALIGN="{"CENTER" if _is_title(line) else "LEFT"}">{html_line(line)}</TD></TR>'
        if line
        else '<TR><TD HEIGHT="6"></TD></TR>'
        for line in lines
    )
    return f'<<TABLE BORDER="0" CELLSPACING="0" CELLPADDING="1">{rows}</TABLE>>'


def _is_title(line: Line) -> bool:
    return line[0].bold or line[0].colour == QUIET


def html_line(line: Line) -> str:
    """Give one line for an HTML-like label."""
    return "".join(map(_html_span, line))


def _html_span(span: Span) -> str:
    # Graphviz reads backslashes here too: \\N would be the name of the node.
    text = html.escape(span.text.replace("\\", "\\\\"))
    text = f"<B>{text}</B>" if span.bold else text
    text = f"<SUB>{text}</SUB>" if span.subscript else text
    return text if span.colour == INK else f'<FONT COLOR="{span.colour}">{text}</FONT>'


def as_plain(lines: tuple[Line, ...]) -> str:
    r"""Give lines as a plain Graphviz label, in one colour.

    Graphviz decodes entities and backslashes in plain labels too.
    """
    rows = (
        plain_text("".join(span.text for span in line)) + ("\\n" if _is_title(line) else "\\l")
        for line in lines
        if line
    )
    label: str = graphviz.nohtml("".join(rows))  # "<...>" in quotes stays text
    return label


def plain_text(text: str) -> str:
    """Give one line for a plain label or attribute."""
    return text.replace("&", "&amp;").replace("\\", "\\\\")
