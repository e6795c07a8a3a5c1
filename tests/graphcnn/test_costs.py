"""Parameters, multiply-adds and bytes, against the numbers that anyone can work out."""

import numpy as np

import graphcnn as g
from graphcnn.graph import Node
from graphcnn.summary import summary

N = g.dim("N")


def layer(*shape: int) -> tuple[Node, Node]:
    name = "x".join(map(str, shape))
    weight = g.parameter(f"w{name}", np.zeros(shape, np.float32))
    return weight, g.parameter(f"b{name}", np.zeros(shape[0], np.float32))


def test_a_convolution_has_few_parameters_and_a_full_layer_many() -> None:
    x = g.input("x", (N, 3, 32, 32))
    conv = summary(g.conv2d(x, *layer(6, 3, 5, 5)))
    full = summary(g.linear(g.flatten(x), *layer(6 * 28 * 28, 3072)))
    assert conv.parameters == 456
    assert full.parameters == 14_455_392
    assert conv.forward == 352_800 * N
    assert full.forward == 14_450_688 * N
    assert summary(g.linear(g.flatten(x), *layer(10, 3072))).parameters == 30_730


def network() -> tuple[Node, Node]:
    x, label = g.input("x", (N, 3, 32, 32)), g.input("label", (N,), "int32")
    y = g.relu(g.conv2d(x, *layer(6, 3, 5, 5), name="conv1"))
    y = g.relu(g.conv2d(y, *layer(10, 6, 5, 5), name="conv2"))
    y = g.flatten(g.max_pool2d(y, 2))
    scores = g.linear(y, *layer(10, 1440), name="scores")
    return scores, g.mean(g.softmax_cross_entropy(scores, label))


def test_the_second_layer_and_the_sum_of_all() -> None:
    scores, _ = network()
    costs = summary(scores)
    by_name = {row.name: row for row in costs.rows}
    assert by_name["conv2"].macs == 864_000 * N
    assert by_name["w10x6x5x5"].parameters == 1500
    assert costs.parameters == 456 + 1510 + 14_410
    assert costs.forward == (352_800 + 864_000 + 14_400) * N
    assert costs.backward == 0


def test_going_back_costs_twice_as_much_but_for_the_image() -> None:
    """Each layer's gradient to weights, and to data for all but the first."""
    _, loss = network()
    costs = summary(loss)
    assert costs.backward == 2 * costs.forward - 352_800 * N
    assert costs.gradients == 4 * costs.parameters


def test_an_optimiser_keeps_state() -> None:
    _, loss = network()
    assert summary(loss, g.rmsprop(loss)).state == 4 * summary(loss).parameters
    assert summary(loss, g.adam(loss)).state >= 8 * summary(loss).parameters
    assert summary(loss).state == 0


def test_the_table_has_a_line_for_each_node_and_the_totals() -> None:
    _, loss = network()
    text = str(summary(loss))
    assert "conv1" in text
    assert "864000*N" in text
    assert "16,376" in text
