"""Ways to run a program; every claim about ops is made of each of them.

An executor is a function of a program, arrays by name and the values of dims that gives arrays by
name. To hold another to the same claims, add its row.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.affine import Dim
from codegen.interpret import interpret
from codegen.program import Program
from codegen.sizes import bind_dims
from graphcnn.graph import Node
from graphcnn.program import to_program

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
Executor = Callable[[Program, Arrays, Mapping[Dim, int]], Arrays]

EXECUTORS: dict[str, Executor] = {
    "interpreter": interpret,
    "interpreter point by point": lambda p, arrays, dims: interpret(p, arrays, dims, fast=False),
}


def run(executor: Executor, nodes: Sequence[Node], arrays: Arrays) -> list[Array]:
    """Give the values of nodes; inputs are given by name."""
    lowered = to_program(nodes)
    given = {t.name: np.asarray(arrays[t.name]) for t in lowered.program.inputs}
    constants = {
        t.name: n.value for n, t in lowered.tensors.items() if t in lowered.program.parameters
    }
    dims = bind_dims([(t, given[t.name].shape) for t in lowered.program.inputs])
    made = executor(lowered.program, given | constants, dims)
    return [np.asarray(made[lowered.tensors[n].name]) for n in nodes]
