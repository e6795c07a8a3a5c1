"""Axes by number: negative ones count from the end, unknown ones are refused with the shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from codegen.affine import Size
from graphcnn.errors import DTypeError, ShapeError, described

T = TypeVar("T")


def axis_of(axis: Any, shape: Sequence[Size]) -> int:
    """Give one axis as a number from zero.

    >>> axis_of(-1, (8, 3))
    1
    """
    if not isinstance(axis, int) or isinstance(axis, bool):
        raise DTypeError(f"axis={axis!r}", rule="an axis is a whole number", fix="axis=-1")
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(
            f"axis {axis} of a {described(shape)} value",
            rule=f"with {len(shape)} axes, axis is from {-len(shape)} to {len(shape) - 1}",
            fix="axis=-1 is the last axis, axis=0 the first",
        )
    return axis % len(shape)


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
        raise ShapeError(f"axis={axis!r} names an axis twice", rule="each axis at most once")
    return tuple(sorted(chosen))
