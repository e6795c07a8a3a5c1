"""Steps that cannot be compiled, with the updates of their parameters."""

import numpy as np

import graphcnn as g
from graphcnn.compile import compile
from graphcnn.errors import CallError, DTypeError, GradientError, GraphError, ShapeError
from graphcnn.optim import adam, rmsprop, sgd
from tests.graphcnn.errors.catalogue import scores, weight, wrong


@wrong(GraphError)
def two_inputs_of_one_name() -> None:
    compile(g.input("x", (3,)) + g.input("x", (3,)))  # here


@wrong(DTypeError)
def compiled_text() -> None:
    compile("loss")  # type: ignore[arg-type]  # here


@wrong(DTypeError)
def update_of_an_input() -> None:
    x = g.input("x", (3,))
    compile(g.sum(x), [(x, 2 * x)])  # here


@wrong(ShapeError)
def update_of_another_shape() -> None:
    w = weight(3)
    compile(g.sum(w), [(w, g.sum(w))])  # here


@wrong(GraphError)
def parameter_updated_twice() -> None:
    loss = g.sum(weight(3) ** 2)
    compile(loss, [*sgd(loss, 0.1), *sgd(loss, 0.01)])  # here


@wrong(DTypeError)
def unknown_backend() -> None:
    compile(g.sum(scores()), backend="cuda")  # here


@wrong(GradientError)
def optimiser_without_parameters() -> None:
    sgd(g.mean(scores(), name="loss"), 0.1)  # here


@wrong(DTypeError)
def optimiser_of_an_input() -> None:
    x = g.input("x", (3,))
    sgd(g.sum(x * x), 0.1, parameters=[x])  # type: ignore[list-item]  # here


@wrong(DTypeError)
def unknown_eps_mode() -> None:
    rmsprop(g.sum(weight(3) ** 2), eps_mode="under")  # type: ignore[arg-type]  # here


@wrong(DTypeError)
def beta_that_keeps_everything() -> None:
    adam(g.sum(weight(3) ** 2), betas=(0.9, 1.0))  # here


@wrong(DTypeError)
def outputs_without_an_order() -> None:
    compile({scores()})  # type: ignore[arg-type]  # here


@wrong(ShapeError)
def value_of_another_shape() -> None:
    weight(3).value = np.zeros(4)  # here


@wrong(CallError)
def constant_label_out_of_range() -> None:
    label = g.constant([0, 3, 10])
    loss = g.softmax_cross_entropy(g.input("scores", (3, 10)), label, name="loss")  # here
    compile(loss)
