"""Graphs that several tests of pictures draw."""

import numpy as np
import pytest

import graphcnn as g
from graphcnn.graph import Node


def small_net() -> Node:
    """A convolution, ReLU, pooling, a linear layer and a loss."""
    image, label = g.input("image", (g.dim("N"), 1, 6, 6)), g.input("label", (g.dim("N"),), "int32")
    filters = g.parameter("filters", np.ones((2, 1, 3, 3)))
    bias = g.parameter("bias", np.zeros(2))
    weight = g.parameter("weight", np.ones((3, 18)))
    maps = g.relu(g.conv2d(image, filters, bias, padding=1, name="conv"))
    scores = g.linear(g.flatten(g.max_pool2d(maps, 2)), weight)
    return g.mean(g.softmax_cross_entropy(scores, label), name="loss")


@pytest.fixture
def net() -> Node:
    return small_net()


def small_product() -> Node:
    return g.multiply(g.input("x"), g.input("y"), name="z")


@pytest.fixture
def product() -> Node:
    return small_product()
