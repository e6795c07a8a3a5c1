"""Reshaping in index notation: two shapes of the same elements share digits of one row number.

A row number of 6 elements is `3·i + j` in the shape (2, 3). Where the sizes of two shapes have a
common refinement, the digits of that refinement address both with affine coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy

from codegen.affine import Size, as_size
from graphcnn.errors import DTypeError, ShapeError, described


def product(sizes: Sequence[Size]) -> Size:
    """Give the product of sizes."""
    return as_size(sympy.expand(sympy.Mul(*map(sympy.sympify, sizes))))


def quotient(size: Size, divisor: Size) -> Size | None:
    """Give size/divisor where that is whole for all values of the dims, else None.

    >>> quotient(12, 4), quotient(12, 5)
    (3, None)
    """
    if divisor == 0:
        return None
    ratio = sympy.cancel(sympy.sympify(size) / sympy.sympify(divisor))
    if sympy.fraction(ratio)[1] != 1 or not ratio.is_integer:
        return None
    return as_size(ratio)


def strides(shape: Sequence[Size]) -> list[Size]:
    """Give how far one step along each axis goes in row order, and the count of all elements.

    >>> strides((4, 2, 3))
    [24, 6, 3, 1]
    """
    return [product(shape[axis:]) for axis in range(len(shape) + 1)]


def completed(shape: Any, source: Sequence[Size]) -> tuple[Size, ...]:
    """Give the new shape with its -1, if it has one, replaced by what the elements leave.

    >>> completed((2, -1), (4, 3))
    (2, 6)

    Raises `ShapeError` where the counts of elements differ.
    """
    if isinstance(shape, (int, sympy.Expr)):
        shape = (shape,)
    try:
        sizes = [as_size(n) for n in shape]
    except (TypeError, ValueError, sympy.SympifyError):
        raise DTypeError(
            f"shape={shape!r}",
            rule="a shape is whole numbers and dims, one of them -1 to be worked out",
            fix="shape=(N, -1)",
        ) from None
    known = [n for n in sizes if n != -1]
    total = product(source)
    if len(sizes) - len(known) > 1 or any(isinstance(n, int) and n < 0 for n in known):
        raise ShapeError(
            f"shape={tuple(sizes)}", rule="sizes are at least 0; one may be -1", fix="give the rest"
        )
    left = quotient(total, product(known)) if len(known) < len(sizes) else 1
    made = tuple(left if n == -1 else n for n in sizes) if left is not None else ()
    if left is None or product(made) != total:
        raise ShapeError(
            f"{described(source)} has {total} elements, {described(sizes)} does not fit them",
            rule="a reshape keeps the count of elements",
            fix=_fitting(sizes, total),
        )
    return made


def _fitting(sizes: Sequence[Size], total: Size) -> str:
    """Give the shape with the last size that can be worked out left open."""
    for axis in reversed(range(len(sizes))):
        others = [n for a, n in enumerate(sizes) if a != axis]
        if -1 not in others and quotient(total, product(others)) is not None:
            return f"shape=({', '.join(str(-1 if a == axis else n) for a, n in enumerate(sizes))})"
    return f"give sizes whose product is {total}"


def common_digits(source: Sequence[Size], target: Sequence[Size]) -> list[Size] | None:
    """Give the strides of the coarsest shape that refines both, greatest first; None if none does.

    >>> common_digits((4, 6), (2, 2, 6)), common_digits((6, 4), (8, 3))
    ([24, 12, 6, 1], None)
    """
    cuts: list[Size] = [1]
    one, other = ([*dict.fromkeys(reversed(strides(shape)))][1:] for shape in (source, target))
    while one or other:
        if one and other and one[0] != other[0]:
            if quotient(other[0], one[0]) is not None:
                cuts.append(one.pop(0))
            elif quotient(one[0], other[0]) is not None:
                cuts.append(other.pop(0))
            else:
                return None
        else:
            cuts.append((one or other)[0])
            one, other = one[1:], other[1:]
    return cuts[::-1]
