"""A graph with what every part of its picture has to know: letters, roles, boxes of nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from graphcnn.draw.letters import Letters
from graphcnn.draw.roles import Role, roles
from graphcnn.graph import Graph, Node


@dataclass(frozen=True)
class View:
    """A graph as it is drawn.

    `groups` are the nodes of each box: one forward node, or all backward nodes that apply one
    forward node's rule to one upstream gradient. `keys` name the box of each node.
    """

    graph: Graph
    letters: Letters
    roles: dict[Node, Role]
    groups: tuple[tuple[Node, ...], ...]
    keys: dict[Node, str]

    @classmethod
    def of(cls, graph: Graph) -> Self:
        """Look at a graph."""
        together: dict[tuple[Node, ...], list[Node]] = {}
        for node in graph.nodes:
            partner = node.partner
            alone = partner is None or node.op == "sum_of_gradients"
            apart = (node,) if alone or partner is None else (partner, node.inputs[-1])
            together.setdefault(apart, []).append(node)
        groups = tuple(map(tuple, together.values()))
        keys = {node: f"n{k}" for k, group in enumerate(groups) for node in group}
        return cls(graph, Letters(graph), roles(graph), groups, keys)

    def applies_rule(self, node: Node) -> bool:
        """Whether a node applies a forward node's rule to the gradient that arrives there."""
        return node.partner is not None and node.op != "sum_of_gradients"
