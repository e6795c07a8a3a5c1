"""A program with the arrays it is run on, whoever runs it; and where two results differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.affine import Dim
from codegen.program import Program
from codegen.sizes import bind_dims
from graphcnn.graph import Node
from graphcnn.program import to_program

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A program with arrays for its inputs and parameters, and the values of its dims."""

    program: Program
    arrays: Mapping[str, Array]
    dims: Mapping[Dim, int]

    def __str__(self) -> str:
        dims = ", ".join(f"{d} = {n}" for d, n in self.dims.items())
        return f"{self.program}\nwith {dims or 'no dims'}"


def case_of(nodes: Sequence[Node], arrays: Mapping[str, Any]) -> Case:
    """Give nodes as a program; `arrays` holds one for each input, and may for parameters.

    >>> import graphcnn as g
    >>> x = g.input("x", (g.dim("N"), 3))
    >>> case_of([g.sum(x)], {"x": np.ones((5, 3))}).dims
    {N: 5}
    """
    lowered = to_program(nodes)
    program = lowered.program
    named = {t: n for n, t in lowered.tensors.items()}
    held = {}
    for tensor in (*program.inputs, *program.parameters):
        node = named[tensor]
        value = arrays.get(node.name)
        own = node.value if value is None else value  # type: ignore[attr-defined]
        held[tensor.name] = np.asarray(own, tensor.dtype)
    dims = bind_dims((t, held[t.name].shape) for t in program.inputs)
    return Case(program, held, dims)


def differences(
    found: Mapping[str, Array], wanted: Mapping[str, Array], tolerance: float = 0
) -> Iterator[str]:
    """Say where two results differ; a tolerance is relative to the largest value of the array.

    >>> [*differences({"y": np.array([1.0, 2.0])}, {"y": np.array([1.0, 2.001])}, 1e-2)]
    []
    >>> print(*differences({"y": np.array([1.0, 2.0])}, {"y": np.array([1.0, 3.0])}, 1e-2))
    y: found
    [1. 2.]
    wanted
    [1. 3.]
    """
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        other = found[name]
        if array.size == 0 or array.dtype.kind != "f" or tolerance == 0:
            same = np.array_equal(other, array, equal_nan=array.dtype.kind == "f")
        else:
            finite = np.where(np.isfinite(array), abs(array), 0)
            atol = tolerance * max(1.0, float(finite.max()))
            same = np.allclose(other, array, rtol=tolerance, atol=atol, equal_nan=True)
        if not same:
            yield f"{name}: found\n{other}\nwanted\n{array}"
