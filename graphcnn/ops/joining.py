"""Parts of a tensor, and tensors put together: slicing, concatenation, padding."""

from __future__ import annotations

import itertools
import numbers
import operator
from collections.abc import Iterator
from typing import Any

import sympy

from codegen.affine import Index, Size
from graphcnn.axes import axis_of, without
from graphcnn.errors import DTypeError, ShapeError, described
from graphcnn.op import Definition, Tensor, axes, define, indices, op, require
from graphcnn.scalars import exact


@op
def slice_(x: Tensor, key: Any) -> Definition:
    """y = x[key], with whole numbers, slices, `...` and None (a new axis) as in NumPy

    Along an axis of symbolic size a slice may leave out cells at both ends or turn the axis
    round, but not skip cells: the size of what is left must stay affine.
    """
    source: list[Any] = []
    target: list[Any] = []
    shape: list[Size] = []
    remaining = iter(x.shape)
    for part in _parts(key, x):
        if part is None:
            target.append(sympy.S.Zero)
            shape.append(1)
            continue
        size = next(remaining)
        if isinstance(part, slice):
            start, step, count = _range(part, size)
            i = Index("ijklmnopqrst"[len(source)])
            source.append(start + step * i)
            target.append(i)
            shape.append(count)
        else:
            source.append(_place(part, size))
    y = define("y", shape, like=x)
    y[tuple(target)] = x[tuple(source)]
    return y


def _parts(key: Any, x: Tensor) -> list[Any]:
    """Give the key as one slice or number per axis of x, and None per new axis."""
    parts = list(key) if isinstance(key, tuple) else [key]
    for part in parts:
        if not (part is None or part is Ellipsis or isinstance(part, slice) or _is_whole(part)):
            raise DTypeError(
                f"{{x}}[{_shown(key)}]",
                rule="an index is a whole number, a slice, ... or None; not an array or a node",
                fix="to choose by a condition use where; to look up rows multiply by one_hot",
            )
    dots = [k for k, part in enumerate(parts) if part is Ellipsis]
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    if len(dots) > 1 or taken > len(x.shape):
        raise ShapeError(
            f"{{x}}[{_shown(key)}] of {described(x.shape)}",
            rule=f"at most {len(x.shape)} indices and one ...",
            fix="leave out indices at the end",
        )
    at = dots[0] if dots else len(parts)
    rest = [slice(None)] * (len(x.shape) - taken)
    return [*parts[:at], *rest, *parts[at + 1 :]]


def _shown(key: Any) -> str:
    """Give a key as it is written: `:, 1:-1, ...`."""
    match key:
        case tuple():
            return ", ".join(map(_shown, key))
        case slice():
            ends = ["" if n is None else str(n) for n in (key.start, key.stop, key.step)]
            return ":".join(ends if key.step is not None else ends[:2])
    return "..." if key is Ellipsis else repr(key)


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _place(part: Any, size: Size) -> Any:
    at = operator.index(part)
    if isinstance(size, int) and not -size <= at < size:
        raise ShapeError(
            f"index {at} of an axis of size {size}",
            rule=f"an index is from {-size} to {size - 1}",
            fix="count from 0, or from -1 backwards",
        )
    return sympy.sympify(size) + at if at < 0 else sympy.Integer(at)


def _range(part: slice, size: Size) -> tuple[Any, int, Size]:
    """Give the first place, the step and the count of a slice."""
    require(part.step != 0, f"[{_shown(part)}]", rule="a step is not zero", fix="leave it out")
    if isinstance(size, int):
        start, stop, step = part.indices(size)
        return sympy.Integer(start), step, len(range(start, stop, step))
    step = 1 if part.step is None else operator.index(part.step)
    if part == slice(None):
        return sympy.S.Zero, 1, size
    if abs(step) != 1 or (step == -1 and (part.start, part.stop) != (None, None)):
        raise ShapeError(
            f"[{_shown(part)}] of an axis of symbolic size {size}",
            rule="cells may be left out at its ends only, so that its size stays affine",
            fix="give the axis a fixed size",
        )
    if step == -1:
        return size - 1, -1, size
    start, stop = part.start or 0, part.stop
    if start < 0 or (stop is not None and stop >= 0):
        raise ShapeError(
            f"[{_shown(part)}] of an axis of symbolic size {size}",
            rule="how many cells this leaves depends on the size",
            fix="give the axis a fixed size",
        )
    return sympy.Integer(start), 1, size + (stop or 0) - start


@op
def concatenate(tensors: tuple[Tensor, ...], axis: int = 0) -> Definition:
    """y = the tensors one after another along an axis"""
    first = _first_of(tensors)
    along = axis_of(axis, first.shape)
    for other in tensors:
        require(
            len(other.shape) == len(first.shape)
            and without(other.shape, (along,)) == without(first.shape, (along,)),
            f"tensors are {' and '.join(described(t.shape) for t in tensors)}, axis={axis}",
            rule="all axes but the one joined have equal sizes",
            fix="reshape or slice them first",
        )
    sizes = [t.shape[along] for t in tensors]
    shape = (*first.shape[:along], sum(sizes), *first.shape[along + 1 :])
    y = define("y", shape, like=first)
    at = indices(" ".join("ijklmnopqrst"[: len(shape)]))
    for k, x in enumerate(tensors):
        before = sum(sizes[:k])
        _range_of(at[along], sizes[k])
        y[(*at[:along], at[along] + before, *at[along + 1 :])] += x[at]
    return y


@op
def stack(tensors: tuple[Tensor, ...], axis: int = 0) -> Definition:
    """y = the tensors, all of one shape, side by side along a new axis"""
    first = _first_of(tensors)
    for other in tensors:
        require(
            other.shape == first.shape,
            f"tensors are {' and '.join(described(t.shape) for t in tensors)}",
            rule="all have the same shape",
            fix="to join along an axis they have, use concatenate",
        )
    along = axis_of(axis, (*first.shape, len(tensors)))
    y = define("y", (*first.shape[:along], len(tensors), *first.shape[along:]), like=first)
    at = axes(first)
    for k, x in enumerate(tensors):
        y[(*at[:along], sympy.Integer(k), *at[along:])] += x[at]
    return y


def _first_of(tensors: tuple[Tensor, ...]) -> Tensor:
    if not isinstance(tensors, tuple) or not tensors:
        raise DTypeError(
            "there is nothing to join" if tensors == () else "one tensor is not several",
            rule="the tensors to join are given as a tuple or list",
            fix="give them in parentheses: concatenate((x, y), axis=1)",
        )
    for other in tensors:
        if other.dtype != tensors[0].dtype:
            raise DTypeError(
                f"{other.name} is {other.dtype}, {tensors[0].name} is {tensors[0].dtype}",
                rule="tensors to join share one dtype",
                fix="convert with .astype",
            )
    return tensors[0]


def _range_of(index: Index, size: Size) -> None:
    """State how far an index runs in the statements that follow."""
    indices(index.name, **{index.name: size})


@op
def pad(x: Tensor, widths: Any, mode: str = "constant", value: float = 0) -> Definition:
    """y = x with cells put around it

    `widths` holds one pair (before, after) per axis, for the last axes of x where there are
    fewer: ((top, bottom), (left, right)) pads an image. New cells hold `value`, or by `mode`:

        constant   v v | a b c d | v v
        reflect    c b | a b c d | c b
        edge       a a | a b c d | d d      ("replicate" in PyTorch)
        circular   c d | a b c d | a b

    The gradients of cells that are read several times add up.
    """
    pairs = _widths(widths, x)
    _require_mode(mode, pairs, x)
    y = define("y", [n + a + b for n, (a, b) in zip(x.shape, pairs, strict=True)], like=x)
    if mode == "constant" and any(map(any, pairs)):
        y[axes(y)] = exact(value)
    letters = "ijklmnopqrst"
    segments = [
        list(_segments(mode, Index(a), n, *pair))
        for a, n, pair in zip(letters, x.shape, pairs, strict=False)
    ]
    for parts in itertools.product(*segments):
        target, source, sizes = zip(*parts, strict=True) if parts else ((), (), ())
        for a, size in zip(letters, sizes, strict=False):
            _range_of(Index(a), size)
        if mode == "constant":
            y[target] = x[source]
        else:
            y[target] += x[source]
    return y


def _segments(
    mode: str, i: Index, n: Size, before: int, after: int
) -> Iterator[tuple[Any, Any, Size]]:
    """Give (place in y, place in x, count) of the stretches along one axis."""
    yield i + before, i, n
    match mode:
        case "reflect":
            sources = before - i, n - 2 - i
        case "edge" | "replicate":
            sources = sympy.S.Zero, sympy.sympify(n) - 1
        case "circular":
            sources = n - before + i, i
        case _:
            return
    if before:
        yield i, sources[0], before
    if after:
        yield i + before + n, sources[1], after


def _widths(widths: Any, x: Tensor) -> list[tuple[int, int]]:
    try:
        pairs = [(operator.index(a), operator.index(b)) for a, b in widths]
    except TypeError:
        raise DTypeError(
            f"widths={widths!r}",
            rule="widths holds a pair (before, after) per axis, for the last axes of x",
            fix="widths=((1, 1), (1, 1)) pads an image by one cell all round",
        ) from None
    require(
        len(pairs) <= len(x.shape) and all(a >= 0 and b >= 0 for a, b in pairs),
        f"widths={widths!r} for x {described(x.shape)}",
        rule="at most one pair per axis, of numbers ≥ 0",
        fix="to cut cells off use a slice",
    )
    return [(0, 0)] * (len(x.shape) - len(pairs)) + pairs


def _require_mode(mode: str, pairs: list[tuple[int, int]], x: Tensor) -> None:
    least = {"constant": None, "reflect": 1, "edge": None, "replicate": None, "circular": 0}
    if mode not in least:
        raise DTypeError(
            f"mode={mode!r}", rule=f"mode is one of {', '.join(least)}", fix='mode="constant"'
        )
    spare = least[mode]
    for n, pair in zip(x.shape, pairs, strict=True):
        require(
            not isinstance(n, int)
            or max(pair) == 0
            or (spare is None and (n > 0 or mode == "constant"))
            or (spare is not None and max(pair) <= n - spare),
            f"an axis of size {n} padded by {pair} in mode {mode}",
            rule="reflect has width < size, circular width ≤ size, edge size ≥ 1",
            fix="pad less, or in mode constant",
        )
