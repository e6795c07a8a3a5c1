"""torch.compile: each row is one compiled graph, the whole training step included."""

# ruff: noqa: D102 (peer.py says what each method is for)
from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch._inductor.config

from benchmarks.architectures import ALPHA, EPS, LEARNING_RATE, Architecture, Arrays
from benchmarks.data import RESULTS
from benchmarks.peers import torch_eager
from benchmarks.peers.peer import Case, variables
from benchmarks.peers.torch_eager import OPS, convolve, loss_of, named, training_results
from benchmarks.rows import Layer


class Framework(torch_eager.Framework):
    """PyTorch through Inductor, with static shapes; in inference the weights are frozen."""

    def __init__(self, threads: int, channels_last: bool = False) -> None:
        super().__init__(threads, channels_last)
        torch._inductor.config.compile_threads = 1  # no pool of processes beside the measurement

    def layer(self, layer: Layer, direction: str, arrays: Arrays) -> Case:
        given = {name: self.tensor(array) for name, array in arrays.items()}
        if direction == "forward":
            module = _Frozen(given)
            forward = _compiled(lambda x: convolve(layer, {**module.weights, "x": x}), module)
            return Case(lambda: forward(given["x"]), lambda y: {"y": y.numpy()})
        names, wanted = RESULTS[direction], variables(direction)

        def step(given: dict[str, torch.Tensor]) -> list[torch.Tensor]:
            def function(*values: torch.Tensor) -> torch.Tensor:
                return convolve(layer, {**given, **dict(zip(wanted, values, strict=True))})

            y, backward = torch.func.vjp(function, *(given[name] for name in wanted))
            return [*([y] if "y" in names else []), *backward(given["dy"])]

        compiled = _compiled(step)

        def run() -> list[torch.Tensor]:
            with torch.no_grad():
                return compiled(given)

        return Case(run, lambda found: named(names, found))

    def training(
        self, architecture: Architecture, weights: Arrays, images: np.ndarray, labels: np.ndarray
    ) -> Case:
        given = {name: self.tensor(array) for name, array in weights.items()}
        squares = {name: torch.zeros_like(w) for name, w in given.items()}
        image, label = self.tensor(images), torch.tensor(labels).long()

        def step(
            weights: dict[str, torch.Tensor], squares: dict[str, torch.Tensor]
        ) -> torch.Tensor:
            def loss_by(weights: dict[str, torch.Tensor]) -> torch.Tensor:
                return loss_of(architecture, weights, image, label)

            gradients, loss = torch.func.grad_and_value(loss_by)(weights)
            for name, w in weights.items():
                g, square = gradients[name], squares[name]
                square.mul_(ALPHA).addcmul_(g, g, value=1 - ALPHA)
                w.addcdiv_(g, square.sqrt() + EPS, value=-LEARNING_RATE)
            return loss

        compiled = _compiled(step)

        def run() -> torch.Tensor:
            with torch.no_grad():
                return compiled(given, squares)

        return Case(run, lambda loss: training_results(loss, given, squares))

    def inference(self, architecture: Architecture, weights: Arrays, images: np.ndarray) -> Case:
        module = _Frozen({name: self.tensor(array) for name, array in weights.items()})
        image = self.tensor(images)
        forward = _compiled(lambda x: OPS.apply(architecture.layers, x, module.weights), module)
        return Case(lambda: forward(image), lambda scores: {"scores": scores.numpy()})

    def product(self, x: np.ndarray, y: np.ndarray) -> Case:
        a, b = torch.tensor(x), torch.tensor(y)
        compiled = _compiled(lambda a, b: a * b)
        return Case(lambda: compiled(a, b), lambda z: {"z": z.numpy()})

    def release(self) -> None:
        torch.compiler.reset()


class _Frozen(torch.nn.Module):
    """Weights as a module, whose parameters Inductor may turn into constants."""

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.function: Any = None
        self._names = {name: name.replace(".", "_") for name in weights}
        for name, w in weights.items():
            self.register_parameter(self._names[name], torch.nn.Parameter(w, requires_grad=False))
        self.eval()

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return {name: getattr(self, plain) for name, plain in self._names.items()}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def _compiled(function: Any, module: _Frozen | None = None) -> Any:
    if module is None:
        return torch.compile(function, dynamic=False, fullgraph=True)
    module.function = function
    compiled = torch.compile(module, dynamic=False, fullgraph=True, options={"freezing": True})

    def run(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return compiled(x)

    return run
