r"""One node as LaTeX: its formula, or its local gradient with what is passed on downstream.

Letters are those of the picture of the graph that ends in the node.
"""

from __future__ import annotations

from graphcnn.backward import grad
from graphcnn.draw.labels import said
from graphcnn.draw.latex import to_latex
from graphcnn.draw.letters import Letters
from graphcnn.draw.spelling import as_text
from graphcnn.draw.texts import equations_of, rule
from graphcnn.draw.view import View
from graphcnn.errors import GraphError, user_origin
from graphcnn.graph import NOTEBOOK, Graph, Node, input

_APART = r",\qquad "


def latex_of(node: Node, *, wrt: Node | None = None) -> str:
    r"""Give the formula of a node as LaTeX for math mode; of a backward node, the rule it applies.

    With `wrt`, one of the node's inputs, give the local gradient and the downstream gradient.

    >>> import graphcnn as g
    >>> x, y = g.input("x"), g.input("y")
    >>> z = g.divide(x, y, name="z")
    >>> print(latex_of(z))
    z = \frac{x}{y}
    >>> print(latex_of(z, wrt=x))
    \frac{\partial z}{\partial x} = \frac{1}{y},\qquad \frac{\partial L}{\partial x} =
    \frac{\partial z}{\partial x} \cdot \frac{\partial L}{\partial z}
    """
    if wrt is not None:
        return _gradient(node, wrt)
    if node.partner is None:
        return to_latex(_forward(View.of(Graph((node,)), level="ops"), node))
    loss = Letters(Graph((node,))).losses[node]
    # In this order letters are numbered as in a picture of the loss.
    view = View.of(Graph((loss, node)), level="ops")
    if view.applies_rule(node):
        return _rule(view, node)
    parts = " + ".join(view.letters[part] for part in node.inputs)
    return to_latex(f"{view.letters[node]} = {parts}")


def _forward(view: View, node: Node) -> str:
    return view.letters[node] if node.fragment is None else equations_of(view, node)[0]


def _gradient(node: Node, wrt: Node) -> str:
    if not any(wrt is source for source in node.inputs):
        given = ", ".join(map(repr, node.inputs)) or "none"
        raise GraphError(
            f"{wrt!r} is not an input of {node!r}",
            rule=f"a local gradient is one of a node and one of its inputs, here {given}",
            fix="draw(loss, gradients=True) shows the whole way",
        ).at("latex_of", user_origin())
    seed = input("upstream", node.shape, node.dtype)
    view = View.of(Graph((node, grad(node, wrt, seed=seed, allow_unused=True))), level="ops")
    rules = [n for n in view.graph.nodes if n.partner is node and n.wrt is wrt]
    found = dict.fromkeys(_rule(view, n) for n in rules if view.applies_rule(n))
    if not found:
        return to_latex(f"∂{view.letters[node]}/∂{view.letters[wrt]} = 0")
    return _APART.join(found)


def _rule(view: View, node: Node) -> str:
    return _APART.join(to_latex(said(line)) for line in rule(view, node))


def _shown(node: Node) -> str:
    """Give what a notebook shows of a node: its formula, dtype and shape."""
    return rf"$\displaystyle {latex_of(node)}\qquad {as_text(node.kind)}$"


NOTEBOOK["node"] = _shown
