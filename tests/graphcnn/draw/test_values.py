"""The numbers on a picture are those that the compiled graph computes."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import graphcnn as g
from graphcnn.draw import Drawing, draw
from graphcnn.draw.values import heat, number, written
from graphcnn.errors import CallError
from graphcnn.graph import Node

AT = {"image": np.linspace(-1, 1, 2 * 36, dtype="f").reshape(2, 1, 6, 6), "label": [2, 0]}


def carried(drawing: Drawing) -> dict[str, str]:
    """What stands on the arrows, by their label."""
    return {a.label: a.values[0] for a in drawing.picture.arrows if a.values}


def test_scalars_are_shown_as_numbers(product: Node) -> None:
    square = g.square(product, name="q")
    shown = carried(draw(square, gradients=True, at={"x": 3, "y": -2}))
    assert shown == {
        "scalar": "36",
        "∂L/∂q": "1",
        "∂L/∂z": "−12",
        "∂L/∂x": "24",
        "∂L/∂y": "−36",
    }


def test_local_gradients_between_scalars_have_their_number(product: Node) -> None:
    text = draw(g.square(product, name="q"), gradients=True, at={"x": 3, "y": -2}).dot
    for said in ("∂q/∂z = 2·z = −12", "∂z/∂x = y = −2", "∂z/∂y = x = 3"):
        assert said in text


def test_numbers_are_those_of_the_compiled_step(net: Node) -> None:
    """Whatever runs it, to the digits that are shown."""
    weights = g.trainable(net)
    for w in weights:
        w.value = np.random.default_rng(len(w.name)).normal(size=w.shape)
    loss, *gradients = g.compile([net, *g.grad(net, weights)])(**AT)
    drawing = draw(net, gradients=True, at=AT)
    shown = carried(drawing)
    for w, gradient in zip(weights, gradients, strict=True):
        assert close(shown[f"∂L/∂{w.name}"], written(gradient))
    (result,) = (a for a in drawing.picture.arrows if a.head.endswith("_result") and not a.up)
    assert close(result.values[0], number(loss))


def close(first: str, second: str) -> bool:
    """The same text, but for the last of four digits: executors add up in different orders."""
    numbers = [
        [float(n.replace("−", "-")) for n in re.findall(r"−?[\d.]+(?:e[-−]?\d+)?", t)]
        for t in (first, second)
    ]
    return bool(numbers[0]) and np.allclose(*numbers, rtol=2e-4, atol=1e-6)


def test_inputs_may_be_given_by_node() -> None:
    x = g.input("x")
    assert carried(draw(g.exp(x), at={x: 0.0}))["scalar"] == "1"


def test_parameters_have_the_values_of_now() -> None:
    w = g.parameter("w", 2.0)
    drawing = draw(g.multiply(w, 3.0, name="z"), at={})
    w.value = 5.0
    later = drawing.with_values({}, "later")
    assert later.picture.arrows[-1].values == ("6", "15")
    assert later.picture.frames == ("frame 1", "later")


def test_drawing_changes_nothing() -> None:
    w = g.parameter("w", [1.0, 2.0])
    loss = g.sum(g.square(w))
    draw([loss, *g.sgd(loss, lr=0.1)], at={})
    assert w.value.tolist() == [1.0, 2.0]


def test_missing_and_unknown_inputs_are_named(product: Node) -> None:
    with pytest.raises(CallError, match="y"):
        draw(product, at={"x": 1.0})
    with pytest.raises(CallError, match="w"):
        draw(product, at={"x": 1.0, "y": 2.0, "w": 3.0})


def test_a_parameter_alone_is_drawn() -> None:
    assert draw(g.parameter("w", [1.0]), at={}).picture.boxes


@given(
    hnp.arrays(
        np.float64, hnp.array_shapes(min_dims=0, max_dims=4, max_side=5), elements=st.floats()
    )
)
def test_any_array_is_written(array: np.ndarray) -> None:
    text = written(array)
    finite = array[~np.isnan(array)]
    if array.ndim > 1 and finite.size:
        assert number(finite.min()) in text and number(finite.max()) in text
    if array.ndim > 1:
        image = heat(array)
        assert len({len(row) for row in image.rows}) == 1
        assert np.isfinite((image.low, image.high)).all()


def test_an_image_has_the_largest_number_brightest() -> None:
    rows = heat(np.arange(6.0).reshape(2, 3)).rows
    assert [[*row] for row in rows] == [[0, 51, 102], [153, 204, 255]]


def test_maps_stand_side_by_side() -> None:
    maps = np.stack([np.full((2, 2), float(k)) for k in range(4)])[None]
    assert [[*row] for row in heat(maps).rows] == [[0, 0, 85, 85]] * 2 + [[170, 170, 255, 255]] * 2
