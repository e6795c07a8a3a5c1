"""Sliding sums of products with fewer multiplications, by Winograd's algorithms.

Before: y[n,k,i] += w[k,c,u]·x[n,c,i + u]                                    i < 4·T, u < 3
After:  xt[e,n,c,t] += B[e,a]·x[n,c,4·t + a]                                 e, a < 6
        wt[e,k,c] += G[e,u]·w[k,c,u]
        yt[e,n,k,t] += wt[e,k,c]·xt[e,n,c,t]
        y[n,k,4·t + i] += A[e,i]·yt[e,n,k,t]                                 i < 4

Four outputs of a filter of three take 6 products instead of 12, and in two dimensions, where the
rewrite is applied twice, 16 take 36 instead of 144. The same holds for the gradients: to data the
filter slides backwards, to weights the long index is the one that is summed over. Where there are
few channels to spread the transforms over, one dimension alone may be less work than both. What
moves in strides, or has a dilated filter, slides once it is seen in phases (see `phases`).

The matrices are Toom and Cook's: evaluate two polynomials at a few points, multiply, interpolate.
They are exact, but rounding grows: by `error_growth` at most, in practice to about ten times that
of adding up directly. Longer tiles need points further apart and grow it more: those of 7 and 8
are used in one dimension only, longer ones not at all.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import sympy

from codegen.affine import Index, Size, bounds, split
from codegen.names import unused
from codegen.notation import FLOATS, Access, DType, Reduce, Statement, Tensor, inside
from codegen.notation import statement as state
from codegen.program import Program
from codegen.rewrite.gather import NEAR
from codegen.rewrite.phases import View, Views, in_phases, operands, unseen
from codegen.rewrite.settle import without_unit_indices

HALF = sympy.Rational(1, 2)
POINTS = (0, 1, -1, 2, -2, HALF, -HALF)  # of which a tile takes the first, and infinity
TILES = (6, 8, 7)  # in one dimension; in two, the first
TAPS = range(2, 7)  # how many the short index of a pair may hold
EDGE = 1.1  # times the length of an axis that transforming it with its padding is worth
WORTH = 0.85  # the part of the direct work that the new way must not exceed
MOVE = 3.0  # multiply-adds that take as long as bringing one element to memory and back
MOVE_PHASED = 10.0  # the same in two dimensions over phases, which leave short rows
MOVE_FAR = 16.0  # the same for weights that are more than stays near a core
AT_HAND = 6 << 20  # elements that the last cache can hold beside others
READ, READ_FAR = 4.0, 16.0  # multiply-adds that take as long as reading one from there, and beyond


@dataclass(frozen=True)
class Slide:
    """A pair of indices that slide along one axis of an operand: `out + filter`, or `out - filter`.

    `long` is the one that is cut, into tiles that `tile` elements of the operand give. `strided`
    says that a part of the sum runs over phases.
    """

    out: Index
    filter: Index
    sign: int
    long: Index
    short: int
    tile: int = 6
    strided: bool = False

    @property
    def step(self) -> int:
        """How many of the long index one tile holds."""
        return self.tile + 1 - self.short

    @property
    def outputs(self) -> int:
        """How many results a tile gives."""
        return self.step if self.long == self.out else self.short

    @property
    def taps(self) -> int:
        """How long the filter of a tile is."""
        return self.tile + 1 - self.outputs


@cache
def matrices(outputs: int, taps: int) -> tuple[sympy.Matrix, sympy.Matrix, sympy.Matrix]:
    """Give A, B and G so that Σᵤ g[u]·d[i + u] = Σₑ A[e,i]·(Σᵤ G[e,u]·g[u])·(Σₐ B[e,a]·d[a]).

    >>> A, B, G = matrices(4, 3)
    >>> B.row(0), G.row(1)
    (Matrix([[4, 0, -5, 0, 1, 0]]), Matrix([[-1/6, -1/6, -1/6]]))

    Source: A. L. Toom, S. A. Cook; S. Winograd, Arithmetic Complexity of Computations, 1980.
    """
    tile = outputs + taps - 1
    points = POINTS[: tile - 1]
    x = sympy.Symbol("x")
    every = sympy.Poly(sympy.prod(x - p for p in points), x)
    A = sympy.zeros(tile, outputs)
    B = sympy.zeros(tile, tile)
    G = sympy.zeros(tile, taps)
    for e, p in enumerate(map(sympy.sympify, points)):
        others = sympy.div(every, sympy.Poly(x - p, x))[0]
        for k, c in enumerate(reversed(others.all_coeffs())):
            B[e, k] = c
        for i in range(outputs):
            A[e, i] = p**i
        for u in range(taps):
            G[e, u] = p**u / others.eval(p)
    for k, c in enumerate(reversed(every.all_coeffs())):
        B[tile - 1, k] = c
    A[tile - 1, outputs - 1] = G[tile - 1, taps - 1] = 1
    return A, B, G


def error_growth(outputs: int, taps: int) -> float:
    """Bound how many times the rounding of one product can grow, in one dimension.

    It is maxᵢ Σₑ |A[e,i]|·Σᵤ|G[e,u]|·Σₐ|B[e,a]|, against `taps` for adding up directly.
    """
    A, B, G = matrices(outputs, taps)

    def total(row: sympy.Matrix) -> Any:
        return sum(map(abs, row))

    return float(
        max(
            sum(abs(A[e, i]) * total(G.row(e)) * total(B.row(e)) for e in range(outputs + taps - 1))
            for i in range(outputs)
        )
    )


def winograd(program: Program) -> Program:
    """Give the program with sliding sums of products done in tiles where that is less work."""
    work = _Work({t.name for t in program.tensors})
    statements: list[Statement] = []
    for s in program.statements:
        slides = _best(s, program.fixed)
        if slides:
            statements += work.tiled(s, slides)
        else:
            statements.append(s)
    return program.with_statements((*work.tables, *statements))


def _slides(s: Statement) -> tuple[Slide, ...]:
    """The pairs of indices that slide, in the order of the target's axes."""
    reads = sympy.Mul.make_args(s.body)
    plain = s.op is Reduce.SUM and len(reads) == 2 and all(isinstance(a, Access) for a in reads)
    if not plain or s.bindings or s.target.dtype not in FLOATS:
        return ()
    read = {(m, n) for a in reads for m, n in zip(a.maps, a.tensor.shape, strict=True)}
    if any((g.expr, g.size) not in read for g in s.extra):
        return ()
    moving = [m for m, n in zip(s.maps, s.target.shape, strict=True) if (m, n) != (0, 1)]
    if len(set(moving)) < len(moving) or not all(isinstance(m, Index) for m in moving):
        return ()
    if any(a.tensor.dtype != s.target.dtype for a in reads):
        return ()
    found = []
    for x, w in (reads, reversed(reads)):
        for m in x.maps:
            constant, moves = split(m)
            if len(moves) != 2 or not constant.is_Integer:
                continue
            parallel = [i for i in moves if i in s.parallel]
            summed = [i for i in moves if i in s.reduced]
            if len(parallel) != 1 or len(summed) != 1:
                continue
            (out,), (taps,) = parallel, summed
            once = sum(out in e.free_symbols or taps in e.free_symbols for e in x.maps) == 1
            slide = _slide(s, out, taps) if once and _apart(w, out, taps) else None
            if slide:
                found.append(slide)
        if found:
            return tuple(found)
    return ()


def _slide(s: Statement, out: Index, taps: Index) -> Slide | None:
    if not isinstance(s.sizes[out], int) or not isinstance(s.sizes[taps], int):
        return None
    phased = in_phases(s, out, taps)
    if phased is None:
        return None
    strided = len(phased[0].reduced) > len(s.reduced)
    s, _ = phased
    x, w = operands(s, out, taps)
    n, r = int(s.sizes[out]), int(s.sizes[taps])
    sign = next(int(split(m)[1][taps]) for m in x.maps if out in m.free_symbols)
    if r in TAPS and n >= 4:
        slide = Slide(out, taps, sign, out, r, strided=strided)
    elif n in TAPS and r >= 4 and sign == 1:
        slide = Slide(out, taps, sign, taps, n, strided=strided)
    else:
        return None
    return slide if _whole(s, w, slide) else None


def _whole(s: Statement, w: Access, slide: Slide) -> bool:
    """Whether the index that is cut runs to the end of its axis: the last tile may go beyond."""
    tensor, maps = (s.target, s.maps) if slide.long == slide.out else (w.tensor, w.maps)
    ends = [n for m, n in zip(maps, tensor.shape, strict=True) if m == slide.long]
    return ends == [s.sizes[slide.long]]


def _apart(w: Access, out: Index, taps: Index) -> bool:
    """Whether the other operand follows the filter's index along one axis, and not the output's."""
    following = [m for m in w.maps if taps in m.free_symbols]
    return following == [taps] and not any(out in m.free_symbols for m in w.maps)


def _best(s: Statement, fixed: Collection[Tensor]) -> tuple[Slide, ...]:
    """The dimensions and tiles that are least work; none where that is to add up directly."""
    slides = _slides(s)
    plans: list[tuple[Slide, ...]]
    plans = [(replace(slide, tile=tile),) for tile in TILES for slide in slides]
    # Two dimensions over phases have mostly taken longer than one, and round nearly to the bound;
    # those of two taps each save too little for what they move.
    if len(slides) == 2 and not any(slide.strided or slide.short < 3 for slide in slides):
        plans.append(slides)
    best = WORTH * _direct_work(s)
    found: tuple[Slide, ...] = ()
    for plan in plans:
        work = _work(s, plan, fixed) if all(slide.step > 1 for slide in plan) else math.inf
        if work < best:
            best, found = work, plan
    return found


def _direct_work(s: Statement) -> float:
    """About how many multiply-adds it takes to add up directly."""
    reads = (a for a in sympy.Mul.make_args(s.body) if isinstance(a, Access))
    sizes = (math.prod(map(_length, a.tensor.shape)) for a in reads)
    return math.prod(map(_length, s.sizes.values())) + sum(map(_reading, sizes))


def _reading(elements: float) -> float:
    """How many multiply-adds take as long as reading elements that a run before has left."""
    if elements <= NEAR:
        return 0.0
    return elements * (READ if elements <= AT_HAND else READ_FAR)


def _work(s: Statement, slides: tuple[Slide, ...], fixed: Collection[Tensor] = ()) -> float:
    """About how many multiply-adds it takes in tiles; `fixed` operands are transformed but once."""
    s, views = _phased(s, slides)
    near = MOVE_PHASED if views and len(slides) == 2 else MOVE
    for view in views.values():
        fixed = {*fixed, view.seen} if view.tensor in fixed else fixed
    x, w = operands(s, slides[0].out, slides[0].filter)
    sizes = {i: float(_length(n)) for i, n in s.sizes.items()}
    extents = {k: float(_length(n)) for k, n in enumerate(x.tensor.shape)}
    of_filter, of_target = ({i for m in maps for i in m.free_symbols} for maps in (w.maps, s.maps))
    if any(i in of_target for i in of_filter & {i for m in x.maps for i in m.free_symbols}):
        return math.inf  # groups: few products for each transformed element
    held = {
        "filter": math.prod(sizes[i] for i in of_filter),
        "target": math.prod(sizes[i] for i in of_target),
    }
    total = 0.0
    products = math.prod(sizes.values())
    for slide in slides:
        tiles = -(-int(s.sizes[slide.long]) // slide.step)
        axis = next(k for k, m in enumerate(x.maps) if slide.out in m.free_symbols)
        before = math.prod(extents.values())
        extents[axis] = tiles * slide.tile
        after = math.prod(extents.values())
        total += after * slide.tile + near * (before + after)
        results = held["target"]
        grown = slide.tile / slide.step * (tiles * slide.step / sizes[slide.long])
        for name, length, depth in (
            ("filter", slide.filter, slide.taps),
            ("target", slide.out, slide.tile),
        ):
            before = held[name]
            held[name] *= grown if slide.long == length else slide.tile / sizes[length]
            work = held[name] * slide.taps if name == "filter" else before * depth
            weights = (name == "filter") == (slide.long == slide.out)  # the one set for all
            move = MOVE_FAR if weights and held[name] > NEAR else near
            if name != "filter" or w.tensor not in fixed:
                total += work + move * (before + held[name])
        if slide.long == slide.out and int(s.sizes[slide.out]) % slide.step:
            # What lies beyond the end is left out, and the rest added up in memory.
            total += _reading(results) + _reading(held["target"])
        products *= tiles * slide.tile / sizes[slide.out] / sizes[slide.filter]
    if w.tensor in fixed:
        total += _reading(held["filter"])
    return total + products


def _length(size: Size) -> int:
    return size if isinstance(size, int) else 16


def _phased(s: Statement, slides: tuple[Slide, ...]) -> tuple[Statement, Views]:
    """Give a statement in which all slides go one by one, and its views."""
    views: dict[Tensor, View] = {}
    for slide in slides:
        phased = in_phases(s, slide.out, slide.filter)
        assert phased is not None
        s = phased[0]
        views |= phased[1]
    return s, views


def _window(x: Access, s: Statement, slide: Slide) -> tuple[int, int, int]:
    """The axis along which an operand slides, where its tiles begin and how far they reach."""
    axis = next(k for k, m in enumerate(x.maps) if slide.out in m.free_symbols)
    first = int(split(x.maps[axis])[0]) - (slide.taps - 1 if slide.sign < 0 else 0)
    count = -(-int(s.sizes[slide.long]) // slide.step)
    return axis, first, slide.step * (count - 1) + slide.tile


def _edges(x: Access, s: Statement) -> dict[int, tuple[int, int]]:
    """Where an operand is read from, and how far, along axes whose ends are read a little beyond.

    Where padding is much of what is read, it had better be copied than transformed.
    """
    found = {}
    for k, (m, n) in enumerate(zip(x.maps, x.tensor.shape, strict=True)):
        if inside(m, n, s.sizes) or not all(c.is_Integer for c in split(m)[1].values()):
            continue
        low, high = bounds(m, s.sizes)
        if low.is_Integer and high.is_Integer and high - low + 1 <= EDGE * _length(n):
            found[k] = int(low), int(high - low) + 1
    return found


class _Work:
    """Names and tables of numbers that the statements of one program share."""

    def __init__(self, names: set[str]) -> None:
        self.names = names
        self.tables: list[Statement] = []
        self._made: dict[tuple[str, DType], Tensor] = {}

    def tiled(self, s: Statement, slides: tuple[Slide, ...]) -> list[Statement]:
        """Give the statements that do one in tiles, one dimension after the other."""
        s, views = _phased(s, slides)
        filters: list[Statement] = []
        inputs: list[Statement] = []
        closing: list[Statement] = []
        for number, slide in enumerate(slides):
            x, w = operands(s, slide.out, slide.filter)
            e, a, t = (_fresh(s, f"{name}{slide.long.name}") for name in "eat")
            count = -(-int(s.sizes[slide.long]) // slide.step)
            long_filter = slide.long == slide.filter
            outputs, taps, tile = slide.outputs, slide.taps, slide.tile
            kind = s.target.dtype
            A, B, G = matrices(outputs, taps)
            mirrored = "m" if slide.sign < 0 else ""
            A_, B_ = self.table(f"A{outputs}_{taps}", A, kind), self.table(f"B{tile}", B, kind)
            G_ = self.table(f"G{outputs}_{taps}{mirrored}", G[:, ::-1] if mirrored else G, kind)

            axis, first, _ = _window(x, s, slide)
            place = slide.step * t + a + first
            # What lies beyond the edges along the other axes is filled in once, here.
            edges = _edges(x, s)
            edges |= {k: (low, n) for k, low, n in (_window(x, s, o) for o in slides[number + 1 :])}
            edges.pop(axis, None)
            inputs.append(self.transformed(x, axis, place, B_, (e, a), t, count, tile, edges))
            moved = (m - edges[k][0] if k in edges else m for k, m in enumerate(x.maps))
            xt = inputs[-1].target[(e, *(t if k == axis else m for k, m in enumerate(moved)))]

            axis = list(w.maps).index(slide.filter)
            f = slide.filter
            if long_filter:
                place = slide.step * t + f
                filters.append(self.transformed(w, axis, place, G_, (e, f), t, count, taps))
                kept = tuple(t if k == axis else m for k, m in enumerate(w.maps))
            else:
                filters.append(self.transformed(w, axis, f, G_, (e, f), None, 0, taps))
                kept = tuple(m for k, m in enumerate(w.maps) if k != axis)
            wt = filters[-1].target[(e, *kept)]

            axis = list(s.maps).index(slide.out)
            o = slide.out
            rest = {m: s.sizes[m] for m in s.maps if m != o and m in s.sizes}
            if long_filter:
                shape = [n for k, n in enumerate(s.target.shape) if k != axis]
                at = tuple(m for k, m in enumerate(s.maps) if k != axis)
                left: Any = o
            else:
                shape = [count if k == axis else n for k, n in enumerate(s.target.shape)]
                at = tuple(t if k == axis else m for k, m in enumerate(s.maps))
                left, rest = slide.step * t + o, rest | {t: count}
            yt = self.tensor(s.target, (tile, *shape))[(e, *at)]
            y = s.target[tuple(left if k == axis else m for k, m in enumerate(s.maps))]
            closing.insert(0, state(y, "+=", A_[e, o] * yt, rest | {o: outputs, e: tile}))
            box = {i: n for i, n in s.sizes.items() if i not in (slide.out, slide.filter)}
            s = state(yt, "+=", wt * xt, box | {e: tile, t: count})
        made = (unseen(part, views) for part in (*filters, *inputs, s, *closing))
        return list(map(without_unit_indices, made))

    def transformed(
        self, read: Access, axis: int, place: Any, table: Tensor, by: tuple[Index, Index],
        t: Index | None, count: int, taps: int, windows: Mapping[int, tuple[int, int]] = {},
    ) -> Statement:  # fmt: skip
        """Give an operand's values in tiles along one axis, evaluated at the points.

        `windows` say where other axes start and how long they are, if not as they are stored.
        """
        taken = {i.name for i in place.free_symbols} | {i.name for i in by}
        letters = [Index(unused(f"a{k}", taken)) for k in range(read.tensor.rank)]
        shape: list[Any] = [windows.get(k, (0, n))[1] for k, n in enumerate(read.tensor.shape)]
        ranges = dict(zip(letters, shape, strict=True))
        del ranges[letters[axis]]
        source = [i + windows.get(k, (0, 0))[0] for k, i in enumerate(letters)]
        source[axis] = place
        if t is None:
            del letters[axis], shape[axis]
        else:
            letters[axis], shape[axis], ranges[t] = t, count, count
        e, a = by
        tile = int(table.shape[0])
        target = self.tensor(read.tensor, (tile, *shape))
        body = table[e, a] * read.tensor[tuple(source)]
        return state(target[(e, *letters)], "+=", body, ranges | {e: tile, a: taps})

    def table(self, name: str, matrix: sympy.Matrix, kind: DType) -> Tensor:
        """Give the tensor of a matrix of numbers."""
        if (name, kind) not in self._made:
            table = Tensor(self.free(f"winograd_{name}"), matrix.shape, kind)
            i, j = Index("i"), Index("j")
            self.tables.append(state(table[i, j], Reduce.SET, sympy.S.Zero))
            for (row, column), value in matrix.todok().items():
                at = table[sympy.Integer(row), sympy.Integer(column)]
                self.tables.append(state(at, Reduce.SET, value))
            self._made[name, kind] = table
        return self._made[name, kind]

    def tensor(self, like: Tensor, shape: tuple[Any, ...]) -> Tensor:
        """Give a new tensor called after another one."""
        return Tensor(self.free(f"{like.name.removesuffix('_tiles')}_tiles"), shape, like.dtype)

    def free(self, name: str) -> str:
        """Give a name that no tensor has."""
        free, number = name, 2
        while free in self.names:
            free, number = f"{name}{number}", number + 1
        self.names.add(free)
        return free


def _fresh(s: Statement, name: str) -> Index:
    return Index(unused(name, {i.name for i in s.sizes}))
