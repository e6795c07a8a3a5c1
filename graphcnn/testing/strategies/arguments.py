"""Arguments of ops by their kind: arrays for tensors, plain values for the rest.

What is drawn is a dict, as an op of one's own takes it: `op(**arguments)`, once the arrays are
inputs (see `graphcnn.testing.apply`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from graphcnn.testing.strategies.values import (
    axes,
    both,
    broadcasting,
    distinct,
    generators,
    one_or_two,
    reals,
    shapes,
)

Arguments = dict[str, Any]


@st.composite
def unary(
    draw: st.DrawFn,
    /,
    low: float = -2,
    high: float = 2,
    avoid: Sequence[float] = (),
    **static: st.SearchStrategy[Any],
) -> Arguments:
    """One tensor `x` of any shape, away from the kinks at `avoid`; other arguments are strategies.

    >>> from hypothesis import given
    >>> @given(unary(0, 1, strength=st.sampled_from([0.1, 0.5])))
    ... def claim(arguments):
    ...     assert list(arguments) == ["x", "strength"] and (arguments["x"] >= 0).all()
    >>> claim()
    """
    x = draw(reals(draw(shapes()), low, high, avoid))
    return {"x": x, **{name: draw(values) for name, values in static.items()}}


@st.composite
def binary(draw: st.DrawFn, ties: bool = True, avoid: Sequence[float] = ()) -> Arguments:
    """Two tensors `x` and `y` that broadcast; without ties no two of their values are equal."""
    left, right = draw(broadcasting())
    if not ties:
        x, y = draw(distinct(left, right))
        return {"x": x, "y": y}
    return {"x": draw(reals(left)), "y": draw(reals(right, avoid=avoid))}


@st.composite
def comparison(draw: st.DrawFn) -> Arguments:
    """Two tensors `x` and `y` of few different values, so that many are equal."""
    rng = draw(generators())
    x, y = (rng.integers(-2, 3, sizes).astype(float) for sizes in draw(broadcasting()))
    return {"x": x, "y": y}


@st.composite
def reduction(draw: st.DrawFn, least: int = 0, ties: bool = True) -> Arguments:
    """One tensor `x` of `least` axes or more, some of its axes as `axis`, and `keepdims`."""
    sizes = draw(shapes(least))
    x = draw(reals(sizes)) if ties else draw(distinct(sizes))[0]
    return {"x": x, "axis": draw(axes(len(sizes))), "keepdims": draw(st.booleans())}


@st.composite
def windows(draw: st.DrawFn, dilated: bool = True, ties: bool = True) -> Arguments:
    """Maps `x` (N×C×H×W), and windows that fit: kernel_size, stride, padding and dilation.

    >>> from hypothesis import given
    >>> import graphcnn as g
    >>> from graphcnn.testing import apply
    >>> @given(windows(ties=False))
    ... def claim(arguments):
    ...     assert apply(g.max_pool2d, arguments).node.ndim == 4
    >>> claim()
    """
    kernel, dilation = draw(one_or_two(1, 3)), draw(one_or_two(1, 2)) if dilated else 1
    reach = [d * (k - 1) + 1 for d, k in zip(both(dilation), both(kernel), strict=True)]
    most = min(both(kernel)) // 2
    batch, channels = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    sizes = (batch, channels, *(draw(st.integers(r, r + 5)) for r in reach))
    arguments = {
        "x": draw(reals(sizes)) if ties else draw(distinct(sizes))[0],
        "kernel_size": kernel,
        "stride": draw(st.one_of(st.none(), one_or_two(1, 3))),
        "padding": draw(one_or_two(0, most)),
    }
    return arguments | ({"dilation": dilation} if dilated else {})


@st.composite
def classification(
    draw: st.DrawFn, /, scores: str = "scores", **static: st.SearchStrategy[Any]
) -> Arguments:
    """Scores of rows and classes, under the name that the op gives them, and a `label` a row."""
    rows, classes = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    label = draw(generators()).integers(0, classes, rows).astype(np.int32)
    values = draw(distinct((rows, classes)))[0]
    extra = {name: draw(values) for name, values in static.items()}
    return {scores: values, "label": label, **extra}
