"""The backward graph: an ordinary graph in which each forward node has its gradient nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sympy

from codegen.affine import Size
from codegen.notation import FLOATS, Reduce, Tensor, accesses, indices
from codegen.notation import statement as state
from codegen.printing import render
from graphcnn.adjoint import local_gradient, vjp
from graphcnn.errors import DTypeError, GradientError, ShapeError, user_origin
from graphcnn.fragment import Fragment
from graphcnn.graph import Graph, Node, full, listed

ONLY_FLOATS = "a gradient says what a small change does, and only floats change by little"


def grad(
    loss: Node,
    wrt: Node | Iterable[Node],
    *,
    seed: Node | None = None,
    allow_unused: bool = False,
) -> Any:
    """Give the gradient of `loss` as nodes: one for each node of `wrt`, a list if several.

    `seed` is the upstream gradient of the loss, 1 if the loss is a scalar. The results are
    ordinary nodes: draw them, compile them, differentiate them again.

    Raises `GradientError` where the loss is not a scalar and no seed is given, where a node does
    not lead to the loss (unless `allow_unused`, which gives zeros), or where it holds integers.
    """
    several = not isinstance(wrt, Node)
    origin = user_origin()
    upstream = _seed(loss, seed)
    wanted = _wanted(wrt)
    gradients = backward(loss, wanted, upstream)
    result = []
    for node in wanted:
        who = f"grad with respect to {node.name or node.op!r}"
        if node.dtype not in FLOATS:
            raise GradientError(
                f"{node!r} holds {node.dtype} values",
                rule=ONLY_FLOATS,
                fix="ask for the gradient of the float parameters or inputs",
            ).at(who, origin)
        if node in gradients:
            result.append(gradients[node])
        elif allow_unused:
            result.append(full(node.shape, 0, node.dtype, name=f"d{node.name or node.op}"))
        else:
            raise GradientError(
                f"no way leads from {node!r} ({node.origin}) to the loss {loss!r} ({loss.origin})"
                " through which a gradient passes",
                rule="a gradient is asked for what the loss depends on",
                fix="look at draw(loss); or pass allow_unused=True to get zeros",
            ).at(who, origin)
    return result if several else result[0]


def _wanted(wrt: Any) -> tuple[Node, ...]:
    given = listed(wrt) if isinstance(wrt, Iterable) and not isinstance(wrt, str) else (wrt,)
    for node in given:
        if not isinstance(node, Node):
            raise DTypeError(
                f"{node!r} is not a node",
                rule="a gradient is taken with respect to one node or several",
                fix="grad(loss, w) or grad(loss, [w, b]), with the nodes themselves",
            ).at("grad", user_origin())
    return given


def _seed(loss: Node, seed: Node | None) -> Node:
    origin = user_origin()
    for node, what in ((loss, "loss"), (seed, "seed")):
        if not (isinstance(node, Node) or (node is None and what == "seed")):
            raise DTypeError(
                f"the {what} is {node!r}, not a node",
                rule="gradients are derived from the graph, not from numbers",
                fix="give the node of the loss"
                if what == "loss"
                else "seed=constant(array), or an input shaped like the loss",
            ).at("grad", origin)
    who = f"grad of {loss.name or loss.op!r}"
    if loss.dtype not in FLOATS:
        raise GradientError(
            f"the loss is {loss!r}, which holds {loss.dtype} values ({loss.origin})",
            rule=ONLY_FLOATS,
            fix="start from a float loss; comparisons and argmax have no gradient",
        ).at(who, origin)
    if seed is None:
        if loss.shape != ():
            raise GradientError(
                f"the loss is {loss!r} ({loss.origin}), not one number",
                rule="a gradient starts from one number, or from a seed shaped like the loss",
                fix="take its mean or sum first, or pass seed=",
            ).at(who, origin)
        return full((), 1, loss.dtype, name=f"d{loss.name or loss.op}")
    if seed.shape != loss.shape or seed.dtype != loss.dtype:
        raise ShapeError(
            f"the seed is {seed!r}, the loss {loss!r}",
            rule="a seed has the shape and dtype of the loss",
            fix="broadcast_to(seed, loss.shape)"
            if seed.dtype == loss.dtype
            else f'seed.astype("{loss.dtype}")',
        ).at(who, origin)
    return seed


def backward(loss: Node, wrt: Sequence[Node], upstream: Node) -> dict[Node, Node]:
    """Give the gradient node of every node on a path from `wrt` to the loss.

    Nodes are visited in reverse; each passes `local ∘ upstream` to each needed input, and where a
    value has several consumers their gradients are summed by a node of its own.
    """
    graph = Graph((loss,))
    names = graph.names
    needed = _on_path(graph, wrt)
    arrived: dict[Node, list[Node]] = {loss: [upstream]}
    users = {n: [u for u in dict.fromkeys(graph.consumers[n]) if u in needed] for n in graph.nodes}
    gradients: dict[Node, Node] = {}
    for node in reversed(graph.nodes):
        if node not in arrived or node not in needed:
            continue
        total = _accumulate(arrived[node], node, f"d{names[node]}")
        gradients[node] = total
        if node in wrt and not any(i in needed for i in node.inputs):
            continue
        for k, source in enumerate(node.inputs):
            if source not in needed or source.dtype not in FLOATS:
                continue
            name = f"d{names[source]}"
            if len(users[source]) + (node.inputs.count(source) > 1) > 1:
                name += f"_from_{names[node]}"
            passed = downstream(node, k, total, name)
            if passed is not None:
                arrived.setdefault(source, []).append(passed)
    return gradients


def downstream(node: Node, k: int, upstream: Node, name: str) -> Node | None:
    """Give the gradient that a node passes to its k-th input; None where it is zero."""
    assert node.fragment is not None
    fragment = vjp(node.fragment, k)
    if fragment is None:
        return None
    of = {t: n for t, n in zip(node.fragment.inputs, node.inputs, strict=True)}
    inputs = (*(of[t] for t in fragment.inputs[:-1]), upstream)
    return Node(
        f"{node.op}_grad",
        fragment.output.shape,
        fragment.output.dtype,
        inputs=inputs,
        fragment=fragment,
        static=node.static,
        name=name,
        origin=node.origin,
        formula=local_formula(node, k),
        partner=node,
        wrt=node.inputs[k],
    )


def local_formula(node: Node, k: int) -> str:
    """Give the local gradient of a node with respect to its k-th input, as text."""
    fragment = vjp(node.fragment, k) if node.fragment else None
    return _local(fragment, {}) if fragment else "0"


def adjoints(graph: Graph) -> str:
    """Give, for each backward node, its local gradient and its derived statements, as text."""
    backward_nodes = [n for n in graph.nodes if n.partner is not None and n.wrt is not None]
    partners = [p for n in backward_nodes for p in (n.partner, n.wrt) if p is not None]
    names = Graph((*graph.outputs, *partners)).names
    lines = []
    for node in backward_nodes:
        assert node.fragment is not None and node.partner is not None and node.wrt is not None
        rules: dict[Any, Any] = {
            t: t.renamed(names[n]) for t, n in zip(node.fragment.inputs, node.inputs, strict=True)
        }
        rules[node.fragment.output] = node.fragment.output.renamed(names[node])
        if node.partner is node.wrt:
            head = f"d{names[node.wrt]}, {node.formula}"
        else:
            head = f"∂{names[node.partner]}/∂{names[node.wrt]} = {_local(node.fragment, rules)}"
        statements = [f"    {s.substitute(rules)}" for s in node.fragment.statements]
        lines += [head, *statements]
    return "\n".join(lines)


def _local(fragment: Fragment, rules: dict[Any, Any]) -> str:
    upstream = fragment.inputs[-1]
    parts = []
    for s in fragment.statements:
        if s.target == fragment.output:
            hit = [a for a in accesses(s.body) if a.tensor == upstream]
            local = local_gradient(s.body, hit[0]) if hit else s.body
            parts.append(render(local.xreplace(rules)))
    return " + ".join(parts)


def _on_path(graph: Graph, wrt: Sequence[Node]) -> set[Node]:
    needed = {n for n in graph.nodes if n in set(wrt)}
    for node in graph.nodes:
        if any(i in needed for i in node.inputs):
            needed.add(node)
    return needed


def _accumulate(parts: list[Node], node: Node, name: str) -> Node:
    """Sum the gradients that arrive from several consumers."""
    if len(parts) == 1:
        return parts[0]
    tensors = tuple(Tensor(f"part{k}", p.shape, p.dtype) for k, p in enumerate(parts))
    y = Tensor("y", node.shape, node.dtype)
    at = tuple(_axes(node.shape))
    body: Any = sympy.Add(*(t[at] for t in tensors))
    fragment = Fragment(tensors, (state(y[at], Reduce.SET, body),), y)
    return Node(
        "sum_of_gradients",
        node.shape,
        node.dtype,
        inputs=tuple(parts),
        fragment=fragment,
        name=name,
        origin=node.origin,
        formula="sum over all consumers",
        partner=node,
        wrt=node,
    )


def _axes(shape: Sequence[Size]) -> tuple[Any, ...]:
    return indices(" ".join("ijklmnopqrst"[: len(shape)]))
