"""Tensor statements in index notation: what the compiler is given.

A statement reads like the formula it implements:

>>> x, w = Tensor("x", (4, 3, 32)), Tensor("w", (6, 3, 5))
>>> y = Tensor("y", (4, 6, 28))
>>> n, k, c, i, u = indices("n k c i u")
>>> print(statement(y[n, k, i], "+=", w[k, c, u] * x[n, c, i + u]))
y[n,k,i] += w[k,c,u]·x[n,c,i + u]

Index maps are affine on both sides; that one freedom closes the notation under differentiation.
A read that falls outside its tensor is excluded (zero padding is a guard, not a copy):

>>> z = Tensor("z", (4, 6, 32))
>>> print(statement(z[n, k, i], "+=", w[k, c, u] * x[n, c, i + u - 2]))
z[n,k,i] += w[k,c,u]·x[n,c,i + u - 2]   where 0 ≤ i + u - 2 < 32
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property, lru_cache
from typing import Any, Literal

import sympy
from sympy.core.function import Function

from codegen.affine import (
    Box,
    Dim,
    Index,
    Size,
    as_size,
    bounds,
    coefficient,
    index_symbols,
    is_affine,
    nonnegative,
)
from codegen.printing import render

DType = Literal["float32", "float64", "int32", "bool"]
FLOATS: tuple[DType, ...] = ("float32", "float64")
DTYPES: tuple[DType, ...] = (*FLOATS, "int32", "bool")
BYTES: Mapping[str, int] = {"float32": 4, "float64": 8, "int32": 4, "bool": 1}


class NotationError(ValueError):
    """A statement or program that has no meaning; the message quotes it and names the rule."""


class Reduce(Enum):
    """How a statement combines the values that meet in one element of its target."""

    SET = "="
    SUM = "+="
    MAX = "max="
    MIN = "min="
    ARGMAX = "argmax="
    ARGMIN = "argmin="

    def identity(self, dtype: DType) -> float:
        """The value of an element that no index point reaches.

        >>> Reduce.MAX.identity("float32"), Reduce.MAX.identity("int32")
        (-inf, -2147483648)
        """
        match self:
            case Reduce.MAX:
                return _RANGE.get(dtype, (-math.inf, math.inf))[0]
            case Reduce.MIN:
                return _RANGE.get(dtype, (-math.inf, math.inf))[1]
            case Reduce.ARGMAX | Reduce.ARGMIN:
                return -1
        return 0


_RANGE: dict[str, tuple[int, int]] = {"int32": (-(2**31), 2**31 - 1), "bool": (0, 1)}


class Tensor(sympy.Atom):
    """A named array of a dtype whose shape may hold symbolic sizes.

    Subscripting gives an access: the scalar read at affine coordinates.
    """

    __slots__ = ("dtype", "name", "shape")
    name: str
    shape: tuple[Size, ...]
    dtype: DType

    def __new__(cls, name: str, shape: Iterable[Size] = (), dtype: DType = "float32") -> Tensor:
        """Give the tensor; equal names, shapes and dtypes are equal tensors."""
        if dtype not in DTYPES:
            raise NotationError(f"{name}: dtype {dtype!r} is not one of {', '.join(DTYPES)}")
        tensor: Tensor = super().__new__(cls)
        tensor.name = name
        tensor.shape = tuple(as_size(size) for size in shape)
        tensor.dtype = dtype
        return tensor

    def _hashable_content(self) -> tuple[Any, ...]:
        return (self.name, self.dtype, *map(sympy.sympify, self.shape))

    def __eq__(self, other: object) -> bool:
        # As SymPy would decide, without walking through it: tensors are compared all the time.
        if self is other:
            return True
        if not isinstance(other, Tensor) or self.name != other.name:
            return False
        return self.dtype == other.dtype and self.shape == other.shape

    def __hash__(self) -> int:
        return hash((self.name, self.dtype))

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.name, self.shape, self.dtype)

    def __getitem__(self, coordinates: Any) -> Access:
        """Give the access at these coordinates (an index, an affine expression, or a tuple)."""
        maps = coordinates if isinstance(coordinates, tuple) else (coordinates,)
        return Access(self, *maps)

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"tensor {self.name} is not iterable; subscript it with indices")

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def renamed(self, name: str) -> Tensor:
        """Give the same tensor under another name."""
        return Tensor(name, self.shape, self.dtype)

    def _sympystr(self, printer: Any) -> str:
        return self.name

    @property
    def free_symbols(self) -> set[Any]:
        """No symbols: sizes are types, not values."""
        return set()


class Access(sympy.Expr):
    """The scalar `tensor[maps]` inside a body."""

    is_commutative = True
    is_extended_real = True
    is_real = True

    def __new__(cls, tensor: Tensor, *maps: Any) -> Access:
        """Give the access; the maps must match the tensor's rank and be affine in the indices."""
        if len(maps) != len(tensor.shape):
            raise NotationError(
                f"{tensor.name} has {len(tensor.shape)} axes but is read with {len(maps)} "
                f"coordinates: {tensor.name}[{', '.join(map(str, maps))}]"
            )
        exprs = tuple(sympy.sympify(m) for m in maps)
        for expr in exprs:
            if not is_affine(expr):
                raise NotationError(f"{tensor.name}[..., {expr}, ...]: {expr} is not affine")
        made: Access = super().__new__(cls, tensor, *exprs)
        return made

    @property
    def tensor(self) -> Tensor:
        """The tensor read."""
        held: Tensor = self.args[0]
        return held

    @property
    def maps(self) -> tuple[Any, ...]:
        """One affine expression per axis."""
        maps: tuple[Any, ...] = self.args[1:]
        return maps

    def __iadd__(self, body: Any) -> Combine:
        return Combine(Reduce.SUM, sympy.sympify(body))

    def _eval_derivative(self, symbol: Any) -> Any:
        return sympy.S.Zero

    def _sympystr(self, printer: Any) -> str:
        return f"{self.tensor.name}[{','.join(printer.doprint(m) for m in self.maps)}]"


class Equal(Function):
    """`[lhs = rhs]`: one where an index expression equals an integer access, else zero.

    A product that holds one is a choice, not a multiplication: where the bracket is zero the
    other factors do not matter, infinities and NaN included.
    """

    nargs = 2
    is_extended_real = True
    is_real = True

    @classmethod
    def eval(cls, lhs: Any, rhs: Any) -> Any:
        """Decide what needs no data: `[i = i]` is one, `[i = i + 1]` is zero."""
        difference = sympy.expand(lhs - rhs)
        return sympy.Integer(difference == 0) if difference.is_Integer else None

    def _eval_derivative(self, symbol: Any) -> Any:
        return sympy.S.Zero

    def _sympystr(self, printer: Any) -> str:
        lhs, rhs = self.args
        return f"[{printer.doprint(lhs)} = {printer.doprint(rhs)}]"


class IsNaN(sympy.logic.boolalg.BooleanFunction):
    """True where its argument is not a number; lets a `Piecewise` pass NaN on."""

    nargs = 1

    @property
    def is_Relational(self) -> bool:  # noqa: N802 (SymPy's own spelling)
        """Piecewise asks; a NaN test is no inequality to be solved."""
        return False

    def _sympystr(self, printer: Any) -> str:
        return f"isnan({printer.doprint(self.args[0])})"


@dataclass(frozen=True)
class Combine:
    """What `y[i] += body` and `y[i] = max_of(body)` hand to the declaration."""

    op: Reduce
    body: Any


def max_of(body: Any) -> Combine:
    """Give the largest body over the indices that the left side lacks; NaN wins."""
    return Combine(Reduce.MAX, sympy.sympify(body))


def min_of(body: Any) -> Combine:
    """Give the smallest body over the indices that the left side lacks; NaN wins."""
    return Combine(Reduce.MIN, sympy.sympify(body))


def argmax_of(body: Any) -> Combine:
    """Give where the first largest body lies, counted in row order over the reduced indices."""
    return Combine(Reduce.ARGMAX, sympy.sympify(body))


def argmin_of(body: Any) -> Combine:
    """Give where the first smallest body lies, counted in row order over the reduced indices."""
    return Combine(Reduce.ARGMIN, sympy.sympify(body))


def equal(index: Any, value: Any) -> Any:
    """Give `[index = value]`: choose by data, as in `[j = label[n]]`."""
    return Equal(sympy.sympify(index), sympy.sympify(value))


def index(name: str) -> Index:
    """Give the index of this name."""
    return Index(name)


def indices(names: str) -> tuple[Index, ...]:
    """Give several indices: `n, k = indices("n k")`."""
    return tuple(Index(name) for name in names.split())


def walk(expr: Any) -> Iterator[Any]:
    """Every sub-expression of a body, parents first, in an order that never changes.

    Coordinates of an access are not part of the body and are not visited.
    """
    yield expr
    if not isinstance(expr, Access):
        for arg in expr.args:
            yield from walk(arg)


@lru_cache(maxsize=65536)
def accesses(expr: Any) -> tuple[Access, ...]:
    """The different accesses in a body, in order of appearance."""
    return tuple(dict.fromkeys(e for e in walk(expr) if isinstance(e, Access)))


@dataclass(frozen=True)
class Guard:
    """The condition `0 ≤ expr < size` that keeps one coordinate inside its tensor."""

    expr: Any
    size: Size

    def __str__(self) -> str:
        return f"0 ≤ {render(self.expr)} < {render(self.size)}"


def rewritten(guards: Iterable[Guard], change: Callable[[Any], Any]) -> tuple[Guard, ...]:
    """Give guards of changed expressions."""
    return tuple(Guard(change(g.expr), g.size) for g in guards)


@dataclass(frozen=True)
class Binding:
    """An index whose value is read from data: `index := (value // divisor) mod size`.

    Only the first of several digits needs no `mod`; it is range-checked instead, so that a value
    outside the box reaches no element (exactly what a sum over `[index = value]` means).
    """

    index: Index
    size: Size
    value: Access
    divisor: Size = 1
    leading: bool = True

    def __str__(self) -> str:
        value = render(self.value)
        quotient = value if self.divisor == 1 else f"⌊{value}/{self.divisor}⌋"
        return f"{self.index} := {quotient if self.leading else f'{quotient} mod {self.size}'}"


@dataclass(frozen=True)
class Statement:
    """`target[maps] op body` for every point of the box, where the guards hold.

    `box` gives each index its size, parallel indices (those of the left side) first. A reduction
    runs over the others in row order. `granted` are conditions that hold for reasons that the
    statement itself does not show; `support` are those beyond which all that a sum adds is zero,
    so that a nest may leave it out.
    """

    target: Tensor
    maps: tuple[Any, ...]
    op: Reduce
    body: Any
    box: Box
    bindings: tuple[Binding, ...] = ()
    extra: tuple[Guard, ...] = ()
    granted: tuple[Guard, ...] = ()
    support: tuple[Guard, ...] = ()

    def __post_init__(self) -> None:
        """Reject what has no meaning."""
        if any(a.tensor == self.target for a in self.reads):
            raise NotationError(f"{self}: a body never reads its own target")
        sizes = self.sizes
        known = set(sizes)
        for symbol in self.symbols:
            if symbol not in known:
                raise NotationError(f"{self}: index {symbol} has no range")
        if self.op is Reduce.SET and self.reduced and not self.bindings:
            names = ", ".join(map(str, self.reduced))
            raise NotationError(
                f"{self}: '=' writes one element once, but {names} would write it again; "
                "use '+=' or max_of"
            )
        plain = all(isinstance(m, Index) for m in self.maps)
        if self.op is not Reduce.SUM and not plain and (pair := self._meeting):
            i, j = pair
            raise NotationError(
                f"{self}: '{self.op.value}' writes one element once, but {i} and {j} meet; use '+='"
            )

    @property
    def _meeting(self) -> tuple[Index, Index] | None:
        """Two indices that provably lead to one element from different points, if there are."""
        for i, j in itertools.combinations(self.parallel, 2):
            steps = [(coefficient(m, i), coefficient(m, j)) for m in self.maps]
            if not all(a.is_Integer and b.is_Integer for a, b in steps):
                continue
            # i + di and j - dj reach the same place where a·di = b·dj for every axis.
            steps = [(a, b) for a, b in steps if a or b]
            if not all(a and b for a, b in steps):
                continue
            ratio, *others = [sympy.Rational(a, b) for a, b in steps]
            if any(other != ratio for other in others):
                continue
            far = {i: abs(ratio.q), j: abs(ratio.p)}
            if all(nonnegative(sympy.sympify(self.sizes[k]) - 1 - n) for k, n in far.items()):
                return i, j
        return None

    @cached_property
    def sizes(self) -> dict[Index, Size]:
        """Range of every index, bound ones included."""
        return {**dict(self.box), **{b.index: b.size for b in self.bindings}}

    @cached_property
    def reads(self) -> tuple[Access, ...]:
        """Accesses of the body and of the bindings."""
        bound = tuple(b.value for b in self.bindings)
        return tuple(dict.fromkeys((*accesses(self.body), *bound)))

    @cached_property
    def symbols(self) -> tuple[Index, ...]:
        """Every index used, in order of appearance, left side first."""
        exprs = [*self.maps]
        for part in walk(self.body):
            if isinstance(part, Access):
                exprs.extend(part.maps)
            elif isinstance(part, Index):
                exprs.append(part)
        for binding in self.bindings:
            exprs.extend(binding.value.maps)
        return tuple(dict.fromkeys(s for e in exprs for s in index_symbols(e)))

    @cached_property
    def parallel(self) -> tuple[Index, ...]:
        """Indices of the left side, in box order; bound ones are not free to run."""
        used = {s for m in self.maps for s in index_symbols(m)}
        return tuple(i for i, _ in self.box if i in used)

    @cached_property
    def reduced(self) -> tuple[Index, ...]:
        """Indices that only the right side has."""
        used = set(self.parallel)
        return tuple(i for i, _ in self.box if i not in used)

    @cached_property
    def compute_dtype(self) -> DType:
        """The dtype in which the body is evaluated: the target's, or a float one that it reads.

        A comparison writes bools and an arg-max writes positions, but both look at floats.
        """
        if self.target.dtype in FLOATS:
            return self.target.dtype
        read = (a.tensor.dtype for a in accesses(self.body))
        return next((d for d in read if d in FLOATS), "int32")

    @cached_property
    def guards(self) -> tuple[Guard, ...]:
        """What must hold at a point for it to count: reads and writes inside their tensors."""
        found = [g for g in self.extra if not inside(g.expr, g.size, self.sizes)]
        sides = [(self.target, self.maps), *((a.tensor, a.maps) for a in self.reads)]
        for tensor, maps in sides:
            for expr, size in zip(maps, tensor.shape, strict=True):
                if not inside(expr, size, self.sizes):
                    found.append(Guard(expr, size))
        return tuple(g for g in dict.fromkeys(found) if g not in self.granted)

    def substitute(self, tensors: Mapping[Any, Any]) -> Statement:
        """Give the statement with tensors (or indices) replaced, both sides."""
        if not tensors:
            return self
        rules = dict(tensors)

        def swap(expr: Any) -> Any:
            return expr.xreplace(rules)

        return replace(
            self,
            target=rules.get(self.target, self.target),
            maps=tuple(swap(m) for m in self.maps),
            body=swap(self.body),
            box=tuple((rules.get(i, i), n) for i, n in self.box),
            bindings=tuple(
                replace(b, index=rules.get(b.index, b.index), value=swap(b.value))
                for b in self.bindings
            ),
            extra=rewritten(self.extra, swap),
            granted=rewritten(self.granted, swap),
            support=rewritten(self.support, swap),
        )

    def __str__(self) -> str:
        text = f"{self.left} {self.op.value} {render(self.body)}"
        if self.bindings:
            text += "   with " + ", ".join(map(str, self.bindings))
        if self.guards:
            text += "   where " + ", ".join(map(str, self.guards))
        if self.support:
            text += "   zero but for " + ", ".join(map(str, self.support))
        return text

    @property
    def left(self) -> str:
        """The element written, as text."""
        return f"{self.target.name}[{','.join(map(render, self.maps))}]"


@lru_cache(maxsize=65536)
def _inside(expr: Any, size: Size, box: Box) -> bool:
    try:
        low, high = bounds(expr, dict(box))
    except ValueError:  # a coefficient like N - 1, whose sign nobody knows
        return False
    return nonnegative(low) and nonnegative(sympy.sympify(size) - 1 - high)


def inside(expr: Any, size: Size, sizes: Mapping[Index, Size]) -> bool:
    """Whether an affine coordinate provably stays in `[0, size)` over the whole box."""
    relevant = tuple((s, sizes[s]) for s in index_symbols(expr) if s in sizes)
    return _inside(expr, size, relevant)


def statement(
    left: Access,
    op: str | Reduce,
    body: Any,
    ranges: Mapping[Index, Size] | None = None,
) -> Statement:
    """Give the statement `left op body`, with ranges taken from shapes where not given.

    An index that stands alone as a coordinate has that axis as its range; the left side is asked
    first. Raises `NotationError` where a range cannot be found or two disagree.
    """
    body = sympy.sympify(body)
    reduce = Reduce(op)
    sizes: dict[Index, Size] = dict(ranges or {})
    sides = [left, *accesses(body)]
    for access in sides:
        for expr, size in zip(access.maps, access.tensor.shape, strict=True):
            if isinstance(expr, Index):
                known = sizes.setdefault(expr, size)
                if access is left and ranges is None and known != size:
                    raise NotationError(f"{left}: index {expr} has size {known} and size {size}")
    used: dict[Index, None] = {}
    exprs = [*left.maps]
    for part in walk(body):
        if isinstance(part, Access):
            exprs.extend(part.maps)
        elif isinstance(part, Index):
            exprs.append(part)
    for expr in exprs:
        used.update(dict.fromkeys(index_symbols(expr)))
    missing = [str(s) for s in used if s not in sizes]
    if missing:
        raise NotationError(
            f"{left} {reduce.value} {body}: no axis gives {', '.join(missing)} a range; state it"
        )
    box = tuple((s, sizes[s]) for s in used)
    return Statement(left.tensor, left.maps, reduce, body, box)


__all__ = [
    "DTYPES",
    "FLOATS",
    "Access",
    "Binding",
    "Box",
    "Combine",
    "DType",
    "Dim",
    "Equal",
    "Guard",
    "Index",
    "IsNaN",
    "NotationError",
    "Reduce",
    "Size",
    "Statement",
    "Tensor",
    "accesses",
    "argmax_of",
    "argmin_of",
    "equal",
    "index",
    "indices",
    "inside",
    "max_of",
    "min_of",
    "rewritten",
    "statement",
    "walk",
]
