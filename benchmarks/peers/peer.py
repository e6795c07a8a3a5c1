"""What a peer must be able to do: set up a row, then run it again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.architectures import Architecture, Arrays
from benchmarks.data import RESULTS
from benchmarks.rows import Layer

Results = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Case:
    """A row, set up: `run()` does it once and returns when it is done.

    `results` turns what `run` returned into NumPy arrays by the reference's names and layouts;
    it is asked after the first run only.
    """

    run: Callable[[], Any]
    results: Callable[[Any], Results]


def variables(direction: str) -> tuple[str, ...]:
    """Give what a layer row asks gradients of.

    >>> variables("forward+backward")
    ('x', 'weight', 'bias')
    """
    return tuple(name[1:] for name in RESULTS[direction] if name != "y")


def punished(weights: Mapping[str, Any]) -> list[Any]:
    """Give what L2 adds up: the weights, and no biases."""
    return [w for name, w in weights.items() if name.endswith("weight")]


def step_results(
    loss: Any, weights: Mapping[str, Any], squares: Mapping[str, Any]
) -> dict[str, Any]:
    """Give by name what is verified after the first step; squares are RMSProp's means of them."""
    return {"loss": loss, **weights, **{f"{name}.mean_square": e for name, e in squares.items()}}


class UnsupportedError(Exception):
    """This peer cannot do this row, by its nature."""


class Peer(Protocol):
    """A framework that was told how many threads to use."""

    def layer(self, layer: Layer, direction: str, arrays: Arrays) -> Case:
        """Set up one layer."""

    def training(
        self, architecture: Architecture, weights: Arrays, images: np.ndarray, labels: np.ndarray
    ) -> Case:
        """Set up training steps."""

    def inference(self, architecture: Architecture, weights: Arrays, images: np.ndarray) -> Case:
        """Set up forward passes."""

    def product(self, x: np.ndarray, y: np.ndarray) -> Case:
        """Set up z = x·y, which takes no time but that of the call."""

    def release(self) -> None:
        """Forget what the last row left behind."""
