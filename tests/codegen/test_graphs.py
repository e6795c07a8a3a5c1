"""Random graphs through the public ops, gradients included: all executors agree."""

import os
import random
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest

import graphcnn as g
from codegen.compile import PLAIN, Options
from codegen.interpret import interpret
from codegen.sizes import bind_dims
from graphcnn.graph import Node
from graphcnn.program import to_program
from tests.codegen.running import Case, assert_agree, differences, expected

# Float64, relative to the largest value of an array: ten ops of sums of up to a few hundred terms
# in another order each lose some units of 1e-16; the graphs keep their values of about one.
TOLERANCE = 1e-11
OTHER_SEEDS = int(os.environ.get("GRAPHCNN_SEED", "1000000"))

UNARY: list[Callable[[Node], Node]] = [
    g.relu, g.tanh, g.sigmoid, g.softplus, g.gelu, g.silu, g.elu, g.leaky_relu, g.square, g.sin,
    lambda x: 0.5 * x - 1, lambda x: 1 / (2 + x * x), lambda x: g.sqrt(1 + x * x),
    lambda x: g.exp(-x * x), lambda x: g.log(2 + x * x), lambda x: g.where(x > 0.3, x, -x),
    lambda x: g.clip(x, -1, 1), lambda x: g.softmax(x, axis=-1),
    lambda x: g.log_softmax(x, axis=1) / 4, lambda x: g.flip(x, axis=-1),
    lambda x: x - g.mean(x, axis=-1, keepdims=True), lambda x: x - g.max(x, axis=1, keepdims=True),
]  # fmt: skip
BINARY: list[Callable[[Node, Node], Node]] = [
    g.add, g.subtract, g.multiply, g.maximum, g.minimum, lambda x, y: x / (2 + y * y),
    lambda x, y: g.where(x > y, x, 0.5 * y),
]  # fmt: skip


class Growing:
    """A graph while it grows: images and vectors of a batch of N."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rng = np.random.default_rng(seed)
        self.arrays: dict[str, np.ndarray] = {}
        self.weights: list[Node] = []
        self.batch = self.random.choice([1, 2, 3, 5])

    def input(self, name: str, *shape: int) -> Node:
        self.arrays[name] = self.rng.normal(size=(self.batch, *shape))
        return g.input(name, (g.dim("N"), *shape), "float64")

    def weight(self, *shape: int) -> Node:
        name = f"w{len(self.weights)}"
        self.arrays[name] = self.rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]) or 1)
        self.weights.append(g.input(name, shape, "float64"))
        return self.weights[-1]

    def step(self, x: Node) -> Node:
        """One more op on an image or a vector."""
        pick = self.random
        kinds = [
            "unary",
            "unary",
            "binary",
            *(
                ["conv", "pool", "slice", "pad", "flatten"]
                if len(x.shape) == 4
                else ["linear", "twice"]
            ),
        ]
        match pick.choice(kinds):
            case "unary":
                return pick.choice(UNARY)(x)
            case "binary":
                other = pick.choice(UNARY)(x) if pick.random() < 0.5 else self.weight(*x.shape[1:])
                return pick.choice(BINARY)(x, other)
            case "conv":
                _, channels, height, width = x.shape
                groups = pick.choice([1, channels])
                size = pick.choice([1, 2, 3]) if min(height, width) >= 3 else 1
                filters = groups * pick.choice([1, 2])
                weight = self.weight(filters, channels // groups, size, size)
                return g.conv2d(
                    x,
                    weight,
                    self.weight(filters) if pick.random() < 0.5 else None,
                    stride=pick.choice([1, 1, 2]),
                    padding=pick.choice([0, 1, (0, 1, 2, 0)]),
                    groups=groups,
                )
            case "pool":
                pool = pick.choice([g.max_pool2d, g.avg_pool2d])
                size = pick.choice([1, 2]) if min(x.shape[2:]) >= 2 else 1
                return pool(x, size, stride=pick.choice([None, 1]), padding=size // 2)
            case "slice":
                return x[:, :, ::-1, 1:] if x.shape[3] > 2 else x[:, ::-1]
            case "pad":
                mode = pick.choice(["constant", "edge", "circular"])
                return g.pad(
                    x, ((1, 0), (0, 1)), mode, **({"value": 0.5} if mode == "constant" else {})
                )
            case "flatten":
                return g.flatten(x)
            case "linear":
                return g.linear(x, self.weight(pick.choice([1, 3, 4]), x.shape[1]))
        return g.concatenate((x, 2 * x), axis=1)

    def case(self) -> Case:
        x = node = self.input("x", *self.random.choice([(2, 5, 4), (3, 4, 4), (7,), (1, 6, 3)]))
        for _ in range(self.random.randint(3, 8)):
            node = self.step(node)
        loss = g.mean(node * node) if self.random.random() < 0.5 else g.sum(g.sin(node))
        gradients = g.grad(loss, [x, *self.weights])
        return self.made([loss, node, *gradients])

    def made(self, nodes: Sequence[Node]) -> Case:
        program = to_program(nodes).program
        arrays = {t.name: self.arrays[t.name] for t in program.inputs}
        return Case(program, arrays, bind_dims((t, arrays[t.name].shape) for t in program.inputs))


@cache
def graphs(count: int, start: int = 0) -> list[Case]:
    return [Growing(seed).case() for seed in range(start, start + count)]


@pytest.mark.parametrize("options", [Options(), PLAIN], ids=["default", "plain"])
def test_c_computes_random_graphs_and_their_gradients(options: Options) -> None:
    assert_agree(graphs(20), options, profile="debug+strict", tolerance=TOLERANCE)


def test_optimised_c_computes_random_graphs_and_their_gradients() -> None:
    assert_agree(graphs(10, start=1000), profile="release+strict", tolerance=TOLERANCE)


def test_both_ways_of_interpreting_agree() -> None:
    for case in graphs(10, start=2000):
        assert not [*differences(expected(case, fast=True), expected(case), TOLERANCE)], str(case)


def test_random_graphs_stay_near_one() -> None:
    """Or the tolerance, which is relative to the largest value, would mean nothing."""
    for case in graphs(20):
        values = interpret(case.program, case.arrays, case.dims).values()
        assert all(np.isfinite(v).all() and (v.size == 0 or abs(v).max() < 1e4) for v in values)


@pytest.mark.long
@pytest.mark.parametrize("options", [Options(), PLAIN], ids=["default", "plain"])
def test_c_computes_thousands_of_random_graphs(options: Options) -> None:
    for start in range(OTHER_SEEDS, OTHER_SEEDS + 2000, 200):
        assert_agree(graphs(200, start), options, profile="debug+strict", tolerance=TOLERANCE)
