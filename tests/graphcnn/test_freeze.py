"""freeze=True: what follows from the parameters alone is worked out once."""

import numpy as np
import pytest

import graphcnn as g

IMAGES = np.random.default_rng(0).standard_normal((2, 64, 14, 14), dtype=np.float32)


def network() -> g.Node:
    """A convolution of 64 channels and a linear layer: large enough to be packed for vectors."""
    image = g.input("image", (2, 64, 14, 14))
    filters = g.parameter("filters", g.init.he((64, 64, 3, 3), seed=0))
    bias = g.parameter("bias", np.linspace(-1, 1, 64))
    weights = g.parameter("weights", g.init.he((10, 3136), seed=1))
    maps = g.max_pool2d(g.relu(g.conv2d(image, filters, bias, padding=1)), 2)
    return g.linear(g.flatten(maps), weights, name="scores")


@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_frozen_or_not_the_result_is_the_same(backend: str) -> None:
    free = g.compile(network(), backend=backend)(image=IMAGES)
    frozen = g.compile(network(), backend=backend, freeze=True)(image=IMAGES)
    np.testing.assert_allclose(frozen, free, rtol=1e-5, atol=1e-5)


def test_a_call_of_a_frozen_network_packs_no_weights() -> None:
    def reads(step: g.Step) -> set[str]:
        return {t.name for t in step.plan.arrays}

    free, frozen = g.compile(network()), g.compile(network(), freeze=True)
    assert "filters" in reads(free)
    assert "filters" not in reads(frozen)
    assert any(name.startswith("filters_") for name in reads(frozen))


def test_frozen_parameters_keep_the_values_they_had() -> None:
    scores = network()
    frozen = g.compile(scores, freeze=True)
    before = frozen(image=IMAGES)
    (filters,) = (n for n in g.compile(scores).graph.nodes if n.name == "filters")
    filters.value[...] = 0
    np.testing.assert_array_equal(frozen(image=IMAGES), before)


def test_a_frozen_parameter_cannot_be_updated() -> None:
    scores = network()
    with pytest.raises(g.GraphError, match="frozen parameter keeps its value"):
        g.compile(scores, updates=g.sgd(g.sum(scores * scores), lr=0.1), freeze=True)
