"""PyTorch as it runs by default, in the contiguous or in the channels-last format."""

# ruff: noqa: D102 (peer.py says what each method is for)
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.architectures import ALPHA, EPS, L2_FACTOR, LEARNING_RATE, Architecture, Arrays
from benchmarks.data import RESULTS
from benchmarks.ops import Ops
from benchmarks.peers.peer import Case, Results, punished, step_results, variables
from benchmarks.rows import Layer

Tensors = Mapping[str, torch.Tensor]
OPS = Ops(
    convolution=functional.conv2d,
    linear=functional.linear,
    max_pool=functional.max_pool2d,
    relu=torch.relu,
    flatten=lambda x: x.flatten(1),
    mean=lambda x: x.mean((2, 3)),
)


class Framework:
    """PyTorch eager; oneDNN computes the convolutions."""

    def __init__(self, threads: int, channels_last: bool = False) -> None:
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(threads)
        self.format = torch.channels_last if channels_last else torch.contiguous_format

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """Give a tensor of its own memory, images in the format."""
        copied = torch.tensor(array)
        return copied.contiguous(memory_format=self.format) if copied.dim() == 4 else copied

    def layer(self, layer: Layer, direction: str, arrays: Arrays) -> Case:
        given = {name: self.tensor(array) for name, array in arrays.items()}
        if direction == "forward":
            return Case(lambda: _forward(layer, given), lambda y: {"y": y.numpy()})
        names = RESULTS[direction]
        wanted = [given[name].requires_grad_() for name in variables(direction)]

        def run() -> list[torch.Tensor]:
            y = convolve(layer, given)
            gradients = torch.autograd.grad(y, wanted, given["dy"])
            return [y, *gradients] if "y" in names else [*gradients]

        if direction != "forward+backward":  # the contraction alone, without the forward pass
            run = _backward_alone(layer, given, direction)
        return Case(run, lambda found: named(names, found))

    def training(
        self, architecture: Architecture, weights: Arrays, images: np.ndarray, labels: np.ndarray
    ) -> Case:
        given = {name: self.tensor(array).requires_grad_() for name, array in weights.items()}
        image, label = self.tensor(images), torch.tensor(labels).long()
        optimiser = torch.optim.RMSprop(
            given.values(), lr=LEARNING_RATE, alpha=ALPHA, eps=EPS, foreach=True
        )

        def run() -> torch.Tensor:
            optimiser.zero_grad()
            loss = loss_of(architecture, given, image, label)
            loss.backward()
            optimiser.step()
            return loss

        def results(loss: torch.Tensor) -> Results:
            squares = {k: optimiser.state[w]["square_avg"] for k, w in given.items()}
            return training_results(loss, given, squares)

        return Case(run, results)

    def inference(self, architecture: Architecture, weights: Arrays, images: np.ndarray) -> Case:
        given = {name: self.tensor(array) for name, array in weights.items()}
        image = self.tensor(images)

        def run() -> torch.Tensor:
            with torch.inference_mode():
                return OPS.apply(architecture.layers, image, given)

        return Case(run, lambda scores: {"scores": scores.numpy()})

    def product(self, x: np.ndarray, y: np.ndarray) -> Case:
        a, b = torch.tensor(x), torch.tensor(y)

        def run() -> torch.Tensor:
            with torch.inference_mode():
                return a * b

        return Case(run, lambda z: {"z": z.numpy()})

    def release(self) -> None:
        pass


def _forward(layer: Layer, given: Tensors) -> torch.Tensor:
    with torch.inference_mode():
        return convolve(layer, given)


def _backward_alone(layer: Layer, given: Tensors, direction: str) -> Any:
    mask = [direction == "to data", direction == "to weights", False]
    window = [[n, n] for n in (layer.stride, layer.padding, layer.dilation)]

    def run() -> list[torch.Tensor]:
        with torch.inference_mode():
            found = torch.ops.aten.convolution_backward(
                *(given[name] for name in ("dy", "x", "weight")),
                None,
                *window,
                False,
                [0, 0],
                layer.groups,
                mask,
            )
        return [found[mask.index(True)]]

    return run


def convolve(layer: Layer, given: Tensors) -> torch.Tensor:
    """Give y of a layer row."""
    x, weight, bias = (given[name] for name in ("x", "weight", "bias"))
    window = (layer.stride, layer.padding, layer.dilation)
    return functional.conv2d(x, weight, bias, *window, layer.groups)


def named(names: tuple[str, ...], found: list[torch.Tensor]) -> Results:
    """Give NumPy arrays by name."""
    return {name: t.detach().numpy() for name, t in zip(names, found, strict=True)}


def training_results(loss: torch.Tensor, weights: Tensors, squares: Tensors) -> Results:
    """Give the results that are verified after the first step."""
    found = step_results(loss, weights, squares)
    return {name: t.detach().clone().numpy() for name, t in found.items()}


def loss_of(
    architecture: Architecture, weights: Tensors, image: torch.Tensor, label: torch.Tensor
) -> torch.Tensor:
    """Give cross-entropy plus L2."""
    scores = OPS.apply(architecture.layers, image, weights)
    penalty = sum(w.square().sum() for w in punished(weights))
    return functional.cross_entropy(scores, label) + L2_FACTOR * penalty
