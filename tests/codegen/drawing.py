"""Drawn statement programs whose arithmetic is exact, so that no executor may differ in any bit.

Values are small integers: sums and products of them are exact in every dtype and every order.
"""

import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import sympy
from hypothesis import strategies as st

from codegen.affine import Dim, Index, Size, as_size, bounds, nonnegative
from codegen.interpret import interpret
from codegen.notation import (
    Access,
    DType,
    Reduce,
    Statement,
    Tensor,
    equal,
    indices,
    statement,
)
from codegen.program import Program
from tests.codegen.calling import Array
from tests.codegen.running import Case, shape_of

T = TypeVar("T")
N, M = Dim("N"), Dim("M")
LARGEST = 256  # of any value: products of two, summed over a box, stay exact in float32
MOST_POINTS = 40_000
LETTERS = indices("n c i j")
REDUCED = indices("k u v")


class Chooser(Protocol):
    """Where choices come from: a random generator, or Hypothesis, which can shrink them."""

    def integer(self, low: int, high: int) -> int: ...


class RandomChooser:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def integer(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


class DrawnChooser:
    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self._draw = draw

    def integer(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))


@dataclass
class Drawing:
    """A program while it is drawn."""

    choose: Chooser
    dtype: DType
    inputs: list[Tensor] = field(default_factory=list)
    labels: list[tuple[Tensor, int]] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    pool: list[Tensor] = field(default_factory=list)

    # -- choices ----------------------------------------------------------------------------

    def pick(self, options: Sequence[T]) -> T:
        return options[self.choose.integer(0, len(options) - 1)]

    def chance(self, one_in: int) -> bool:
        return self.choose.integer(1, one_in) == one_in

    def size(self) -> Size:
        return self.pick([3, 2, 1, 4, 5, 7, 17, N, N, M])

    def small(self) -> int:
        return self.pick([2, 1, 3, 4])

    def offset(self) -> int:
        return self.pick([0, 0, 0, -1, 1, -2, 2])

    def new(self, shape: Sequence[Size], dtype: DType | None = None) -> Tensor:
        made = len({s.target for s in self.statements})
        return Tensor(f"t{made}", shape, dtype or self.dtype)

    def add(self, *statements: Statement) -> None:
        self.statements += statements
        target = statements[0].target
        if target not in self.pool:
            self.pool.append(target)

    # -- accesses ---------------------------------------------------------------------------

    def map(self, letters: Sequence[Index], sizes: dict[Index, Size]) -> Any:
        """An affine map of one or two letters that starts near zero."""
        used = [self.pick(letters)]
        if self.chance(3):
            used.append(self.pick(letters))
        expr = sum((self.pick([1, 1, 1, 2, -1, 3]) * i for i in used), sympy.S.Zero)
        low, _ = bounds(expr, sizes)
        return expr - low + self.offset()

    def read(self, letters: Sequence[Index], sizes: dict[Index, Size]) -> Access:
        """An access of a tensor that exists, or of a new input that roughly fits."""
        if self.pool and not self.chance(3):
            tensor = self.pick(self.pool)
            return tensor[tuple(self.along(n, letters, sizes) for n in tensor.shape)]
        rank = self.choose.integer(0, min(3, len(letters)))
        if rank and self.chance(2):  # each letter an axis of its own, in any order
            start = self.choose.integer(0, len(letters) - 1)
            maps: list[Any] = [letters[(start + k) % len(letters)] for k in range(rank)]
        else:
            maps = [self.map(letters, sizes) for _ in range(rank)]
        shape = []
        for m in maps:
            _, high = bounds(m, sizes)
            size = high + 1 + (0 if isinstance(m, Index) else self.pick([0, 0, -1, 1]))
            shape.append(at_least_zero(size))
        tensor = Tensor(f"x{len(self.inputs)}", shape, self.dtype)
        self.inputs.append(tensor)
        self.pool.append(tensor)
        return tensor[tuple(maps)]

    def along(self, size: Size, letters: Sequence[Index], sizes: dict[Index, Size]) -> Any:
        """A coordinate of an axis: the letter of its size if there is one, else any map."""
        fitting = [i for i in letters if sizes[i] == size]
        if fitting and not self.chance(4):
            i = self.pick(fitting)
            return sympy.sympify(size) - 1 - i if self.chance(5) else i
        return self.map(letters, sizes) if letters else sympy.S.Zero

    def box(
        self, parallel: int, reduced: int
    ) -> tuple[list[Index], list[Index], dict[Index, Size]]:
        outer, inner = list(LETTERS[:parallel]), list(REDUCED[:reduced])
        sizes: dict[Index, Size] = {i: self.size() for i in outer}
        sizes |= {u: self.small() if self.chance(2) else self.size() for u in inner}
        return outer, inner, sizes

    def label(self, shape: Sequence[Size], classes: int) -> Tensor:
        tensor = Tensor(f"label{len(self.labels)}", shape, "int32")
        self.inputs.append(tensor)
        self.labels.append((tensor, classes))
        return tensor


def at_least_zero(size: Any) -> Size:
    while not nonnegative(sympy.expand(size)):
        size = size + 1
    return as_size(sympy.expand(size))


# -- statements ---------------------------------------------------------------------------------


def contraction(d: Drawing) -> None:
    """A sum of products; the left side one letter an axis, strided, shifted, or a scatter."""
    outer, inner, sizes = d.box(d.choose.integer(0, 3), d.choose.integer(0, 3))
    letters = [*outer, *inner]
    body: Any = sympy.Integer(d.pick([1, 1, -1, 2]))
    for _ in range(d.choose.integer(1, 3)):
        body = body * (d.read(letters, sizes) if letters else sympy.S.One)
    if d.chance(6) and letters:
        body = body * d.pick(letters)
    left: list[Any] = list(outer)
    if outer and d.chance(2):
        at = d.choose.integer(0, len(left) - 1)
        left[at] = d.map(letters, sizes)
    shape = []
    for m in left:
        _, high = bounds(m, sizes)
        size = high + 1 + (0 if isinstance(m, Index) else d.pick([0, 1, -1]))
        shape.append(at_least_zero(size))
    target = d.new(shape)
    d.add(statement(target[tuple(left)], "+=", body, sizes))


def elementwise(d: Drawing) -> None:
    outer, _, sizes = d.box(d.choose.integer(0, 3), 0)
    target = d.new([sizes[i] for i in outer])
    a, b = d.read(outer, sizes), d.read(outer, sizes)
    forms: list[Any] = [
        a - b,
        2 * a * b - 1,
        a - (b - 3),
        sympy.Piecewise((a, a > 0), (0, True)),
        sympy.Piecewise((a, a > b), (b, True)),
        sympy.Piecewise((a, (a > 0) & (b >= 0)), (b, sympy.Eq(a, 0) | (b < 0)), (1, True)),
        sympy.Abs(a) - 1,
        a * a - 2 * a,
        -a,
        b,
    ]
    forms += [a + outer[0], equal(outer[-1], outer[0]) * a] if outer else []
    d.add(statement(target[tuple(outer)], "=", d.pick(forms), sizes))


def comparison(d: Drawing) -> None:
    outer, _, sizes = d.box(d.choose.integer(1, 2), 0)
    target = d.new([sizes[i] for i in outer], "bool")
    a, b = d.read(outer, sizes), d.read(outer, sizes)
    condition = d.pick([a > b, a >= b, sympy.Eq(a, b), sympy.Ne(a, b), (a > 0) & (b > 0)])
    if condition in (sympy.true, sympy.false):
        condition = a > 0
    body = sympy.Piecewise((1, condition), (0, True))
    d.add(statement(target[tuple(outer)], "=", body, sizes))


def window(d: Drawing) -> None:
    """The best of a window, or where it lies; padding and windows without a cell included."""
    outer, inner, sizes = d.box(d.choose.integer(0, 2), d.choose.integer(1, 2))
    letters = [*outer, *inner]
    op = d.pick([Reduce.MAX, Reduce.MIN, Reduce.ARGMAX, Reduce.ARGMIN])
    body: Any = d.read(letters, sizes) + (d.read(letters, sizes) if d.chance(3) else 0)
    left: list[Any] = [i * d.pick([1, 1, 2]) + d.pick([0, 0, 1]) for i in outer]
    shape = [as_size(bounds(m, sizes)[1] + 1 + d.pick([0, 0, 1])) for m in left]
    if not all(nonnegative(sympy.sympify(n)) for n in shape):
        left, shape = list(outer), [sizes[i] for i in outer]
    where = op in (Reduce.ARGMAX, Reduce.ARGMIN)
    target = d.new(shape, "int32" if where else d.dtype)
    ranges = {i: sizes[i] for i in (*outer, *inner)}
    d.statements.append(statement(target[tuple(left)], op, body, ranges))
    # What no window reaches is infinite, and a product with it no longer exact.
    axes = LETTERS[: len(shape)]
    value = target[axes]
    clipped = sympy.Piecewise((value, (value > -99) & (value < 99)), (0, True))
    d.add(statement(d.new(shape)[axes], "=", clipped))


def choice(d: Drawing) -> None:
    """A read, a scatter or a mask by labels, in range and out of it."""
    n, j, u, v = indices("n j u v")
    rows, classes = d.size(), d.pick([3, 1, 5])
    if d.chance(3):  # two digits of one number
        sizes: dict[Index, Size] = {n: rows, u: classes, v: d.small()}
        label = d.label([rows], classes * int(sizes[v]))
        bracket = equal(sizes[v] * u + v, label[n])
        letters = [n, u, v]
    else:
        sizes = {n: rows, j: classes}
        label = d.label([rows], classes)
        bracket = equal(j, label[n])
        letters = [n, j]
    body = bracket * (d.read(letters, sizes) if not d.chance(4) else 1)
    left = d.pick([[n], letters[1:], letters, []])
    target = d.new([sizes[i] for i in left])
    d.add(statement(target[tuple(left)], "+=", body, sizes))


def joined(d: Drawing) -> None:
    """Parts side by side along an axis, over a fill or as sums, some of them mirrored."""
    n, i = indices("n i")
    rows, lengths = d.size(), [d.pick([2, 1, 3, N]) for _ in range(d.choose.integer(1, 3))]
    over_fill = d.chance(2)
    total = as_size(sum(map(sympy.sympify, lengths)) + (1 if over_fill and d.chance(2) else 0))
    target = d.new([rows, total])
    made: list[Statement] = []
    if over_fill:
        made.append(
            statement(target[n, i], "=", sympy.Integer(d.pick([7, 0, -1])), {n: rows, i: total})
        )
    before: Any = sympy.S.Zero
    for length in lengths:
        sizes: dict[Index, Size] = {n: rows, i: length}
        at = before + (i if not d.chance(3) else sympy.sympify(length) - 1 - i)
        made.append(
            statement(target[n, at], "=" if over_fill else "+=", d.read([n, i], sizes), sizes)
        )
        before += length
    d.add(*made)


def reshaped(d: Drawing) -> None:
    i, j = indices("i j")
    rows, columns = d.size(), d.pick([3, 1, 5, M])
    sizes: dict[Index, Size] = {i: rows, j: columns}
    flat = sympy.expand(columns * i + j)
    both = as_size(sympy.expand(sympy.sympify(rows) * columns))
    split = d.chance(2)
    source = next((t for t in d.pool if t.shape == ((both,) if split else (rows, columns))), None)
    if source is None:
        source = Tensor(f"x{len(d.inputs)}", (both,) if split else (rows, columns), d.dtype)
        d.inputs.append(source)
        d.pool.append(source)
    if split:
        target = d.new([rows, columns], source.dtype)
        d.add(statement(target[i, j], "=", source[flat], sizes))
    else:
        target = d.new([both], source.dtype)
        d.add(statement(target[flat], "=", source[i, j], sizes))


def several(d: Drawing) -> None:
    """A tensor that several statements own: a start, sums over different boxes."""
    outer, inner, sizes = d.box(d.choose.integer(1, 2), 1)
    target = d.new([sizes[i] for i in outer])
    left = target[tuple(outer)]
    made = []
    if d.chance(2):
        made.append(statement(left, "=", d.read(outer, sizes), sizes))
    for _ in range(d.choose.integer(1, 3)):
        own = {**sizes, inner[0]: d.size()}
        letters = [*outer, *inner] if not d.chance(3) else outer
        body = d.read(letters, own) * (d.read(letters, own) if d.chance(2) else 1)
        made.append(statement(left, "+=", body, {i: own[i] for i in letters}))
    d.add(*made)


KINDS: tuple[Callable[[Drawing], None], ...] = (
    contraction, contraction, elementwise, elementwise, comparison, window, choice, joined,
    reshaped, several,
)  # fmt: skip


def draw_program(choose: Chooser) -> tuple[Drawing, Program]:
    dtypes: list[DType] = ["float32", "float64", "int32"]
    d = Drawing(choose, dtypes[choose.integer(0, 2)])
    for _ in range(choose.integer(1, 5)):
        d.pick(KINDS)(d)
    made = list(dict.fromkeys(s.target for s in d.statements))
    outputs = [t for t in made[:-1] if d.chance(4)] + [made[-1]]
    return d, Program(tuple(d.inputs), tuple(outputs), tuple(d.statements))


def draw_arrays(d: Drawing, dims: dict[Dim, int], rng: np.random.Generator) -> dict[str, Array]:
    classes = {t.name: n for t, n in d.labels}
    arrays = {}
    for t in d.inputs:
        low, high = (-1, classes[t.name]) if t.name in classes else (-1, 1)
        arrays[t.name] = rng.integers(low, high, shape_of(t, dims), endpoint=True).astype(t.dtype)
    return arrays


def draw_case(choose: Chooser) -> Case | None:
    """A program with data, or None where a value grows too large to be exact everywhere."""
    d, program = draw_program(choose)
    known = {N: [2, 0, 1, 33][choose.integer(0, 3)], M: [3, 0, 1, 19][choose.integer(0, 3)]}
    dims = {s: known[s] for s in program.dims}
    for s in program.statements:
        sizes = shape_of(Tensor("box", [n for _, n in s.box]), dims)
        if np.prod(sizes, dtype=float) > MOST_POINTS:
            return None
    arrays = draw_arrays(d, dims, np.random.default_rng(choose.integer(0, 2**16)))
    for value in interpret(program, arrays, dims, fast=False).values():
        finite = value[np.isfinite(value)] if value.dtype.kind == "f" else value
        if finite.size and abs(finite.astype(float)).max() > LARGEST:
            return None
    return Case(program, arrays, dims)


@functools.cache
def random_cases(count: int, start: int = 0) -> list[Case]:
    """So many cases, the same ones each time."""
    cases: list[Case] = []
    seed = start
    while len(cases) < count:
        case = draw_case(RandomChooser(seed))
        seed += 1
        if case is not None:
            cases.append(case)
    return cases


def cases() -> st.SearchStrategy[Case]:
    """Cases that Hypothesis shrinks."""

    @st.composite
    def drawn(draw: Any) -> Case | None:
        return draw_case(DrawnChooser(draw))

    return drawn().filter(lambda case: case is not None)
