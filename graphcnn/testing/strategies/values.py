"""What strategies are made of: shapes, and values that keep their distance from kinks and ties."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
DISTANCE = 0.05  # from the nearest kink; differences step a hundredth of it


@st.composite
def shapes(draw: st.DrawFn, least: int = 0, most: int = 3, high: int = 4) -> Shape:
    """Shapes of `least` to `most` axes, each 1 to `high` long.

    >>> from hypothesis import given
    >>> @given(shapes(2, 3))
    ... def claim(shape):
    ...     assert 2 <= len(shape) <= 3
    >>> claim()
    """
    rank = draw(st.integers(least, most))
    return tuple(draw(st.integers(1, high)) for _ in range(rank))


def generators() -> st.SearchStrategy[np.random.Generator]:
    """NumPy's random generators, for numbers that need not shrink."""
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


@st.composite
def reals(
    draw: st.DrawFn, shape: Shape, low: float = -2, high: float = 2, avoid: Sequence[float] = ()
) -> Array:
    """Arrays of uniform values, none within `DISTANCE` of a value to avoid, where a kink is.

    >>> from hypothesis import given
    >>> @given(reals((2, 3), avoid=[0]))
    ... def claim(x):
    ...     assert x.shape == (2, 3) and (abs(x) >= DISTANCE).all()
    >>> claim()
    """
    values = draw(generators()).uniform(low, high, shape)
    for kink in avoid:
        values = np.where(abs(values - kink) < DISTANCE, kink + 2 * DISTANCE, values)
    return np.asarray(values)


@st.composite
def distinct(draw: st.DrawFn, *shapes: Shape, step: float = 0.13) -> tuple[Array, ...]:
    """Arrays of which any two values, across all of them, are a step apart: a maximum has no ties.

    >>> from hypothesis import given
    >>> @given(distinct((2, 3), (4,)))
    ... def claim(arrays):
    ...     values = sorted([*arrays[0].flat, *arrays[1].flat])
    ...     assert min(np.diff(values)) > 0.12
    >>> claim()
    """
    counts = [math.prod(s) for s in shapes]
    count = sum(counts)
    grid = (draw(generators()).permutation(count) - count // 2) * step + 0.05
    parts = np.split(grid, np.cumsum(counts)[:-1])
    return tuple(np.asarray(p.reshape(s)) for p, s in zip(parts, shapes, strict=True))


@st.composite
def broadcasting(draw: st.DrawFn, count: int = 2) -> list[Shape]:
    """Shapes that broadcast with each other.

    >>> from hypothesis import given
    >>> @given(broadcasting(3))
    ... def claim(shapes):
    ...     assert len(np.broadcast_shapes(*shapes)) <= 3
    >>> claim()
    """
    full = draw(shapes())
    found = []
    for _ in range(count):
        tail = full[draw(st.integers(0, len(full))) :]
        found.append(tuple(1 if draw(st.integers(0, 3)) == 0 else n for n in tail))
    return found


@st.composite
def axes(draw: st.DrawFn, rank: int) -> int | tuple[int, ...] | None:
    """None, one axis or several, counted from either end."""
    if rank == 0 or draw(st.integers(0, 3)) == 0:
        return None
    chosen = draw(st.lists(st.integers(0, rank - 1), min_size=1, max_size=rank, unique=True))
    signed = tuple(a - rank if draw(st.booleans()) else a for a in chosen)
    return signed[0] if len(signed) == 1 and draw(st.booleans()) else signed


def one_or_two(low: int, high: int) -> st.SearchStrategy[int | tuple[int, int]]:
    """One number or two, as strides and kernel sizes are given."""
    one = st.integers(low, high)
    return st.one_of(one, st.tuples(one, one))


def both(value: int | tuple[int, int]) -> tuple[int, int]:
    """Two numbers of one or two.

    >>> both(3), both((1, 2))
    ((3, 3), (1, 2))
    """
    return value if isinstance(value, tuple) else (value, value)
