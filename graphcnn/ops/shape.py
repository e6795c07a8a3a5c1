"""The same elements under another shape, order or repetition."""

from __future__ import annotations

import string
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import sympy

from codegen.affine import Index, Size, as_size
from graphcnn.axes import axis_of, reduced_axes, without
from graphcnn.errors import described
from graphcnn.op import Definition, Tensor, axes, broadcast, define, indices, op, require, spread
from graphcnn.reshaping import common_digits, completed, quotient, strides


@op
def reshape(x: Tensor, shape: Any) -> Definition:
    """y = the elements of x in row order under another shape

    One size may be -1; it becomes what the others leave. Symbolic sizes keep their names:
    (N, 3, 4) may become (N, 12). Stated over the digits that both shapes share, as in
    y[n, 4·c + i] = x[n, c, i]; where they share none, through a flat row of all elements.
    """
    return _reshaped(x, completed(shape, x.shape))


@op
def flatten(x: Tensor, start_axis: int = 1) -> Definition:
    """y[n, C·H·W] = x[n, c, h, w] in row order: all axes from `start_axis` on become one"""
    start = axis_of(start_axis, x.shape)
    return _reshaped(x, completed((*x.shape[:start], -1), x.shape))


def _reshaped(x: Tensor, shape: tuple[Size, ...]) -> Definition:
    cuts = common_digits(x.shape, shape) if 0 not in x.shape else None
    if cuts is None:
        row = define("row", (strides(x.shape)[0],), like=x)
        row[_position(axes(x), x.shape)] = x[axes(x)]
        y = define("y", shape, like=x)
        y[axes(y)] = row[_position(axes(y), shape)]
        return y
    letters = string.ascii_lowercase[8 : 8 + len(cuts) - 1]
    sizes = {a: _whole(high, low) for a, (high, low) in zip(letters, pairwise(cuts), strict=True)}
    digits = dict(zip(cuts[1:], indices(" ".join(letters), **sizes), strict=True))
    y = define("y", shape, like=x)
    y[_coordinates(digits, shape)] = x[_coordinates(digits, x.shape)]
    return y


def _whole(size: Size, divisor: Size) -> Size:
    found = quotient(size, divisor)
    assert found is not None
    return found


def _position(at: Sequence[Index], shape: Sequence[Size]) -> Any:
    """Give the place of an element in row order."""
    return sympy.Add(*(i * n for i, n in zip(at, strides(shape)[1:], strict=True)))


def _coordinates(digits: dict[Size, Index], shape: Sequence[Size]) -> tuple[Any, ...]:
    """Give the coordinate on each axis: the digits that lie in it, in units of its stride."""
    steps = strides(shape)
    made = []
    for high, low in pairwise(steps):
        inside = {
            unit: i
            for unit, i in digits.items()
            if quotient(unit, low) is not None and quotient(high, unit) is not None and unit != high
        }
        made.append(sympy.Add(*(i * _whole(unit, low) for unit, i in inside.items())))
    return tuple(made)


@op
def transpose(x: Tensor, axes: Any = None) -> Definition:
    """y = x with its axes in another order, reversed by default"""
    order = tuple(range(len(x.shape)))[::-1]
    if axes is not None:
        order = tuple(axis_of(a, x.shape) for a in axes)
    require(
        sorted(order) == list(range(len(x.shape))),
        f"axes={axes} for x {described(x.shape)}",
        rule="axes name each axis of x once",
        fix=f"axes={tuple(range(len(x.shape)))[::-1]}",
    )
    at = indices(" ".join("ijklmnopqrst"[: len(x.shape)]))
    y = define("y", [x.shape[a] for a in order], like=x)
    y[tuple(at[a] for a in order)] = x[at]
    return y


@op
def expand_dims(x: Tensor, axis: int) -> Definition:
    """y = x with an axis of size 1 put in at `axis`"""
    at, where = axes(x), axis_of(axis, (*x.shape, 1))
    y = define("y", (*x.shape[:where], 1, *x.shape[where:]), like=x)
    y[(*at[:where], sympy.S.Zero, *at[where:])] = x[at]
    return y


@op
def squeeze(x: Tensor, axis: Any = None) -> Definition:
    """y = x without the axes given, which have size 1; without all such axes by default"""
    ones = tuple(a for a, n in enumerate(x.shape) if n == 1)
    gone = ones if axis is None else reduced_axes(axis, x.shape)
    require(
        set(gone) <= set(ones),
        f"x is {described(x.shape)} and axis={axis}",
        rule="only axes of size 1 can be squeezed",
        fix="reduce over the axis, or index it",
    )
    y = define("y", without(x.shape, gone), like=x)
    at = axes(x)
    y[without(at, gone)] = x[tuple(sympy.S.Zero if a in gone else i for a, i in enumerate(at))]
    return y


@op
def broadcast_to(x: Tensor, shape: Any) -> Definition:
    """y = x repeated along its axes of size 1, and along new axes in front"""
    sizes = tuple(map(as_size, shape if isinstance(shape, (tuple, list)) else (shape,)))
    require(
        not any(isinstance(n, int) and n < 0 for n in sizes),
        f"shape={sizes}",
        rule="sizes are at least 0",
        fix="give every size",
    )
    require(
        broadcast(x.shape, sizes) == tuple(sizes),
        f"x is {described(x.shape)} and shape {described(sizes)}",
        rule="only axes of size 1 repeat, and no axis goes away",
        fix="reshape x first",
    )
    y = define("y", sizes, like=x)
    y[axes(y)] = x[spread(axes(y), x.shape)]
    return y


@op
def flip(x: Tensor, axis: Any = None) -> Definition:
    """y[…, i, …] = x[…, n − 1 − i, …] along the axes given, all by default"""
    turned = reduced_axes(axis, x.shape)
    y = define("y", x.shape, like=x)
    at = axes(y)
    y[at] = x[tuple(x.shape[a] - 1 - i if a in turned else i for a, i in enumerate(at))]
    return y
