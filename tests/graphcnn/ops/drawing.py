"""What strategies are made of: shapes, and values that keep their distance from kinks and ties."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

Array = npt.NDArray[Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]
Shape = tuple[int, ...]
DISTANCE = 0.05  # from the nearest kink; differences step a hundredth of it


def shape(draw: Draw, least: int = 0, most: int = 3, high: int = 4) -> Shape:
    rank = draw(st.integers(least, most))
    return tuple(draw(st.integers(1, high)) for _ in range(rank))


def source(draw: Draw) -> np.random.Generator:
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


def reals(
    draw: Draw, sizes: Shape, low: float = -2, high: float = 2, avoid: Sequence[float] = ()
) -> Array:
    """Give uniform values, none within `DISTANCE` of a value to avoid."""
    values = source(draw).uniform(low, high, sizes)
    for kink in avoid:
        values = np.where(abs(values - kink) < DISTANCE, kink + 2 * DISTANCE, values)
    return np.asarray(values)


def distinct(draw: Draw, *shapes: Shape, step: float = 0.13) -> list[Array]:
    """Give arrays in which any two values, across all of them, are a step apart or more."""
    count = sum(int(np.prod(s)) for s in shapes)
    grid = (source(draw).permutation(count) - count // 2) * step + 0.05
    parts = np.split(grid, np.cumsum([int(np.prod(s)) for s in shapes])[:-1])
    return [np.asarray(p.reshape(s)) for p, s in zip(parts, shapes, strict=True)]


def broadcasting(draw: Draw, count: int = 2) -> list[Shape]:
    """Give shapes that broadcast with each other."""
    full = shape(draw)
    shapes = []
    for _ in range(count):
        tail = full[draw(st.integers(0, len(full))) :]
        shapes.append(tuple(1 if draw(st.integers(0, 3)) == 0 else n for n in tail))
    return shapes


def some_axes(draw: Draw, rank: int) -> Any:
    """Give None, one axis or several, counted from either end."""
    if rank == 0 or draw(st.integers(0, 3)) == 0:
        return None
    chosen = draw(st.lists(st.integers(0, rank - 1), min_size=1, max_size=rank, unique=True))
    axes = tuple(a - rank if draw(st.booleans()) else a for a in chosen)
    return axes[0] if len(axes) == 1 and draw(st.booleans()) else axes


def either_pair(draw: Draw, low: int, high: int) -> Any:
    """Give one number or two."""
    one = st.integers(low, high)
    return draw(st.one_of(one, st.tuples(one, one)))


def both(value: Any) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)
