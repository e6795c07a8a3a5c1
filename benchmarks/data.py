"""What a layer row computes with: the same numbers for every peer."""

from __future__ import annotations

import numpy as np

from benchmarks.architectures import Arrays
from benchmarks.rows import Layer


def layer_arrays(layer: Layer, batch: int, seed: int = 0) -> Arrays:
    """Give x, weight (O×I×K×K), bias, and dy, the incoming gradient, in N×C×H×W."""
    rng = np.random.default_rng(seed)
    depth = layer.channels // layer.groups
    scale = np.float32((depth * layer.kernel**2) ** -0.5)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    return {
        "x": draw(batch, layer.channels, layer.height, layer.height),
        "weight": draw(layer.filters, depth, layer.kernel, layer.kernel) * scale,
        "bias": draw(layer.filters),
        "dy": draw(batch, layer.filters, layer.outputs, layer.outputs),
    }


# What each direction gives, by name.
RESULTS = {
    "forward": ("y",),
    "forward+backward": ("y", "dx", "dweight", "dbias"),
    "to data": ("dx",),
    "to weights": ("dweight",),
}


def product_arrays() -> tuple[np.ndarray, np.ndarray]:
    """Give two vectors of 4 numbers."""
    return np.arange(4, dtype=np.float32), np.full(4, 2, np.float32)
