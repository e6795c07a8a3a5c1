"""A graph with what every part of its picture has to know: letters, roles, boxes, values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Self

from graphcnn.draw.layers import layers
from graphcnn.draw.letters import Letters
from graphcnn.draw.roles import Role, roles
from graphcnn.draw.values import Frame
from graphcnn.graph import Graph, Node
from graphcnn.kernels import Profile

Level = Literal["layers", "ops", "statements"]
LEVELS: tuple[Level, ...] = ("layers", "ops", "statements")
MANY = 150  # boxes: a picture of more shows layers unless it is asked for something else

Updates = Sequence[tuple[Node, Node]]
Group = tuple[Node, ...]


@dataclass(frozen=True)
class View:
    """A graph as it is drawn.

    `groups` are the nodes of each box: one forward node, all backward nodes that apply one forward
    node's rule to one upstream gradient, or a layer; `titles` are the names of the layers. `keys`
    name the box of each node. `frames` are the values that it shows, `profile` the costs, `code`
    the C of each node as far as it is known.
    """

    graph: Graph
    updates: Updates
    level: Level
    letters: Letters
    roles: dict[Node, Role]
    groups: tuple[Group, ...]
    titles: dict[Group, str]
    keys: dict[Node, str]
    frames: tuple[Frame, ...] = ()
    profile: Profile | None = None
    code: Mapping[Node, str] = field(default_factory=dict)

    @cached_property
    def number(self) -> dict[Node, int]:
        """The place of each node in the order of computation."""
        return {node: k for k, node in enumerate(self.graph.nodes)}

    @classmethod
    def of(
        cls,
        graph: Graph,
        updates: Updates = (),
        level: Level | None = None,
        frames: tuple[Frame, ...] = (),
        profile: Profile | None = None,
        code: Mapping[Node, str] | None = None,
    ) -> Self:
        """Look at a graph, a large one layer by layer unless `level` says otherwise."""
        what = roles(graph, updates)
        groups, titles = _ops(graph), dict[Group, str]()
        chosen = level or ("layers" if len(groups) > MANY else "ops")
        if chosen == "layers":
            found = layers(graph, what, updates)
            forward = {found[n] for n in found if what[n] in (Role.OP, Role.LOSS)}
            if level or len(forward) > 1:
                groups, titles = _layers(groups, found)
            else:  # there is nothing to tell layers by
                chosen = "ops"
        keys = {node: f"n{k}" for k, group in enumerate(groups) for node in group}
        return cls(
            graph,
            updates,
            chosen,
            Letters(graph),
            what,
            groups,
            titles,
            keys,
            frames,
            profile,
            code or {},
        )

    def role(self, group: Group) -> Role:
        """Give the role of a box: that of its nodes, a loss before all others."""
        found = [self.roles[n] for n in group]
        return Role.LOSS if Role.LOSS in found else found[-1]

    def applies_rule(self, node: Node) -> bool:
        """Whether a node applies a forward node's rule to the gradient that arrives there."""
        return node.partner is not None and node.op != "sum_of_gradients"

    def has_local(self, node: Node) -> bool:
        """Whether the number of a rule's local gradient is known."""
        return bool(self.frames) and node in self.frames[0].locals

    def values(self, node: Node) -> tuple[str, ...]:
        """Give what a node holds, written out, in each frame."""
        return tuple(frame.values[node].text for frame in self.frames)


def _ops(graph: Graph) -> tuple[Group, ...]:
    together: dict[Group, list[Node]] = {}
    for node in graph.nodes:
        partner = node.partner
        alone = partner is None or node.op == "sum_of_gradients"
        apart = (node,) if alone or partner is None else (partner, node.inputs[-1])
        together.setdefault(apart, []).append(node)
    return tuple(map(tuple, together.values()))


def _layers(
    groups: Sequence[Group], layer_of: dict[Node, str]
) -> tuple[tuple[Group, ...], dict[Group, str]]:
    """Put the boxes of one layer into one, where its last node stands in the order."""
    together: dict[object, list[Node]] = {}
    for group in groups:
        layer = layer_of.get(group[-1])
        key: object = group if layer is None else layer
        # What a layer needs comes before it, and it begins with what it computes last.
        together[key] = [*together.pop(key, []), *group]
    made = {key: tuple(nodes) for key, nodes in together.items()}
    titles = {nodes: key for key, nodes in made.items() if isinstance(key, str)}
    return tuple(made.values()), titles
