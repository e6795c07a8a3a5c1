"""Initial values: the spread that their sources ask for, the same for the same seed."""

import numpy as np
import pytest

from graphcnn import init
from graphcnn.errors import GraphError

SHAPE = (64, 32, 5, 5)
DRAWN = {
    "normal": lambda seed: init.normal(SHAPE, 0.5, seed=seed),
    "uniform": lambda seed: init.uniform(SHAPE, 0.5, seed=seed),
    "he": lambda seed: init.he(SHAPE, seed=seed),
    "glorot": lambda seed: init.glorot(SHAPE, seed=seed),
}
VARIANCES = {
    "normal": 0.25,
    "uniform": 0.25 / 3,
    "he": 2 / (32 * 25),
    "glorot": 2 / (32 * 25 + 64 * 25),
}


@pytest.mark.parametrize("name", DRAWN)
def test_mean_is_zero_and_variance_is_the_sources(name: str) -> None:
    values = DRAWN[name](0).astype("float64")
    assert values.var() == pytest.approx(VARIANCES[name], rel=0.03)
    assert abs(values.mean()) < 4 * np.sqrt(VARIANCES[name] / values.size)


@pytest.mark.parametrize("name", DRAWN)
def test_same_seed_gives_the_same_values(name: str) -> None:
    first, same, other = DRAWN[name](1), DRAWN[name](1), DRAWN[name](2)
    assert (first.shape, first.dtype) == (SHAPE, "float32")
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", DRAWN)
def test_generator_goes_on_where_it_was(name: str) -> None:
    rng = np.random.default_rng(1)
    first, second = DRAWN[name](rng), DRAWN[name](rng)
    np.testing.assert_array_equal(first, DRAWN[name](1))
    assert not np.array_equal(first, second)


def test_no_global_random_state_is_touched() -> None:
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 - that is what must stay
    for draw in DRAWN.values():
        draw(0)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_uniform_values_stay_within_their_bound() -> None:
    values = DRAWN["uniform"](0)
    assert -0.5 <= values.min() < -0.49
    assert 0.49 < values.max() < 0.5


def test_constants() -> None:
    assert init.zeros(2, 3).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert init.constant((2,), 0.5).tolist() == [0.5, 0.5]
    assert init.zeros(2).dtype == init.constant((2,), 1).dtype == "float32"


def test_scale_is_kept_through_layers_of_relu() -> None:
    x = np.random.default_rng(0).standard_normal((200, 256))
    for layer in range(10):
        x = np.maximum(x @ init.he((256, 256), seed=layer).T, 0)
    assert 0.3 < np.mean(x**2) < 3


@pytest.mark.parametrize("initial", [init.he, init.glorot])
def test_weight_of_one_axis_has_no_fans(initial: object) -> None:
    with pytest.raises(GraphError, match=r"initial values at test_init.py:\d+: .*\(3,\)"):
        initial((3,), seed=0)  # type: ignore[operator]
