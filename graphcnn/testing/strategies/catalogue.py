"""For every op of ours a strategy of its arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from graphcnn.testing.strategies.arguments import (
    Arguments,
    binary,
    classification,
    comparison,
    reduction,
    unary,
    windows,
)
from graphcnn.testing.strategies.values import (
    axes,
    both,
    broadcasting,
    distinct,
    generators,
    one_or_two,
    reals,
    shapes,
)


@st.composite
def _logic(draw: st.DrawFn, count: int) -> Arguments:
    rng = draw(generators())
    operands = (rng.integers(0, 2, s).astype(bool) for s in draw(broadcasting(count)))
    return dict(zip("xy", operands, strict=False))


@st.composite
def _where(draw: st.DrawFn) -> Arguments:
    one, two, three = draw(broadcasting(3))
    condition = draw(generators()).integers(0, 2, one).astype(bool)
    return {"condition": condition, "x": draw(reals(two)), "y": draw(reals(three))}


@st.composite
def _power(draw: st.DrawFn) -> Arguments:
    if draw(st.booleans()):
        left, right = draw(broadcasting())
        return {"x": draw(reals(left, 0.2, 2)), "exponent": draw(reals(right))}
    exponent = draw(st.sampled_from([0, 1, 2, 3, -1, -2, 9, 2.0, 0.5, 1.5, -0.5, 0.3, 2.7]))
    low = -2 if exponent == int(exponent) else 0.2
    return {"x": draw(reals(draw(shapes()), low, 2, avoid=(0,))), "exponent": exponent}


@st.composite
def _clip(draw: st.DrawFn) -> Arguments:
    low = draw(st.sampled_from([None, -1.0, -1, 0]))
    high = draw(st.sampled_from([None, 1.0, 0.5]))
    return {"x": draw(reals(draw(shapes()), avoid=(-1, 0, 0.5, 1))), "low": low, "high": high}


@st.composite
def _spread(draw: st.DrawFn) -> Arguments:
    sizes = tuple(n + 1 for n in draw(shapes(1)))
    x = draw(distinct(sizes))[0]
    axis = draw(axes(len(sizes)))
    return {
        "x": x,
        "axis": axis,
        "keepdims": draw(st.booleans()),
        "correction": draw(st.sampled_from([0, 1, 0.5])),
    }


@st.composite
def _refactored(draw: st.DrawFn, count: int) -> tuple[int, ...]:
    """Give a shape of so many elements."""
    sizes: list[int] = []
    while count > 1 and len(sizes) < 4:
        size = draw(st.sampled_from([n for n in range(1, count + 1) if count % n == 0]))
        sizes.append(size)
        count //= size
    return (*sizes, count)


@st.composite
def _reshape(draw: st.DrawFn) -> Arguments:
    sizes = draw(shapes(0, 4, 6))
    target = list(draw(_refactored(int(np.prod(sizes)))))
    if draw(st.booleans()):
        target[draw(st.integers(0, len(target) - 1))] = -1
    return {"x": draw(reals(sizes)), "shape": tuple(target)}


@st.composite
def _flatten(draw: st.DrawFn) -> Arguments:
    sizes = draw(shapes(1, 4))
    return {"x": draw(reals(sizes)), "start_axis": draw(st.integers(-len(sizes), len(sizes) - 1))}


@st.composite
def _transpose(draw: st.DrawFn) -> Arguments:
    sizes = draw(shapes(0, 4))
    order = draw(st.one_of(st.none(), st.permutations(range(len(sizes))).map(tuple)))
    return {"x": draw(reals(sizes)), "axes": order}


@st.composite
def _expand_dims(draw: st.DrawFn) -> Arguments:
    sizes = draw(shapes())
    rank = len(sizes)
    return {"x": draw(reals(sizes)), "axis": draw(st.integers(-rank - 1, rank))}


@st.composite
def _squeeze(draw: st.DrawFn) -> Arguments:
    sizes = tuple(draw(st.sampled_from([1, 1, 2, 3])) for _ in range(draw(st.integers(0, 4))))
    ones = [a for a, n in enumerate(sizes) if n == 1]
    chosen = draw(st.lists(st.sampled_from(ones), unique=True)) if ones else []
    return {"x": draw(reals(sizes)), "axis": tuple(chosen) if chosen else None}


@st.composite
def _broadcast_to(draw: st.DrawFn) -> Arguments:
    full = draw(shapes())
    tail = full[draw(st.integers(0, len(full))) :]
    x = draw(reals(tuple(1 if draw(st.booleans()) else n for n in tail)))
    return {"x": x, "shape": full}


@st.composite
def _flip(draw: st.DrawFn) -> Arguments:
    sizes = draw(shapes())
    return {"x": draw(reals(sizes)), "axis": draw(axes(len(sizes)))}


def _parts(size: int) -> st.SearchStrategy[slice]:
    """Slices of an axis that leave something of it."""
    return st.slices(size).filter(lambda part: bool(range(size)[part]))


@st.composite
def _slices(draw: st.DrawFn) -> Arguments:
    sizes = draw(shapes(1, 4, 5))
    key: list[Any] = []
    for size in sizes:
        if draw(st.integers(0, 3)) == 0:
            key.append(draw(st.integers(-size, size - 1)))
        else:
            part = draw(_parts(size))
            key.append(part)
    key = key[: draw(st.integers(1, len(key)))]
    if draw(st.booleans()):
        key.insert(draw(st.integers(0, len(key))), None)
    if len(key) < len(sizes) and draw(st.booleans()):
        key.append(Ellipsis)
    return {"x": draw(reals(sizes)), "key": key[0] if len(key) == 1 else tuple(key)}


@st.composite
def _concatenate(draw: st.DrawFn) -> Arguments:
    sizes = draw(shapes(1))
    axis = draw(st.integers(0, len(sizes) - 1))
    lengths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    parts = [draw(reals((*sizes[:axis], n, *sizes[axis + 1 :]))) for n in lengths]
    return {"tensors": tuple(parts), "axis": axis - draw(st.sampled_from([0, len(sizes)]))}


@st.composite
def _stack(draw: st.DrawFn) -> Arguments:
    sizes = draw(shapes())
    parts = [draw(reals(sizes)) for _ in range(draw(st.integers(1, 3)))]
    return {"tensors": tuple(parts), "axis": draw(st.integers(-len(sizes) - 1, len(sizes)))}


@st.composite
def _pad(draw: st.DrawFn) -> Arguments:
    sizes = tuple(n + 1 for n in draw(shapes(1, 3, 3)))
    mode = draw(st.sampled_from(["constant", "reflect", "edge", "replicate", "circular"]))
    padded = sizes[draw(st.integers(0, len(sizes) - 1)) :]
    most = {"reflect": 1, "circular": 0}
    widths = tuple(
        (draw(st.integers(0, n - most.get(mode, 0))), draw(st.integers(0, n - most.get(mode, 0))))
        for n in padded
    )
    value = draw(st.sampled_from([0, 1.5, -2])) if mode == "constant" else 0
    return {"x": draw(reals(sizes)), "widths": widths, "mode": mode, "value": value}


@st.composite
def _matmul(draw: st.DrawFn) -> Arguments:
    rows, depth, columns = (draw(st.integers(1, 4)) for _ in range(3))
    one, two = draw(broadcasting())
    left = draw(st.sampled_from([(depth,), (rows, depth), (*one, rows, depth)]))
    right = draw(st.sampled_from([(depth,), (depth, columns), (*two, depth, columns)]))
    return {"x": draw(reals(left)), "y": draw(reals(right))}


@st.composite
def _linear(draw: st.DrawFn) -> Arguments:
    inputs, outputs = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    bias = draw(reals((outputs,))) if draw(st.booleans()) else None
    x = draw(reals((*draw(shapes(0, 2)), inputs)))
    return {"x": x, "weight": draw(reals((outputs, inputs))), "bias": bias}


@st.composite
def _conv2d(draw: st.DrawFn) -> Arguments:
    groups = draw(st.integers(1, 3))
    channels, filters = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    stride, dilation = draw(one_or_two(1, 3)), draw(one_or_two(1, 2))
    sides = st.tuples(*[st.integers(0, 3)] * 4)
    reach = [d * (k - 1) + 1 for d, k in zip(both(dilation), kernel, strict=True)]
    centred = both(stride) == (1, 1) and all(r % 2 for r in reach)
    named = ["valid", "full", *(["same"] if centred else [])]
    padding = draw(st.one_of(sides, st.integers(0, 2), st.sampled_from(named)))
    x = draw(
        reals(
            (
                draw(st.integers(1, 2)),
                channels,
                draw(st.integers(reach[0], reach[0] + 4)),
                draw(st.integers(reach[1], reach[1] + 4)),
            )
        )
    )
    return {
        "x": x,
        "weight": draw(reals((filters, channels // groups, *kernel))),
        "bias": draw(reals((filters,))) if draw(st.booleans()) else None,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }


@st.composite
def _conv_transpose2d(draw: st.DrawFn) -> Arguments:
    groups = draw(st.integers(1, 2))
    channels, maps = groups * draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    stride, dilation = draw(one_or_two(1, 3)), draw(one_or_two(1, 2))
    most = min(d * (k - 1) for d, k in zip(both(dilation), kernel, strict=True)) // 2
    more = min(max(s, d) for s, d in zip(both(stride), both(dilation), strict=True)) - 1
    x = draw(reals((draw(st.integers(1, 2)), channels, *(draw(st.integers(1, 4)) for _ in "hw"))))
    return {
        "x": x,
        "weight": draw(reals((channels, maps, *kernel))),
        "bias": draw(reals((maps * groups,))) if draw(st.booleans()) else None,
        "stride": stride,
        "padding": draw(st.integers(0, most)),
        "output_padding": draw(st.integers(0, more)),
        "groups": groups,
        "dilation": dilation,
    }


@st.composite
def _max_pool2d(draw: st.DrawFn) -> Arguments:
    return {**draw(windows(ties=False)), "ceil_mode": draw(st.booleans())}


@st.composite
def _avg_pool2d(draw: st.DrawFn) -> Arguments:
    arguments = draw(windows(dilated=False))
    more = {n: draw(st.booleans()) for n in ("ceil_mode", "count_include_pad")}
    return {**arguments, **more}


@st.composite
def _whole_maps(draw: st.DrawFn) -> Arguments:
    x = draw(distinct(draw(shapes(4, 4, 3))))[0]
    return {"x": x, "keepdims": draw(st.booleans())}


@st.composite
def _along_axis(draw: st.DrawFn) -> Arguments:
    sizes = draw(shapes(1))
    return {"x": draw(reals(sizes)), "axis": draw(st.integers(-len(sizes), len(sizes) - 1))}


@st.composite
def _mse(draw: st.DrawFn) -> Arguments:
    sizes = draw(shapes())
    return {"prediction": draw(reals(sizes)), "target": draw(reals(sizes))}


@st.composite
def _l2(draw: st.DrawFn) -> Arguments:
    several = tuple(draw(reals(draw(shapes()))) for _ in range(draw(st.integers(1, 3))))
    weights = several[0] if len(several) == 1 and draw(st.booleans()) else several
    lam = draw(st.sampled_from([0, 1, 1e-2, 2.5]))
    return {"weights": weights, "lam": np.array(0.3) if draw(st.booleans()) else lam}


@st.composite
def _astype(draw: st.DrawFn) -> Arguments:
    dtype = draw(st.sampled_from(["float32", "float64", "int32", "bool"]))
    return {"x": draw(reals(draw(shapes()), -3, 3, avoid=(-2, -1, 0, 1, 2))), "dtype": dtype}


STRATEGIES: dict[str, st.SearchStrategy[Arguments]] = {
    "abs": unary(avoid=(0,)),
    "add": binary(),
    "argmax": reduction(ties=False),
    "argmin": reduction(ties=False),
    "astype": _astype(),
    "avg_pool2d": _avg_pool2d(),
    "broadcast_to": _broadcast_to(),
    "clip": _clip(),
    "concatenate": _concatenate(),
    "conv2d": _conv2d(),
    "conv_transpose2d": _conv_transpose2d(),
    "cos": unary(),
    "divide": binary(avoid=(0,)),
    "elu": unary(avoid=(0,), alpha=st.sampled_from([1.0, 0.5])),
    "equal": comparison(),
    "erf": unary(),
    "exp": unary(),
    "expand_dims": _expand_dims(),
    "expm1": unary(),
    "flatten": _flatten(),
    "flip": _flip(),
    "gelu": unary(-4, 4, approximate=st.sampled_from(["none", "tanh"])),
    "global_avg_pool2d": _whole_maps(),
    "global_max_pool2d": _whole_maps(),
    "greater": comparison(),
    "greater_equal": comparison(),
    "hardtanh": unary(
        -4,
        4,
        (-1, -0.5, 1, 2),
        min_val=st.sampled_from([-1.0, -0.5]),
        max_val=st.sampled_from([1, 2.0]),
    ),
    "l2": _l2(),
    "leaky_relu": unary(avoid=(0,), negative_slope=st.sampled_from([0.01, 0.2, 0])),
    "less": comparison(),
    "less_equal": comparison(),
    "linear": _linear(),
    "log": unary(0.1, 4),
    "log1p": unary(-0.8, 4),
    "log_softmax": _along_axis(),
    "logical_and": _logic(2),
    "logical_not": _logic(1),
    "logical_or": _logic(2),
    "logsumexp": reduction(),
    "matmul": _matmul(),
    "max": reduction(ties=False),
    "max_pool2d": _max_pool2d(),
    "maximum": binary(ties=False),
    "mean": reduction(),
    "min": reduction(ties=False),
    "minimum": binary(ties=False),
    "mse": _mse(),
    "multiclass_hinge": classification(margin=st.sampled_from([1, 0.5])),
    "multiply": binary(),
    "negative": unary(),
    "nll": classification("log_probabilities"),
    "not_equal": comparison(),
    "pad": _pad(),
    "power": _power(),
    "reciprocal": unary(avoid=(0,)),
    "relu": unary(avoid=(0,)),
    "relu6": unary(-3, 9, (0, 6)),
    "reshape": _reshape(),
    "sigmoid": unary(-6, 6),
    "silu": unary(-6, 6),
    "sin": unary(),
    "slice": _slices(),
    "softmax": _along_axis(),
    "softmax_cross_entropy": classification(),
    "softplus": unary(-6, 6, beta=st.sampled_from([1.0, 0.5, 3])),
    "sqrt": unary(0.1, 4),
    "square": unary(),
    "squeeze": _squeeze(),
    "stack": _stack(),
    "std": _spread(),
    "stop_gradient": unary(),
    "subtract": binary(),
    "sum": reduction(),
    "tanh": unary(),
    "transpose": _transpose(),
    "var": _spread(),
    "where": _where(),
}


def arguments_of(op: str) -> st.SearchStrategy[Arguments]:
    """The arguments of an op of ours, by its name.

    >>> from hypothesis import given
    >>> @given(arguments_of("conv2d"))
    ... def claim(arguments):
    ...     assert arguments["x"].ndim == arguments["weight"].ndim == 4
    >>> claim()
    """
    return STRATEGIES[op]
