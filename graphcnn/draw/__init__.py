"""Pictures of graphs, their gradients and their updates: who feeds whom, with which formula."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codegen.notation import FLOATS
from graphcnn.backward import grad
from graphcnn.compile import Step
from graphcnn.draw.drawing import SUFFIXES, Drawing
from graphcnn.draw.node import latex_of
from graphcnn.draw.render import RenderError
from graphcnn.draw.view import LEVELS, Level
from graphcnn.errors import DTypeError, GradientError, GraphError, user_origin
from graphcnn.graph import NOTEBOOK, Graph, Node, Parameter, listed
from graphcnn.kernels import Profile


def draw(
    nodes: Node | Iterable[Node | tuple[Node, Node]] | Step,
    *,
    gradients: bool = False,
    wrt: Node | Iterable[Node] | None = None,
    at: Mapping[Any, Any] | None = None,
    level: Level | None = None,
    profile: Profile | None = None,
) -> Drawing:
    """Give the picture of the graph that ends in these nodes, or of a compiled step.

    With `gradients` the backward graph of one scalar loss is drawn beside it: local gradients in
    green, upstream gradients in red, downstream gradients in blue. They are taken with respect to
    `wrt`: by default all trainable parameters, or all float inputs where there are none. A pair of
    a parameter and a node, as optimisers give them, shows that node as the parameter's next value.

    `at` gives each input a value, by name or node: arrows then show the numbers that they carry,
    and gradient rules between scalars that of their local gradient. `level` is what a box stands
    for: "layers" (see `scope`), "ops", or "statements" for ops with all they compute in index
    notation; by default ops, and layers where there would be more than 150 boxes.

    A compiled step is drawn with all it computes, and a page shows the C of each node. `profile`,
    as `step.profile(...)` gives it, colours the boxes by how long they take.

    Raises `CallError` where an input of `at` is missing, unknown or does not fit.

    >>> from graphcnn.graph import input
    >>> print(draw(input("x")).dot.splitlines()[0])
    digraph graphcnn {
    """
    if level is not None and level not in LEVELS:
        raise GraphError(
            f"level={level!r}",
            rule="a box stands for one of " + ", ".join(map(repr, LEVELS)),
            fix='draw(loss, level="layers")',
        ).at("draw", user_origin())
    step = nodes if isinstance(nodes, Step) else None
    outputs, updates = (step.outputs, step.updates) if step else _ends(nodes)
    if gradients or wrt is not None:
        outputs += _gradients(outputs, wrt)
    drawing = Drawing(outputs, updates, level, step=step, profile=profile)
    return drawing if at is None else drawing.with_values(at)


def _ends(nodes: Any) -> tuple[tuple[Node, ...], tuple[tuple[Node, Node], ...]]:
    several = isinstance(nodes, Iterable) and not isinstance(nodes, Node)
    given: tuple[Any, ...] = tuple(nodes) if several else (nodes,)
    outputs = tuple(g for g in given if isinstance(g, Node))
    updates = tuple(g for g in given if not isinstance(g, Node))
    for pair in updates:
        if not (
            isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(n, Node) for n in pair)
        ):
            raise DTypeError(
                f"a {type(pair).__name__} cannot be drawn",
                rule="draw takes nodes, and pairs of a parameter and the node of its next value",
                fix="draw(loss), draw([loss, scores]) or draw([loss, (weight, new_weight)])",
            ).at("draw", user_origin())
    if not given:
        raise GraphError("there is nothing to draw", fix="give a node: draw(loss)").at(
            "draw", user_origin()
        )
    return outputs, updates


def _gradients(outputs: tuple[Node, ...], wrt: Node | Iterable[Node] | None) -> tuple[Node, ...]:
    if len(outputs) != 1:
        raise GradientError(
            f"gradients of {len(outputs)} nodes were asked for at once",
            rule="a picture shows the gradients of one loss",
            fix="draw(loss, gradients=True), or draw the nodes that grad() gives",
        ).at("draw", user_origin())
    loss = outputs[0]
    if wrt is not None:
        return tuple(grad(loss, listed(wrt)))
    nodes = Graph(outputs).nodes
    trained = [n for n in nodes if isinstance(n, Parameter) and n.trainable]
    inputs = [n for n in nodes if n.op == "input"]
    wanted = [n for n in trained or inputs if n.dtype in FLOATS]
    if not wanted:
        raise GradientError(
            "the graph has neither trainable parameters nor float inputs",
            rule="a gradient is taken with respect to something",
            fix="pass wrt=, or draw(loss) without gradients",
        ).at("draw", user_origin())
    found = grad(loss, wanted, allow_unused=True)
    return tuple(d for d in found if d.partner is not None)


NOTEBOOK["graph"] = lambda graph: Drawing(graph.outputs)._repr_mimebundle_()

__all__ = ["SUFFIXES", "Drawing", "RenderError", "draw", "latex_of"]
