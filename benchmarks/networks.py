"""The networks that are measured: each gives its loss, its scores, and the shape of one image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import graphcnn as g

Network = tuple[g.Node, g.Node]


def lenet() -> Network:
    """LeNet on 1×28×28: two 5×5 convolutions with ReLU and pooling, three linear layers, L2."""
    image, label, layer = _start(1, 28)
    maps = g.max_pool2d(g.relu(g.conv2d(image, *layer("conv1", 6, 1, 5, 5), padding=2)), 2)
    maps = g.max_pool2d(g.relu(g.conv2d(maps, *layer("conv2", 16, 6, 5, 5))), 2)
    hidden = g.relu(g.linear(g.flatten(maps), *layer("full1", 120, 400)))
    hidden = g.relu(g.linear(hidden, *layer("full2", 84, 120)))
    return _loss(g.linear(hidden, *layer("full3", 10, 84)), label)


def notes() -> Network:
    """Two 5×5 convolutions with ReLU on 3×32×32, one pooling, one linear layer, L2."""
    image, label, layer = _start(3, 32)
    maps = g.relu(g.conv2d(image, *layer("conv1", 6, 3, 5, 5)))
    maps = g.max_pool2d(g.relu(g.conv2d(maps, *layer("conv2", 10, 6, 5, 5))), 2)
    return _loss(g.linear(g.flatten(maps), *layer("full", 10, 1440)), label)


NETWORKS: dict[str, Callable[[], Network]] = {"lenet": lenet, "notes": notes}


def training_step(network: Callable[[], Network]) -> g.Step:
    """Give the compiled step: forward, loss with L2, backward, RMSProp on all weights."""
    loss, _ = network()
    return g.compile(loss, updates=g.rmsprop(loss, lr=1e-3), name=f"{network.__name__}_step")


def batch(step: g.Step, size: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Give random images and labels for a step."""
    rng = np.random.default_rng(seed)
    (image,) = (n for n in step.graph.nodes if n.name == "image")
    shape = (size, *(int(n) for n in image.shape[1:]))
    return {
        "image": rng.standard_normal(shape, dtype=np.float32),
        "label": rng.integers(0, 10, size).astype(np.int32),
    }


def _start(
    channels: int, side: int
) -> tuple[g.Node, g.Node, Callable[..., tuple[g.Parameter, g.Parameter]]]:
    rng = np.random.default_rng(1)
    batch_size = g.dim("N")

    def layer(name: str, *shape: int) -> tuple[g.Parameter, g.Parameter]:
        weight = g.parameter(f"{name}.weight", g.init.he(shape, seed=rng))
        return weight, g.parameter(f"{name}.bias", g.init.zeros(shape[0]))

    image = g.input("image", (batch_size, channels, side, side))
    return image, g.input("label", (batch_size,), "int32"), layer


def _loss(scores: g.Node, label: g.Node) -> Network:
    loss = g.mean(g.softmax_cross_entropy(scores, label))
    for weight in g.trainable(loss):
        if weight.name.endswith("weight"):
            loss = loss + g.l2(weight, 1e-4)
    return loss, scores
