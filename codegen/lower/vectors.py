"""What finishes one element, for a whole vector of them: results that never leave registers.

Before: y_ = bias[k] + tile[lane]       After: y_ = bias[k] + acc
        y[k, i, j + lane] = y_                 y[k, i, j .. j + 16] = y_
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from codegen.nest import Apply, Element, Expression, Let, Name, Node, Number, Store, When, names_in

SPELLED = ("+", "-", "*", "/", "neg")  # operators that C knows of vectors too


def in_vectors(
    nodes: Sequence[Node],
    value: Element,
    cell: Element,
    lane: str,
    shift: Expression | None,
) -> list[Node] | None:
    """Give what finishes a `value` for a `cell` of them; None where elements have to go alone.

    They are those from the index `lane` on, further by `shift`.
    """
    known: dict[Expression, Expression] = {value: cell}
    found: list[Node] = []
    for node in nodes:
        vectors = _Vectors(known, lane, shift, str(cell.dtype))
        match node:
            case Let(name, dtype, e) if vectors.of(e) == cell:
                known[Name(name, dtype)] = cell
            case Let(name, dtype, e) if whole := vectors.of(e):
                kind = str(whole.dtype).removesuffix("@")
                found.append(replace(node, dtype=kind, value=whole))
                known[Name(name, dtype)] = Name(name, kind)
            case Store(Element() as place, e) if whole := vectors.of(e):
                there = vectors.beside(place)
                if there is None or not vectors.wide(whole):
                    return None
                found.append(replace(node, place=there, value=whole))
            case _:
                return None
    return found


def repeatable(nodes: Sequence[Node]) -> bool:
    """Whether finishing an element once more changes nothing.

    It does where something is added to in memory, or read where a result is stored: arrays of two
    names may be one.
    """
    stored: set[tuple[Expression, ...]] = set()
    read: set[tuple[Expression, ...]] = set()
    for node in nodes:
        match node:
            case Let(_, _, e):
                read |= _places(e)
            case Store(place, e, "="):
                read |= _places(e)
                stored |= _places(place)
            case When(_, body) if not repeatable(body):
                return False
            case When(_, body):
                pass
            case _:
                return False
    return not stored & read


def _places(e: Expression) -> set[tuple[Expression, ...]]:
    """The coordinates of the elements in an expression."""
    match e:
        case Element(_, at):
            return {at}
        case Apply(_, args):
            return {place for a in args for place in _places(a)}
    return set()


@dataclass(frozen=True)
class _Vectors:
    """Gives expressions for a vector of elements; None where there is no way to say it."""

    known: Mapping[Expression, Expression]
    lane: str
    shift: Expression | None
    kind: str

    def of(self, e: Expression) -> Expression | None:
        if e in self.known:
            return self.known[e]
        match e:
            case Number():
                return e
            case Element():
                return self.beside(e) if self.moves(e) else e
            case Apply(op, args) if op in SPELLED and e.dtype == self.kind.partition("x")[0]:
                wholes = [w for a in args if (w := self.of(a)) is not None]
                if len(wholes) < len(args):
                    return None
                return Apply(op, tuple(wholes), self.kind) if any(map(self.wide, wholes)) else e
        return None

    def wide(self, e: Expression) -> bool:
        """Whether an expression is a vector."""
        return str(e.dtype).removesuffix("@") == self.kind

    def beside(self, e: Element) -> Element | None:
        """The elements from one on, if they are neighbours in memory."""
        *before, last = e.at or (Number(0, "int64"),)
        if any(map(self.moves, before)) or not self.counts(last):
            return None
        if self.shift is not None:
            last = Apply("+", (last, self.shift), "int64")
        wide = f"{self.kind}@" if "x" in self.kind else self.kind
        return Element(e.array, (*before, last), wide)

    def counts(self, e: Expression) -> bool:
        """Whether a coordinate grows with the lane, one by one."""
        match e:
            case Name(name):
                return name == self.lane
            case Apply("+", (a, b)):
                one, other = (a, b) if self.moves(a) else (b, a)
                return self.counts(one) and not self.moves(other)
            case Apply("-", (a, b)):
                return self.counts(a) and not self.moves(b)
        return False

    def moves(self, e: Expression) -> bool:
        return self.lane in names_in((Let("", e.dtype, e),), ())
