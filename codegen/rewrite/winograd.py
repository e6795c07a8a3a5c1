"""Sliding sums of products with fewer multiplications, by Winograd's algorithms.

Before: y[n,k,i] += w[k,c,u]·x[n,c,i + u]                                    i < 4·T, u < 3
After:  xt[e,n,c,t] += B[e,a]·x[n,c,4·t + a]                                 e, a < 6
        wt[e,k,c] += G[e,u]·w[k,c,u]
        yt[e,n,k,t] += wt[e,k,c]·xt[e,n,c,t]
        y[n,k,4·t + i] += A[e,i]·yt[e,n,k,t]                                 i < 4

Four outputs of a filter of three take 6 products instead of 12, and in two dimensions, where the
rewrite is applied twice, 16 take 36 instead of 144. The same holds for the gradients: to data the
filter slides backwards, to weights the long index is the one that is summed over.

The matrices are Toom and Cook's: evaluate two polynomials at a few points, multiply, interpolate.
They are exact, but rounding grows: with the points 0, ±1, ±2 and ∞ the error of a float32 result
is about ten times that of adding up directly (`error_growth` bounds it). Points for longer tiles
would be larger, so none are used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy

from codegen.affine import Index, split
from codegen.notation import FLOATS, Access, DType, Reduce, Statement, Tensor
from codegen.notation import statement as state
from codegen.program import Program

POINTS = (0, 1, -1, 2, -2)  # and infinity
TAPS = len(POINTS) + 1  # length of a tile of the input: outputs + filter - 1
WORTH = 0.75  # the part of the direct work that the new way must not exceed
MOVE = 12.0  # multiply-adds that take as long as bringing one element to memory and back


@dataclass(frozen=True)
class Slide:
    """A pair of indices that slide along one axis of an operand: `out + filter`, or `out - filter`.

    `long` is the one that is cut into tiles of `step`.
    """

    out: Index
    filter: Index
    sign: int
    long: Index
    step: int


@cache
def matrices(outputs: int, taps: int) -> tuple[sympy.Matrix, sympy.Matrix, sympy.Matrix]:
    """Give A, B and G so that Σᵤ g[u]·d[i + u] = Σₑ A[e,i]·(Σᵤ G[e,u]·g[u])·(Σₐ B[e,a]·d[a]).

    >>> A, B, G = matrices(4, 3)
    >>> B.row(0), G.row(1)
    (Matrix([[4, 0, -5, 0, 1, 0]]), Matrix([[-1/6, -1/6, -1/6]]))

    Source: A. L. Toom, S. A. Cook; S. Winograd, Arithmetic Complexity of Computations, 1980.
    """
    if outputs + taps - 1 != TAPS:
        raise ValueError(f"{outputs} outputs of {taps} taps are no tile of {TAPS}")
    x = sympy.Symbol("x")
    every = sympy.Poly(sympy.prod(x - p for p in POINTS), x)
    A = sympy.zeros(TAPS, outputs)
    B = sympy.zeros(TAPS, TAPS)
    G = sympy.zeros(TAPS, taps)
    for e, p in enumerate(POINTS):
        others = sympy.div(every, sympy.Poly(x - p, x))[0]
        for k, c in enumerate(reversed(others.all_coeffs())):
            B[e, k] = c
        for i in range(outputs):
            A[e, i] = sympy.Integer(p) ** i
        for u in range(taps):
            G[e, u] = sympy.Integer(p) ** u / others.eval(p)
    for k, c in enumerate(reversed(every.all_coeffs())):
        B[TAPS - 1, k] = c
    A[TAPS - 1, outputs - 1] = G[TAPS - 1, taps - 1] = 1
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
            sum(abs(A[e, i]) * total(G.row(e)) * total(B.row(e)) for e in range(TAPS))
            for i in range(outputs)
        )
    )


def winograd(program: Program) -> Program:
    """Give the program with sliding sums of products done in tiles where that is less work."""
    work = _Work({t.name for t in program.tensors})
    statements: list[Statement] = []
    for s in program.statements:
        slides = _slides(s)
        if len(slides) == 2 and _pays(s, slides):
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
    if len(set(s.maps)) < len(s.maps) or not all(isinstance(m, Index) for m in s.maps):
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
            slide = _slide(s, out, taps, int(moves[taps]) if moves[taps].is_Integer else 0)
            once = sum(out in e.free_symbols or taps in e.free_symbols for e in x.maps) == 1
            if slide and once and moves[out] == 1 and _apart(w, out, taps):
                found.append(slide)
        if found:
            return tuple(found)
    return ()


def _slide(s: Statement, out: Index, taps: Index, sign: int) -> Slide | None:
    n, r = s.sizes[out], s.sizes[taps]
    if not isinstance(n, int) or not isinstance(r, int) or abs(sign) != 1:
        return None
    if r in (3, 5) and n >= 4:
        return Slide(out, taps, sign, out, TAPS + 1 - r)
    if n in (3, 5) and r >= 4 and sign == 1:
        return Slide(out, taps, sign, taps, TAPS + 1 - n)
    return None


def _apart(w: Access, out: Index, taps: Index) -> bool:
    """Whether the other operand follows the filter's index along one axis, and not the output's."""
    following = [m for m in w.maps if taps in m.free_symbols]
    return following == [taps] and not any(out in m.free_symbols for m in w.maps)


def _pays(s: Statement, slides: tuple[Slide, ...]) -> bool:
    """Whether tiles are less work, counted in multiply-adds for each tile and pair of channels."""
    x, w = _operands(s, slides)
    sliding = {i for slide in slides for i in (slide.out, slide.filter)}
    used_x = {i for m in x.maps for i in m.free_symbols} - sliding
    used_w = {i for m in w.maps for i in m.free_symbols} - sliding
    used_y = set(s.maps) - sliding

    def count(indices: set[Any]) -> float:
        return math.prod(n if isinstance(n := s.sizes[i], int) else 16 for i in indices)

    if used_x & used_w & used_y:
        return False  # groups: few products for each transformed element
    tiles = math.prod(-(-int(s.sizes[slide.long]) // slide.step) for slide in slides)
    of_filter = all(slide.long == slide.out for slide in slides)
    direct = count(set(s.sizes) - sliding) * math.prod(int(s.sizes[i]) for i in sliding)
    products = count(set(s.sizes) - sliding) * tiles * TAPS**2
    inputs = count(used_x) * tiles * (2 * TAPS**3 + MOVE * 2 * TAPS**2)
    filters = count(used_w) * (1 if of_filter else tiles) * (TAPS**3 + MOVE * 2 * TAPS**2)
    outputs = count(used_y) * (tiles if of_filter else 1) * (TAPS**3 + MOVE * 2 * TAPS**2)
    return products + inputs + filters + outputs < WORTH * direct


def _operands(s: Statement, slides: tuple[Slide, ...]) -> tuple[Access, Access]:
    """What slides, and what it is multiplied with."""
    first, second = sympy.Mul.make_args(s.body)
    slide = slides[0]
    slid = any({slide.out, slide.filter} <= m.free_symbols for m in first.maps)
    return (first, second) if slid else (second, first)


def _window(x: Access, s: Statement, slide: Slide) -> tuple[int, int, int]:
    """The axis along which an operand slides, where its tiles begin and how far they reach."""
    axis = next(k for k, m in enumerate(x.maps) if slide.out in m.free_symbols)
    taps = TAPS + 1 - (slide.step if slide.long == slide.out else int(s.sizes[slide.out]))
    first = int(split(x.maps[axis])[0]) - (taps - 1 if slide.sign < 0 else 0)
    count = -(-int(s.sizes[slide.long]) // slide.step)
    return axis, first, slide.step * (count - 1) + TAPS


class _Work:
    """Names and tables of numbers that the statements of one program share."""

    def __init__(self, names: set[str]) -> None:
        self.names = names
        self.tables: list[Statement] = []
        self._made: dict[tuple[str, DType], Tensor] = {}

    def tiled(self, s: Statement, slides: tuple[Slide, ...]) -> list[Statement]:
        """Give the statements that do one in tiles, one dimension after the other."""
        opening: list[Statement] = []
        closing: list[Statement] = []
        for number, slide in enumerate(slides):
            x, w = _operands(s, (slide,))
            e, a, t = (_fresh(s, f"{name}{slide.long.name}") for name in "eat")
            count = -(-int(s.sizes[slide.long]) // slide.step)
            long_filter = slide.long == slide.filter
            outputs = int(s.sizes[slide.out]) if long_filter else slide.step
            taps = TAPS + 1 - outputs
            kind = s.target.dtype
            A, B, G = matrices(outputs, taps)
            mirrored = "m" if slide.sign < 0 else ""
            A_, B_ = self.table(f"A{outputs}", A, kind), self.table(f"B{outputs}", B, kind)
            G_ = self.table(f"G{outputs}{mirrored}", G[:, ::-1] if mirrored else G, kind)

            axis, first, _ = _window(x, s, slide)
            place = slide.step * t + a + first
            # What lies beyond the edges along the other axes is filled in once, here.
            later = {k: (low, n) for k, low, n in (_window(x, s, o) for o in slides[number + 1 :])}
            opening.append(self.transformed(x, axis, place, B_, (e, a), t, count, TAPS, later))
            moved = (m - later[k][0] if k in later else m for k, m in enumerate(x.maps))
            xt = opening[-1].target[(e, *(t if k == axis else m for k, m in enumerate(moved)))]

            axis = list(w.maps).index(slide.filter)
            f = slide.filter
            if long_filter:
                place = slide.step * t + f
                opening.append(self.transformed(w, axis, place, G_, (e, f), t, count, taps))
                kept = tuple(t if k == axis else m for k, m in enumerate(w.maps))
            else:
                opening.append(self.transformed(w, axis, f, G_, (e, f), None, 0, taps))
                kept = tuple(m for k, m in enumerate(w.maps) if k != axis)
            wt = opening[-1].target[(e, *kept)]

            axis = list(s.maps).index(slide.out)
            o = slide.out
            rest = {m: s.sizes[m] for m in s.maps if m != o}
            if long_filter:
                shape = [n for k, n in enumerate(s.target.shape) if k != axis]
                at = tuple(m for k, m in enumerate(s.maps) if k != axis)
                left: Any = o
            else:
                shape = [count if k == axis else n for k, n in enumerate(s.target.shape)]
                at = tuple(t if k == axis else m for k, m in enumerate(s.maps))
                left, rest = slide.step * t + o, rest | {t: count}
            yt = self.tensor(s.target, (TAPS, *shape))[(e, *at)]
            y = s.target[tuple(left if k == axis else m for k, m in enumerate(s.maps))]
            closing.insert(0, state(y, "+=", A_[e, o] * yt, rest | {o: outputs, e: TAPS}))
            box = {i: n for i, n in s.sizes.items() if i not in (slide.out, slide.filter)}
            s = state(yt, "+=", wt * xt, box | {e: TAPS, t: count})
        return [*opening, s, *closing]

    def transformed(
        self, read: Access, axis: int, place: Any, table: Tensor, by: tuple[Index, Index],
        t: Index | None, count: int, taps: int, windows: Mapping[int, tuple[int, int]] = {},
    ) -> Statement:  # fmt: skip
        """Give an operand's values in tiles along one axis, evaluated at the points.

        `windows` say where other axes start and how long they are, if not as they are stored.
        """
        letters: list[Any] = [Index(f"a{k}") for k in range(read.tensor.rank)]
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
        target = self.tensor(read.tensor, (TAPS, *shape))
        body = table[e, a] * read.tensor[tuple(source)]
        return state(target[(e, *letters)], "+=", body, ranges | {e: TAPS, a: taps})

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
    taken = {i.name for i in s.sizes}
    while name in taken:
        name += "_"
    return Index(name)
