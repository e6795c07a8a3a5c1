"""From arguments to a node: every array becomes an input of the same name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.affine import Dim
from codegen.notation import FLOATS, DType
from graphcnn.backward import grad
from graphcnn.given import dtype_of
from graphcnn.graph import OPERATORS, Node, dim, input

Array = npt.NDArray[Any]
SEED = "seed"


@dataclass(frozen=True)
class Applied:
    """An op applied to inputs, and the arrays for these inputs."""

    node: Node
    inputs: Mapping[str, Node]
    arrays: Mapping[str, Array]

    @property
    def floats(self) -> list[str]:
        """The inputs that have a gradient, by name."""
        return [n for n, i in self.inputs.items() if i.dtype in FLOATS]

    @cached_property
    def gradients(self) -> list[Node]:
        """The gradients of the float inputs; their upstream gradient is an input called seed."""
        seed = input(SEED, self.node.shape, self.node.dtype)
        wrt = [self.inputs[n] for n in self.floats]
        found: list[Node] = grad(self.node, wrt, seed=seed, allow_unused=True)
        return found


def apply(
    op: str | Callable[..., Node],
    arguments: Mapping[str, Any],
    dtype: DType = "float64",
    batched: Collection[str] = (),
) -> Applied:
    """Apply an op, ours by name or any; the first axis of the `batched` arguments is the dim N.

    >>> made = apply("linear", {"x": np.ones((5, 3)), "weight": np.ones((2, 3))}, batched=["x"])
    >>> made.node.kind, made.floats
    ('float64[N, 2]', ['x', 'weight'])
    >>> [d.kind for d in made.gradients]
    ['float64[N, 3]', 'float64[2, 3]']
    """
    inputs: dict[str, Node] = {}
    arrays: dict[str, Array] = {}

    def entered(name: str, value: Array, batch: Dim | None) -> Node:
        array = value.astype(dtype) if value.dtype.kind == "f" else value
        shape = array.shape if batch is None else (batch, *array.shape[1:])
        arrays[name] = array
        inputs[name] = input(name, shape, dtype_of(array.dtype))
        return inputs[name]

    given = dict(arguments)
    for parameter, value in arguments.items():
        batch = dim("N") if parameter in batched else None
        match value:
            case np.ndarray():
                given[parameter] = entered(parameter, value, batch)
            case (np.ndarray(), *_):
                several = enumerate(value)
                given[parameter] = tuple(entered(f"{parameter}{k}", v, batch) for k, v in several)
    call = OPERATORS[op] if isinstance(op, str) else op
    return Applied(call(**given), inputs, arrays)


def rounded(arguments: Mapping[str, Any], dtype: DType) -> dict[str, Any]:
    """Round the float arrays among arguments to a dtype, but keep them float64.

    A reference that is given them computes exactly what an op of that dtype should.

    >>> rounded({"x": np.array([0.1]), "axis": 0}, "float32")
    {'x': array([0.1]), 'axis': 0}
    """

    def of(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(of, value))
        is_float = isinstance(value, np.ndarray) and value.dtype.kind == "f"
        return value.astype(dtype).astype("float64") if is_float else value

    return {name: of(value) for name, value in arguments.items()}
