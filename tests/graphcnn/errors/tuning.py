"""Tuning that has nothing to measure."""

import graphcnn as g
from graphcnn.compile import compile
from graphcnn.errors import CallError, DTypeError, GraphError
from tests.graphcnn.errors.catalogue import image, scores, weight, wrong


@wrong(GraphError)
def tuning_without_the_size_of_a_dim() -> None:
    compile(g.sum(scores()), tune=True)  # here


@wrong(GraphError)
def tuning_for_a_dim_that_is_not_there() -> None:
    compile(g.sum(scores()), tune={"n": 32})  # here


@wrong(DTypeError)
def tuning_for_a_size_in_words() -> None:
    compile(g.sum(scores()), tune={"N": "32"})  # type: ignore[dict-item]  # here


@wrong(DTypeError)
def tuning_for_a_batch_alone() -> None:
    compile(g.sum(scores()), tune=32)  # type: ignore[arg-type]  # here


@wrong(GraphError)
def tuning_of_the_interpreter() -> None:
    compile(g.sum(weight(3)), backend="numpy", tune=True)  # here


@wrong(CallError)
def tuning_for_images_smaller_than_the_kernel() -> None:
    small = image(1, 1, g.dim("H"), 8)
    compile(g.conv2d(small, weight(1, 1, 5, 5)), tune={"H": 2})  # here
