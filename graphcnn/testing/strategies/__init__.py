"""Hypothesis strategies: shapes, arrays, the arguments of ops, and whole random graphs.

>>> from hypothesis import given, settings
>>> import graphcnn as g
>>> from graphcnn.testing import apply, check_gradients
>>> @settings(max_examples=5, deadline=None)  # each measures many slopes
... @given(unary(avoid=[0]))
... def gradients_of_relu_are_right(arguments):
...     made = apply(g.relu, arguments)
...     check_gradients(made.node, made.arrays)
>>> gradients_of_relu_are_right()
"""

try:
    import hypothesis  # noqa: F401 (what all modules here draw with)
except ImportError as error:
    raise ImportError(
        "graphcnn.testing.strategies draws with Hypothesis; install it with "
        "pip install 'graphcnn[test]'"
    ) from error

from graphcnn.testing.strategies.arguments import (
    Arguments,
    binary,
    classification,
    reduction,
    unary,
    windows,
)
from graphcnn.testing.strategies.catalogue import arguments_of
from graphcnn.testing.strategies.graphs import graphs
from graphcnn.testing.strategies.values import (
    axes,
    broadcasting,
    distinct,
    generators,
    one_or_two,
    reals,
    shapes,
)

__all__ = [
    "Arguments",
    "arguments_of",
    "axes",
    "binary",
    "broadcasting",
    "classification",
    "distinct",
    "generators",
    "graphs",
    "one_or_two",
    "reals",
    "reduction",
    "shapes",
    "unary",
    "windows",
]
