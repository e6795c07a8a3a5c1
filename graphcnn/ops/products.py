"""Sums of products: matrix products and the linear layer."""

from __future__ import annotations

from graphcnn.errors import described
from graphcnn.op import (
    FLOATS,
    Definition,
    Tensor,
    broadcast,
    define,
    indices,
    op,
    require,
    require_dtype,
    spread,
)

BATCH = "b c d e f g h l m n o p"


@op
def matmul(x: Tensor, y: Tensor) -> Definition:
    """z[…,i,j] = Σ_k x[…,i,k] · y[…,k,j]

    NumPy's rules: a vector on the left is a row, on the right a column, and loses that axis in the
    result; axes in front of the last two broadcast.
    """
    require_dtype(FLOATS, x, y)
    require(
        len(x.shape) > 0 and len(y.shape) > 0,
        f"x is {described(x.shape)} and y is {described(y.shape)}",
        rule="a matrix product has vectors, matrices or stacks of matrices on both sides",
        fix="multiply by a scalar with *",
    )
    rows, columns = x.shape[-2:-1], y.shape[-1:] if len(y.shape) > 1 else ()
    depth = y.shape[-2] if len(y.shape) > 1 else y.shape[0]
    turned = len(y.shape) == 2 and x.shape[-1] == y.shape[1]
    require(
        x.shape[-1] == depth,
        f"{{x}} is {described(x.shape)} and {{y}} is {described(y.shape)}: "
        f"{x.shape[-1]} is not {depth}",
        rule="the last axis of x is as long as the last but one of y",
        fix="did you mean {y}.T?" if turned else "transpose or reshape one of them",
    )
    shape = broadcast(x.shape[:-2], y.shape[:-2])
    batch = indices(" ".join(BATCH.split()[: len(shape)]))
    i, j, k = indices("i j k")
    left, right = (i,) if rows else (), (j,) if columns else ()
    z = define("z", (*shape, *rows, *columns), like=x)
    z[(*batch, *left, *right)] += (
        x[(*spread(batch, x.shape[:-2]), *left, k)] * y[(*spread(batch, y.shape[:-2]), k, *right)]
    )
    return z


@op
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Definition:
    """y[…,o] = bias[o] + Σ_c x[…,c] · weight[o,c], which is x @ weight.T + bias

    x is …×C for any axes in front, weight is O×C, bias is O; y is …×O.
    """
    require_dtype(FLOATS, x, weight, bias)
    require(
        len(weight.shape) == 2 and len(x.shape) > 0,
        f"x is {described(x.shape)} and weight is {described(weight.shape)}",
        rule="weight is O×C and x is …×C",
        fix="flatten x, or give weight two axes",
    )
    outputs, inputs = weight.shape
    require(
        x.shape[-1] == inputs,
        f"{{x}} has {x.shape[-1]} features ({described(x.shape)}) but {{weight}} expects {inputs} "
        f"({described(weight.shape)})",
        rule="the last axis of x is as long as the last axis of weight",
        fix="did you mean {weight}.T?"
        if x.shape[-1] == outputs
        else f"flatten {{x}}, or give {{weight}} the shape ({outputs}, {x.shape[-1]})",
    )
    require(
        bias is None or bias.shape == (outputs,),
        f"{{bias}} has shape {bias.shape if bias else ''}, but {{weight}} makes {outputs} outputs",
        rule="bias holds one number per output",
        fix=f"give {{bias}} the shape ({outputs},)",
    )
    batch = indices(" ".join("nijklmpqrst"[: len(x.shape) - 1]))
    o, c = indices("o c")
    y = define("y", (*x.shape[:-1], outputs), like=x)
    if bias is not None:
        y[(*batch, o)] = bias[o]
    y[(*batch, o)] += x[(*batch, c)] * weight[o, c]
    return y
