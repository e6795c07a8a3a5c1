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
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from codegen.notation import (
    FLOATS,
    DType,
    NotationError,
    Tensor,
    argmax_of,
    argmin_of,
    equal,
    max_of,
    min_of,
)
from graphcnn.errors import DTypeError, GraphError, Origin, nearest, user_origin
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

    A number given for a parameter of `numbers` stays a number, so that the formula knows it. One
    of `several` takes a tuple or list of tensors.
    """

    name: str
    declaration: Callable[..., Definition]
    signature: inspect.Signature
    tensors: tuple[str, ...]
    numbers: frozenset[str] = frozenset()
    several: frozenset[str] = frozenset()

    @property
    def formula(self) -> str:
        """The first line of the declaration's docstring."""
        return (inspect.getdoc(self.declaration) or self.name).splitlines()[0]

    def fragment(self, arguments: dict[str, Any]) -> Fragment:
        """Run the declaration on tensors and static arguments."""
        inputs = [t for _, t in self.operands(arguments)]
        return record(lambda: self.declaration(**arguments), inputs)

    def given(self, arguments: dict[str, Any]) -> tuple[str, ...]:
        """The parameters for which these arguments hold tensors."""
        return tuple(
            n
            for n in self.tensors
            if not (n in self.numbers and isinstance(arguments[n], numbers.Real))
        )

    def operands(self, arguments: dict[str, Any]) -> list[tuple[str, Any]]:
        """The tensors given, one by one, under the names that the declaration sees."""
        found: list[tuple[str, Any]] = []
        for n in self.given(arguments):
            value = arguments[n]
            if n in self.several and isinstance(value, (tuple, list)):
                found += [(f"{n}{k}", v) for k, v in enumerate(value)]
            elif value is not None:
                found.append((n, value))
        return found

    def __call__(self, *args: Any, name: str = "", **kwargs: Any) -> Node:
        """Bind arguments, make operands nodes, run the declaration, give the node."""
        origin = user_origin()
        who = f"{self.name} {name!r}" if name else self.name
        operands: list[tuple[str, Any]] = []
        try:
            if not isinstance(name, str):
                raise DTypeError(f"name={name!r}", rule="a name is a text", fix=f'name="{name}"')
            arguments = self._bind(args, kwargs)
            given = self.given(arguments)
            operands = self.operands(arguments)
            nodes = as_operands(operands)
            fragment = self.fragment(arguments | self._placeholders(arguments, operands, nodes))
        except NotationError as error:
            code = self.declaration.__code__
            place = Origin(code.co_filename, code.co_firstlineno)
            rule = "a declaration states elements at affine coordinates, one for each axis"
            wrong = GraphError(str(error), rule=rule, fix=f"correct the declaration at {place}")
            raise wrong.at(who, origin, _shown(operands)) from None
        except GraphError as error:
            raise _named(error, operands).at(who, origin, _shown(operands)) from None
        except (TypeError, ValueError, IndexError) as error:
            chosen = ", ".join(f"{n}={v!r:.40}" for n, v in arguments.items() if n not in given)
            misfit = DTypeError(
                f"{f'{chosen} does' if chosen else 'this does'} not fit: {error}",
                rule=self._rule,
                fix="give numbers, not texts, and pairs where pairs are asked for",
            )
            ours = self.declaration.__module__.startswith("graphcnn.")
            raise misfit.at(who, origin, _shown(operands)) from None if ours else error
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

    @property
    def _rule(self) -> str:
        return f"the arguments are {', '.join(map(_argument, self.signature.parameters.values()))}"

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        known, rule = self.signature.parameters, self._rule
        unknown = [n for n in kwargs if n not in known]
        if unknown:
            near = nearest(unknown[0], known)
            fix = f"did you mean {near!r}?" if near else "leave it out"
            raise DTypeError(f"there is no argument {unknown[0]!r}", rule=rule, fix=fix)
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise DTypeError(str(error), rule=rule, fix="give each of them once") from None
        bound.apply_defaults()
        for n in self.tensors:
            if bound.arguments[n] is None and "None" not in str(known[n].annotation):
                fix = f"give {n}; did a function forget to return its node?"
                raise DTypeError(f"{n} is None", rule=rule, fix=fix)
        return dict(bound.arguments)

    def _placeholders(
        self, arguments: dict[str, Any], operands: list[tuple[str, Any]], nodes: list[Node]
    ) -> dict[str, Any]:
        """Give, for each tensor parameter, tensors shaped like the nodes given for it."""
        made = {
            name: Tensor(name, node.shape, node.dtype)
            for (name, _), node in zip(operands, nodes, strict=True)
        }
        held: dict[str, Any] = {}
        for n in self.given(arguments):
            if n in made:
                held[n] = made[n]
            elif arguments[n] is not None:
                held[n] = tuple(made[f"{n}{k}"] for k in range(len(arguments[n])))
        return held


def _argument(parameter: inspect.Parameter) -> str:
    default = parameter.default
    return parameter.name if default is parameter.empty else f"{parameter.name}={default!r}"


def _named(error: GraphError, operands: list[tuple[str, Any]]) -> GraphError:
    """Put the user's names where a text says `{x}`."""
    names = {n: v.name for n, v in operands if isinstance(v, Node) and v.name}

    def filled(text: str) -> str:
        return re.sub(r"{(\w+)}", lambda found: names.get(found[1], found[1]), text)

    error.problem, error.rule, error.fix = map(filled, (error.problem, error.rule, error.fix))
    return error


def _shown(operands: list[tuple[str, Any]]) -> str:
    """Say what was given for each tensor: `x is image: float32[N, 3]; y is 2`."""
    parts = []
    for name, value in operands[:6]:
        match value:
            case Node():
                called = value.name or (f"{value.op}(…)" if value.inputs else value.op)
                shown = name if called == name else f"{name} is {called}"
                parts.append(f"{shown}: {value.kind}")
            case np.ndarray():
                parts.append(f"{name} is an array: {value.dtype}{[*value.shape]}")
            case _:
                parts.append(f"{name} is {value!r:.40}")
    return "; ".join(parts) + ("; …" if len(operands) > len(parts) else "")


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
    several = frozenset(n for n in tensors if "tuple" in kinds[n])
    name = declaration.__name__.removesuffix("_")
    made = Op(name, declaration, signature, tensors, either, several)
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
