"""Pooling: the largest or the mean value of each window, or of each whole map."""

from __future__ import annotations

from typing import Any

from codegen.affine import Size
from graphcnn.op import (
    FLOATS,
    Definition,
    Tensor,
    define,
    indices,
    max_of,
    op,
    require,
    require_dtype,
)
from graphcnn.reshaping import product
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
    _require_maps(x)
    batch, channels, height, width = x.shape
    kh, kw = pair(kernel_size, "kernel_size", 1)
    s, t = pair(kernel_size if stride is None else stride, "stride", 1)
    d, e = pair(dilation, "dilation", 1)
    top, bottom, left, right = padding_for(padding, (height, width), (kh, kw), (s, t), (d, e))
    _require_cells((top, bottom), d * (kh - 1) + 1)
    _require_cells((left, right), e * (kw - 1) + 1)
    out_h = window_size("height", height, kh, s, (top, bottom), d, ceil_mode)
    out_w = window_size("width", width, kw, t, (left, right), e, ceil_mode)
    n, c, i, j, u, v = indices("n c i j u v", u=kh, v=kw)
    y = define("y", (batch, channels, out_h, out_w), like=x)
    y[n, c, i, j] = max_of(x[n, c, s * i + d * u - top, t * j + e * v - left])
    return y


@op
def avg_pool2d(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Definition:
    """y[n,c,i,j] = Σ_{u,v} x[n, c, s·i + u − p, s·j + v − p] / count[i,j]

    The stride defaults to the kernel size. The count of a window is Kh·Kw; without
    `count_include_pad` only the cells of the image count, and what hangs over the end in
    `ceil_mode` never counts.
    """
    _require_maps(x)
    batch, channels, height, width = x.shape
    kh, kw = pair(kernel_size, "kernel_size", 1)
    s, t = pair(kernel_size if stride is None else stride, "stride", 1)
    top, bottom, left, right = padding_for(padding, (height, width), (kh, kw), (s, t), (1, 1))
    _require_cells((top, bottom), kh)
    _require_cells((left, right), kw)
    out_h = window_size("height", height, kh, s, (top, bottom), 1, ceil_mode)
    out_w = window_size("width", width, kw, t, (left, right), 1, ceil_mode)
    n, c, i, j, u, v = indices("n c i j u v", u=kh, v=kw)
    y = define("y", (batch, channels, out_h, out_w), like=x)
    cells = x[n, c, s * i + u - top, t * j + v - left]
    full = count_include_pad or not (top or bottom or left or right)
    if full and not ceil_mode:
        y[n, c, i, j] += cells / (kh * kw)
        return y
    total = define("total", y.shape, like=x)
    total[n, c, i, j] += cells
    around = (top, bottom, left, right) if count_include_pad else (0, 0, 0, 0)
    counted_h, counted_w = height + around[0] + around[1], width + around[2] + around[3]
    rows = _counts("rows", x, counted_h, out_h, s * i + u - top + around[0], i)
    columns = _counts("columns", x, counted_w, out_w, t * j + v - left + around[2], j)
    y[n, c, i, j] = total[n, c, i, j] / (rows[i] * columns[j])
    return y


def _counts(name: str, x: Tensor, cells: Size, places: Size, at: Any, place: Any) -> Definition:
    """State how many of so many cells each window covers along one axis."""
    (k,) = indices("k")
    ones = define(f"cells_of_{name}", (cells,), like=x)
    ones[k] = 1
    counts = define(name, (places,), like=x)
    counts[place] += ones[at]
    return counts


@op
def global_avg_pool2d(x: Tensor, keepdims: bool = False) -> Definition:
    """y[n,c] = Σ_{i,j} x[n,c,i,j] / (H·W)"""
    _require_maps(x)
    n, c, i, j = indices("n c i j")
    y = define("y", (*x.shape[:2], *((1, 1) if keepdims else ())), like=x)
    y[(n, c, 0, 0) if keepdims else (n, c)] += x[n, c, i, j] / product(x.shape[2:])
    return y


@op
def global_max_pool2d(x: Tensor, keepdims: bool = False) -> Definition:
    """y[n,c] = max_{i,j} x[n,c,i,j]; the gradient goes to the first largest cell in row order"""
    _require_maps(x)
    n, c, i, j = indices("n c i j")
    y = define("y", (*x.shape[:2], *((1, 1) if keepdims else ())), like=x)
    y[(n, c, 0, 0) if keepdims else (n, c)] = max_of(x[n, c, i, j])
    return y


def _require_maps(x: Tensor) -> None:
    require_dtype(FLOATS, x)
    require(
        len(x.shape) == 4,
        f"x has {len(x.shape)} axes",
        rule="x is N×C×H×W",
        fix="add the missing axes with reshape",
    )


def _require_cells(padding: tuple[int, int], reach: int) -> None:
    """A window that sees padding only has no largest cell and no mean."""
    require(
        2 * max(padding) <= reach,
        f"padding {max(padding)} for windows {reach} long",
        rule="padding is at most half a window, so that every window sees the image",
        fix=f"use at most {reach // 2}",
    )
