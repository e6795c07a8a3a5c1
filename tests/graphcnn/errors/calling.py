"""Compiled steps given what they cannot take."""

import functools
from typing import Any

import numpy as np

import graphcnn as g
from graphcnn.compile import Step, compile
from graphcnn.errors import CallError, DTypeError
from graphcnn.optim import sgd
from tests.graphcnn.errors.catalogue import N, image, weight, wrong


@functools.cache
def training() -> Step:
    label = g.input("label", (N,), "int32")
    hidden = g.flatten(image(N, 1, 4, 4))
    loss = g.mean(g.softmax_cross_entropy(g.linear(hidden, weight(10, 16)), label))
    return compile(loss, sgd(loss, 0.1), name="train", backend="numpy")


def images(*shape: int) -> np.ndarray[Any, Any]:
    return np.zeros(shape or (5, 1, 4, 4), "float32")


LABELS = np.arange(5)


@wrong(CallError)
def label_out_of_range() -> None:
    training()(image=images(), label=[0, 1, 10, -3, 2])  # here


@wrong(CallError)
def labels_counted_from_one() -> None:
    training()(image=images(10, 1, 4, 4), label=np.arange(1, 11))  # here


@wrong(DTypeError)
def label_missing_in_the_data() -> None:
    training()(image=images(), label=[0, 1, float("nan"), 3, 2])  # here


@wrong(DTypeError)
def labels_given_as_floats() -> None:
    training()(image=images(), label=LABELS.astype("float32"))  # here


@wrong(DTypeError)
def label_beyond_int32() -> None:
    training()(image=images(), label=np.array([0, 1, 2, 2**40, 3]))  # here


@wrong(DTypeError)
def image_given_as_float64() -> None:
    training()(image=images().astype("float64"), label=LABELS)  # here


@wrong(DTypeError)
def file_name_given_as_image() -> None:
    training()(image="cat.png", label=LABELS)  # here


@wrong(DTypeError)
def node_given_as_image() -> None:
    training()(image=image(N, 1, 4, 4), label=LABELS)  # here


@wrong(CallError)
def misspelt_input() -> None:
    training()(images=images(), label=LABELS)  # here


@wrong(CallError)
def missing_input() -> None:
    training()(image=images())  # here


@wrong(CallError)
def inputs_without_names() -> None:
    training()(images(), LABELS)  # here


@wrong(CallError)
def image_without_the_channel_axis() -> None:
    training()(image=images(5, 4, 4), label=LABELS)  # here


@wrong(CallError)
def image_in_one_row() -> None:
    training()(image=images(5, 16), label=LABELS)  # here


@wrong(CallError)
def image_with_channels_last() -> None:
    training()(image=images(5, 4, 4, 1), label=LABELS)  # here


@wrong(CallError)
def image_of_another_size() -> None:
    training()(image=images(5, 1, 4, 5), label=LABELS)  # here


@wrong(CallError)
def batches_of_two_sizes() -> None:
    training()(image=images(), label=LABELS[:4])  # here


@wrong(CallError)
def batch_shorter_than_what_is_cut_off() -> None:
    x = g.input("x", (N, 3))
    step = compile(g.exp(x[5:], name="late"), backend="numpy")
    step(x=np.zeros((4, 3), "float32"))  # here
