"""JAX: each row is one jitted function, with donated buffers where it updates weights."""

# ruff: noqa: D102 (peer.py says what each method is for)
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.architectures import ALPHA, EPS, L2_FACTOR, LEARNING_RATE, Architecture, Arrays
from benchmarks.data import RESULTS
from benchmarks.ops import Ops
from benchmarks.peers.channels_last import (
    filters_last,
    images_last,
    layer_first,
    weights_first,
    weights_last,
)
from benchmarks.peers.peer import Case, Results, punished, step_results, variables
from benchmarks.rows import Layer

FIRST, LAST = ("NCHW", "OIHW", "NCHW"), ("NHWC", "HWIO", "NHWC")


class Framework:
    """JAX on XLA's CPU backend, whose threads follow from the cores that the process may use."""

    def __init__(self, threads: int, channels_last: bool = False) -> None:
        # The caller waits for each result anyway, so another thread would only add a switch.
        jax.config.update("jax_cpu_enable_async_dispatch", False)
        self._last = channels_last
        self._ops = Ops(
            convolution=self._convolve,
            linear=lambda x, w, b: x @ (w if self._last else w.T) + b,
            max_pool=self._max_pool,
            relu=jax.nn.relu,
            flatten=lambda x: x.reshape(len(x), -1),
            mean=lambda x: x.mean((1, 2) if self._last else (2, 3)),
        )

    def layer(self, layer: Layer, direction: str, arrays: Arrays) -> Case:
        turn_weight = filters_last if self._last else np.asarray
        given = {
            name: jnp.asarray(turn_weight(array) if name == "weight" else self._image(array))
            for name, array in arrays.items()
        }
        names = RESULTS[direction]

        def convolve(given: Mapping[str, jax.Array]) -> jax.Array:
            return self._convolve(
                *(given[name] for name in ("x", "weight", "bias")),
                layer.stride,
                layer.padding,
                layer.dilation,
                layer.groups,
            )

        def step(given: dict[str, jax.Array]) -> dict[str, jax.Array]:
            if names == ("y",):
                return {"y": convolve(given)}
            wanted = {name: given[name] for name in variables(direction)}
            y, backward = jax.vjp(lambda some: convolve({**given, **some}), wanted)
            gradients = {f"d{name}": g for name, g in backward(given["dy"])[0].items()}
            return {name: ({"y": y} | gradients)[name] for name in names}

        compiled = jax.jit(step)

        def results(found: dict[str, jax.Array]) -> Results:
            if self._last:
                return layer_first(found)
            return {name: np.asarray(value) for name, value in found.items()}

        return Case(lambda: jax.block_until_ready(compiled(given)), results)

    def training(
        self, architecture: Architecture, weights: Arrays, images: np.ndarray, labels: np.ndarray
    ) -> Case:
        state = self._weights(architecture, weights)
        squares = {name: jnp.zeros_like(w) for name, w in state.items()}
        image, label = jnp.asarray(self._image(images)), jnp.asarray(labels)

        def loss_of(weights: dict[str, jax.Array], image: Any, label: Any) -> jax.Array:
            logs = jax.nn.log_softmax(self._ops.apply(architecture.layers, image, weights))
            truth = jax.nn.one_hot(label, logs.shape[1])
            penalty = sum((w * w).sum() for w in punished(weights))
            return -(logs * truth).sum() / len(label) + L2_FACTOR * penalty

        def step(weights: Any, squares: Any, image: Any, label: Any) -> Any:
            loss, gradients = jax.value_and_grad(loss_of)(weights, image, label)
            squares = jax.tree.map(lambda e, g: ALPHA * e + (1 - ALPHA) * g * g, squares, gradients)
            weights = jax.tree.map(
                lambda w, g, e: w - LEARNING_RATE * g / (jnp.sqrt(e) + EPS),
                weights,
                gradients,
                squares,
            )
            return loss, weights, squares

        compiled = jax.jit(step, donate_argnums=(0, 1))

        def run() -> jax.Array:
            nonlocal state, squares
            loss, state, squares = compiled(state, squares, image, label)
            return loss.block_until_ready()

        def results(loss: jax.Array) -> Results:
            found = step_results(loss, state, squares)
            copied = {name: np.array(value) for name, value in found.items()}
            return weights_first(architecture, copied) if self._last else copied

        return Case(run, results)

    def inference(self, architecture: Architecture, weights: Arrays, images: np.ndarray) -> Case:
        constants = self._weights(architecture, weights)
        image = jnp.asarray(self._image(images))
        # As constants, so that XLA may lay the weights out once and for all.
        compiled = jax.jit(lambda x: self._ops.apply(architecture.layers, x, constants))
        return Case(
            lambda: compiled(image).block_until_ready(),
            lambda scores: {"scores": np.asarray(scores)},
        )

    def product(self, x: np.ndarray, y: np.ndarray) -> Case:
        a, b = jnp.asarray(x), jnp.asarray(y)
        compiled = jax.jit(lambda a, b: a * b)
        return Case(lambda: compiled(a, b).block_until_ready(), lambda z: {"z": np.asarray(z)})

    def release(self) -> None:
        jax.clear_caches()

    def _image(self, x: np.ndarray) -> np.ndarray:
        return images_last(x) if self._last else x

    def _weights(self, architecture: Architecture, weights: Arrays) -> dict[str, jax.Array]:
        turned = weights_last(architecture, weights) if self._last else weights
        return {name: jnp.array(w) for name, w in turned.items()}

    def _convolve(
        self,
        x: jax.Array,
        w: jax.Array,
        b: jax.Array,
        stride: int,
        padding: int,
        dilation: int = 1,
        groups: int = 1,
    ) -> jax.Array:
        y = lax.conv_general_dilated(
            x,
            w,
            (stride, stride),
            [(padding, padding)] * 2,
            rhs_dilation=(dilation, dilation),
            dimension_numbers=LAST if self._last else FIRST,
            feature_group_count=groups,
        )
        return y + (b if self._last else b[:, None, None])

    def _max_pool(self, x: Any, kernel: int, stride: int, padding: int) -> Any:
        axis = 1 if self._last else 2
        height, width = x.shape[axis : axis + 2]
        if kernel == stride and not (padding or height % kernel or width % kernel):
            # A maximum over axes: its gradient is a mask, that of reduce_window a slow scatter.
            tiles = (height // kernel, kernel, width // kernel, kernel)
            shape = (*x.shape[:axis], *tiles, *x.shape[axis + 2 :])
            return x.reshape(shape).max((axis + 1, axis + 3))

        def spatial(value: Any, other: Any) -> tuple[Any, ...]:
            return tuple(value if axis <= k < axis + 2 else other for k in range(4))

        return lax.reduce_window(
            x,
            -jnp.inf,
            lax.max,
            spatial(kernel, 1),
            spatial(stride, 1),
            spatial((padding, padding), (0, 0)),
        )
