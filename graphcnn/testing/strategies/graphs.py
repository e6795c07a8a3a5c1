"""Whole random graphs, which shrink: fewer layers, smaller choices."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from graphcnn.testing.growing import RandomGraph, grow


@st.composite
def graphs(draw: st.DrawFn, /, **choices: Any) -> RandomGraph:
    """Random graphs of eight ops or more, with gradients; see `graphcnn.testing.grow`.

    >>> from hypothesis import given, settings
    >>> import graphcnn as g
    >>> @settings(max_examples=5, deadline=None)
    ... @given(graphs(own=[lambda grow, x: g.relu(x)], start=(2, 5, 4)))
    ... def claim(graph):
    ...     assert graph.ops >= 8 and "relu" in str(graph)
    >>> claim()
    """
    return grow(draw(st.randoms(use_true_random=False)), **choices)
