"""Convolution (cross-correlation, as every CNN uses it)."""

from __future__ import annotations

from typing import Any

from graphcnn.op import Definition, Tensor, define, indices, op, require
from graphcnn.windows import pair, padding_for, window_size


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
    out_h = window_size("height", height, kh, s, top + bottom, d)
    out_w = window_size("width", width, kw, t, left + right, e)
    maps = filters // groups
    n, g, k, c, i, j, u, v = indices("n g k c i j u v", g=groups, k=maps)
    o, a = (k, c) if groups == 1 else (maps * g + k, depth * g + c)
    y = define("y", (batch, filters, out_h, out_w), like=x)
    if bias is not None:
        y[n, o, i, j] = bias[o]
    y[n, o, i, j] += weight[o, c, u, v] * x[n, a, s * i + d * u - top, t * j + e * v - left]
    return y
