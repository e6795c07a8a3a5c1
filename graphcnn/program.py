"""From a graph to a program: every node's statements under the node's own name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codegen.notation import Reduce, Statement, Tensor, indices
from codegen.notation import statement as state
from codegen.program import Program
from graphcnn.fragment import LETTERS
from graphcnn.graph import Graph, Node


@dataclass(frozen=True)
class Lowered:
    """A graph's program, and which tensor holds the value of which node."""

    graph: Graph
    program: Program
    tensors: dict[Node, Tensor]
    results: dict[Node, Tensor]


def to_program(
    outputs: Sequence[Node], updates: Sequence[tuple[Node, Node]] = (), name: str = "program"
) -> Lowered:
    """Give the program that computes the outputs and the parameters' next values."""
    graph = Graph((*outputs, *(new for _, new in updates), *(old for old, _ in updates)))
    names = graph.names
    taken = set(names.values())
    tensors = {n: Tensor(names[n], n.shape, n.dtype) for n in graph.nodes}
    statements: list[Statement] = []
    for node in graph.nodes:
        if node.fragment is None:
            continue
        rules = dict(zip(node.fragment.inputs, (tensors[i] for i in node.inputs), strict=True))
        rules[node.fragment.output] = tensors[node]
        for temporary in node.fragment.temporaries:
            own = _free(f"{names[node]}_{temporary.name}", taken)
            rules[temporary] = temporary.renamed(own)
        statements += [s.substitute(rules) for s in node.fragment.statements]
    # What is given from outside is copied to be an output or the next value of a parameter.
    results: dict[Node, Tensor] = {}
    for node in (*outputs, *(new for _, new in updates)):
        if node in results:
            continue
        results[node] = tensors[node]
        if node.fragment is None:
            results[node] = tensors[node].renamed(_free(f"{names[node]}_copy", taken))
            statements.append(_copy(results[node], tensors[node]))
    return Lowered(
        graph,
        Program(
            inputs=tuple(tensors[n] for n in graph.of_kind("input")),
            parameters=tuple(tensors[n] for n in graph.nodes if hasattr(n, "value")),
            outputs=tuple(dict.fromkeys(results[n] for n in outputs)),
            statements=tuple(statements),
            updates=tuple((tensors[old], results[new]) for old, new in updates),
            name=name,
        ),
        tensors,
        results,
    )


def _copy(target: Tensor, source: Tensor) -> Statement:
    at = indices(" ".join(LETTERS[: source.rank]))
    return state(target[at], Reduce.SET, source[at])


def _free(name: str, taken: set[str]) -> str:
    candidate, count = name, 1
    while candidate in taken:
        candidate, count = f"{name}_{count}", count + 1
    taken.add(candidate)
    return candidate
