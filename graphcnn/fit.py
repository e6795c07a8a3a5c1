"""Mini-batches and epochs: all rows once an epoch, in an order that a seed draws.

>>> import numpy as np
>>> import graphcnn as g
>>> x, y = g.input("x", (g.dim("N"),)), g.input("y", (g.dim("N"),))
>>> w = g.parameter("w", 0.0)
>>> loss = g.mse(w * x, y)
>>> step = g.compile(loss, updates=g.sgd(loss, lr=0.1))
>>> rows = np.linspace(-1, 1, 50, dtype=np.float32)
>>> losses = fit(step, {"x": rows, "y": 3 * rows}, epochs=20, batch=8)
>>> bool(losses[-1] < losses[0] / 100), round(float(w.value), 1)
(True, 3.0)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphcnn.errors import DTypeError, ShapeError, user_origin
from graphcnn.init import Seed

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


def batches(data: Arrays, size: int, *, seed: Seed | None = None) -> Iterator[dict[str, Array]]:
    """Give the rows of all arrays, so many at a time: every row once, the last batch may be short.

    They come in an order that `seed` draws, without one in their own.

    >>> [len(batch["x"]) for batch in batches({"x": np.arange(10)}, 4)]
    [4, 4, 2]
    """
    rows = _rows(data, size)
    order = np.arange(rows) if seed is None else np.random.default_rng(seed).permutation(rows)
    for start in range(0, rows, size):
        chosen = order[start : start + size]
        yield {name: array[chosen] for name, array in data.items()}


def fit(
    step: Callable[..., Any],
    data: Arrays,
    *,
    epochs: int,
    batch: int,
    seed: Seed = 0,
    **given: Any,
) -> list[float]:
    """Call a training step on mini-batches; give the mean loss of a row for each epoch.

    `step` is compiled with updates and gives the loss, or a list that begins with it. `data` holds
    an array for each input that has rows, `given` the others, such as a learning rate.
    """
    source = np.random.default_rng(seed)
    rows = _rows(data, batch)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for chosen in batches(data, batch, seed=source):
            made = step(**chosen, **given)
            loss = made[0] if isinstance(made, (list, tuple)) else made
            total += float(loss) * len(next(iter(chosen.values())))
        losses.append(total / max(1, rows))
    return losses


def _rows(data: Arrays, size: int) -> int:
    counts = {name: len(array) for name, array in data.items()}
    if not counts or len(set(counts.values())) > 1:
        found = ", ".join(f"{name} has {n}" for name, n in counts.items()) or "there is no array"
        raise ShapeError(
            f"{found} rows" if counts else found,
            rule="a row of each array belongs together",
            fix="give arrays of as many rows each",
        ).at("batches", user_origin())
    if size < 1:
        raise DTypeError(f"batches of {size}", rule="a batch has a row or more", fix="batch=32").at(
            "batches", user_origin()
        )
    return next(iter(counts.values()))
