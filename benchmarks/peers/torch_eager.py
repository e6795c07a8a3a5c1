"""PyTorch as it runs by default, in the contiguous or in the channels-last format."""

# ruff: noqa: D102 (peer.py says what each method is for)
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.architectures import (
    ALPHA,
    EPS,
    L2_FACTOR,
    LEARNING_RATE,
    AnyLayer,
    Architecture,
    Arrays,
    Conv,
    Linear,
    MaxPool,
    Residual,
    Simple,
)
from benchmarks.data import RESULTS
from benchmarks.peers.peer import Case, Results
from benchmarks.rows import Layer

Tensors = Mapping[str, torch.Tensor]


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
        wanted = [given[name[1:]].requires_grad_() for name in names if name != "y"]

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
                return apply_all(architecture.layers, image, given)

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
    found = {"loss": loss, **weights, **{f"{k}.mean_square": t for k, t in squares.items()}}
    return {name: t.detach().clone().numpy() for name, t in found.items()}


def loss_of(
    architecture: Architecture, weights: Tensors, image: torch.Tensor, label: torch.Tensor
) -> torch.Tensor:
    """Give cross-entropy plus L2."""
    scores = apply_all(architecture.layers, image, weights)
    squares = [w.square().sum() for name, w in weights.items() if name.endswith("weight")]
    return functional.cross_entropy(scores, label) + L2_FACTOR * sum(squares)


def apply_all(layers: tuple[AnyLayer, ...], x: torch.Tensor, weights: Tensors) -> torch.Tensor:
    """Give what the layers make of x."""
    for layer in layers:
        x = _apply(layer, x, weights)
    return x


def _apply(layer: AnyLayer, x: torch.Tensor, weights: Tensors) -> torch.Tensor:
    match layer:
        case Conv(name, _, _, stride, padding):
            weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
            return functional.conv2d(x, weight, bias, stride, padding)
        case Linear(name):
            return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
        case MaxPool(kernel, stride, padding):
            return functional.max_pool2d(x, kernel, stride, padding)
        case Residual(body, shortcut):
            return torch.relu(apply_all(body, x, weights) + apply_all(shortcut, x, weights))
        case Simple.RELU:
            return torch.relu(x)
        case Simple.FLATTEN:
            return x.flatten(1)
        case Simple.MEAN:
            return x.mean((2, 3))
    raise TypeError(f"no PyTorch op for {layer}; add it to torch_eager.py")
