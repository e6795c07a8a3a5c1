"""Which layer of a network each node belongs to, so that a picture can draw a layer as one box.

Before: x ─► conv2d ─► add ─► relu ─► max_pool2d ─► linear        After: x ─► conv1 ─► linear

Nodes made in name scopes belong to these. Others follow the weights: an op that takes parameters
begins a layer, named as they are (`conv1.weight` is one of `conv1`) or as the op, and what is
computed from its result alone belongs to it. An op that takes an input, as labels, begins one too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphcnn.draw.roles import Role
from graphcnn.graph import Graph, Node

MOST = 60  # layers on one picture, if the scopes nest so that one may choose

Updates = Iterable[tuple[Node, Node]]


def layers(graph: Graph, roles: Mapping[Node, Role], updates: Updates) -> dict[Node, str]:
    """Give the layer of each forward node, and of each parameter what first uses it.

    A gradient belongs to the layer of its forward node with "backward" behind it, what computes
    the next value of a parameter to the parameter's with "update" behind it. Inputs and what is
    shared by everything stay alone and have none.
    """
    depth = max((len(n.scope) for n in graph.nodes), default=0)
    found = _forward(graph, roles, depth)
    while depth > 1 and len(set(found.values())) > MOST:
        depth -= 1
        found = _forward(graph, roles, depth)
    # First those of weights: the optimiser's own state leads to them.
    for old, new in sorted(updates, key=lambda pair: pair[0] not in found):
        _claim_update(found, roles, new, f"{found.get(old, old.name)} update")
    for node in graph.nodes:
        if roles[node] is Role.GRADIENT and node.partner is not None:
            about = node.wrt if node.op == "sum_of_gradients" else node.partner
            if about in found:
                found[node] = f"{found[about]} backward"
        elif node.op in ("parameter", "constant") and node not in found:
            users = [found[u] for u in graph.consumers[node] if u in found]
            if users:
                found[node] = users[0]
    return found


def _forward(graph: Graph, roles: Mapping[Node, Role], depth: int) -> dict[Node, str]:
    found: dict[Node, str] = {}
    number: dict[str, int] = {}
    for node in graph.nodes:
        if roles[node] not in (Role.OP, Role.LOSS) or not node.inputs:
            continue
        given = [i for i in node.inputs if i.op in ("parameter", "input")]
        before = [found[i] for i in node.inputs if i in found]
        if node.scope:
            layer = ".".join(node.scope[:depth])
        elif given or not before:
            layer = _prefix(given) or graph.names[node]
        else:
            # The latest of them: so a layer never leads back into an earlier one.
            layer = max(before, key=number.__getitem__)
        found[node] = layer
        number.setdefault(layer, len(number))
    for node in graph.nodes:
        users = [found[u] for u in graph.consumers[node] if u in found]
        if roles[node] is Role.PARAMETER and users:
            found[node] = users[0]
    return found


def _prefix(given: Iterable[Node]) -> str:
    """Give what the name of the first parameter has before its last dot."""
    prefixes = (n.name.rpartition(".")[0] for n in given if n.op == "parameter")
    return next(filter(None, prefixes), "")


def _claim_update(
    found: dict[Node, str], roles: Mapping[Node, Role], new: Node, layer: str
) -> None:
    """Put everything that leads to a next value, as far as no other has it, into one layer."""
    waiting = [new]
    while waiting:
        node = waiting.pop()
        state = node.op == "parameter" and node not in found
        if node not in found and (roles[node] is Role.UPDATE or state):
            found[node] = layer
            waiting.extend(node.inputs)
