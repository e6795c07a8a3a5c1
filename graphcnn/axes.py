"""Axes by number: negative ones count from the end, unknown ones are refused with the shape."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, TypeVar

from codegen.affine import Size
from graphcnn.errors import DTypeError, ShapeError, described

T = TypeVar("T")


def axis_of(axis: Any, shape: Sequence[Size]) -> int:
    """Give one axis as a number from zero.

    >>> axis_of(-1, (8, 3))
    1
    """
    if not isinstance(axis, Integral) or isinstance(axis, bool):
        raise DTypeError(
            f"axis={axis!r}",
            rule="an axis is a whole number",
            fix="axis=0 is the first axis, axis=-1 the last",
        )
    number = int(axis)
    if not -len(shape) <= number < len(shape):
        raise ShapeError(
            f"there is no axis {axis} in {described(shape)}",
            rule=f"of {len(shape)} axes, the first is 0 and the last is {len(shape) - 1} or -1"
            if shape
            else "a scalar has no axes",
            fix=f"axis={min(len(shape) - 1, max(0, number))}" if shape else "leave the axis out",
        )
    return number % len(shape)


def without(items: Sequence[T], axes: Sequence[int]) -> tuple[T, ...]:
    """Give the items but those of these axes.

    >>> without(("n", "c", "h"), (1,))
    ('n', 'h')
    """
    return tuple(item for a, item in enumerate(items) if a not in axes)


def reduced_axes(axis: Any, shape: Sequence[Size]) -> tuple[int, ...]:
    """Give the axes to reduce over: all for None, else one or several, none twice.

    >>> reduced_axes(None, (8, 3)), reduced_axes((-1, 0), (8, 3))
    ((0, 1), (0, 1))
    """
    if axis is None:
        return tuple(range(len(shape)))
    chosen = [axis_of(a, shape) for a in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    if len(set(chosen)) != len(chosen):
        twice = next(a for a in chosen if chosen.count(a) > 1)
        raise ShapeError(
            f"axis={axis!r} names axis {twice} of {described(shape)} twice",
            rule="an axis is reduced once",
            fix=f"axis={', '.join(map(str, sorted(set(chosen))))}",
        )
    return tuple(sorted(chosen))
