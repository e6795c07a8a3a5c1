"""The networks that are measured, in graphcnn: each gives its loss and its scores."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

import graphcnn as g
from benchmarks.architectures import (
    ALPHA,
    ARCHITECTURES,
    EPS,
    L2_FACTOR,
    LEARNING_RATE,
    Architecture,
    batch_of,
    initial_weights,
)
from benchmarks.ops import Ops
from graphcnn.optim import Updates

Network = tuple[g.Node, g.Node]
OPS = Ops(
    convolution=lambda x, w, b, stride, padding: g.conv2d(x, w, b, stride=stride, padding=padding),
    linear=g.linear,
    max_pool=g.max_pool2d,
    relu=g.relu,
    flatten=g.flatten,
    mean=lambda x: g.mean(x, axis=(2, 3)),
)


def network(architecture: Architecture, batch_size: int | None = None) -> Network:
    """Give loss (cross-entropy and L2) and scores, for any batch or for one fixed size."""
    size = g.dim("N") if batch_size is None else batch_size
    image = g.input("image", (size, *architecture.image))
    label = g.input("label", (size,), "int32")
    values = initial_weights(architecture)
    weights = {name: g.parameter(name, value) for name, value in values.items()}
    scores = OPS.apply(architecture.layers, image, weights)
    loss = g.mean(g.softmax_cross_entropy(scores, label))
    for weight in g.trainable(loss):
        if weight.name.endswith("weight"):
            loss = loss + g.l2(weight, L2_FACTOR)
    return loss, scores


NETWORKS: dict[str, Callable[[], Network]] = {
    name: partial(network, architecture) for name, architecture in ARCHITECTURES.items()
}


def updates(loss: g.Node) -> Updates:
    """Give the RMSProp updates of all weights."""
    return g.rmsprop(loss, lr=LEARNING_RATE, alpha=ALPHA, eps=EPS)


def training_step(made: Callable[[], Network], name: str = "training_step") -> g.Step:
    """Give the compiled step: forward, loss with L2, backward, RMSProp on all weights."""
    loss, _ = made()
    return g.compile(loss, updates=updates(loss), name=name)


def batch(step: g.Step, size: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Give random images and labels for a step."""
    (image,) = (n for n in step.graph.nodes if n.name == "image")
    architecture = Architecture("", tuple(int(n) for n in image.shape[1:]), ())
    images, labels = batch_of(architecture, size, seed)
    return {"image": images, "label": labels}
