"""The loop language between schedules and C: a dozen node kinds, no symbols of algebra.

Expressions are numbers, names, array elements and applications of an operator or function;
statements are loops, conditions, declarations and stores. Everything is frozen and prints as a
reader would write it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from codegen.notation import DType

Scalar = DType | str  # "int64" for indices and sizes


@dataclass(frozen=True)
class Number:
    """A literal of a type."""

    value: float
    dtype: Scalar


@dataclass(frozen=True)
class Name:
    """A loop index, a size or a local scalar."""

    name: str
    dtype: Scalar = "int64"


@dataclass(frozen=True)
class Element:
    """One element of an array."""

    array: str
    at: tuple[Expression, ...]
    dtype: Scalar


@dataclass(frozen=True)
class Apply:
    """An operator or function of a type applied to arguments.

    Operators are `+ - * / neg`, comparisons, `and or not`, `select`, `cast`, `isnan`, `min max`,
    `floor_div ceil_div mod`; anything else is a function of the mathematics library.
    """

    op: str
    args: tuple[Expression, ...]
    dtype: Scalar


Expression = Number | Name | Element | Apply


def times(at: Expression, size: int) -> Expression:
    """Give so many times a number."""
    return at if size == 1 else Apply("*", (at, Number(size, "int64")), "int64")


def plus(terms: Sequence[Expression]) -> Expression:
    """Give the sum of numbers."""
    total = terms[0]
    for term in terms[1:]:
        total = Apply("+", (total, term), "int64")
    return total


@dataclass(frozen=True)
class Loop:
    """`for index in [start, stop) step: body`; the bounds are the tightest of several.

    A `rolled` loop is not to be unrolled: its body fills the registers. An `unrolled` one has to
    be: its places in arrays are registers. Iterations of a `lanes` loop are the elements of
    vectors, those of a `shared` one may run at the same time, and those of an `apart` one are never
    made one vector, so that each computes the same bits whoever runs it.
    """

    index: str
    start: tuple[Expression, ...]
    stop: tuple[Expression, ...]
    body: tuple[Node, ...]
    step: int = 1
    rolled: bool = False
    lanes: bool = False
    shared: bool = False
    unrolled: bool = False
    apart: bool = False


@dataclass(frozen=True)
class When:
    """`if condition: body`."""

    condition: Expression
    body: tuple[Node, ...]


@dataclass(frozen=True)
class Let:
    """Declare a local scalar; `fixed` ones never change."""

    name: str
    dtype: Scalar
    value: Expression
    fixed: bool = True


@dataclass(frozen=True)
class Scratch:
    """Declare a small local array."""

    name: str
    dtype: Scalar
    size: int


@dataclass(frozen=True)
class Store:
    """`place op value` with op `=` or `+=`.

    A `streamed` one is a whole vector that goes to memory past the caches.
    """

    place: Element | Name
    value: Expression
    op: str = "="
    streamed: bool = False


@dataclass(frozen=True)
class Transpose:
    """Write a few vectors as columns: `place[pitch·l + r] = value[step·r + l]`.

    There are `rows` of them; where a vector has more elements, the last in each column are zero.
    """

    place: Element
    pitch: int
    value: Element
    step: int
    rows: Expression


@dataclass(frozen=True)
class Fetch:
    """Ask for the line of an element, to be written, or of what is so many bytes on, to be read."""

    place: Element
    ahead: int = 0


@dataclass(frozen=True)
class Hold:
    """Keep a vector in a register: it is not to be read from memory again for each of its uses."""

    place: Element


Node = Loop | When | Let | Scratch | Store | Transpose | Fetch | Hold


@dataclass(frozen=True)
class Array:
    """An array that a function is given: its name, type, extents, and whether it is written.

    A `shared` array is only read, and another one that the function is given shows its memory.
    """

    name: str
    dtype: DType
    shape: tuple[Expression, ...]
    written: bool
    shared: bool = False


@dataclass(frozen=True)
class Function:
    """One nest: its name, what it says of itself, sizes and arrays it takes, what it does.

    Where there are tasks, it is also told which of them to do, `first` up to `last`; from `least`
    tasks on it pays to share them. `local` arrays are its own; `shown` ones are others, which the
    names beside them belong to, in another shape. Its `notes` say how its loops were chosen.
    """

    name: str
    doc: tuple[str, ...]
    sizes: tuple[str, ...]
    arrays: tuple[Array, ...]
    body: tuple[Node, ...]
    tasks: Expression | None = None
    least: int = 0
    local: tuple[Array, ...] = ()
    shown: tuple[tuple[Array, str], ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        given = [*self.sizes, *(a.name for a in self.arrays)]
        head = f"{self.name}({', '.join(given + (['first', 'last'] if self.tasks else []))})"
        if self.tasks:
            head += f"  for {spell(self.tasks)} tasks"
        return "\n".join([head, *(f"  {line}" for node in self.body for line in show(node))])


def names_in(function_body: tuple[Node, ...], arrays: tuple[Array, ...]) -> set[str]:
    """Give every name that a function's body and the extents of its arrays use."""
    found: set[str] = set()

    def of(e: Expression) -> None:
        match e:
            case Name(name):
                found.add(name)
            case Element(array, at):
                found.add(array)
                for a in at:
                    of(a)
            case Apply(_, args):
                for a in args:
                    of(a)

    def into(node: Node) -> None:
        match node:
            case Loop(_, start, stop, body):
                for e in (*start, *stop):
                    of(e)
                for inner in body:
                    into(inner)
            case When(condition, body):
                of(condition)
                for inner in body:
                    into(inner)
            case Let(_, _, value):
                of(value)
            case Store(place, value):
                of(place)
                of(value)
            case Transpose(place, _, value, _, rows):
                of(place)
                of(value)
                of(rows)
            case Fetch(place) | Hold(place):
                of(place)

    for node in function_body:
        into(node)
    for array in arrays:
        if not nested(array):
            for extent in array.shape[1:]:
                of(extent)
    return found


def unrolled(nodes: Sequence[Node]) -> list[Node]:
    """Give nodes whose loops have to be unrolled."""
    return [
        replace(n, body=tuple(unrolled(n.body)), unrolled=True) if isinstance(n, Loop) else n
        for n in nodes
    ]


def streams(body: tuple[Node, ...]) -> bool:
    """Whether anything is stored past the caches."""
    return any(
        streams(node.body) if isinstance(node, Loop | When) else getattr(node, "streamed", False)
        for node in body
    )


def without_unused(body: tuple[Node, ...]) -> tuple[Node, ...]:
    """Give nodes without the local scalars that nobody in their scope asks for."""
    return _asked_for(body)[0]


def _asked_for(nodes: tuple[Node, ...]) -> tuple[tuple[Node, ...], set[str]]:
    """The nodes worth keeping, and the names that they take from outside."""
    kept: list[Node] = []
    free: set[str] = set()
    for node in reversed(nodes):
        match node:
            case Let(name) if name not in free:
                continue
            case Let(name) | Scratch(name):
                free = (free - {name}) | names_in((node,), ())
            case Loop(index):
                body, inside = _asked_for(node.body)
                node = replace(node, body=body)
                free |= (inside - {index}) | names_in((replace(node, body=()),), ())
            case When():
                body, inside = _asked_for(node.body)
                node = replace(node, body=body)
                free |= inside | names_in((replace(node, body=()),), ())
            case _:
                free |= names_in((node,), ())
        kept.append(node)
    return tuple(reversed(kept)), free


def nested(array: Array) -> bool:
    """Whether C can declare the array with all its axes: the inner ones are positive numbers."""
    inner = array.shape[1:]
    return bool(array.shape) and all(isinstance(n, Number) and n.value > 0 for n in inner)


def show(node: Node) -> Iterator[str]:
    """Give a node as lines of text."""
    match node:
        case Loop(index, start, stop, body, step):
            low, high = (", ".join(map(spell, bound)) for bound in (start, stop))
            low = low if len(start) == 1 else f"max({low})"
            high = high if len(stop) == 1 else f"min({high})"
            yield f"for {index} in {low}..{high}" + (f" by {step}" if step != 1 else "")
            for inner in body:
                yield from (f"  {line}" for line in show(inner))
        case When(condition, body):
            yield f"if {spell(condition)}"
            for inner in body:
                yield from (f"  {line}" for line in show(inner))
        case Let(name, dtype, value):
            yield f"{name}: {dtype} = {spell(value)}"
        case Scratch(name, dtype, size):
            yield f"{name}: {dtype}[{size}]"
        case Store(place, value, op):
            yield f"{'stream ' if node.streamed else ''}{spell(place)} {op} {spell(value)}"
        case Transpose(place, pitch, value, step, rows):
            yield f"transpose {spell(place)} by {pitch} = {spell(rows)} of {spell(value)} by {step}"
        case Fetch(place, ahead):
            yield f"fetch {spell(place)}{f' and {ahead} bytes' if ahead else ''}"
        case Hold(place):
            yield f"hold {spell(place)}"


def spell(e: Expression) -> str:
    """Give an expression as text, fully parenthesised only where it helps."""
    match e:
        case Number(value):
            return f"{value:g}"
        case Name(name):
            return name
        case Element(array, at):
            return f"{array}[{', '.join(map(spell, at))}]"
        case Apply(op, (a, b)) if not op.isidentifier():
            return f"({spell(a)} {op} {spell(b)})"
        case Apply(op, args):
            return f"{op}({', '.join(map(spell, args))})"
