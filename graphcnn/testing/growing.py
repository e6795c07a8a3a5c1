"""Random graphs through the public ops, with gradients: grown op by op from a random source.

>>> import random
>>> graph = grow(random.Random(0))
>>> graph.ops >= 8, len(graph.outputs) >= 3
(True, True)
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

import graphcnn as g
from graphcnn.graph import Graph, Node
from graphcnn.testing.cases import Case, case_of
from graphcnn.testing.compiled import check_compiled

Array = npt.NDArray[Any]
Layer = Callable[["Growing", Node], Node]

LEAST, MOST = 8, 12  # ops, before any gradient
STARTS = ((2, 5, 4), (1, 6, 3), (7,), (4,))
BATCHES = (1, 2, 3, 5, 70)  # the last one is enough for threads to share
WIDEST = 24  # channels or features: concatenation doubles them


@dataclass(frozen=True)
class RandomGraph:
    """A loss, the node it is the loss of, and its gradients; arrays for the inputs."""

    outputs: tuple[Node, ...]
    arrays: dict[str, Array]

    @property
    def ops(self) -> int:
        """How many ops there are before any gradient."""
        return _ops(self.outputs[0])

    @cached_property
    def case(self) -> Case:
        """The graph as a program with its arrays."""
        return case_of(self.outputs, self.arrays)

    def check(self, **ways: Any) -> None:
        """Hold C equal to the interpreter; see `check_compiled`."""
        check_compiled(self.outputs, self.arrays, **ways)

    def __repr__(self) -> str:
        return f"RandomGraph of {self.ops} ops:\n{Graph(self.outputs[:1])}"


@dataclass
class Growing:
    """A graph while it grows: images and vectors of a batch. A layer asks it for weights."""

    random: random.Random
    arrays: dict[str, Array] = field(default_factory=dict)
    wrt: list[Node] = field(default_factory=list)

    @cached_property
    def rng(self) -> np.random.Generator:
        """Where arrays come from; one number stands for all of them."""
        return np.random.default_rng(self.random.randrange(2**32))

    @cached_property
    def batch(self) -> int:
        """How many images or vectors there are."""
        return self.random.choice(BATCHES)

    def input(self, *shape: int) -> Node:
        """The input of the whole, for any batch size or for this one."""
        self.arrays["x"] = self.rng.normal(size=(self.batch, *shape))
        batch: Any = self.random.choice([g.dim("N"), self.batch])
        self.wrt.append(g.input("x", (batch, *shape), "float64"))
        return self.wrt[-1]

    def weight(self, *shape: int) -> Node:
        """A new input that the loss is differentiated by, of such values that sums stay near 1."""
        name = f"w{len(self.wrt)}"
        self.arrays[name] = self.rng.normal(size=shape) / math.sqrt(math.prod(shape[1:]) or 1)
        self.wrt.append(g.input(name, shape, "float64"))
        return self.wrt[-1]

    def label(self, node: Node) -> Node:
        """One class for each row of scores."""
        rows, classes = node.shape
        self.arrays["label"] = self.rng.integers(0, classes, self.batch).astype(np.int32)
        return g.input("label", (rows,), "int32")


# -- layers -----------------------------------------------------------------------------------
# Each keeps values of about one: the tolerance of a comparison is relative to the largest.

UNARY: tuple[Callable[[Node], Node], ...] = (
    g.relu, g.tanh, g.sigmoid, g.softplus, g.gelu, g.silu, g.elu, g.leaky_relu, g.sin, g.cos, g.erf,
    g.hardtanh, g.abs, g.negative,
    lambda x: g.square(x) / (1 + g.abs(x)),
    lambda x: 0.5 * x - 1,
    lambda x: 1 / (2 + x * x),
    lambda x: g.sqrt(1 + x * x),
    lambda x: g.exp(-x * x),
    lambda x: g.log(2 + x * x),
    lambda x: g.log1p(g.abs(x)),
    lambda x: g.where(x > 0.3, x, -x),
    lambda x: g.clip(x, -1, 1),
    lambda x: g.softmax(x, axis=-1),
    lambda x: g.log_softmax(x, axis=1) / 4,
    lambda x: g.flip(x, axis=-1),
    lambda x: x - g.mean(x, axis=-1, keepdims=True),
    lambda x: x - g.max(x, axis=1, keepdims=True),
    lambda x: x / g.sqrt(1 + g.var(x, axis=1, keepdims=True, correction=0)),
    lambda x: x * g.stop_gradient(g.sigmoid(x)),
)  # fmt: skip
BINARY: tuple[Callable[[Node, Node], Node], ...] = (
    g.add, g.subtract, g.maximum, g.minimum,
    lambda x, y: x * g.tanh(y),
    lambda x, y: x / (2 + y * y),
    lambda x, y: g.where(x > y, x, 0.5 * y),
)  # fmt: skip


def _unary(grow: Growing, x: Node) -> Node:
    return grow.random.choice(UNARY)(x)


def _binary(grow: Growing, x: Node) -> Node:
    """With a value made of the same one, so that gradients meet again, or with a weight."""
    own = grow.random.choice([True, False])
    other = _unary(grow, x) if own else grow.weight(*_sizes(x))
    return grow.random.choice(BINARY)(x, other)


def _joined(grow: Growing, x: Node) -> Node:
    if _sizes(x)[0] > WIDEST:
        return _unary(grow, x)
    return g.concatenate((x, _unary(grow, x)), axis=1)


def _convolution(grow: Growing, x: Node) -> Node:
    pick = grow.random.choice
    channels, height, width = _sizes(x)
    groups = pick([1, channels])
    size = pick([1, 2, 3]) if min(height, width) >= 3 else 1
    filters = groups * pick([1, 2]) if channels <= WIDEST else groups
    weight = grow.weight(filters, channels // groups, size, size)
    return g.conv2d(
        x,
        weight,
        grow.weight(filters) if pick([True, False]) else None,
        stride=pick([1, 1, 2]),
        padding=pick([0, 1, (0, 1, 2, 0)]),
        dilation=pick([1, 1, 2]) if min(height, width) >= 5 else 1,
        groups=groups,
    )


def _upsampled(grow: Growing, x: Node) -> Node:
    if max(_sizes(x)[1:]) > 6:
        return _pooled(grow, x)
    weight = grow.weight(_sizes(x)[0], grow.random.choice([1, 2]), 2, 2)
    return g.conv_transpose2d(x, weight, stride=grow.random.choice([1, 2]))


def _pooled(grow: Growing, x: Node) -> Node:
    pick = grow.random.choice
    pool = pick([g.max_pool2d, g.avg_pool2d])
    size = pick([1, 2]) if min(_sizes(x)[1:]) >= 2 else 1
    return pool(x, size, stride=pick([None, 1]), padding=size // 2)


def _sliced(grow: Growing, x: Node) -> Node:
    return x[:, :, ::-1, 1:] if _sizes(x)[2] > 2 else x[:, ::-1]


def _padded(grow: Growing, x: Node) -> Node:
    mode = grow.random.choice(["constant", "edge", "circular"])
    return g.pad(x, ((1, 0), (0, 1)), mode, **({"value": 0.5} if mode == "constant" else {}))


def _turned(grow: Growing, x: Node) -> Node:
    return g.transpose(x, (0, 1, 3, 2))


def _flat(grow: Growing, x: Node) -> Node:
    return g.flatten(x)


def _whole(grow: Growing, x: Node) -> Node:
    return grow.random.choice([g.global_avg_pool2d, g.global_max_pool2d])(x)


def _linear(grow: Growing, x: Node) -> Node:
    width = grow.random.choice([1, 3, 4])
    return g.linear(x, grow.weight(width, _sizes(x)[0]))


ANY: tuple[Layer, ...] = (_unary, _unary, _binary, _joined)
OF_IMAGES: tuple[Layer, ...] = (
    _convolution, _convolution, _upsampled, _pooled, _sliced, _padded, _turned, _flat, _whole,
)  # fmt: skip
OF_VECTORS: tuple[Layer, ...] = (_linear, _linear)


def _sizes(x: Node) -> tuple[int, ...]:
    """The sizes of all axes but the batch."""
    return tuple(int(n) for n in x.shape[1:])


def _ops(node: Node) -> int:
    return sum(each.fragment is not None for each in Graph((node,)).nodes)


def _loss(grow: Growing, node: Node) -> Node:
    kinds: list[Callable[[Node], Node]] = [
        lambda y: g.mean(y * y),
        lambda y: g.sum(g.sin(y)),
        lambda y: g.mse(y, g.stop_gradient(g.flip(y, axis=-1))),
    ]
    if node.ndim == 2:
        kinds += [
            lambda y: g.mean(g.softmax_cross_entropy(y, grow.label(y))),
            lambda y: g.mean(g.multiclass_hinge(y, grow.label(y))),
        ]
    return grow.random.choice(kinds)(node)


def grow(
    source: random.Random,
    *,
    own: Sequence[Layer] = (),
    start: Sequence[int] | None = None,
    least: int = LEAST,
    most: int = MOST,
) -> RandomGraph:
    """Grow a graph of `least` to about `most` ops: the last layer and the loss may be several.

    Layers of one's own are functions of the growing graph, which gives weights, and of a node. Each
    is there at least once, near the input, which has the shape `start` after its batch axis; where
    one refuses a later node with a `GraphError`, another layer takes its place.

    >>> def scaled(grow, x):
    ...     return x * grow.weight(x.shape[1])
    >>> graph = grow(random.Random(1), own=[scaled], start=(4,))
    >>> graph.check()
    """
    growing = Growing(source)
    x = node = growing.input(*(start or source.choice(STARTS)))
    for layer in own:
        node = layer(growing, _unary(growing, node) if source.choice([True, False]) else node)
    enough = source.randint(least, most) - 1
    while _ops(node) < enough:
        node = _grown(growing, node, own)
    loss = _loss(growing, node)
    gradients = g.grad(loss, growing.wrt, allow_unused=True)
    assert x in growing.wrt
    return RandomGraph((loss, node, *gradients), growing.arrays)


def _grown(growing: Growing, node: Node, own: Sequence[Layer]) -> Node:
    fitting = (*ANY, *(OF_IMAGES if node.ndim == 4 else OF_VECTORS))
    layer = growing.random.choice((*fitting, *own))
    try:
        return layer(growing, node)
    except g.GraphError:
        if layer in fitting:
            raise
    return _unary(growing, node)
