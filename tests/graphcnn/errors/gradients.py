"""Gradients of what has none."""

import graphcnn as g
from graphcnn.errors import DTypeError, GradientError, ShapeError
from tests.graphcnn.errors.catalogue import N, scores, wrong


@wrong(GradientError)
def loss_that_is_not_a_scalar() -> None:
    x = scores()
    g.grad(x * x, x)  # here


@wrong(GradientError)
def input_that_does_not_lead_to_the_loss() -> None:
    x, y = g.input("x", (3,)), g.input("y", (3,))
    g.grad(g.sum(x * x, name="loss"), y)  # here


@wrong(GradientError)
def gradient_of_labels() -> None:
    x, label = scores(), g.input("label", (N,), "int32")
    loss = g.mean(g.softmax_cross_entropy(x, label))
    g.grad(loss, label)  # here


@wrong(GradientError)
def gradient_of_a_count() -> None:
    x = scores()
    g.grad(g.sum(x > 0, name="count"), x)  # here


@wrong(DTypeError)
def gradient_by_name() -> None:
    g.grad(g.sum(scores()), "scores")  # type: ignore[arg-type]  # here


@wrong(DTypeError)
def loss_that_is_a_number() -> None:
    g.grad(0.5, scores())  # type: ignore[arg-type]  # here


@wrong(ShapeError)
def seed_of_another_shape() -> None:
    x = scores()
    g.grad(x * x, x, seed=g.input("seed", (10,)))  # here
