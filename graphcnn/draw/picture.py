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
    """A rectangle of text, coloured by its role; `fill` is another colour for its inside."""

    key: str
    role: Role
    lines: tuple[Line, ...]
    rounded: bool = False
    fill: str = ""


@dataclass(frozen=True)
class Arrow:
    """An arrow from one box to another.

    An arrow that points `up` runs against the order in which boxes are laid out; `main` ones are
    kept straight. `values` are what it carries, written out, one text for each frame.
    """

    tail: str
    head: str
    label: str = ""
    colours: tuple[str, ...] = (INK,)
    up: bool = False
    dashed: bool = False
    main: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Heat:
    """An array as a small grey image: `rows` of levels from 0 for `low` to 255 for `high`."""

    rows: tuple[bytes, ...]
    low: float
    high: float


@dataclass(frozen=True)
class Value:
    """The numbers of one array: written out and, where it has two axes or more, as an image."""

    text: str
    heat: Heat | None = None


@dataclass(frozen=True)
class Detail:
    """What is known of a box beyond what it says, for a page that shows it on request.

    `facts` are pairs such as `("shape", "N×6×24×24")`; `values` are the arrays of the box's nodes:
    a letter, its colour, and one value for each frame.
    """

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    formulas: tuple[Line, ...] = ()
    code: str = ""
    values: tuple[tuple[Span, tuple[Value, ...]], ...] = ()


@dataclass(frozen=True)
class Picture:
    """Everything that is drawn; `pairs` are boxes that stand side by side.

    `frames` are the captions of the moments whose values the picture knows, such as the steps of a
    training run; `order` are the keys of the boxes as they are computed, some at a time; `details`
    belong to the boxes, one each. `scale` explains fills that are not those of the roles.
    """

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    pairs: tuple[tuple[str, str], ...] = ()
    roles: tuple[Role, ...] = ()
    notes: tuple[Span, ...] = ()
    frames: tuple[str, ...] = ()
    order: tuple[tuple[str, ...], ...] = ()
    details: tuple[Detail, ...] = ()
    scale: tuple[tuple[str, str], ...] = ()
