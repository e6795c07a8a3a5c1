"""The language of declarations: define a tensor, state its elements, say what must hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import sympy

from codegen import notation
from codegen.affine import Index, Size
from codegen.notation import (
    FLOATS,
    Access,
    Combine,
    DType,
    NotationError,
    Reduce,
    Statement,
    Tensor,
)
from graphcnn.errors import DTypeError, ShapeError, described

LETTERS = "ijklmnopqrst"


@dataclass(frozen=True)
class Fragment:
    """What one op computes: statements that turn input tensors into one output tensor.

    `detached` tensors pass no gradient on. Besides `stop_gradient` they are the shifts that only
    keep numbers small, like the maximum that softmax subtracts: its value does not depend on them.
    `choices` are integer inputs that pick along an axis, with the number of choices.
    """

    inputs: tuple[Tensor, ...]
    statements: tuple[Statement, ...]
    output: Tensor
    detached: frozenset[Tensor] = frozenset()
    choices: tuple[tuple[Tensor, Size], ...] = ()

    @property
    def temporaries(self) -> tuple[Tensor, ...]:
        """Tensors computed on the way to the output."""
        made = dict.fromkeys(s.target for s in self.statements)
        return tuple(t for t in made if t != self.output)

    def __str__(self) -> str:
        return "\n".join(map(str, self.statements))


class Definition:
    """A tensor while its statements are being written: `y[i] = ...`, `y[i] += ...`."""

    def __init__(self, tensor: Tensor, recorder: _Recorder) -> None:
        self.tensor = tensor
        self._recorder = recorder

    @property
    def shape(self) -> tuple[Size, ...]:
        """Sizes of the axes."""
        return self.tensor.shape

    @property
    def dtype(self) -> DType:
        """Type of the elements."""
        return self.tensor.dtype

    def __getitem__(self, coordinates: Any) -> Any:  # an Access, and what += makes of it
        return self.tensor[coordinates]

    def __setitem__(self, coordinates: Any, value: Any) -> None:
        self._recorder.record(self.tensor[coordinates], value)


class _Recorder:
    """Collects the statements of the declaration that is running."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.ranges: dict[Index, Size] = {}
        self.names: set[str] = set()
        self.detached: set[Tensor] = set()
        self.choices: dict[Tensor, Size] = {}

    def record(self, left: Access, value: Any) -> None:
        match value:
            case Combine(op, body):
                self.statements.append(notation.statement(left, op, body, self.ranges))
            case _:
                body = sympy.sympify(value)
                self.statements.append(notation.statement(left, Reduce.SET, body, self.ranges))


_RECORDER: ContextVar[_Recorder] = ContextVar("recorder")


def record(declaration: Callable[[], Definition], inputs: Sequence[Tensor]) -> Fragment:
    """Run a declaration and give the fragment it states."""
    recorder = _Recorder()
    recorder.names.update(t.name for t in inputs)
    token = _RECORDER.set(recorder)
    try:
        made = declaration()
    finally:
        _RECORDER.reset(token)
    return Fragment(
        tuple(inputs),
        tuple(recorder.statements),
        made.tensor,
        frozenset(recorder.detached),
        tuple(recorder.choices.items()),
    )


def define(
    name: str,
    shape: Iterable[Size],
    *,
    like: Tensor | Definition | None = None,
    dtype: DType | None = None,
    detached: bool = False,
) -> Definition:
    """Give a new tensor to write statements for, inside a declaration.

    `like` lends its dtype. No gradient flows through a tensor that is `detached`.
    """
    recorder = _RECORDER.get()
    if name in recorder.names:
        raise NotationError(f"{name} is defined twice in one declaration")
    recorder.names.add(name)
    chosen: DType = dtype or (like.dtype if like is not None else "float32")
    tensor = Tensor(name, shape, chosen)
    if detached:
        recorder.detached.add(tensor)
    return Definition(tensor, recorder)


def indices(names: str, **sizes: Size) -> tuple[Index, ...]:
    """Give indices by name; state a size where no axis of the statement tells it."""
    made = notation.indices(names)
    recorder = _RECORDER.get()
    for symbol in made:
        if symbol.name in sizes:
            recorder.ranges[symbol] = sizes[symbol.name]
    return made


def axes(x: Tensor | Definition, letters: str = LETTERS) -> tuple[Index, ...]:
    """Give one index per axis of a tensor."""
    return notation.indices(" ".join(letters[: len(x.shape)]))


def choose(labels: Tensor, classes: Size) -> None:
    """State that integer `labels` pick one of so many classes; compiled calls check them.

    Raises `DTypeError` where the labels are not integers.
    """
    if labels.dtype != "int32":
        raise DTypeError(
            f"{{{labels.name}}} holds {labels.dtype} values",
            rule=f"{{{labels.name}}} picks one of {classes} by its number, so it holds integers",
            fix=f'give it as dtype="int32", or {{{labels.name}}}.astype("int32")',
        )
    _RECORDER.get().choices[labels] = classes


def require(condition: bool, problem: str, *, rule: str, fix: str) -> None:
    """Raise `ShapeError` with the problem, the rule it breaks and the likely fix.

    Where they say `{x}`, the user reads the name of the node given for x.
    """
    if not condition:
        raise ShapeError(problem, rule=rule, fix=fix)


def require_dtype(dtypes: Sequence[DType], *tensors: Tensor | None) -> None:
    """Raise `DTypeError` naming the first tensor that holds something else."""
    for tensor in tensors:
        if tensor is not None and tensor.dtype not in dtypes:
            raise DTypeError(
                f"{{{tensor.name}}} holds {tensor.dtype} values",
                rule=f"{tensor.name} holds {' or '.join(dtypes)}",
                fix=f'convert it: {{{tensor.name}}}.astype("{dtypes[0]}")',
            )


def broadcast(*shapes: Sequence[Size]) -> tuple[Size, ...]:
    """Give the shape that NumPy's broadcasting gives; raises `ShapeError` where it has none."""
    rank = max(map(len, shapes))
    result: list[Size] = []
    for axis in range(-rank, 0):
        sizes = {s[axis] for s in shapes if len(s) >= -axis and s[axis] != 1}
        if len(sizes) > 1:
            shown = " and ".join(described(s) for s in shapes)
            raise ShapeError(
                f"shapes {shown} do not broadcast: axis {axis} has sizes "
                f"{' and '.join(sorted(map(str, sizes)))}",
                rule="from the right, sizes are equal or one of them is 1",
                fix="reshape one of them, or insert an axis of size 1 where it should repeat",
            )
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


def elementwise(
    body: Callable[..., Any], *tensors: Tensor, dtype: DType | None = None, name: str = "y"
) -> Definition:
    """Give a tensor with `body` applied to every element, shapes broadcast as NumPy does."""
    shape = broadcast(*(t.shape for t in tensors))
    float_like = next((t for t in tensors if t.dtype in FLOATS), tensors[0])
    y = define(name, shape, like=float_like, dtype=dtype)
    at = axes(y)
    y[at] = body(*(t[spread(at, t.shape)] for t in tensors))
    return y


def spread(at: Sequence[Index], shape: Sequence[Size]) -> tuple[Any, ...]:
    """Give the coordinates at which an array of this shape is read under broadcasting."""
    tail = at[len(at) - len(shape) :]
    return tuple(sympy.S.Zero if n == 1 else i for i, n in zip(tail, shape, strict=True))
