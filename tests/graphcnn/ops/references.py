"""For every op what it means, in NumPy and in other words than its declaration."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from graphcnn.testing.strategies.values import both

Array = npt.NDArray[Any]

erf = np.vectorize(math.erf, otypes=[float])


def axes(axis: Any) -> Any:
    return axis if axis is None or isinstance(axis, int) else tuple(axis)


def logsumexp(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    top = np.max(x, axes(axis), keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    total = np.log(np.sum(np.exp(x - top), axes(axis), keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axes(axis))


def position(x: Array, axis: Any, keepdims: bool, find: Callable[..., Any]) -> Array:
    """Move the reduced axes to the end, in order, and search the flat row."""
    chosen = range(x.ndim) if axis is None else (axis if isinstance(axis, tuple) else (axis,))
    gone = sorted(a % x.ndim for a in chosen) if x.ndim else []
    kept = [a for a in range(x.ndim) if a not in gone]
    rows = x.transpose(kept + gone).reshape([x.shape[a] for a in kept] + [-1])
    found = find(rows, axis=-1)
    return np.expand_dims(found, gone) if keepdims else found


def sides(
    padding: Any, kernel: tuple[int, int], dilation: tuple[int, int]
) -> list[tuple[int, int]]:
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    match padding:
        case "valid":
            return [(0, 0), (0, 0)]
        case "full":
            return [(r, r) for r in reach]
        case "same":
            return [(r // 2, r - r // 2) for r in reach]
        case (top, bottom, left, right):
            return [(top, bottom), (left, right)]
    return [(p, p) for p in both(padding)]


def conv2d(
    x: Array, weight: Array, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Array:
    """Window by window; cells of the padding are left out, so they meet no NaN in the weight."""
    (s, t), (d, e), kernel = both(stride), both(dilation), weight.shape[2:]
    around = [(0, 0), (0, 0), *sides(padding, kernel, (d, e))]
    x, inside = np.pad(x, around), np.pad(np.ones(x.shape, bool), around)
    reach = [b * (k - 1) + 1 for b, k in zip((d, e), kernel, strict=True)]
    places = [range(0, n - r + 1, a) for n, r, a in zip(x.shape[2:], reach, (s, t), strict=True)]
    y = np.zeros((len(x), len(weight), *map(len, places)), x.dtype)
    maps, depth = len(weight) // groups, weight.shape[1]
    for (i, top), (j, left) in product(*map(enumerate, places)):
        cells = np.s_[:, :, top : top + reach[0] : d, left : left + reach[1] : e]
        for k in range(len(weight)):
            first = k // maps * depth
            products = x[cells][:, first : first + depth] * weight[k]
            kept = inside[cells][:, first : first + depth]
            y[:, k, i, j] = np.where(kept, products, 0).sum((1, 2, 3))
    return y if bias is None else y + bias[:, None, None]


def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Array:
    """Put every cell's stamp on a large sheet, then cut the sheet to size."""
    (s, t), (d, e), (p, q) = both(stride), both(dilation), both(padding)
    (kh, kw), (mh, mw) = weight.shape[2:], both(output_padding)
    depth, maps = len(weight) // groups, weight.shape[1]
    height = (x.shape[2] - 1) * s + d * (kh - 1) + 1
    width = (x.shape[3] - 1) * t + e * (kw - 1) + 1
    sheet = np.zeros((len(x), maps * groups, height + mh, width + mw), x.dtype)
    for c, k, i, j in product(range(len(weight)), range(maps), *map(range, x.shape[2:])):
        stamp = x[:, c, i, j][:, None, None] * weight[c, k]
        o = c // depth * maps + k
        rows = slice(s * i, s * i + d * (kh - 1) + 1, d)
        sheet[:, o, rows, t * j : t * j + e * (kw - 1) + 1 : e] += stamp
    y = sheet[:, :, p : height + mh - p, q : width + mw - q]
    return y if bias is None else y + bias[:, None, None]


def pool(
    x: Array, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, reduce: Any
) -> Array:
    """Collect the cells of each window; `reduce` sees them, and how many the padded image has."""
    kernel, dilation = both(kernel), both(dilation)
    stride = kernel if stride is None else both(stride)
    (p, q), n = both(padding), x.shape
    places = []
    for size, k, s, d, a in zip(n[2:], kernel, stride, dilation, (p, q), strict=True):
        slack = size + 2 * a - d * (k - 1) - 1
        count = (math.ceil(slack / s) if ceil else slack // s) + 1
        places.append(count - 1 if (count - 1) * s >= size + a else count)
    y = np.zeros((*n[:2], *places), x.dtype)
    for i, j in product(*map(range, places)):
        cells, padded = [], 0
        for u, v in product(*map(range, kernel)):
            h = stride[0] * i + dilation[0] * u - p
            w = stride[1] * j + dilation[1] * v - q
            padded += h < n[2] + p and w < n[3] + q
            if 0 <= h < n[2] and 0 <= w < n[3]:
                cells.append(x[:, :, h, w])
        y[:, :, i, j] = reduce(np.stack(cells), padded)
    return y


def max_pool2d(
    x: Array, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Array:
    most = lambda cells, padded: cells.max(0)  # noqa: E731
    return pool(x, kernel_size, stride, padding, dilation, ceil_mode, most)


def avg_pool2d(
    x: Array,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
) -> Array:
    def mean(cells: Array, padded: int) -> Array:
        return cells.sum(0) / (padded if count_include_pad else len(cells))

    return pool(x, kernel_size, stride, padding, 1, ceil_mode, mean)


def pad(x: Array, widths: Any, mode: str, value: float) -> Array:
    every = [(0, 0)] * (x.ndim - len(widths)) + list(widths)
    if mode == "constant":
        return np.pad(x, every, constant_values=value)
    names: dict[str, Any] = {"circular": "wrap", "replicate": "edge"}
    return np.pad(x, every, names.get(mode, mode))


def hinge(scores: Array, label: Array, margin: float) -> Array:
    losses = []
    for row, own in zip(scores, label, strict=True):
        others = np.delete(row, own)
        losses.append(np.maximum(0, others - row[own] + margin).sum())
    return np.array(losses)


def gelu(x: Array, approximate: str) -> Array:
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + erf(x / np.sqrt(2)).reshape(x.shape))


def picked(rows: Array, label: Array) -> Array:
    return rows[np.arange(len(label)), label]


def flat_from(x: Array, start_axis: int) -> Array:
    return x.reshape(*x.shape[: start_axis % x.ndim], -1)


REFERENCES: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "add": np.add,
    "argmax": lambda x, axis, keepdims: position(x, axis, keepdims, np.argmax),
    "argmin": lambda x, axis, keepdims: position(x, axis, keepdims, np.argmin),
    "astype": lambda x, dtype: x.astype(dtype),
    "avg_pool2d": avg_pool2d,
    "broadcast_to": lambda x, shape: np.broadcast_to(x, shape),
    "clip": lambda x, low, high: np.minimum(
        np.maximum(x, -np.inf if low is None else low), np.inf if high is None else high
    ),
    "concatenate": lambda tensors, axis: np.concatenate(tensors, axis),
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "cos": np.cos,
    "divide": np.divide,
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    "equal": np.equal,
    "erf": lambda x: erf(x).reshape(x.shape),
    "exp": np.exp,
    "expand_dims": lambda x, axis: np.expand_dims(x, axis),
    "expm1": np.expm1,
    "flatten": flat_from,
    "flip": lambda x, axis: np.flip(x, axes(axis)),
    "gelu": gelu,
    "global_avg_pool2d": lambda x, keepdims: x.mean((2, 3), keepdims=keepdims),
    "global_max_pool2d": lambda x, keepdims: x.max((2, 3), keepdims=keepdims),
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "hardtanh": lambda x, min_val, max_val: np.clip(x, min_val, max_val),
    "l2": lambda weights, lam: (
        lam * sum((w**2).sum() for w in (weights if isinstance(weights, tuple) else (weights,)))
    ),
    "leaky_relu": lambda x, negative_slope: np.where(x > 0, x, negative_slope * x),
    "less": np.less,
    "less_equal": np.less_equal,
    "linear": lambda x, weight, bias: x @ weight.T + (0 if bias is None else bias),
    "log": np.log,
    "log1p": np.log1p,
    "log_softmax": lambda x, axis: x - logsumexp(x, axis, True),
    "logical_and": np.logical_and,
    "logical_not": np.logical_not,
    "logical_or": np.logical_or,
    "logsumexp": logsumexp,
    "matmul": np.matmul,
    "max": lambda x, axis, keepdims: x.max(axes(axis), keepdims=keepdims),
    "max_pool2d": max_pool2d,
    "maximum": np.maximum,
    "mean": lambda x, axis, keepdims: x.mean(axes(axis), keepdims=keepdims),
    "min": lambda x, axis, keepdims: x.min(axes(axis), keepdims=keepdims),
    "minimum": np.minimum,
    "mse": lambda prediction, target: ((prediction - target) ** 2).mean(),
    "multiclass_hinge": hinge,
    "multiply": np.multiply,
    "negative": np.negative,
    "nll": lambda log_probabilities, label: -picked(log_probabilities, label),
    "not_equal": np.not_equal,
    "pad": pad,
    "power": lambda x, exponent: np.power(x, np.asarray(exponent, x.dtype)),
    "reciprocal": lambda x: 1 / x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "reshape": lambda x, shape: x.reshape(shape),
    "sigmoid": lambda x: 0.5 * (1 + np.tanh(x / 2)),
    "silu": lambda x: x * 0.5 * (1 + np.tanh(x / 2)),
    "sin": np.sin,
    "slice": lambda x, key: x[key],
    "softmax": lambda x, axis: np.exp(x - logsumexp(x, axis, True)),
    "softmax_cross_entropy": lambda scores, label: logsumexp(scores, 1) - picked(scores, label),
    "softplus": lambda x, beta: np.logaddexp(0, beta * x) / beta,
    "sqrt": np.sqrt,
    "square": np.square,
    "squeeze": lambda x, axis: np.squeeze(x, axes(axis)),
    "stack": lambda tensors, axis: np.stack(tensors, axis),
    "std": lambda x, axis, keepdims, correction: x.std(
        axes(axis), keepdims=keepdims, ddof=correction
    ),
    "stop_gradient": lambda x: x,
    "subtract": np.subtract,
    "sum": lambda x, axis, keepdims: x.sum(axes(axis), keepdims=keepdims),
    "tanh": np.tanh,
    "transpose": lambda x, axes: np.transpose(x, axes),
    "var": lambda x, axis, keepdims, correction: x.var(
        axes(axis), keepdims=keepdims, ddof=correction
    ),
    "where": lambda condition, x, y: np.where(condition, x, y),
}


def expected(op: str, arguments: dict[str, Any]) -> Array:
    """Give the value that NumPy computes."""
    ufunc = REFERENCES[op]
    with np.errstate(all="ignore"):
        if isinstance(ufunc, np.ufunc):
            return np.asarray(ufunc(*arguments.values()))
        return np.asarray(ufunc(**arguments))
