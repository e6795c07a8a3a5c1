"""What the two readers of ONNX models have in common: they only go forward."""

# ruff: noqa: D102 (peer.py says what each method is for)
from __future__ import annotations

from typing import NoReturn

import numpy as np

from benchmarks.architectures import Architecture, Arrays
from benchmarks.peers.onnx_model import layer_model, network_model, product_model
from benchmarks.peers.peer import Case, UnsupportedError
from benchmarks.rows import Layer


class InferenceOnly:
    """Rows as ONNX models, which a framework loads with `load(model, inputs, output)`."""

    def load(self, model: bytes, inputs: Arrays, output: str) -> Case:
        """Give the model set up to run on these inputs."""
        raise NotImplementedError

    def layer(self, layer: Layer, direction: str, arrays: Arrays) -> Case:
        if direction != "forward":
            raise UnsupportedError("it computes no gradients")
        return self.load(layer_model(layer, arrays), {"x": arrays["x"]}, "y")

    def training(
        self, architecture: Architecture, weights: Arrays, images: np.ndarray, labels: np.ndarray
    ) -> NoReturn:
        raise UnsupportedError("it computes no gradients")

    def inference(self, architecture: Architecture, weights: Arrays, images: np.ndarray) -> Case:
        model = network_model(architecture, weights, images)
        return self.load(model, {"image": images}, "scores")

    def product(self, x: np.ndarray, y: np.ndarray) -> Case:
        return self.load(product_model(x, y), {"x": x, "y": y}, "z")

    def release(self) -> None:
        pass
