"""What a call is given: values by name made arrays where nothing is lost, else refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.affine import Dim, Size
from codegen.sizes import evaluate
from graphcnn.errors import CallError, DTypeError, GraphError, described, nearest
from graphcnn.graph import Node

Array = npt.NDArray[Any]


def by_name(given: Mapping[Any, Any]) -> dict[str, Any]:
    """Give values of inputs by name, some of which may be given by node."""
    return {key.name if isinstance(key, Node) else key: value for key, value in given.items()}


def as_array(value: Any, node: Node, dtype: np.dtype[Any]) -> Array:
    """Give a contiguous array of the input's dtype, the caller's own where it is one."""
    if type(value) is np.ndarray and value.dtype == dtype:
        flags = value.flags
        if flags.c_contiguous and flags.aligned:
            return value
        return np.require(value, requirements=("C", "A"))
    return np.require(_converted(value, node, dtype), requirements=("C", "A"))


def _converted(value: Any, node: Node, dtype: np.dtype[Any]) -> Array:
    """Give any array-like as the input's dtype where no information is lost."""
    weak = isinstance(value, (bool, int, float, list, tuple))  # these take the input's dtype
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            value = np.from_dlpack(value)
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        why = "" if isinstance(error, GraphError) else f" ({str(error).partition('. ')[0]})"
        raise _unfit(node, f"a {type(value).__name__}{why}", "give an array of numbers") from None
    kind, given = array.dtype.kind, _described(value, array)
    if kind not in "fiub":
        raise _unfit(node, given, "give an array of numbers")
    if kind == "f" and dtype.kind == "i" and np.isnan(array).any():
        raise _unfit(node, f"{given} with NaN{_first(np.isnan(array))}", "fill or drop what is NaN")
    if kind in "iu" and dtype.kind == "i":
        limits = np.iinfo(dtype)
        outside = (array < limits.min) | (array > limits.max)
        if not outside.any():
            return array.astype(dtype)
        wrong = array[outside].flat[0]
        raise _unfit(
            node, f"{given} with {wrong}{_first(outside)}", f"give numbers up to {limits.max}"
        )
    if np.can_cast(array.dtype, dtype, "safe") or (weak and dtype.kind == "f"):
        return array.astype(dtype)
    raise _unfit(node, given, f"convert it: {node.name}.astype(np.{dtype})")


def _described(value: Any, array: Array) -> str:
    if isinstance(value, np.ndarray) or hasattr(value, "dtype"):
        return f"{array.dtype}"
    if array.dtype.kind in "fiub":
        return f"a {type(value).__name__} of {array.dtype}"
    return f"{value!r:.40}"


def _unfit(node: Node, given: str, fix: str) -> GraphError:
    return DTypeError(
        f"{node.name!r} was given {given}, but is {node.dtype} ({node.origin})",
        rule="what is given is converted only where nothing is lost",
        fix=fix,
    )


def _first(where: Array) -> str:
    """Say where the first true cell of an array is."""
    at = [int(i) for i in np.argwhere(where)[0]]
    return f" at position {', '.join(map(str, at))}" if at else ""


def require_classes(node: Node, array: Array, classes: int) -> None:
    """Refuse labels that name no class; C would ignore them, which nobody wants."""
    if not array.size or (array.min() >= 0 and array.max() < classes):
        return
    wrong = (array < 0) | (array >= classes)
    raise CallError(
        f"{(node.name or node.op)!r} ({node.origin}) holds {array[wrong].flat[0]}{_first(wrong)}",
        rule=f"it picks one of {classes} classes, by whole numbers from 0 to {classes - 1}",
        fix="number the classes from 0: subtract 1"
        if array.min() == 1 and array.max() == classes
        else "correct the labels, or give the scores more classes",
    )


def shown(inputs: Mapping[str, Any], positional: Sequence[Any] = ()) -> str:
    """Say what a call was given: `image: float64[5, 1, 4, 4]; label: list`."""

    def kind(value: Any) -> str:
        if isinstance(value, (np.ndarray, np.generic)):
            return f"{value.dtype}{[*value.shape]}"
        return f"{value!r:.40}" if isinstance(value, (bool, int, float)) else type(value).__name__

    parts = [*map(kind, positional), *(f"{n}: {kind(v)}" for n, v in inputs.items())]
    return "; ".join(parts) or "nothing"


def wrong_names(
    positional: Sequence[Any], given: Mapping[str, Any], nodes: Sequence[Node]
) -> CallError:
    """Say which inputs are unknown, missing, or given without a name."""
    names = [n.name for n in nodes]
    kinds = [f"{n.name}: {n.kind}" for n in nodes]
    rule = f"the inputs are {'; '.join(kinds)}" if names else "this graph has no inputs"
    unknown = [n for n in given if n not in names]
    missing = [n for n in names if n not in given]
    call = f"call it with {', '.join(f'{n}=...' for n in names) or 'nothing'}"
    if positional:
        return CallError("inputs are given by name", rule=rule, fix=call)
    if not unknown:
        made = [f"{n.name!r} ({n.origin})" for n in nodes if n.name in missing]
        return CallError(f"missing {' and '.join(made)}", rule=rule, fix=call)
    near = nearest(unknown[0], missing or names)
    fix = f"did you mean {near!r}?" if near else "leave it out"
    return CallError(f"there is no input {unknown[0]!r}", rule=rule, fix=fix)


def require_sizes(nodes: Iterable[Node], dims: Mapping[Dim, int]) -> None:
    """Refuse batches so small that a node would have less than no cells."""
    for node in nodes:
        for axis, size in enumerate(node.shape):
            if not isinstance(size, int | Dim) and evaluate(size, dims) < 0:
                bound = ", ".join(f"{d}={n}" for d, n in dims.items() if d in size.free_symbols)
                raise CallError(
                    f"{node.called} ({node.origin}) is {node.kind}: with {bound} its axis {axis} "
                    f"would be {evaluate(size, dims)} long",
                    rule="sizes are at least zero",
                    fix="give a larger array",
                )


def misfit(nodes: Sequence[Node], arrays: Sequence[Array], problem: str) -> CallError:
    """Say which array's shape contradicts its input's, or another array's."""
    bound: dict[Dim, tuple[str, int]] = {}
    for node, array in zip(nodes, arrays, strict=True):
        expected, given = node.shape, array.shape
        if len(expected) != len(given):
            return CallError(
                f"{node.name!r} ({node.origin}) has {_axes(expected)}, "
                f"but was given {_axes(given)}",
                rule="an array has as many axes as its input",
                fix=_reshaping(node.name, expected, given),
            )
        for axis, (size, count) in enumerate(zip(expected, given, strict=True)):
            if isinstance(size, int) and size != count:
                return CallError(
                    f"axis {axis} of {node.name!r} ({node.origin}) is {size} in "
                    f"{described(expected)}, but {count} in the {described(given)} given",
                    rule="sizes that the graph fixes are those of every array",
                    fix=_reshaping(node.name, expected, given),
                )
            if isinstance(size, Dim):
                other, first = bound.setdefault(size, (node.name, count))
                if first != count:
                    return CallError(
                        f"{size} is {first} in {other!r} but {count} in {node.name!r}",
                        rule="in one call a dim has one size",
                        fix=f"give {other!r} and {node.name!r} for the same {size}",
                    )
    return CallError(
        problem,
        rule="sizes are what the graph makes of its dims",
        fix="give arrays of sizes that fit",
    )


def _axes(shape: Sequence[Size]) -> str:
    """Say how many axes a shape has: `3 axes, 5×4×4`."""
    if not shape:
        return "no axes, a number"
    return f"{len(shape)} {'axis' if len(shape) == 1 else 'axes'}, {described(shape)}"


def _reshaping(name: str, expected: Sequence[Size], given: Sequence[int]) -> str:
    """Give the likely way from the shape given to the one expected."""
    for axis in range(len(expected)):
        open_to_one = expected[axis] == 1 or isinstance(expected[axis], Dim)
        if open_to_one and _fits(expected, [*given[:axis], 1, *given[axis:]]):
            return f"put in the axis of size 1: {name}[{':, ' * axis}None]"
    for order in itertools.permutations(range(len(given))) if len(given) in (2, 4) else ():
        if _fits(expected, [given[a] for a in order]):
            return f"turn its axes: {name}.transpose{order}"
    sizes = [n if isinstance(n, int) else -1 for n in expected]
    if sizes.count(-1) <= 1 and given and _fits(expected[1:], sizes[1:]):
        count, rest = int(np.prod(given)), int(np.prod([n for n in sizes if n != -1]))
        if (-1 in sizes and rest and count % rest == 0 and count // rest == given[0]) or (
            count == rest
        ):
            return f"{name}.reshape({', '.join(map(str, sizes))})"
    return f"give it as {described(expected)}"


def _fits(expected: Sequence[Size], given: Sequence[int]) -> bool:
    return len(expected) == len(given) and all(
        not isinstance(size, int) or size == count
        for size, count in zip(expected, given, strict=True)
    )
