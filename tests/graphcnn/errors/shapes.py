"""Shapes that do not meet, and sizes that no tensor has."""

import graphcnn as g
from graphcnn.errors import DTypeError, ShapeError
from tests.graphcnn.errors.catalogue import N, image, scores, weight, wrong


@wrong(ShapeError)
def shapes_that_do_not_broadcast() -> None:
    g.add(g.input("x", (8, 3)), g.input("y", (8, 4)), name="total")  # here


@wrong(ShapeError)
def operator_on_shapes_that_do_not_broadcast() -> None:
    hidden = g.relu(g.input("x", (8, 3)))
    hidden += g.input("y", (8, 4))  # here


@wrong(ShapeError)
def matrix_that_should_be_transposed() -> None:
    image(N, 784) @ weight(10, 784)  # here


@wrong(ShapeError)
def matrices_that_do_not_meet() -> None:
    image(N, 784) @ weight(10, 70)  # here


@wrong(ShapeError)
def linear_with_transposed_weight() -> None:
    g.linear(image(N, 784), weight(784, 10), name="scores")  # here


@wrong(ShapeError)
def linear_after_a_change_of_image_size() -> None:
    g.linear(image(N, 400), weight(10, 256))  # here


@wrong(ShapeError)
def linear_with_wrong_bias() -> None:
    g.linear(image(N, 784), weight(10, 784), weight(784, name="b"))  # here


@wrong(ShapeError)
def convolution_of_other_channels() -> None:
    g.conv2d(image(N, 3, 32, 32), weight(16, 1, 3, 3), name="conv1")  # here


@wrong(ShapeError)
def groups_that_do_not_divide_the_channels() -> None:
    g.conv2d(image(N, 5, 32, 32), weight(4, 2, 3, 3), groups=2)  # here


@wrong(ShapeError)
def groups_that_do_not_divide_the_filters() -> None:
    g.conv2d(image(N, 4, 32, 32), weight(5, 2, 3, 3), groups=2)  # here


@wrong(ShapeError)
def kernel_larger_than_the_image() -> None:
    g.conv2d(image(N, 1, 4, 4), weight(6, 1, 5, 5))  # here


@wrong(ShapeError)
def pooling_window_larger_than_the_image() -> None:
    g.max_pool2d(image(N, 6, 3, 3), 4, name="pool1")  # here


@wrong(ShapeError)
def even_kernel_with_same_padding() -> None:
    g.conv2d(image(N, 1, 8, 8), weight(6, 1, 4, 4), padding="same")  # here


@wrong(ShapeError)
def same_padding_with_stride_on_a_symbolic_size() -> None:
    g.conv2d(image(N, 1, g.dim("H"), 8), weight(6, 1, 3, 3), padding="same", stride=2)  # here


@wrong(ShapeError)
def image_without_channels() -> None:
    g.conv2d(image(N, 28, 28), weight(6, 1, 3, 3))  # here


@wrong(ShapeError)
def axis_that_is_not_there() -> None:
    g.softmax(scores(), axis=2)  # here


@wrong(ShapeError)
def axis_named_twice() -> None:
    g.sum(scores(), axis=(1, -1))  # here


@wrong(ShapeError)
def reshape_to_another_count() -> None:
    image(N, 3, 4).reshape(N, 13)  # here


@wrong(ShapeError)
def negative_size() -> None:
    g.input("image", (-1, 784))  # here


@wrong(ShapeError)
def size_that_is_a_text() -> None:
    g.input("image", ("N", 784))  # here


@wrong(ShapeError)
def stride_of_zero() -> None:
    g.conv2d(image(N, 1, 8, 8), weight(6, 1, 3, 3), stride=0)  # here


@wrong(ShapeError)
def negative_padding() -> None:
    g.conv2d(image(N, 1, 8, 8), weight(6, 1, 3, 3), padding=-1)  # here


@wrong(DTypeError)
def half_a_cell_of_padding() -> None:
    g.conv2d(image(N, 1, 8, 8), weight(6, 1, 3, 3), padding=1.5)  # here


@wrong(ShapeError)
def padding_beyond_half_a_pooling_window() -> None:
    g.max_pool2d(image(N, 1, 8, 8), 2, padding=2)  # here


@wrong(ShapeError)
def joined_maps_of_different_sizes() -> None:
    early, late = g.input("early", (N, 3, 8, 8)), g.input("late", (N, 3, 4, 4))
    g.concatenate((early, late), axis=1)  # here


@wrong(ShapeError)
def index_beyond_the_end() -> None:
    scores()[:, 10]  # here


@wrong(ShapeError)
def more_indices_than_axes() -> None:
    scores()[0, 0, 0]  # here


@wrong(ShapeError)
def labels_as_one_hot_rows() -> None:
    label = g.input("label", (N, 10), "int32")
    g.softmax_cross_entropy(scores(), label, name="losses")  # here
