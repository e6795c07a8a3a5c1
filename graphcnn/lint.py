"""What a graph does that is allowed and hardly meant: maps that see padding, pixels nobody sees.

Both are read off the index maps, so they are found for any op.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from codegen.sizes import evaluate
from graphcnn.graph import Graph, Node
from graphcnn.receptive import Mask, places

SPATIAL = 2  # the first axis of height and width in N×C×H×W


@dataclass(frozen=True)
class Finding:
    """One remark about a node."""

    node: Node
    problem: str
    fix: str

    def __str__(self) -> str:
        at = f" at {self.node.origin}" if self.node.origin else ""
        return f"{self.node.called}{at}: {self.problem}\n  fix:   {self.fix}"


def lint(*outputs: Node) -> tuple[Finding, ...]:
    """Give remarks about the nodes that some outputs need.

    >>> import graphcnn as g
    >>> x, w = g.input("x", (1, 3, 32, 32)), g.input("w", (6, 3, 5, 5))
    >>> (found,) = lint(g.conv2d(x, w, padding=5))
    >>> print(found.problem)
    padding=5: the outer ring of its 38×38 maps, 1 cell wide, sees nothing but padding
    """
    return tuple(f for node in Graph(outputs).nodes for f in _of(node))


def _of(node: Node) -> Iterator[Finding]:
    if node.fragment is None or node.ndim != 4 or not node.inputs:
        return
    x = node.inputs[0]
    if x.ndim != 4 or any(
        not isinstance(n, int) for n in (*x.shape[SPATIAL:], *node.shape[SPATIAL:])
    ):
        return
    static = dict(node.static)
    for what, axis in (("rows", SPATIAL), ("columns", SPATIAL + 1)):
        blind, unseen = _blind(node, x, axis), _unseen(node, x, axis)
        if blind and what == "rows":
            height, width = node.shape[SPATIAL:]
            yield Finding(
                node,
                f"padding={static.get('padding')!r}: the outer ring of its {height}×{width} maps, "
                f"{blind} cell{'s'[: blind > 1]} wide, sees nothing but padding",
                "pad less: same_padding(K) gives what keeps the size",
            )
        if unseen:
            yield Finding(
                node,
                f"{unseen} of the {x.shape[axis]} {what} of {x.name or x.op!r} "
                f"{'are' if unseen > 1 else 'is'} never looked at: the gradient there is 0",
                "choose stride and padding so that the last window ends where the image does",
            )


def _blind(node: Node, x: Node, axis: int) -> int:
    """How many places at the beginning of an axis see nothing of x."""
    count = 0
    size = node.shape[axis]
    while count < size and not any(m.any() for m in _masks(node, x, axis, count)):
        count += 1
    return count if count < size else 0


def _unseen(node: Node, x: Node, axis: int) -> int:
    """How many places along an axis of x nobody sees."""
    return int(np.count_nonzero(~_masks(node, x, axis, None)[axis]))


def _masks(node: Node, x: Node, axis: int, place: int | None) -> list[Mask]:
    dims = dict.fromkeys(Graph((node,)).dims, 1)
    every = [np.ones(evaluate(n, dims), bool) for n in node.shape]
    if place is not None:
        every[axis] = np.arange(len(every[axis])) == place
    return places(node, x, every, dims)
