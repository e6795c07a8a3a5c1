"""What users give for values, dtypes, shapes and names, made ours or refused with the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from codegen.affine import Size, as_size
from codegen.notation import DTYPES, DType
from graphcnn.errors import DTypeError, GraphError, ShapeError
from graphcnn.fragment import LETTERS

Array = npt.NDArray[Any]


def array_of(value: Any) -> Array:
    """Give a value as an array of numbers; raises `DTypeError` where it is none."""
    try:
        array = np.asarray(value)
    except GraphError:
        raise
    except (TypeError, ValueError) as error:
        raise DTypeError(
            f"this {type(value).__name__} makes no array: {str(error).partition('. ')[0]}",
            rule="an array is numbers in rows of equal length",
            fix="make the rows equally long",
        ) from None
    if array.dtype.kind in "fiub":
        return array
    what = f"an array of {array.dtype}" if isinstance(value, np.ndarray) else repr(value)
    raise DTypeError(
        f"{what} is neither a number nor an array of numbers",
        rule=f"values are numbers and arrays of them, kept as {', '.join(DTYPES)}",
        fix="give a node, an array or a number",
    )


def whole_dtype(array: Array) -> DType:
    """Give the dtype that an array of whole numbers or bools is kept in."""
    if array.dtype.kind == "b":
        return "bool"
    limits = np.iinfo(np.int32)
    if array.size and not limits.min <= array.min() <= array.max() <= limits.max:
        raise DTypeError(
            f"whole numbers from {array.min()} to {array.max()}",
            rule=f"whole numbers are kept as int32, from {limits.min} to {limits.max}",
            fix="convert them: .astype(np.float32)",
        )
    return "int32"


def dtype_of(dtype: Any) -> DType:
    """Give a dtype by our name for it: `np.float64`, `float` and `"float64"` are one."""
    try:
        name = np.dtype(dtype if dtype is not None else "float32").name
    except TypeError:
        name = str(dtype)
    if name == "int64":
        name = "int32"
    if name not in DTYPES:
        raise DTypeError(
            f"dtype {dtype!r} is not supported",
            rule=f"dtypes are {', '.join(DTYPES)}",
            fix='leave it out for "float32"',
        )
    known: dict[str, DType] = {d: d for d in DTYPES}
    return known[name]


def shape_of(shape: Any) -> tuple[Size, ...]:
    """Give a shape as whole numbers and expressions over dims."""
    if not isinstance(shape, (tuple, list)):
        shape = (shape,)
    if len(shape) > len(LETTERS):
        raise ShapeError(
            f"{len(shape)} axes", rule=f"at most {len(LETTERS)} axes", fix="join some by reshaping"
        )
    sizes = []
    for size in shape:
        try:
            made = as_size(size)
        except (ValueError, sympy.SympifyError):
            raise ShapeError(
                f"{size!r} is not a size in {tuple(shape)!r}",
                rule="a shape holds whole numbers and dims",
                fix='name unknown sizes: N = dim("N")',
            ) from None
        if isinstance(made, int) and made < 0:
            raise ShapeError(
                f"size {made} in {tuple(shape)!r}",
                rule="sizes are at least zero",
                fix='for an unknown size use a dim: N = dim("N")',
            )
        sizes.append(made)
    return tuple(sizes)


_EXAMPLES = {"input": "image", "parameter": "weight"}


def name_of(name: Any, kind: str) -> str:
    """Give a name of an input or parameter."""
    if not isinstance(name, str) or not name:
        raise DTypeError(
            f"its name is {name!r}",
            rule="inputs and parameters are addressed by name, a text that is not empty",
            fix=f'{kind}("{_EXAMPLES[kind]}", ...)',
        )
    return name
