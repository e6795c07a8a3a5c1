"""The networks that are measured, as data, from which every peer builds the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]
Arrays = dict[str, npt.NDArray[np.float32]]

L2_FACTOR = 1e-4
LEARNING_RATE, ALPHA, EPS = 1e-3, 0.99, 1e-8  # of RMSProp


@dataclass(frozen=True)
class Conv:
    """A convolution with a square window, and bias."""

    name: str
    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True)
class Linear:
    """A fully connected layer with bias."""

    name: str
    features: int


@dataclass(frozen=True)
class MaxPool:
    """The largest value of each window."""

    kernel: int
    stride: int
    padding: int = 0


class Simple(Enum):
    """Layers without settings."""

    RELU = "relu"
    FLATTEN = "flatten"  # in the order channels, height, width
    MEAN = "mean"  # of each whole map


@dataclass(frozen=True)
class Residual:
    """relu(body(x) + shortcut(x)); the shortcut is x itself where it has no layers."""

    body: tuple[AnyLayer, ...]
    shortcut: tuple[AnyLayer, ...] = ()


AnyLayer = Conv | Linear | MaxPool | Simple | Residual


@dataclass(frozen=True)
class Architecture:
    """A network by name: the shape of one image, then layers that end in ten scores."""

    name: str
    image: Shape
    layers: tuple[AnyLayer, ...]

    @property
    def weights(self) -> dict[str, Shape]:
        """The shapes of all weights (O×I×K×K or O×I) and biases, by name, in order of use."""
        shapes: dict[str, Shape] = {}
        for layer, before, after in steps(self):
            if isinstance(layer, Conv):
                shape = (layer.filters, before[0], layer.kernel, layer.kernel)
            elif isinstance(layer, Linear):
                shape = (layer.features, before[0])
            else:
                continue
            shapes |= {f"{layer.name}.weight": shape, f"{layer.name}.bias": (after[0],)}
        return shapes


def steps(architecture: Architecture) -> Iterator[tuple[AnyLayer, Shape, Shape]]:
    """Give each layer with the shapes of one image before and after it, the innermost first.

    >>> for layer, before, after in steps(ARCHITECTURES["linear"]):
    ...     print(before, after)
    (3072,) (10,)
    """
    yield from _steps(architecture.layers, architecture.image)


def _steps(layers: tuple[AnyLayer, ...], shape: Shape) -> Iterator[tuple[AnyLayer, Shape, Shape]]:
    for layer in layers:
        if isinstance(layer, Residual):
            yield from _steps(layer.shortcut, shape)
            yield from _steps(layer.body, shape)
            after = _after_all(layer.body, shape)
        else:
            after = _after(layer, shape)
            yield layer, shape, after
        shape = after


def _after_all(layers: tuple[AnyLayer, ...], shape: Shape) -> Shape:
    for layer in layers:
        shape = _after(layer, shape)
    return shape


def _after(layer: AnyLayer, shape: Shape) -> Shape:
    match layer:
        case Conv(_, filters, kernel, stride, padding):
            return (filters, *(window_count(n, kernel, stride, padding) for n in shape[1:]))
        case MaxPool(kernel, stride, padding):
            return (shape[0], *(window_count(n, kernel, stride, padding) for n in shape[1:]))
        case Linear(_, features):
            return (features,)
        case Simple.FLATTEN:
            return (int(np.prod(shape)),)
        case Simple.MEAN:
            return shape[:1]
    return shape


def window_count(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Give how many windows fit along an axis.

    >>> window_count(224, 7, 2, 3)
    112
    """
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def initial_weights(architecture: Architecture, seed: int = 1) -> Arrays:
    """Give weights of variance 2/fan-in, and biases of zero."""
    rng = np.random.default_rng(seed)
    values: Arrays = {}
    for name, shape in architecture.weights.items():
        if len(shape) == 1:
            values[name] = np.zeros(shape, np.float32)
        else:
            scale = np.sqrt(2 / np.prod(shape[1:]))
            values[name] = (rng.standard_normal(shape) * scale).astype(np.float32)
    return values


def batch_of(
    architecture: Architecture, size: int, seed: int = 0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Give random images and labels."""
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((size, *architecture.image), dtype=np.float32)
    return images, rng.integers(0, 10, size).astype(np.int32)


RELU, FLATTEN, MEAN = Simple.RELU, Simple.FLATTEN, Simple.MEAN
HALVE = MaxPool(2, 2)


def _vgg() -> tuple[AnyLayer, ...]:
    layers: list[AnyLayer] = []
    for block, filters in enumerate((64, 128, 256), 1):
        for part in "ab":
            layers += [Conv(f"conv{block}{part}", filters, 3, padding=1), RELU]
        layers.append(HALVE)
    return (*layers, FLATTEN, Linear("full", 10))


def _resnet18() -> tuple[AnyLayer, ...]:
    layers: list[AnyLayer] = [Conv("stem", 64, 7, 2, 3), RELU, MaxPool(3, 2, 1)]
    for stage, filters in enumerate((64, 128, 256, 512), 1):
        for block in (1, 2):
            name, stride = f"stage{stage}.block{block}", 2 if stage > 1 and block == 1 else 1
            first = Conv(f"{name}.conv1", filters, 3, stride, 1)
            body = (first, RELU, Conv(f"{name}.conv2", filters, 3, 1, 1))
            projection = (Conv(f"{name}.shortcut", filters, 1, stride),) if stride > 1 else ()
            layers.append(Residual(body, projection))
    return (*layers, MEAN, Linear("full", 10))


_ALL = (
    Architecture("linear", (3072,), (Linear("full", 10),)),
    Architecture(
        "mlp",
        (3072,),
        (Linear("full1", 512), RELU, Linear("full2", 256), RELU, Linear("full3", 10)),
    ),
    Architecture(
        "lenet",
        (1, 28, 28),
        (
            *(Conv("conv1", 6, 5, padding=2), RELU, HALVE),
            *(Conv("conv2", 16, 5), RELU, HALVE, FLATTEN),
            *(Linear("full1", 120), RELU, Linear("full2", 84), RELU, Linear("full3", 10)),
        ),
    ),
    Architecture(
        "notes",
        (3, 32, 32),
        (
            *(Conv("conv1", 6, 5), RELU, Conv("conv2", 10, 5), RELU, HALVE),
            *(FLATTEN, Linear("full", 10)),
        ),
    ),
    Architecture("vgg", (3, 32, 32), _vgg()),
    Architecture("resnet18", (3, 224, 224), _resnet18()),
)

ARCHITECTURES: Mapping[str, Architecture] = {a.name: a for a in _ALL}
