"""TensorFlow: each row is one tf.function, with or without XLA."""

# ruff: noqa: D102 (peer.py says what each method is for)
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
import tensorflow as tf

from benchmarks.architectures import ALPHA, EPS, L2_FACTOR, LEARNING_RATE, Architecture, Arrays
from benchmarks.data import RESULTS
from benchmarks.ops import Ops
from benchmarks.peers.channels_last import (
    filters_first,
    filters_last,
    images_last,
    layer_first,
    weights_first,
    weights_last,
)
from benchmarks.peers.peer import Case, Results, punished, step_results, variables
from benchmarks.rows import Layer

Tensors = Mapping[str, Any]


class Framework:
    """TensorFlow on N×H×W×C, the only format of its CPU convolutions."""

    def __init__(self, threads: int, xla: bool = False) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self._xla = xla

    def layer(self, layer: Layer, direction: str, arrays: Arrays) -> Case:
        given = {
            name: tf.constant(_filters(layer, array) if name == "weight" else images_last(array))
            for name, array in arrays.items()
        }
        names = RESULTS[direction]
        order = ("x", "weight", "bias", "dy")

        @self._compiled
        def step(*values: Any) -> list[Any]:
            given = dict(zip(order, values, strict=True))
            if names == ("y",):
                return [_convolve_layer(layer, given)]
            wanted = [given[name] for name in variables(direction)]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(wanted)
                y = _convolve_layer(layer, given)
            gradients = tape.gradient(y, wanted, given["dy"])
            return [y, *gradients] if "y" in names else gradients

        values = [given[name] for name in order]

        def results(found: list[Any]) -> Results:
            return layer_first(dict(zip(names, found, strict=True)), _filters_back(layer))

        return Case(lambda: step(*values), results)

    def training(
        self, architecture: Architecture, weights: Arrays, images: np.ndarray, labels: np.ndarray
    ) -> Case:
        turned = weights_last(architecture, weights)
        variables = {name: tf.Variable(w) for name, w in turned.items()}
        squares = {name: tf.Variable(tf.zeros_like(w)) for name, w in turned.items()}
        momenta = {name: tf.Variable(tf.zeros_like(w)) for name, w in turned.items()}
        image, label = tf.constant(images_last(images)), tf.constant(labels)

        @self._compiled
        def step(image: Any, label: Any) -> Any:
            with tf.GradientTape() as tape:
                scores = OPS.apply(architecture.layers, image, variables)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(label, scores)
                penalties = [tf.nn.l2_loss(w) for w in punished(variables)]
                loss = tf.reduce_mean(losses) + 2 * L2_FACTOR * tf.add_n(penalties)
            gradients = tape.gradient(loss, list(variables.values()))
            for (name, w), g in zip(variables.items(), gradients, strict=True):
                # One kernel; its epsilon is under the root.
                tf.raw_ops.ResourceApplyRMSProp(
                    var=w.handle,
                    ms=squares[name].handle,
                    mom=momenta[name].handle,
                    lr=LEARNING_RATE,
                    rho=ALPHA,
                    momentum=0.0,
                    epsilon=EPS**2,
                    grad=g,
                )
            return loss

        def results(loss: Any) -> Results:
            found = step_results(loss, variables, squares)
            copied = {name: np.array(value) for name, value in found.items()}
            return weights_first(architecture, copied)

        return Case(lambda: step(image, label), results)

    def inference(self, architecture: Architecture, weights: Arrays, images: np.ndarray) -> Case:
        constants = {
            name: tf.constant(w) for name, w in weights_last(architecture, weights).items()
        }
        image = tf.constant(images_last(images))
        step = self._compiled(lambda x: OPS.apply(architecture.layers, x, constants))
        return Case(lambda: step(image), lambda scores: {"scores": scores.numpy()})

    def product(self, x: np.ndarray, y: np.ndarray) -> Case:
        a, b = tf.constant(x), tf.constant(y)
        step = self._compiled(lambda a, b: a * b)
        return Case(lambda: step(a, b), lambda z: {"z": z.numpy()})

    def release(self) -> None:
        tf.keras.backend.clear_session()

    def _compiled(self, function: Any) -> Any:
        return tf.function(function, jit_compile=self._xla, autograph=False)


def _depthwise(layer: Layer) -> bool:
    return 1 < layer.groups == layer.channels


def _filters(layer: Layer, w: np.ndarray) -> np.ndarray:
    """K×K×I×O, or K×K×C×M where each channel has M filters of its own."""
    turned = filters_last(w)
    return turned.reshape(*turned.shape[:2], layer.groups, -1) if _depthwise(layer) else turned


def _filters_back(layer: Layer) -> Any:
    def turn(w: np.ndarray) -> np.ndarray:
        return filters_first(w.reshape(*w.shape[:2], -1, layer.filters))

    return turn


def _convolve_layer(layer: Layer, given: Tensors) -> Any:
    x, w, b = (given[name] for name in ("x", "weight", "bias"))
    padding, stride, dilation = layer.padding, layer.stride, layer.dilation
    if not _depthwise(layer):
        return _convolve(x, w, b, stride, padding, dilation)
    how = "SAME"
    if not _kept(w, stride, padding, dilation):
        x, how = tf.pad(x, _edges(padding)), "VALID"
    y = tf.nn.depthwise_conv2d(x, w, [1, stride, stride, 1], how, dilations=[dilation] * 2)
    return tf.nn.bias_add(y, b)


def _convolve(x: Any, w: Any, b: Any, stride: int, padding: int, dilation: int = 1) -> Any:
    kept = _kept(w, stride, padding, dilation)
    how = "SAME" if kept else _edges(padding) if padding else "VALID"
    return tf.nn.bias_add(tf.nn.conv2d(x, w, stride, how, dilations=dilation), b)


def _kept(w: Any, stride: int, padding: int, dilation: int) -> bool:
    """Whether images stay as large as they are."""
    return stride == 1 and 2 * padding == dilation * (w.shape[0] - 1)


def _edges(padding: int) -> list[list[int]]:
    return [[0, 0], [padding, padding], [padding, padding], [0, 0]]


def _linear(x: Any, w: Any, b: Any) -> Any:
    return tf.nn.bias_add(tf.matmul(x, w), b)


def _max_pool(x: Any, kernel: int, stride: int, padding: int) -> Any:
    if padding:  # by an op of its own, because XLA knows no pooling with explicit edges
        x = tf.pad(x, _edges(padding), constant_values=tf.float32.min)
    return tf.nn.max_pool2d(x, kernel, stride, "VALID")


OPS = Ops(
    convolution=_convolve,
    linear=_linear,
    max_pool=_max_pool,
    relu=tf.nn.relu,
    flatten=lambda x: tf.reshape(x, [x.shape[0], -1]),
    mean=lambda x: tf.reduce_mean(x, [1, 2]),
)
