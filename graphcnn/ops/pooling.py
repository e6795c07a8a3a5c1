"""Pooling: the largest or the mean value of each window."""

from __future__ import annotations

from typing import Any

from graphcnn.op import Definition, Tensor, define, indices, max_of, op, require
from graphcnn.windows import padding_for, pair, window_size


@op
def max_pool2d(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Definition:
    """y[n,c,i,j] = max_{u,v} x[n, c, s·i + d·u − p, s·j + d·v − p]

    The stride defaults to the kernel size. Cells of the padding never win; a NaN does. The
    gradient goes to the first largest cell in row order.
    """
    require(len(x.shape) == 4, f"x has {len(x.shape)} axes", rule="x is N×C×H×W", fix="reshape x")
    batch, channels, height, width = x.shape
    kh, kw = pair(kernel_size, "kernel_size", 1)
    s, t = pair(kernel_size if stride is None else stride, "stride", 1)
    d, e = pair(dilation, "dilation", 1)
    top, bottom, left, right = padding_for(padding, (height, width), (kh, kw), (s, t), (d, e))
    out_h = window_size("height", height, kh, s, top + bottom, d, ceil_mode)
    out_w = window_size("width", width, kw, t, left + right, e, ceil_mode)
    n, c, i, j, u, v = indices("n c i j u v", u=kh, v=kw)
    y = define("y", (batch, channels, out_h, out_w), like=x)
    y[n, c, i, j] = max_of(x[n, c, s * i + d * u - top, t * j + e * v - left])
    return y
