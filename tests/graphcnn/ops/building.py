"""What claims about gradients are made of: slopes, directions, sums under weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import graphcnn as g
from codegen.program import Program
from graphcnn.graph import Node
from graphcnn.program import to_program
from tests.graphcnn.ops.executors import Array, Executor, run

STEP = 2.5e-4


def with_gradients(node: Node, inputs: Sequence[Node]) -> Program:
    """Give a node and its gradients under an upstream gradient as one program."""
    upstream = g.input("upstream", node.shape, node.dtype)
    return to_program([node, *g.grad(g.sum(node * upstream), inputs)]).program


def difference(function: Any, at: dict[str, Array], along: dict[str, Array]) -> tuple[float, float]:
    """Give d function(at + t·along)/dt at t = 0 to fourth order, and how exact that can be."""
    points = [
        function({n: x + k * STEP * along[n] if n in along else x for n, x in at.items()})
        for k in (-2, -1, 1, 2)
    ]
    slope = (points[0] - 8 * points[1] + 8 * points[2] - points[3]) / (12 * STEP)
    return float(slope), 1e-15 / STEP * max(map(abs, points))


def direction(rng: np.random.Generator, shapes: dict[str, Array]) -> dict[str, Array]:
    return {n: rng.uniform(-1, 1, x.shape) for n, x in shapes.items()}


def assert_slope(derived: list[float], slope: float, noise: float) -> None:
    """Hold the sum of `derived` equal to a slope, relative to the largest of what was added."""
    size = max(abs(slope), float(np.sum(np.abs(derived))))
    assert abs(np.sum(derived) - slope) <= 1e-6 * size + 10 * noise, (np.sum(derived), slope)


def weighted(executor: Executor, node: Node, weights: Array) -> Any:
    """Give the function of arrays that sums a node's value under weights."""

    def function(arrays: dict[str, Array]) -> float:
        (value,) = run(executor, [node], arrays)
        return float(np.sum(weights * value))

    return function
