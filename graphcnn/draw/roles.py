"""What a node is for, and the one table of colours.

Fills are tints of the Okabe-Ito palette, which colour-blind readers tell apart; text on them has a
contrast of at least 4.5, on light paper as on dark. Every role is also written out in its box or in
the legend.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from codegen.notation import FLOATS
from graphcnn.graph import Graph, Node

INK = "#1a1a1a"
QUIET = "#595959"
LOCAL = "#00704f"
UPSTREAM = "#b83a00"
DOWNSTREAM = "#0067a3"
PAPER = "#ffffff"


class Role(Enum):
    """What a node is for: its name in the legend, its fill and its outline, both light and dark."""

    INPUT = ("input", "#dff1fb", "#3c93c2", "#14303f", "#58a9d6")
    PARAMETER = ("parameter", "#fdf0d5", "#c98b00", "#3a2d0c", "#d9a12b")
    CONSTANT = ("constant", "#efefef", "#808080", "#2b2f35", "#7d8590")
    OP = ("op", "#ffffff", "#404040", "#20252d", "#a3acb8")
    LOSS = ("loss", "#f8e4ef", "#b0588a", "#3d2233", "#d684b0")
    RESULT = ("result", "#ffffff", "#808080", "#20252d", "#7d8590")
    GRADIENT = ("gradient", "#edf8f3", "#00906a", "#12332a", "#3fb58f")
    UPDATE = ("update", "#fbf8cf", "#8f8500", "#35330f", "#bdb234")

    def __init__(self, label: str, fill: str, outline: str, *dark: str) -> None:
        self.label, self.fill, self.outline = label, fill, outline
        self.dark_fill, self.dark_outline = dark


SCALE = {
    "#ffffff": "#20252d",
    "#fdebd8": "#3b2c1a",
    "#fbd6b0": "#573a19",
    "#f8c088": "#734a17",
    "#f4a960": "#8f5a14",
}
"""Fills from the least to the most, light and dark; what stands on them is written in ink."""

DARK = {
    INK: "#e8eaed",
    QUIET: "#a8adb5",
    LOCAL: "#4fd1a5",
    UPSTREAM: "#ff9a66",
    DOWNSTREAM: "#6cb8f0",
    **{role.fill: role.dark_fill for role in Role},
    **{role.outline: role.dark_outline for role in Role},
    **SCALE,
}
"""The colour that stands for each on dark paper."""
DARK_PAPER = "#13161b"

SOURCES = (Role.INPUT, Role.PARAMETER, Role.CONSTANT)
_DERIVED = (Role.GRADIENT, Role.UPDATE)
_BY_OP = {"input": Role.INPUT, "parameter": Role.PARAMETER, "constant": Role.CONSTANT}


def roles(graph: Graph, updates: Iterable[tuple[Node, Node]] = ()) -> dict[Node, Role]:
    """Give the role of every node of a graph.

    A node with a forward partner is a gradient, and so is the seed, from which gradients alone are
    computed. What is computed from a gradient otherwise is an update, and so is what nothing but
    the next values of `updates` need. Scalar outputs are losses where something can learn from
    them: the graph has parameters, or their gradients.
    """
    following = {new for _, new in updates}
    partners = {n.partner for n in graph.nodes if n.partner is not None}
    learns = any(node.op == "parameter" for node in graph.nodes)
    forward = {*Graph((*(n for n in graph.outputs if n not in following), *partners)).nodes}
    found: dict[Node, Role] = {}
    for node in graph.nodes:
        if node.partner is not None or is_seed(node, graph.consumers[node]):
            found[node] = Role.GRADIENT
        elif node.op in _BY_OP:
            found[node] = _BY_OP[node.op]
        elif any(found[i] in (Role.GRADIENT, Role.UPDATE) for i in node.inputs) or (
            node.inputs and node not in forward
        ):
            found[node] = Role.UPDATE
        elif node in graph.outputs and node.shape == () and node.dtype in FLOATS:
            found[node] = Role.LOSS if learns or node in partners else Role.OP
        else:
            found[node] = Role.OP if node.inputs else Role.CONSTANT
    return found


def is_seed(node: Node, consumers: Iterable[Node]) -> bool:
    """Whether gradients begin with a node: it is a constant that nothing else reads."""
    users = tuple(consumers)
    return node.op == "full" and bool(users) and all(u.partner is not None for u in users)
