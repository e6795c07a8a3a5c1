"""Which kernels of a compiled step compute which nodes, and how long each takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.compile import Plan, load
from codegen.lower import Lowered
from codegen.notation import BYTES
from codegen.sizes import evaluate
from graphcnn.graph import Graph, Node

Array = npt.NDArray[Any]


def nodes_of_kernels(graph: Graph, plan: Plan) -> tuple[tuple[Node, ...], ...]:
    """Give the nodes that each kernel of a graph works on, in the order in which kernels run.

    Those whose values it writes or has on the way; for a kernel that only prepares what others
    read, such as a padded copy, those of the first that reads it.
    """
    names = {name: node for node, name in graph.names.items() if node.inputs}
    found: list[tuple[Node, ...]] = []
    readers: dict[str, tuple[Node, ...]] = {}
    for low in reversed(plan.nests):
        statements = [s for kernel in low.group.kernels for s in kernel.statements]
        targets = dict.fromkeys(s.target.name for s in statements)
        own = dict.fromkeys(n for n in (_owner(t, names) for t in targets) if n is not None)
        nodes = tuple(own) or next((readers[t] for t in targets if t in readers), ())
        found.append(nodes)
        readers |= {access.tensor.name: nodes for s in statements for access in s.reads}
    return tuple(reversed(found))


def _owner(tensor: str, names: Mapping[str, Node]) -> Node | None:
    """Give the node of a tensor: parts of its value are named after it, as in `softmax_top`."""
    while tensor not in names:
        tensor, _, end = tensor.rpartition("_")
        if not end or not tensor:
            return None
    return names[tensor]


def code_of_nodes(graph: Graph, plan: Plan) -> dict[Node, str]:
    """Give the C of the kernels that work on each node; what runs inside others has theirs."""
    found: dict[Node, list[str]] = {}
    for low, nodes in zip(plan.nests, nodes_of_kernels(graph, plan), strict=True):
        for node in nodes:
            found.setdefault(node, []).append(plan.functions[low.function.name])
    return {node: "\n".join(dict.fromkeys(texts)) for node, texts in found.items()}


@dataclass(frozen=True)
class Cost:
    """One kernel: its function, the nodes it works on, how long it takes, what it touches.

    `bytes` are those of the arrays that it reads and writes, each once.
    """

    function: str
    nodes: tuple[Node, ...]
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Profile:
    """How long each kernel of a step takes, in seconds; `str` gives a table, the slowest first."""

    costs: tuple[Cost, ...]

    @cached_property
    def seconds(self) -> float:
        """The sum over all kernels."""
        return sum(cost.seconds for cost in self.costs)

    def __str__(self) -> str:
        rows = [("kernel", "µs", "share", "MB", "GB/s")]
        for c in sorted(self.costs, key=lambda c: -c.seconds):
            share = c.seconds / self.seconds if self.seconds else 0
            speed = c.bytes / c.seconds / 1e9 if c.seconds else 0
            numbers = (f"{1e6 * c.seconds:.1f}", f"{share:.1%}", f"{c.bytes / 1e6:.3f}")
            rows.append((c.function, *numbers, f"{speed:.1f}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(c.rjust(w) if k else c.ljust(w) for k, (c, w) in enumerate(pairs))
            for pairs in (list(zip(row, widths, strict=True)) for row in rows)
        )


def profile(
    graph: Graph,
    plan: Plan,
    arrays: Mapping[str, Array],
    sizes: Mapping[Any, int],
    rounds: int,
    threads: int | None,
) -> Profile:
    """Run a plan so many times on arrays by name, and give the least time each kernel took.

    It is compiled once more with a clock around each kernel; next values of parameters are written
    into their arrays.
    """
    made = replace(plan, timed=True)
    executable = load(made, threads=threads)
    outputs = {
        t.name: np.empty([evaluate(n, sizes) for n in t.shape], t.dtype)
        for t in made.program.outputs
    }
    read_clock = getattr(executable.library.lib, f"{made.entry}_seconds")
    taken = []
    for _ in range(max(1, rounds)):
        executable.run({**arrays, **outputs}, sizes)
        clock = read_clock()
        taken.append([clock[k] for k in range(len(made.nests))])
    fastest = np.min(taken, axis=0)
    kernels = zip(made.nests, nodes_of_kernels(graph, plan), fastest, strict=True)
    return Profile(
        tuple(
            Cost(low.function.name, nodes, float(seconds), sum(_bytes(low, sizes)))
            for low, nodes, seconds in kernels
        )
    )


def _bytes(low: Lowered, sizes: Mapping[Any, int]) -> Iterator[int]:
    for tensor in low.tensors:
        count = 1
        for n in tensor.shape:
            count *= evaluate(n, sizes)
        yield count * BYTES[tensor.dtype]
