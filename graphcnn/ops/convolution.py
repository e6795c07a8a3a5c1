"""Convolution (cross-correlation, as every CNN uses it)."""

from __future__ import annotations

from typing import Any

from graphcnn.op import FLOATS, Definition, Tensor, define, indices, op, require, require_dtype
from graphcnn.windows import padding_for, pair, window_size


@op
def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Definition:
    """y[n,k,i,j] = bias[k] + Σ_{c,u,v} weight[k,c,u,v] · x[n, c, s·i + d·u − p, s·j + d·v − p]

    x is N×C×H×W, weight is O×(C/groups)×Kh×Kw, bias is O; y is N×O×H'×W' with
    H' = ⌊(H + p_top + p_bottom − d·(Kh − 1) − 1)/s⌋ + 1. `padding` is an int, a pair (vertical,
    horizontal), four values (top, bottom, left, right), "same", "valid" or "full".
    """
    require_dtype(FLOATS, x, weight, bias)
    require(
        len(x.shape) == 4 and len(weight.shape) == 4,
        f"x has {len(x.shape)} axes and weight {len(weight.shape)}",
        rule="x is N×C×H×W and weight is O×(C/groups)×Kh×Kw",
        fix="add the missing axes with reshape",
    )
    batch, channels, height, width = x.shape
    filters, depth, kh, kw = weight.shape
    require(
        channels == depth * groups and filters % groups == 0,
        f"x has {channels} channels, weight {filters}×{depth}×{kh}×{kw} with groups={groups} "
        f"expects {depth * groups} and makes {filters}",
        rule="weight.shape[1] · groups = x.shape[1], and groups divides weight.shape[0]",
        fix=f"give weight the shape ({filters}, {channels}//groups, {kh}, {kw})",
    )
    if bias is not None:
        require(
            bias.shape == (filters,),
            f"bias is {bias.shape}, but weight makes {filters} maps",
            rule="bias holds one number per filter",
            fix=f"give bias the shape ({filters},)",
        )
    (s, t), (d, e) = pair(stride, "stride", 1), pair(dilation, "dilation", 1)
    top, bottom, left, right = padding_for(padding, (height, width), (kh, kw), (s, t), (d, e))
    out_h = window_size("height", height, kh, s, (top, bottom), d)
    out_w = window_size("width", width, kw, t, (left, right), e)
    maps = filters // groups
    n, g, k, c, i, j, u, v = indices("n g k c i j u v", g=groups, k=maps)
    o, a = (k, c) if groups == 1 else (maps * g + k, depth * g + c)
    y = define("y", (batch, filters, out_h, out_w), like=x)
    if bias is not None:
        y[n, o, i, j] = bias[o]
    y[n, o, i, j] += weight[o, c, u, v] * x[n, a, s * i + d * u - top, t * j + e * v - left]
    return y


@op
def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Definition:
    """y[n, k, s·i + d·u − p, s·j + d·v − p] += Σ_c weight[c,k,u,v] · x[n,c,i,j], and bias[k]

    conv2d with its two sides exchanged: each cell of x spreads over a window of y. x is N×C×H×W,
    weight is C×(O/groups)×Kh×Kw, bias is O; y is N×O×H'×W' with
    H' = s·(H − 1) + d·(Kh − 1) + 1 − p_top − p_bottom + output_padding.
    """
    require_dtype(FLOATS, x, weight, bias)
    require(
        len(x.shape) == 4 and len(weight.shape) == 4,
        f"x has {len(x.shape)} axes and weight {len(weight.shape)}",
        rule="x is N×C×H×W and weight is C×(O/groups)×Kh×Kw",
        fix="add the missing axes with reshape",
    )
    batch, channels, height, width = x.shape
    depth, maps, kh, kw = weight.shape
    require(
        channels == depth and depth % groups == 0,
        f"x has {channels} channels, weight {depth}×{maps}×{kh}×{kw} with groups={groups}",
        rule="weight.shape[0] = x.shape[1], and groups divides it",
        fix=f"give weight the shape ({channels}, {maps}, {kh}, {kw})",
    )
    filters = maps * groups
    require(
        bias is None or bias.shape == (filters,),
        f"bias does not fit the {filters} maps that weight makes",
        rule="bias holds one number per map",
        fix=f"give bias the shape ({filters},)",
    )
    (s, t), (d, e) = pair(stride, "stride", 1), pair(dilation, "dilation", 1)
    more_h, more_w = pair(output_padding, "output_padding", 0)
    top, bottom, left, right = padding_for(padding, (height, width), (kh, kw), (1, 1), (d, e))
    out_h = s * (height - 1) + d * (kh - 1) + 1 - top - bottom + more_h
    out_w = t * (width - 1) + e * (kw - 1) + 1 - left - right + more_w
    n, g, k, c, i, j, u, v = indices("n g k c i j u v", g=groups, c=depth // groups)
    o, a = (k, c) if groups == 1 else (maps * g + k, depth // groups * g + c)
    y = define("y", (batch, filters, out_h, out_w), like=x)
    if bias is not None:
        q, h, w = indices("q h w")
        y[n, q, h, w] = bias[q]
    y[n, o, s * i + d * u - top, t * j + e * v - left] += weight[a, k, u, v] * x[n, a, i, j]
    return y
