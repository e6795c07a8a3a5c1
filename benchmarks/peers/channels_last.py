"""Weights for peers whose images are N×H×W×C: convolutions K×K×I×O, matrices I×O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.architectures import Architecture, Arrays, Shape, Simple, steps


def images_last(x: np.ndarray) -> np.ndarray:
    """N×C×H×W → N×H×W×C."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if x.ndim == 4 else x


def images_first(x: np.ndarray) -> np.ndarray:
    """N×H×W×C → N×C×H×W."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x


def filters_last(w: np.ndarray) -> np.ndarray:
    """O×I×K×K → K×K×I×O."""
    return np.ascontiguousarray(w.transpose(2, 3, 1, 0))


def filters_first(w: np.ndarray) -> np.ndarray:
    """K×K×I×O → O×I×K×K."""
    return np.ascontiguousarray(w.transpose(3, 2, 0, 1))


def layer_first(
    found: Mapping[str, Any], filters: Callable[[np.ndarray], np.ndarray] = filters_first
) -> Arrays:
    """Give a layer's results with channels first."""
    arrays = {name: np.asarray(array) for name, array in found.items()}
    return {
        name: array if array.ndim != 4 else (filters if name == "dweight" else images_first)(array)
        for name, array in arrays.items()
    }


def weights_last(architecture: Architecture, weights: Arrays) -> Arrays:
    """Give a network's weights in these layouts; what follows Flatten reads H, W, C."""
    flattened = _flattened(architecture)

    def turn(name: str, w: np.ndarray) -> np.ndarray:
        if w.ndim == 4:
            return filters_last(w)
        if w.ndim == 1:
            return w
        if name in flattened:
            w = w.reshape(-1, *flattened[name]).transpose(0, 2, 3, 1).reshape(len(w), -1)
        return np.ascontiguousarray(w.T)

    return {name: turn(name, w) for name, w in weights.items()}


def weights_first(architecture: Architecture, weights: Arrays) -> Arrays:
    """Undo `weights_last`; a name may end in something after the weight's.

    What is no matrix and no filter stays, like biases and the loss.
    """
    flattened = _flattened(architecture)

    def turn(name: str, w: np.ndarray) -> np.ndarray:
        if w.ndim == 4:
            return filters_first(w)
        if w.ndim < 2:
            return w
        w = w.T
        for known, (channels, height, width) in flattened.items():
            if name.startswith(known):
                cells = w.reshape(len(w), height, width, channels)
                w = cells.transpose(0, 3, 1, 2).reshape(len(w), -1)
        return np.ascontiguousarray(w)

    return {name: turn(name, w) for name, w in weights.items()}


def _flattened(architecture: Architecture) -> dict[str, Shape]:
    """Give the image shape in front of each linear layer that follows Flatten, by its weight."""
    found, image = {}, None
    for layer, before, _ in steps(architecture):
        if layer is Simple.FLATTEN:
            image = before
        elif image is not None:
            found[f"{layer.name}.weight"] = image  # type: ignore[union-attr]
            image = None
    return found
