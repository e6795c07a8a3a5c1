"""The letters of a picture's formulas: the user's names, else those of the ops, numbered."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from graphcnn.draw.labels import cleaned
from graphcnn.draw.roles import is_seed
from graphcnn.graph import Constant, Graph, Node

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_LOSSES = ("L", "ℒ", "Loss")
_LONGEST = 18


class Letters:
    """What each value of a graph is called in formulas: `w`, `y₂`, `∂L/∂w`.

    An unnamed value takes the letter on the left of its op's formula, numbered where that letter
    is not its alone.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = _with_partners(graph)
        self._names = self._values()
        self._same: dict[tuple[Any, ...], list[Node]] = {}
        for node in self._graph.nodes:
            self._same.setdefault(_rule(node), []).append(node)
        self.losses = self._losses()
        self._loss_letters = self._lettered_losses()

    def __getitem__(self, node: Node) -> str:
        if node.partner is None:
            users = self._graph.consumers[node]
            return self.upstream(users[0]) if is_seed(node, users) else self._names[node]
        # A chain of gradients of gradients is as long as the user's calls of grad: few.
        of = inner(self[node.wrt]) if node.wrt is not None else ""
        via = f" (via {self._way(node)})" if self._is_part(node) else ""
        return f"∂{self.of_loss(self.losses[node])}/∂{of}{via}"

    def of_loss(self, loss: Node) -> str:
        """Give the letter of a node whose gradients are drawn: L, unless there are several."""
        return self._loss_letters[loss]

    def upstream(self, gradient: Node) -> str:
        """Give `∂L/∂z` for a gradient node that applies the rule of z."""
        assert gradient.partner is not None
        return f"∂{self.of_loss(self.losses[gradient])}/∂{inner(self[gradient.partner])}"

    def _is_part(self, node: Node) -> bool:
        users = self._graph.consumers[node]
        return any(u.op == "sum_of_gradients" and u.wrt is node.wrt for u in users)

    def _way(self, part: Node) -> str:
        """Give the node through which a part of a gradient comes, by which of its inputs if any."""
        assert part.partner is not None
        letter, same = self[part.partner], self._same[_rule(part)]
        return f"{letter}, {same.index(part) + 1}" if len(same) > 1 else letter

    def _values(self) -> dict[Node, str]:
        nodes = self._graph.nodes
        named = {n: _quoted(n.name) for n in nodes if n.name and n.partner is None}
        unnamed = [n for n in nodes if n not in named and n.partner is None]
        letters = {n: _letter(n) for n in unnamed}
        uses = Counter(letters.values())
        taken: set[str] = set()
        result: dict[Node, str] = {}
        for node, name in named.items():
            result[node] = _free(name, taken, numbered=False)
        for node, letter in letters.items():
            if _is_number(node):
                result[node] = letter
            else:
                result[node] = _free(letter, taken, numbered=uses[letter] > 1)
        return result

    def _losses(self) -> dict[Node, Node]:
        found: dict[Node, Node] = {}
        for node in self._graph.nodes:
            if node.partner is None:
                continue
            before = node.inputs[0] if node.op == "sum_of_gradients" else node.inputs[-1]
            # The first rule of a backward graph takes the seed and belongs to the loss itself.
            found[node] = found.get(before, node.partner)
        return found

    def _lettered_losses(self) -> dict[Node, str]:
        losses = tuple(dict.fromkeys(self.losses.values()))
        plain = [loss for loss in losses if loss.partner is None]
        others = {name for node, name in self._names.items() if node not in plain}
        free = [letter for letter in _LOSSES if letter not in others]
        if len(plain) == 1 and free:
            self_named = {plain[0]: free[0]}
        else:
            self_named = {loss: self._names[loss] for loss in plain}
        return self_named | {
            loss: f"L{k + 1}".translate(_SUBSCRIPTS)
            for k, loss in enumerate(loss for loss in losses if loss.partner is not None)
        }


def _rule(node: Node) -> tuple[Any, ...]:
    """Give what tells rules apart, but for those of one input given twice, as in w·w."""
    return (node.partner, node.wrt, node.inputs[-1:], node.op == "sum_of_gradients")


def inner(letter: str) -> str:
    """Give a letter as it stands inside another formula: a ratio needs brackets there."""
    return f"({letter})" if "/∂" in letter else letter


def _with_partners(graph: Graph) -> Graph:
    """Give the graph with the forward nodes that its gradients are about."""
    while True:
        known = set(graph.nodes)
        about = (p for n in graph.nodes for p in (n.partner, n.wrt) if p is not None)
        missing = tuple(dict.fromkeys(p for p in about if p not in known))
        if not missing:
            return graph
        graph = Graph((*graph.outputs, *missing))


def _letter(node: Node) -> str:
    if _is_number(node):
        return f"({node.formula})" if node.formula.startswith("-") else node.formula
    if isinstance(node, Constant):
        return "c"
    return node.fragment.output.name if node.fragment else node.op


def _is_number(node: Node) -> bool:
    return node.op == "constant" and not node.name and not isinstance(node, Constant)


def _quoted(name: str) -> str:
    """Give a name as it stands in a formula; one that is no word goes into brackets."""
    shown = cleaned(name, _LONGEST)
    return shown if re.fullmatch(r"[^\W\d][\w.']*", shown) else f"⟨{shown}⟩"


def _free(letter: str, taken: set[str], *, numbered: bool) -> str:
    count = 1
    name = f"{letter}₁" if numbered else letter
    while name in taken:
        count += 1
        name = letter + str(count).translate(_SUBSCRIPTS)
    taken.add(name)
    return name
