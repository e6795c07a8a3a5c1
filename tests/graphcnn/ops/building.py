"""From drawn arguments to a node: every array becomes an input of the same name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphcnn as g
from codegen.affine import Dim
from codegen.notation import FLOATS, DType
from codegen.program import Program
from graphcnn.graph import Node
from graphcnn.op import REGISTRY
from graphcnn.program import to_program
from tests.graphcnn.ops.executors import Array, Executor, run

STEP = 2.5e-4


@dataclass(frozen=True)
class Built:
    """An op applied to inputs, and the arrays for these inputs."""

    node: Node
    inputs: dict[str, Node]
    arrays: dict[str, Array]

    @property
    def floats(self) -> list[str]:
        return [n for n, i in self.inputs.items() if i.dtype in FLOATS]


def build(
    op: str, arguments: Mapping[str, Any], dtype: DType = "float64", batched: tuple[str, ...] = ()
) -> Built:
    """Apply an op; the first axis of the `batched` parameters is the dim N."""
    inputs: dict[str, Node] = {}
    arrays: dict[str, Array] = {}

    def entered(name: str, value: Array, batch: Dim | None) -> Node:
        array = value.astype(dtype) if value.dtype.kind == "f" else value
        shape = array.shape if batch is None else (batch, *array.shape[1:])
        arrays[name] = array
        inputs[name] = g.input(name, shape, array.dtype.name)
        return inputs[name]

    given: dict[str, Any] = dict(arguments)
    for parameter in REGISTRY[op].given(given):
        value = given[parameter]
        batch = g.dim("N") if parameter in batched else None
        if isinstance(value, tuple):
            given[parameter] = tuple(
                entered(f"{parameter}{k}", v, batch) for k, v in enumerate(value)
            )
        elif value is not None:
            given[parameter] = entered(parameter, value, batch)
    return Built(getattr(g, op)(**given), inputs, arrays)


def cast(arguments: Mapping[str, Any], dtype: DType) -> dict[str, Any]:
    """Round the float arrays to a dtype, but keep them float64."""

    def rounded(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(rounded, value))
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            return value.astype(dtype).astype("float64")
        return value

    return {name: rounded(value) for name, value in arguments.items()}


def gradients(built: Built) -> tuple[list[Node], Node]:
    """Give the gradient of each float input, and the input that is their upstream gradient."""
    seed = g.input("seed", built.node.shape, built.node.dtype)
    inputs = [built.inputs[n] for n in built.floats]
    return g.grad(built.node, inputs, seed=seed, allow_unused=True), seed


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
