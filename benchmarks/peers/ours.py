"""Ours: NumPy arrays in, NumPy arrays out, as a user calls it."""

# ruff: noqa: D102 (peer.py says what each method is for)
from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import graphcnn as g
from benchmarks import networks
from benchmarks.architectures import Architecture, Arrays
from benchmarks.data import RESULTS
from benchmarks.peers.peer import Case, Results, variables
from benchmarks.rows import Layer


class Framework:
    """graphcnn. Its threads are set by GRAPHCNN_NUM_THREADS."""

    def __init__(self, threads: int, exact: bool = False) -> None:
        self._exact = exact

    def layer(self, layer: Layer, direction: str, arrays: Arrays) -> Case:
        x = g.input("x", arrays["x"].shape)
        dy = g.input("dy", arrays["dy"].shape)
        weight, bias = (g.parameter(name, arrays[name]) for name in ("weight", "bias"))
        y = g.conv2d(
            x,
            weight,
            bias,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
            name="y",
        )
        found, nodes = {"y": y}, {"x": x, "weight": weight, "bias": bias}
        wanted = variables(direction)
        if wanted:
            gradients = g.grad(y, [nodes[name] for name in wanted], seed=dy)
            found |= {f"d{name}": d for name, d in zip(wanted, gradients, strict=True)}
        outputs = {name: found[name] for name in RESULTS[direction]}
        # As the inference engines do: the weights of a forward pass alone are constants.
        step = self._compile(outputs, name="layer", freeze=not wanted)
        return Case(_call(step, arrays), dict)

    def training(
        self, architecture: Architecture, weights: Arrays, images: np.ndarray, labels: np.ndarray
    ) -> Case:
        loss, _ = networks.network(architecture, len(images))
        updates = networks.updates(loss)
        step = self._compile(loss, updates=updates, name=f"{architecture.name}_step")

        def results(value: Any) -> Results:
            return {"loss": value} | {p.name: p.value.copy() for p, _ in updates}

        return Case(partial(step, image=images, label=labels), results)

    def inference(self, architecture: Architecture, weights: Arrays, images: np.ndarray) -> Case:
        _, scores = networks.network(architecture, len(images))
        step = self._compile(scores, name=f"{architecture.name}_scores", freeze=True)
        return Case(_call(step, {"image": images}), lambda value: {"scores": value})

    def product(self, x: np.ndarray, y: np.ndarray) -> Case:
        step = self._compile(g.input("x", x.shape) * g.input("y", y.shape), name="product")
        return Case(partial(step, x=x, y=y), lambda value: {"z": value})

    def release(self) -> None:
        pass

    def _compile(self, outputs: Any, **settings: Any) -> g.Step:
        return g.compile(outputs, exact=self._exact, **settings)


def _call(step: g.Step, arrays: Arrays) -> partial[Any]:
    """Give the call with those arrays that the step takes: not all of a layer's are needed."""
    taken = {node.name for node in step.graph.nodes if node.op == "input"}
    return partial(step, **{name: array for name, array in arrays.items() if name in taken})
