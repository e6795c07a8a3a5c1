"""Ops by which a framework builds any of the networks from its description."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.architectures import AnyLayer, Conv, Linear, MaxPool, Residual, Simple


@dataclass(frozen=True)
class Ops:
    """What a framework has for each kind of layer."""

    convolution: Callable[..., Any]  # x, weight, bias, stride, padding
    linear: Callable[..., Any]  # x, weight, bias
    max_pool: Callable[..., Any]  # x, kernel, stride, padding
    relu: Callable[..., Any]
    flatten: Callable[..., Any]  # in the order channels, height, width
    mean: Callable[..., Any]  # of each whole map
    add: Callable[..., Any] = operator.add

    def apply(self, layers: Sequence[AnyLayer], x: Any, weights: Mapping[str, Any]) -> Any:
        """Give what the layers make of x.

        >>> from benchmarks.architectures import Linear, Residual, Simple
        >>> shown = Ops(
        ...     *("conv{}{}{}{}{}".format, "linear({}, {}, {})".format, "pool{}{}{}{}".format),
        ...     *("relu({})".format, "flatten({})".format, "mean({})".format),
        ...     "{} + {}".format,
        ... )
        >>> body = (Simple.FLATTEN, Linear("full", 10))
        >>> shown.apply([Residual(body)], "x", {"full.weight": "w", "full.bias": "b"})
        'relu(linear(flatten(x), w, b) + x)'
        """
        for layer in layers:
            x = self._apply(layer, x, weights)
        return x

    def _apply(self, layer: AnyLayer, x: Any, weights: Mapping[str, Any]) -> Any:
        match layer:
            case Conv(name, _, _, stride, padding):
                weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
                return self.convolution(x, weight, bias, stride, padding)
            case Linear(name):
                return self.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
            case MaxPool(kernel, stride, padding):
                return self.max_pool(x, kernel, stride, padding)
            case Residual(body, shortcut):
                branches = self.apply(body, x, weights), self.apply(shortcut, x, weights)
                return self.relu(self.add(*branches))
            case Simple.RELU:
                return self.relu(x)
            case Simple.FLATTEN:
                return self.flatten(x)
            case Simple.MEAN:
                return self.mean(x)
        raise TypeError(f"no op for {layer}; add it to ops.py")
