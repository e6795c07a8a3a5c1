"""Name scopes: which layer of a network a node belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from graphcnn.errors import DTypeError, user_origin

_SCOPE: ContextVar[tuple[str, ...]] = ContextVar("scope", default=())


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Put the nodes made inside into a layer of this name; scopes nest.

    Parameters made inside have the layer's name before theirs, as in `block1.conv.weight`, so a
    function that builds a layer may be called once for each. Pictures draw a layer as one box
    where a graph is large, or with `draw(..., level="layers")`.

    >>> import graphcnn as g
    >>> with g.scope("conv1"):
    ...     weight = g.parameter("weight", g.init.zeros(6, 1, 5, 5))
    >>> weight.name
    'conv1.weight'
    """
    if not isinstance(name, str) or not name:
        raise DTypeError(
            f"its name is {name!r}",
            rule="a scope is named by a text that is not empty",
            fix='with scope("conv1"):',
        ).at("scope", user_origin())
    token = _SCOPE.set((*_SCOPE.get(), name))
    try:
        yield
    finally:
        _SCOPE.reset(token)


def current_scope() -> tuple[str, ...]:
    """Give the names of the scopes that are open, the outermost first."""
    return _SCOPE.get()
