"""An epoch shows every row once, and the same seed trains the same network."""

import numpy as np
import pytest

import graphcnn as g

ROWS = {"x": np.arange(50, dtype=np.float32), "label": np.arange(50, dtype=np.int32)}


def test_an_epoch_has_every_row_once_and_rows_stay_together() -> None:
    found = [*g.batches(ROWS, 8, seed=0)]
    assert [len(batch["x"]) for batch in found] == [8] * 6 + [2]
    assert sorted(np.concatenate([batch["x"] for batch in found])) == sorted(ROWS["x"])
    assert all((batch["x"] == batch["label"]).all() for batch in found)


def test_the_seed_draws_the_order_and_none_keeps_it() -> None:
    def order(seed: int | None) -> list[float]:
        return [float(v) for batch in g.batches(ROWS, 8, seed=seed) for v in batch["x"]]

    assert order(1) == order(1) != order(2)
    assert order(None) == sorted(order(1))


def test_the_mean_loss_counts_rows_and_not_batches() -> None:
    x = g.input("x", (g.dim("N"),))
    losses = g.fit(g.compile(g.mean(x)), {"x": ROWS["x"]}, epochs=2, batch=8)
    assert losses == pytest.approx([24.5, 24.5])


def classifier(start: np.ndarray) -> tuple[g.Step, list[g.Parameter]]:
    x, label = g.input("x", (g.dim("N"), 2)), g.input("label", (g.dim("N"),), "int32")
    first, second = g.parameter("first", start), g.parameter("second", start.T)
    scores = g.linear(g.tanh(g.linear(x, first)), second)
    loss = g.mean(g.softmax_cross_entropy(scores, label))
    return g.compile(loss, updates=g.rmsprop(loss, lr=0.02)), [first, second]


def points() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 2)).astype(np.float32)
    return {"x": x, "label": (x[:, 0] * x[:, 1] > 0).astype(np.int32)}


def test_the_same_seed_trains_the_same_network() -> None:
    runs = []
    for _ in range(2):
        step, parameters = classifier(g.init.he((4, 2), seed=0))
        losses = g.fit(step, points(), epochs=5, batch=16, seed=3)
        runs.append((losses, [p.value.tobytes() for p in parameters]))
    assert runs[0] == runs[1]
    assert runs[0][0][-1] < runs[0][0][0]


def test_a_network_that_starts_at_zero_learns_nothing() -> None:
    """All units are alike, and no gradient passes a second layer of zeros."""
    step, (first, second) = classifier(np.zeros((4, 2), np.float32))
    g.fit(step, points(), epochs=5, batch=16)
    assert not first.value.any()
    assert not second.value.any()


def test_what_does_not_fit_together_is_named() -> None:
    with pytest.raises(g.ShapeError, match="x has 50, label has 3 rows"):
        next(g.batches(ROWS | {"label": np.zeros(3)}, 8))
    with pytest.raises(g.DTypeError, match="batches of 0"):
        next(g.batches(ROWS, 0))
