"""What a picture consists of, before any format: boxes of coloured lines, and arrows."""

from __future__ import annotations

from dataclasses import dataclass

from graphcnn.draw.roles import INK, Role


@dataclass(frozen=True)
class Span:
    """A piece of text in one colour."""

    text: str
    colour: str = INK
    bold: bool = False
    subscript: bool = False


Line = tuple[Span, ...]


@dataclass(frozen=True)
class Box:
    """A rectangle of text, coloured by its role."""

    key: str
    role: Role
    lines: tuple[Line, ...]
    rounded: bool = False


@dataclass(frozen=True)
class Arrow:
    """An arrow from one box to another.

    An arrow that points `up` runs against the order in which boxes are laid out; `main` ones are
    kept straight.
    """

    tail: str
    head: str
    label: str = ""
    colours: tuple[str, ...] = (INK,)
    up: bool = False
    dashed: bool = False
    main: bool = False


@dataclass(frozen=True)
class Picture:
    """Everything that is drawn; `pairs` are boxes that stand side by side."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    pairs: tuple[tuple[str, str], ...] = ()
    roles: tuple[Role, ...] = ()
    notes: tuple[Span, ...] = ()
