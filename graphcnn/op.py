"""The door through which every op enters, ours and yours: one declaration in index notation.

>>> from graphcnn.op import Tensor, define, indices, op
>>> @op
... def outer(x: Tensor, y: Tensor) -> Tensor:
...     '''z[i,j] = x[i] · y[j]'''
...     i, j = indices("i j")
...     z = define("z", (x.shape[0], y.shape[0]), like=x)
...     z[i, j] = x[i] * y[j]
...     return z

That is all: shape check, gradient, picture and C follow from the statement.
"""

from __future__ import annotations

import functools
import inspect
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from codegen.notation import FLOATS, DType, Tensor, argmax_of, argmin_of, equal, max_of, min_of
from graphcnn.errors import DTypeError, GraphError, user_origin
from graphcnn.fragment import (
    Definition,
    Fragment,
    axes,
    broadcast,
    choose,
    define,
    elementwise,
    indices,
    record,
    require,
    require_dtype,
    spread,
)
from graphcnn.graph import OPERATORS, Node, as_operands


@dataclass(frozen=True)
class Op:
    """A declared op: its name, its declaration, and which parameters are tensors.

    A number given for a parameter of `numbers` stays a number, so that the formula knows it.
    """

    name: str
    declaration: Callable[..., Definition]
    signature: inspect.Signature
    tensors: tuple[str, ...]
    numbers: frozenset[str] = frozenset()

    @property
    def formula(self) -> str:
        """The first line of the declaration's docstring."""
        return (inspect.getdoc(self.declaration) or self.name).splitlines()[0]

    def fragment(self, arguments: dict[str, Any]) -> Fragment:
        """Run the declaration on tensors and static arguments."""
        inputs = [t for n in self.given(arguments) for t in _as_tuple(arguments[n])]
        return record(lambda: self.declaration(**arguments), inputs)

    def given(self, arguments: dict[str, Any]) -> tuple[str, ...]:
        """The parameters for which these arguments hold tensors."""
        return tuple(
            n
            for n in self.tensors
            if not (n in self.numbers and isinstance(arguments[n], numbers.Real))
        )

    def __call__(self, *args: Any, name: str = "", **kwargs: Any) -> Node:
        """Bind arguments, make operands nodes, run the declaration, give the node."""
        origin = user_origin()
        who = f"{self.name} {name!r}" if name else self.name
        try:
            arguments = self._bind(args, kwargs)
            given = self.given(arguments)
            operands = [(n, v) for n in given for v in _as_tuple(arguments[n])]
            nodes = as_operands(operands)
            fragment = self.fragment(arguments | self._placeholders(arguments, nodes))
        except GraphError as error:
            raise error.at(who, origin) from None
        static = tuple((n, v) for n, v in arguments.items() if n not in given)
        return Node(
            self.name,
            fragment.output.shape,
            fragment.output.dtype,
            inputs=tuple(nodes),
            fragment=fragment,
            static=static,
            name=name,
            origin=origin,
            formula=self.formula,
        )

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise DTypeError(
                str(error), rule=f"{self.name}{self.signature}", fix="see the signature above"
            ) from None
        bound.apply_defaults()
        return dict(bound.arguments)

    def _placeholders(self, arguments: dict[str, Any], nodes: list[Node]) -> dict[str, Any]:
        """Give, for each tensor parameter, tensors shaped like the nodes given for it."""
        fresh = iter(nodes)
        held: dict[str, Any] = {}
        for parameter in self.given(arguments):
            match arguments[parameter]:
                case None:
                    continue
                case tuple() | list() as several:
                    held[parameter] = tuple(
                        _placeholder(f"{parameter}{k}", next(fresh)) for k in range(len(several))
                    )
                case _:
                    held[parameter] = _placeholder(parameter, next(fresh))
        return held


def _placeholder(name: str, node: Node) -> Tensor:
    return Tensor(name, node.shape, node.dtype)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


REGISTRY: dict[str, Op] = {}


def op(declaration: Callable[..., Any]) -> Callable[..., Node]:
    """Turn a declaration into an op.

    Parameters annotated `Tensor`, `Tensor | None` or `tuple[Tensor, ...]` are inputs; all others
    are static; `Tensor | float` is static where a number is given. The result takes nodes, arrays
    and numbers, an optional `name=`, and gives a node.
    """
    signature = inspect.signature(declaration)
    kinds = {n: str(p.annotation) for n, p in signature.parameters.items()}
    tensors = tuple(n for n, kind in kinds.items() if "Tensor" in kind)
    either = frozenset(n for n in tensors if "float" in kinds[n])
    made = Op(declaration.__name__.removesuffix("_"), declaration, signature, tensors, either)
    if declaration.__module__.startswith("graphcnn.ops."):
        REGISTRY[made.name] = made
        OPERATORS[made.name] = made

    @functools.wraps(declaration)
    def call(*args: Any, **kwargs: Any) -> Node:
        return made(*args, **kwargs)

    return call


__all__ = [
    "FLOATS",
    "REGISTRY",
    "DType",
    "Definition",
    "Fragment",
    "Op",
    "Tensor",
    "argmax_of",
    "argmin_of",
    "axes",
    "broadcast",
    "choose",
    "define",
    "elementwise",
    "equal",
    "indices",
    "max_of",
    "min_of",
    "op",
    "require",
    "require_dtype",
    "spread",
]
