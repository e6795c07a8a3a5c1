"""What every peer must compute, worked out in NumPy and float64: plain sums over the window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.architectures import (
    ALPHA,
    ARCHITECTURES,
    EPS,
    L2_FACTOR,
    LEARNING_RATE,
    AnyLayer,
    Conv,
    Linear,
    MaxPool,
    Residual,
    Simple,
    batch_of,
    initial_weights,
    window_count,
)
from benchmarks.data import RESULTS, layer_arrays, product_arrays
from benchmarks.rows import Layer, Row

Array = npt.NDArray[Any]
Backward = Callable[[Array], Array]  # the gradient of a result → the gradient of what came in


def reference(row: Row) -> dict[str, Array]:
    """Give the expected results of the first run, by name."""
    if isinstance(row.subject, Layer):
        return _layer(row.subject, row.batch, row.direction)
    if row.direction == "product":
        x, y = product_arrays()
        return {"z": x * y}
    return _network(row)


# ── One layer ─────────────────────────────────────────────────────────────────────────────────────


def _layer(layer: Layer, batch: int, direction: str) -> dict[str, Array]:
    given = {k: v.astype(np.float64) for k, v in layer_arrays(layer, batch).items()}
    settings = (layer.stride, layer.padding, layer.dilation, layer.groups)
    found = {}
    if "forward" in direction:
        found["y"] = convolve(given["x"], given["weight"], given["bias"], *settings)
    if direction != "forward":
        gradients = convolve_backward(given["x"], given["weight"], given["dy"], *settings)
        found |= dict(zip(("dx", "dweight", "dbias"), gradients, strict=True))
    return {name: found[name] for name in RESULTS[direction]}


def convolve(
    x: Array, weight: Array, bias: Array, stride: int, padding: int, dilation: int, groups: int
) -> Array:
    """Give the cross-correlation: for each place of the window one product of matrices."""
    padded = _pad(x, padding)
    side = window_count(x.shape[2], weight.shape[2], stride, padding, dilation)
    y = np.zeros((groups, len(weight) // groups, len(x), side, side))
    for u, v, rows, columns in _window(weight.shape[2], side, stride, dilation):
        cells = _split(padded[:, :, rows, columns], groups)
        y += np.einsum(
            "gkc,ngcij->gknij", _grouped(weight, groups)[..., u, v], cells, optimize=True
        )
    return y.reshape(len(weight), len(x), side, side).swapaxes(0, 1) + bias[:, None, None]


def convolve_backward(
    x: Array, weight: Array, dy: Array, stride: int, padding: int, dilation: int, groups: int
) -> tuple[Array, Array, Array]:
    """Give the gradients to data, weights and bias."""
    padded, upstream = _pad(x, padding), _split(dy, groups)
    dpadded, dweight = np.zeros(padded.shape), np.zeros(weight.shape)
    dgrouped = _grouped(dweight, groups)  # a view
    for u, v, rows, columns in _window(weight.shape[2], dy.shape[2], stride, dilation):
        cells = _split(padded[:, :, rows, columns], groups)
        dgrouped[..., u, v] = np.einsum("ngkij,ngcij->gkc", upstream, cells, optimize=True)
        part = np.einsum(
            "gkc,ngkij->ngcij", _grouped(weight, groups)[..., u, v], upstream, optimize=True
        )
        dpadded[:, :, rows, columns] += part.reshape(len(x), -1, *dy.shape[2:])
    inner = slice(padding, padding + x.shape[2])
    return dpadded[:, :, inner, inner], dweight, dy.sum((0, 2, 3))


def _pad(x: Array, padding: int, value: float = 0) -> Array:
    edge = (padding, padding)
    return np.pad(x, ((0, 0), (0, 0), edge, edge), constant_values=value)


def _split(x: Array, groups: int) -> Array:
    return x.reshape(len(x), groups, -1, *x.shape[2:])


def _grouped(weight: Array, groups: int) -> Array:
    return weight.reshape(groups, -1, *weight.shape[1:])


def _window(kernel: int, side: int, stride: int, dilation: int = 1) -> Any:
    """Give each place (u, v) of the window with the rows and columns that it reads."""

    def reads(place: int) -> slice:
        start = dilation * place
        return slice(start, start + stride * (side - 1) + 1, stride)

    return [(u, v, reads(u), reads(v)) for u in range(kernel) for v in range(kernel)]


# ── A network ─────────────────────────────────────────────────────────────────────────────────────


def _network(row: Row) -> dict[str, Array]:
    architecture = ARCHITECTURES[str(row.subject)]
    images, labels = batch_of(architecture, row.batch)
    weights = {k: v.astype(np.float64) for k, v in initial_weights(architecture).items()}
    gradients: dict[str, Array] = {}
    scores, backward = _forward_all(
        architecture.layers, images.astype(np.float64), weights, gradients
    )
    if row.direction == "inference":
        return {"scores": scores}
    loss, dscores = _cross_entropy(scores, labels)
    backward(dscores)
    return {"loss": np.asarray(loss + _l2(weights)), **_rmsprop(weights, gradients)}


def _cross_entropy(scores: Array, labels: Array) -> tuple[float, Array]:
    shifted = scores - scores.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    truth = np.eye(scores.shape[1])[labels]
    return float(-(logs * truth).sum() / len(labels)), (np.exp(logs) - truth) / len(labels)


def _l2(weights: dict[str, Array]) -> float:
    return L2_FACTOR * sum(
        float((w**2).sum()) for name, w in weights.items() if name.endswith("weight")
    )


def _rmsprop(weights: dict[str, Array], gradients: dict[str, Array]) -> dict[str, Array]:
    """Give the weights after the first step, and the mean squares of the gradients."""
    found = {}
    for name, w in weights.items():
        g = gradients[name] + (2 * L2_FACTOR * w if name.endswith("weight") else 0)
        square = (1 - ALPHA) * g * g
        found[name] = w - LEARNING_RATE * g / (np.sqrt(square) + EPS)
        found[f"{name}.mean_square"] = square
    return found


def _forward_all(
    layers: tuple[AnyLayer, ...], x: Array, weights: dict[str, Array], gradients: dict[str, Array]
) -> tuple[Array, Backward]:
    backwards: list[Backward] = []
    for layer in layers:
        x, backward = _forward(layer, x, weights, gradients)
        backwards.append(backward)

    def backward_all(dy: Array) -> Array:
        for backward in reversed(backwards):
            dy = backward(dy)
        return dy

    return x, backward_all


def _forward(
    layer: AnyLayer, x: Array, weights: dict[str, Array], gradients: dict[str, Array]
) -> tuple[Array, Backward]:
    match layer:
        case Conv(name, _, _, stride, padding):
            w, b = weights[f"{name}.weight"], weights[f"{name}.bias"]

            def convolution_backward(dy: Array) -> Array:
                dx, dw, db = convolve_backward(x, w, dy, stride, padding, 1, 1)
                gradients.update({f"{name}.weight": dw, f"{name}.bias": db})
                return dx

            return convolve(x, w, b, stride, padding, 1, 1), convolution_backward
        case Linear(name):
            w, b = weights[f"{name}.weight"], weights[f"{name}.bias"]

            def linear_backward(dy: Array) -> Array:
                gradients.update({f"{name}.weight": dy.T @ x, f"{name}.bias": dy.sum(0)})
                return dy @ w

            return x @ w.T + b, linear_backward
        case MaxPool(kernel, stride, padding):
            return _max_pool(x, kernel, stride, padding)
        case Residual(body, shortcut):
            y, _ = _forward_all(body, x, weights, gradients)
            kept, _ = _forward_all(shortcut, x, weights, gradients)
            return np.maximum(y + kept, 0), _not_trained
        case Simple.RELU:
            return np.maximum(x, 0), lambda dy: dy * (x > 0)
        case Simple.FLATTEN:
            return x.reshape(len(x), -1), lambda dy: dy.reshape(x.shape)
        case Simple.MEAN:
            return x.mean((2, 3)), _not_trained
    raise TypeError(f"no reference for {layer}; add it to reference.py")


def _not_trained(dy: Array) -> Array:
    raise NotImplementedError("networks with this layer are measured in inference only")


def _max_pool(x: Array, kernel: int, stride: int, padding: int) -> tuple[Array, Backward]:
    padded = _pad(x, padding, -np.inf)
    side = window_count(x.shape[2], kernel, stride, padding)
    window = _window(kernel, side, stride)
    cells = np.stack([padded[:, :, rows, columns] for _, _, rows, columns in window])
    winners = cells.argmax(0)  # the first of equals

    def backward(dy: Array) -> Array:
        dpadded = np.zeros(padded.shape)
        for place, (_, _, rows, columns) in enumerate(window):
            dpadded[:, :, rows, columns] += dy * (winners == place)
        inner = slice(padding, padding + x.shape[2])
        return dpadded[:, :, inner, inner]

    return cells.max(0), backward
