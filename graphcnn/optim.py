"""Optimisers as graph nodes: each gives, for every parameter, the node of its next value.

Because the updates are nodes, they are drawn, fused, planned and compiled like everything else.
The state (momenta, running squares, the step count) is held by parameters of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from codegen.sizes import evaluate
from graphcnn.backward import grad
from graphcnn.errors import DTypeError, GradientError, user_origin
from graphcnn.graph import OPERATORS, Graph, Node, Parameter, listed, parameter

Updates = tuple[tuple[Parameter, Node], ...]
Number = float | Node


def trainable(loss: Node) -> tuple[Parameter, ...]:
    """Give the trainable parameters that a loss depends on, in order of use.

    >>> import graphcnn as g
    >>> w = g.parameter("w", [1.0, 2.0])
    >>> [p.name for p in trainable(g.sum(w * w))]
    ['w']
    """
    return tuple(n for n in Graph((loss,)).nodes if isinstance(n, Parameter) and n.trainable)


def sgd(
    loss: Node,
    lr: Number,
    *,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    parameters: Iterable[Parameter] | None = None,
) -> Updates:
    """Give the updates of stochastic gradient descent.

    `v ← momentum·v + (1 − dampening)·g;  w ← w − lr·v`, or with `nesterov` the step
    `g + momentum·v`. `weight_decay` adds `weight_decay·w` to the gradient, as PyTorch does (an L2
    loss `λ‖w‖²` is `weight_decay = 2λ`).
    """

    def rule(w: Parameter, g: Node) -> Updates:
        if not momentum:
            return ((w, _next(w, w - lr * g)),)
        v = _state(w, "velocity")
        v_next = _next(v, momentum * v + (1 - dampening) * g)
        step = g + momentum * v_next if nesterov else v_next
        return (v, v_next), (w, _next(w, w - lr * step))

    return _each(loss, parameters, weight_decay, rule)


def rmsprop(
    loss: Node,
    lr: Number = 0.01,
    *,
    alpha: float = 0.99,
    eps: float = 1e-8,
    eps_mode: Literal["outside", "inside"] = "outside",
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    parameters: Iterable[Parameter] | None = None,
) -> Updates:
    """Give the updates of RMSProp, which scales each element's step by its gradient's size.

    `E ← alpha·E + (1 − alpha)·g²;  w ← w − lr·g / (√E + eps)`. With `eps_mode="inside"` the
    divisor is `√(E + eps)`, as in Keras. E starts at zero and is not corrected for it, so the
    first step is `lr/√(1 − alpha)·sign(g)`.

    Source: Tieleman and Hinton, lecture 6.5 of Neural Networks for Machine Learning, 2012.
    """
    sqrt = OPERATORS["sqrt"]
    if eps_mode not in ("outside", "inside"):
        raise DTypeError(
            f"eps_mode={eps_mode!r}",
            rule='eps_mode is "outside" (√E + eps, as in PyTorch) or "inside" (√(E + eps), Keras)',
            fix='eps_mode="outside"',
        ).at("rmsprop", user_origin())

    def rule(w: Parameter, g: Node) -> Updates:
        e = _state(w, "mean_square")
        e_next = _next(e, alpha * e + (1 - alpha) * g * g)
        step = g / (sqrt(e_next) + eps if eps_mode == "outside" else sqrt(e_next + eps))
        if not momentum:
            return (e, e_next), (w, _next(w, w - lr * step))
        v = _state(w, "velocity")
        v_next = _next(v, momentum * v + step)
        return (e, e_next), (v, v_next), (w, _next(w, w - lr * v_next))

    return _each(loss, parameters, weight_decay, rule)


def adam(
    loss: Node,
    lr: Number = 0.001,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    parameters: Iterable[Parameter] | None = None,
) -> Updates:
    """Give the updates of Adam.

    `m ← β₁·m + (1 − β₁)·g;  v ← β₂·v + (1 − β₂)·g²;  w ← w − lr·m̂ / (√v̂ + eps)` with
    `m̂ = m/(1 − β₁ᵗ)` and `v̂ = v/(1 − β₂ᵗ)` at step t.

    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015.
    """
    if not (isinstance(betas, tuple) and len(betas) == 2 and all(0 <= b < 1 for b in betas)):
        raise DTypeError(
            f"betas={betas!r}",
            rule="betas are two numbers from 0 to less than 1, how much of the means is kept",
            fix="betas=(0.9, 0.999)",
        ).at("adam", user_origin())
    sqrt, (first, second) = OPERATORS["sqrt"], betas
    counters: dict[str, tuple[Parameter, Node]] = {}

    def rule(w: Parameter, g: Node) -> Updates:
        if w.dtype not in counters:
            t = parameter(f"adam.step.{w.dtype}", 0.0, dtype=w.dtype, trainable=False)
            counters[w.dtype] = (t, _next(t, t + 1.0))
        t_next = counters[w.dtype][1]
        m, v = _state(w, "mean"), _state(w, "mean_square")
        m_next = _next(m, first * m + (1 - first) * g)
        v_next = _next(v, second * v + (1 - second) * g * g)
        unbiased = m_next / _reached(first, t_next)
        scale = sqrt(v_next / _reached(second, t_next)) + eps
        return (m, m_next), (v, v_next), (w, _next(w, w - lr * unbiased / scale))

    made = _each(loss, parameters, weight_decay, rule)
    return (*made, *counters.values())


def _reached(beta: float, t: Node) -> Number:
    """Give 1 − βᵗ, how much of a mean is there at step t, without the cancellation in float32."""
    return -OPERATORS["expm1"](math.log(beta) * t) if beta else 1.0


def _each(
    loss: Node,
    parameters: Iterable[Parameter] | None,
    weight_decay: float,
    rule: Callable[[Parameter, Node], Updates],
) -> Updates:
    """Apply a rule to every parameter and its gradient."""
    origin = user_origin()
    if not isinstance(loss, Node):
        raise DTypeError(
            f"the loss is {loss!r}, not a node",
            rule="gradients are derived from the graph, not from numbers",
            fix="give the node of the loss",
        ).at("optimiser", origin)
    who = f"optimiser of {loss.name or loss.op!r}"
    chosen: list[Parameter] = []
    for w in trainable(loss) if parameters is None else listed(parameters):
        if not isinstance(w, Parameter):
            raise DTypeError(
                f"{w!r} is not a parameter",
                rule="an optimiser changes parameters; inputs are given anew in each call",
                fix=f"make it a parameter: parameter({getattr(w, 'name', '') or 'w'!r}, ...)",
            ).at(who, origin)
        chosen.append(w)
    if not chosen:
        raise GradientError(
            f"{loss!r} ({loss.origin}) depends on no trainable parameter",
            rule="an optimiser changes the parameters that the loss depends on",
            fix='make the weights with parameter("weight", ...)',
        ).at(who, origin)
    gradients = grad(loss, chosen)
    updates: list[Any] = []
    for w, g in zip(chosen, gradients, strict=True):
        updates += rule(w, g + weight_decay * w if weight_decay else g)
    return tuple(updates)


def _state(w: Parameter, what: str) -> Parameter:
    """Give a zero-initialised companion of a parameter."""
    shape = [evaluate(n, {}) for n in w.shape]
    zeros = np.zeros(shape, w.dtype)
    return parameter(f"{w.name}.{what}", zeros, dtype=w.dtype, trainable=False)


def _next(old: Parameter, new: Node) -> Node:
    """Give the node under the name of the value that it will be."""
    return replace(new, name=f"next {old.name}")
