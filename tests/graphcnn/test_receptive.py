"""What an element sees, by the index maps, is where the gradient of that element is not zero."""

import random
from typing import Any

import numpy as np
import pytest

import graphcnn as g
from graphcnn.errors import GraphError, ShapeError
from graphcnn.graph import Node
from graphcnn.op import Definition, Tensor, define, indices
from graphcnn.op import op as declare
from graphcnn.receptive import receptive_field
from tests.graphcnn.ops.executors import EXECUTORS, run

DRAWS = 256  # images: at a maximum only one cell has a gradient, so many are looked at


@declare
def far_neighbours(x: Tensor) -> Definition:
    """y[n,c,i,j] = Σ_u x[n, c, i + 3·u − 3, 2·j], for 3 values of u"""
    n, c, i, j, u = indices("n c i j u", u=3)
    batch, channels, height, width = x.shape
    y = define("y", (batch, channels, height, (width + 1) // 2), like=x)
    y[n, c, i, j] += x[n, c, i + 3 * u - 3, 2 * j]
    return y


class Growing:
    """A network on images, layer by layer."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rng = np.random.default_rng(seed)
        self.arrays: dict[str, np.ndarray] = {}

    def weight(self, *shape: int) -> Node:
        name = f"w{len(self.arrays)}"
        self.arrays[name] = self.rng.uniform(0.5, 1, shape)  # so that no two ways cancel
        return g.input(name, shape, "float64")

    def conv(self, x: Node, **more: Any) -> Node:
        size = self.random.choice([1, 2, 3, 4])
        reach = more.get("dilation", 1) * (size - 1) + 1
        more["padding"] = self.random.choice([0, 1, 2, (0, 1, 2, 0)])
        if min(x.shape[2:]) < reach:
            size = 1
        return g.conv2d(x, self.weight(2, x.shape[1], size, size), **more)

    def step(self, x: Node) -> Node:
        pick = self.random
        kinds = [
            "conv",
            "conv",
            "strided",
            "dilated",
            "max",
            "mean",
            "user",
            "branch",
            "turn",
            "up",
        ]
        match pick.choice(kinds):
            case "conv":
                return self.conv(x)
            case "strided":
                return self.conv(x, stride=pick.choice([2, 3]))
            case "dilated":
                return self.conv(x, dilation=2)
            case "max" if min(x.shape[2:]) > 2:
                return g.max_pool2d(x, pick.choice([2, 3]), stride=pick.choice([None, 1]))
            case "mean" if min(x.shape[2:]) > 2:
                return g.avg_pool2d(x, 2, padding=pick.choice([0, 1]))
            case "user":
                return far_neighbours(x)
            case "branch":
                y = g.conv2d(x, self.weight(x.shape[1], x.shape[1], 3, 3), padding=1)
                return x + y if pick.random() < 0.5 else g.concatenate((x, y), axis=1)
            case "turn":
                return pick.choice(
                    [lambda x: g.transpose(x, (0, 1, 3, 2)), lambda x: x[:, :, ::-1]]
                )(x)
            case "up" if x.shape[2] < 8:
                return g.conv_transpose2d(x, self.weight(x.shape[1], 2, 3, 3), stride=2)
        return g.exp(0.1 * x)

    def net(self) -> tuple[Node, Node]:
        height, width = self.random.randint(5, 12), self.random.randint(5, 12)
        x = node = g.input("x", (g.dim("N"), self.random.choice([1, 2]), height, width), "float64")
        for _ in range(self.random.randint(1, 5)):
            node = self.step(node)
        return x, node


def support(
    node: Node, x: Node, arrays: dict[str, np.ndarray], place: tuple[int, ...]
) -> list[Any]:
    """The first and last place along each axis at which the gradient of one element is not zero."""
    seed = g.input("seed", node.shape, "float64")
    upstream = np.zeros((DRAWS, *node.shape[1:]))
    upstream[(slice(None), *place[1:])] = 1
    images = np.random.default_rng(0).normal(size=(DRAWS, *x.shape[1:]))
    derived = g.grad(node, x, seed=seed, allow_unused=True)
    (dx,) = run(EXECUTORS["interpreter"], [derived], arrays | {"x": images, "seed": upstream})
    seen = (dx != 0).any(axis=0)
    found: list[Any] = [(0, 0)]
    for axis in range(seen.ndim):
        along = np.flatnonzero(seen.any(axis=tuple(a for a in range(seen.ndim) if a != axis)))
        found.append((int(along[0]), int(along[-1])) if len(along) else None)
    return found


def assert_seen(seed: int) -> None:
    growing = Growing(seed)
    x, node = growing.net()
    if 0 in node.shape:
        return
    field = receptive_field(node, x)
    sizes = [n for n in node.shape[1:] if isinstance(n, int)]
    corners = [
        (0, *(0 for _ in sizes)),
        (0, *(n - 1 for n in sizes)),
        (0, *(n // 2 for n in sizes)),
    ]
    for place in corners:
        found = field.at(*place)
        expected = support(node, x, growing.arrays, place)
        if None in expected:
            assert None in found, f"seed {seed}, {place}: {found}"
            continue
        assert list(found) == expected, f"seed {seed}, {place}: {node}"
        for span, ends in zip(field.spans, found, strict=True):
            rules = dict(zip(field.letters, place, strict=True))
            assert ends is not None
            assert span.low.xreplace(rules) <= ends[0], f"seed {seed}"
            assert ends[1] <= span.high.xreplace(rules), f"seed {seed}"


@pytest.mark.parametrize("start", range(0, 40, 10))
def test_an_element_sees_where_its_gradient_is_not_zero(start: int) -> None:
    for seed in range(start, start + 10):
        assert_seen(seed)


@pytest.mark.long
def test_an_element_of_hundreds_of_networks_sees_where_its_gradient_is_not_zero() -> None:
    for seed in range(1000, 1400):
        assert_seen(seed)


def stacked(*layers: tuple[str, int, int]) -> tuple[Node, Node]:
    """A net of (kind, kernel, stride)."""
    x = node = g.input("x", (1, 1, 64, 64))
    for k, (kind, size, stride) in enumerate(layers):
        if kind == "conv":
            node = g.conv2d(node, g.input(f"w{k}", (1, 1, size, size)), stride=stride)
        else:
            node = g.max_pool2d(node, size, stride)
    return x, node


@pytest.mark.parametrize(
    ("layers", "size", "jump"),
    [
        ([("conv", 5, 1), ("conv", 5, 1)], 9, 1),
        ([("conv", 3, 1), ("conv", 3, 1), ("conv", 3, 1)], 7, 1),
        ([("conv", 5, 1), ("pool", 2, 2), ("conv", 5, 1), ("pool", 2, 2)], 16, 4),
        ([("conv", 7, 2), ("pool", 3, 2)], 11, 4),
    ],
)
def test_fields_of_well_known_stacks(layers: Any, size: int, jump: int) -> None:
    """r ← r + (k − 1)·j and j ← j·s, from r = j = 1."""
    x, node = stacked(*layers)
    field = receptive_field(node, x)
    assert field.size[2:] == (size, size)
    assert field.jump[2:] == (jump, jump)


def test_an_axis_of_unknown_length_that_is_turned_round_moves_backwards() -> None:
    x = g.input("x", (1, 1, 1, g.dim("W")))
    field = receptive_field(g.flip(x, axis=3), x)
    assert str(field.spans[3]) == "W - j - 1"
    assert (field.size[3], field.jump[3], str(field.start[3])) == (1, -1, "W - 1")


def test_padding_moves_the_start_before_the_image_and_is_not_seen() -> None:
    x = g.input("x", (1, 1, 8, 8))
    field = receptive_field(g.conv2d(x, g.input("w", (1, 1, 3, 3)), padding=1), x)
    assert field.start[2:] == (-1, -1)
    assert field.at(0, 0, 0, 7)[2:] == ((0, 1), (6, 7))


def test_an_element_that_sees_padding_only_sees_nothing() -> None:
    x = g.input("x", (1, 3, 32, 32))
    y = g.conv2d(x, g.input("w", (6, 3, 5, 5)), padding=5)
    assert y.shape[2:] == (38, 38)
    assert receptive_field(y, x).at(0, 0, 0, 5)[2] is None


def test_what_a_node_does_not_depend_on_and_what_is_not_there() -> None:
    x, z = g.input("x", (1, 1, 8, 8)), g.input("z", (1, 1, 8, 8))
    with pytest.raises(GraphError, match="does not depend on"):
        receptive_field(g.relu(x), z)
    with pytest.raises(ShapeError, match="no element at"):
        receptive_field(g.relu(x), x).at(0, 0, 8, 0)
