"""Values passed on as they are: into another dtype, or without their gradient."""

from __future__ import annotations

from codegen.notation import DTYPES
from graphcnn.errors import DTypeError
from graphcnn.op import Definition, DType, Tensor, axes, define, elementwise, op
from graphcnn.scalars import choose_if, is_true


@op
def astype(x: Tensor, dtype: DType) -> Definition:
    """y = x in another dtype

    Floats become integers by dropping the fraction, and bools by asking whether they differ
    from 0. A gradient passes from float to float only.
    """
    if dtype not in DTYPES:
        raise DTypeError(
            f"dtype {dtype!r}", rule=f"dtypes are {', '.join(DTYPES)}", fix='dtype="float32"'
        )
    if dtype == "bool":
        return elementwise(lambda x: choose_if(is_true(x), 1, 0), x, dtype=dtype)
    return elementwise(lambda x: x, x, dtype=dtype)


@op
def stop_gradient(x: Tensor) -> Definition:
    """y = x, and no gradient passes"""
    y = define("y", x.shape, like=x, detached=True)
    y[axes(y)] = x[axes(x)]
    return y
