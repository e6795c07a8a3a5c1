"""What a peer must be able to do: set up a row, then run it again and again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.architectures import Architecture, Arrays
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
