"""Wrong programs by their names, each with the error it gives.

The other files here hold them by theme. A line that ends in `# here` is the line that its error
must name.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import graphcnn as g
from graphcnn.errors import GraphError
from graphcnn.graph import Node, Parameter

Program = Callable[[], Any]
N = g.dim("N")

_found: dict[str, tuple[Program, type[GraphError]]] = {}


def programs() -> dict[str, tuple[Program, type[GraphError]]]:
    """Give all of them, those of every theme."""
    for file in sorted(Path(__file__).parent.glob("*.py")):
        import_module(f"tests.graphcnn.errors.{file.stem}")
    return _found


def wrong(kind: type[GraphError]) -> Callable[[Program], Program]:
    """Enter a program, which gives this error."""

    def enter(program: Program) -> Program:
        assert program.__name__ not in _found
        _found[program.__name__] = (program, kind)
        return program

    return enter


def image(*shape: Any, dtype: Any = "float32") -> Node:
    return g.input("image", shape, dtype)


def weight(*shape: int, name: str = "W") -> Parameter:
    return g.parameter(name, np.zeros(shape))


def scores() -> Node:
    return g.input("scores", (N, 10))
