"""A linear layer as one matrix: of a convolution doubly block-Toeplitz, mostly zeros."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.sizes import evaluate
from graphcnn.backward import grad
from graphcnn.compile import compile
from graphcnn.errors import GradientError, user_origin
from graphcnn.graph import Graph, Node, input

Array = npt.NDArray[Any]


def as_matrix(node: Node, of: Node) -> Array:
    """Give M such that `node = M·of + b`, both flattened; dims, such as the batch size, are 1.

    A row belongs to an element of `node` and holds what each element of `of` counts in it: it is
    the gradient of that element. Parameters have their current values.

    Raises `GradientError` where the node is not linear in `of`, or needs other inputs.

    >>> import graphcnn as g
    >>> x = g.input("x", (1, 1, 3, 3))
    >>> filters = g.parameter("filters", [[[[1, 2], [3, 4]]]], dtype="float32")
    >>> as_matrix(g.conv2d(x, filters), x).astype(int)
    array([[1, 2, 0, 3, 4, 0, 0, 0, 0],
           [0, 1, 2, 0, 3, 4, 0, 0, 0],
           [0, 0, 0, 1, 2, 0, 3, 4, 0],
           [0, 0, 0, 0, 1, 2, 0, 3, 4]])
    """
    graph = Graph((node,))
    dims = dict.fromkeys(graph.dims, 1)
    shape = tuple(evaluate(n, dims) for n in node.shape)
    seen = tuple(evaluate(n, dims) for n in of.shape)
    seed = input("one of the outputs", node.shape, node.dtype)
    (gradient,) = grad(node, [of], seed=seed)
    others = [n.name for n in Graph((gradient,)).of_kind("input") if n not in (seed, of)]
    bends = of in Graph((gradient,)).nodes
    if others or bends:
        raise GradientError(
            f"{node!r} is not linear in {of!r}" if bends else f"{node!r} needs {', '.join(others)}",
            rule="a matrix stands for what is linear, with nothing else to be given",
            fix="ask for the gradient at a point: grad(node, of, seed=...)",
        ).at("as_matrix", user_origin())
    row = compile(gradient, name="row")
    matrix = np.zeros((math.prod(shape), math.prod(seen)), node.dtype)
    for k in range(len(matrix)):
        one = np.zeros(math.prod(shape), node.dtype)
        one[k] = 1
        matrix[k] = row(**{seed.name: one.reshape(shape)}).ravel()
    return matrix
