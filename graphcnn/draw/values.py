"""The numbers of a graph: what its nodes hold when it runs, written short or as small images.

Before: draw(z)        After: draw(z, at={"x": 3, "y": -2})
        x ─ scalar ─►          x ─ 3 ─►
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from graphcnn.arguments import by_name
from graphcnn.compile import compile
from graphcnn.draw.picture import Heat, Value
from graphcnn.graph import Graph, Node, full

Array = npt.NDArray[Any]
_FEW = 4  # numbers that are written out one by one
_MAPS, _SIDE = 16, 64  # what an image shows at most: so many maps, and so many pixels each way


@dataclass(frozen=True)
class Frame:
    """What every node of a graph held at one moment, and the local gradients between scalars."""

    caption: str
    values: Mapping[Node, Value]
    locals: Mapping[Node, Value]


def frame_of(graph: Graph, at: Mapping[Any, Any], caption: str) -> Frame:
    """Run a graph on values for its inputs, by name or node; parameters are as they are now.

    It runs in NumPy, so that no compiler is needed. Raises `CallError` where an input is missing,
    unknown or does not fit.
    """
    rules = [n for n in graph.nodes if _between_scalars(n)]
    nodes = [*graph.nodes, *map(_local, rules)]
    values = map(value_of, compile(nodes, name="draw", backend="numpy")(**by_name(at)))
    return Frame(
        caption,
        dict(zip(graph.nodes, values, strict=False)),
        dict(zip(rules, values, strict=True)),
    )


def _between_scalars(node: Node) -> bool:
    rule = node.partner is not None and node.op != "sum_of_gradients"
    return rule and node.shape == () == node.inputs[-1].shape


def _local(rule: Node) -> Node:
    """Give the local gradient as a node: what a rule passes on of an upstream gradient of one."""
    return replace(rule, inputs=(*rule.inputs[:-1], full((), 1.0, rule.dtype)))


def value_of(array: Array) -> Value:
    """Give an array written out and, from two axes on, as an image."""
    return Value(written(array), heat(array) if array.ndim > 1 and array.size > 1 else None)


def written(array: Array) -> str:
    """Give the numbers of an array where they are few, else the least, the mean and the largest.

    Floats are given to four digits. What is no number is counted, and left out of the rest.

    >>> written(np.float32(0.1)), written(np.array([1, -2])), written(np.arange(24.0))
    ('0.1', '[1, −2]', 'min 0, mean 11.5, max 23')
    >>> written(np.array([1.0, np.nan, 3.0, 4.0, 5.0])), written(np.zeros((2, 0)))
    ('1 of 5 NaN, min 1, mean 3.25, max 5', 'no numbers')
    """
    if not array.size:
        return "no numbers"
    if array.ndim < 2 and array.size <= _FEW:
        numbers = ", ".join(map(number, array.reshape(-1)))
        return numbers if array.ndim == 0 else f"[{numbers}]"
    unknown = int(np.isnan(array).sum()) if array.dtype.kind == "f" else 0
    known = array[~np.isnan(array)] if unknown else array
    parts = [f"{unknown} of {array.size} NaN"] if unknown else []
    if known.size:
        low, high = known.min(), known.max()
        if low == high:
            parts.append(f"all {number(low)}")
        else:
            mean = known.mean(dtype=np.float64)
            parts.append(f"min {number(low)}, mean {number(mean)}, max {number(high)}")
    return ", ".join(parts)


def number(value: Any) -> str:
    """Give one number as it is read: to four digits, with a true minus.

    >>> number(-0.000123456), number(7), number(np.float32("inf")), number(True)
    ('−0.0001235', '7', '∞', 'true')
    """
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if not isinstance(value, (int, np.integer)):
        return f"{float(value):.4g}".replace("inf", "∞").replace("nan", "NaN").replace("-", "−")
    return str(value).replace("-", "−")


def heat(array: Array) -> Heat:
    """Give an array of two axes or more as an image of levels from 0 to 255.

    The last two axes are a map; the first maps stand side by side in rows. Of larger maps some
    rows and columns are shown, evenly chosen.
    """
    maps = array.reshape(-1, *array.shape[-2:])[:_MAPS].astype(np.float64)
    finite = maps[np.isfinite(maps)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    span = high - low or 1.0
    columns = int(np.ceil(np.sqrt(len(maps))))
    side = max(2, _SIDE // columns)
    chosen = maps[:, _some(maps.shape[1], side)][:, :, _some(maps.shape[2], side)]
    clipped = np.clip(np.nan_to_num(chosen, nan=low), low, high)
    levels = np.rint((clipped - low) / span * 255).astype(np.uint8)
    blank = np.zeros((-len(levels) % columns, *levels.shape[1:]), np.uint8)
    filled = np.concatenate([levels, blank])
    rows = filled.reshape(-1, columns, *levels.shape[1:]).swapaxes(1, 2)
    image = rows.reshape(-1, columns * levels.shape[2])
    return Heat(tuple(row.tobytes() for row in image), low, high)


def _some(count: int, most: int) -> Array:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))
