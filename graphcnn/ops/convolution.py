"""Convolution (cross-correlation, as every CNN uses it)."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

from codegen.affine import Size
from graphcnn.errors import DTypeError, described
from graphcnn.op import FLOATS, Definition, Tensor, define, indices, op, require, require_dtype
from graphcnn.reshaping import quotient
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
    _require_four_axes(x, weight, "O×(C/groups)×Kh×Kw")
    batch, channels, height, width = x.shape
    filters, depth, kh, kw = weight.shape
    _require_groups(groups, {"channels of {x}": channels, "filters of {weight}": filters})
    require(
        channels == depth * groups,
        f"{{x}} has {channels} channels ({described(x.shape)}) but {{weight}} expects "
        f"{depth * groups} ({described(weight.shape)}, groups={groups})",
        rule="x has weight.shape[1] · groups channels",
        fix=f"give {{weight}} the shape ({filters}, {quotient(channels, groups)}, {kh}, {kw})",
    )
    if bias is not None:
        require(
            bias.shape == (filters,),
            f"{{bias}} has shape {bias.shape}, but {{weight}} makes {filters} maps",
            rule="bias holds one number per filter",
            fix=f"give {{bias}} the shape ({filters},)",
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
    _require_four_axes(x, weight, "C×(O/groups)×Kh×Kw")
    batch, channels, height, width = x.shape
    depth, maps, kh, kw = weight.shape
    _require_groups(groups, {"channels of {x}": channels})
    require(
        channels == depth,
        f"{{x}} has {channels} channels ({described(x.shape)}) but {{weight}} expects {depth} "
        f"({described(weight.shape)})",
        rule="x has weight.shape[0] channels",
        fix=f"give {{weight}} the shape ({channels}, {maps}, {kh}, {kw})",
    )
    filters = maps * groups
    require(
        bias is None or bias.shape == (filters,),
        f"{{bias}} has shape {bias.shape if bias else ''}, but {{weight}} makes {filters} maps",
        rule="bias holds one number per map",
        fix=f"give {{bias}} the shape ({filters},)",
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


def _require_four_axes(x: Tensor, weight: Tensor, layout: str) -> None:
    name, tensor = ("x", x) if len(x.shape) != 4 else ("weight", weight)
    require(
        len(tensor.shape) == 4,
        f"{{{name}}} has {len(tensor.shape)} axes, {described(tensor.shape)}",
        rule=f"x is N×C×H×W and weight is {layout}",
        fix={
            ("x", 2): "add axes for one image of one channel: {x}[None, None]",
            ("x", 3): "add an axis for one channel: {x}[:, None]",
        }.get((name, len(tensor.shape)), f"give {{{name}}} four axes with reshape"),
    )


def _require_groups(groups: Any, counts: Mapping[str, Size]) -> None:
    """Refuse groups that do not part the channels evenly."""
    if not isinstance(groups, Integral):
        rule = "groups is a whole number"
        raise DTypeError(f"groups={groups!r}", rule=rule, fix="groups=1 joins all channels")
    require(int(groups) >= 1, f"groups={groups}", rule="groups is at least 1", fix="groups=1")
    for what, count in counts.items():
        require(
            quotient(count, groups) is not None,
            f"groups={groups} does not divide the {count} {what}",
            rule="groups divides the channels of x and the filters of weight",
            fix=f"make the {what} a multiple of {groups}, or take groups=1",
        )
