"""For every op a strategy of arguments: arrays for tensors, plain values for the rest."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.graphcnn.ops.drawing import (
    Draw,
    both,
    broadcasting,
    distinct,
    either_pair,
    reals,
    shape,
    some_axes,
    source,
)

Arguments = dict[str, Any]
Drawing = Callable[[Draw], Arguments]


def unary(
    low: float = -2, high: float = 2, avoid: tuple[float, ...] = (), **static: Any
) -> Drawing:
    """One tensor; static arguments are strategies."""

    def draw_arguments(draw: Draw) -> Arguments:
        x = reals(draw, shape(draw), low, high, avoid)
        return {"x": x, **{name: draw(values) for name, values in static.items()}}

    return draw_arguments


def binary(ties: bool = True, avoid: tuple[float, ...] = ()) -> Drawing:
    def draw_arguments(draw: Draw) -> Arguments:
        left, right = broadcasting(draw)
        if not ties:
            x, y = distinct(draw, left, right)
            return {"x": x, "y": y}
        return {"x": reals(draw, left), "y": reals(draw, right, avoid=avoid)}

    return draw_arguments


def comparison(draw: Draw) -> Arguments:
    """Few different values, so that many are equal."""
    rng = source(draw)
    x, y = (rng.integers(-2, 3, sizes).astype(float) for sizes in broadcasting(draw))
    return {"x": x, "y": y}


def logic(count: int) -> Drawing:
    def draw_arguments(draw: Draw) -> Arguments:
        rng = source(draw)
        shapes = broadcasting(draw, count)
        return dict(zip("xy", (rng.integers(0, 2, s).astype(bool) for s in shapes), strict=False))

    return draw_arguments


def where(draw: Draw) -> Arguments:
    one, two, three = broadcasting(draw, 3)
    condition = source(draw).integers(0, 2, one).astype(bool)
    return {"condition": condition, "x": reals(draw, two), "y": reals(draw, three)}


def power(draw: Draw) -> Arguments:
    if draw(st.booleans()):
        left, right = broadcasting(draw)
        return {"x": reals(draw, left, 0.2, 2), "exponent": reals(draw, right)}
    exponent = draw(st.sampled_from([0, 1, 2, 3, -1, -2, 9, 2.0, 0.5, 1.5, -0.5, 0.3, 2.7]))
    low = -2 if exponent == int(exponent) else 0.2
    return {"x": reals(draw, shape(draw), low, 2, avoid=(0,)), "exponent": exponent}


def clip(draw: Draw) -> Arguments:
    low = draw(st.sampled_from([None, -1.0, -1, 0]))
    high = draw(st.sampled_from([None, 1.0, 0.5]))
    return {"x": reals(draw, shape(draw), avoid=(-1, 0, 0.5, 1)), "low": low, "high": high}


def reduction(least: int = 0, ties: bool = True, several: bool = True) -> Drawing:
    def draw_arguments(draw: Draw) -> Arguments:
        sizes = shape(draw, least)
        x = reals(draw, sizes) if ties else distinct(draw, sizes)[0]
        axis = some_axes(draw, len(sizes))
        return {"x": x, "axis": axis, "keepdims": draw(st.booleans())}

    return draw_arguments


def spread(draw: Draw) -> Arguments:
    sizes = tuple(n + 1 for n in shape(draw, 1))
    x = distinct(draw, sizes)[0]
    axis = some_axes(draw, len(sizes))
    return {
        "x": x,
        "axis": axis,
        "keepdims": draw(st.booleans()),
        "correction": draw(st.sampled_from([0, 1, 0.5])),
    }


def refactored(draw: Draw, count: int) -> tuple[int, ...]:
    """Give a shape of so many elements."""
    sizes = []
    while count > 1 and len(sizes) < 4:
        size = draw(st.sampled_from([n for n in range(1, count + 1) if count % n == 0]))
        sizes.append(size)
        count //= size
    return (*sizes, count)


def reshape(draw: Draw) -> Arguments:
    sizes = shape(draw, 0, 4, 6)
    target = list(refactored(draw, int(np.prod(sizes))))
    if draw(st.booleans()):
        target[draw(st.integers(0, len(target) - 1))] = -1
    return {"x": reals(draw, sizes), "shape": tuple(target)}


def flatten(draw: Draw) -> Arguments:
    sizes = shape(draw, 1, 4)
    return {"x": reals(draw, sizes), "start_axis": draw(st.integers(-len(sizes), len(sizes) - 1))}


def transpose(draw: Draw) -> Arguments:
    sizes = shape(draw, 0, 4)
    axes = draw(st.one_of(st.none(), st.permutations(range(len(sizes))).map(tuple)))
    return {"x": reals(draw, sizes), "axes": axes}


def expand_dims(draw: Draw) -> Arguments:
    sizes = shape(draw)
    rank = len(sizes)
    return {"x": reals(draw, sizes), "axis": draw(st.integers(-rank - 1, rank))}


def squeeze(draw: Draw) -> Arguments:
    sizes = tuple(draw(st.sampled_from([1, 1, 2, 3])) for _ in range(draw(st.integers(0, 4))))
    ones = [a for a, n in enumerate(sizes) if n == 1]
    chosen = draw(st.lists(st.sampled_from(ones), unique=True)) if ones else []
    return {"x": reals(draw, sizes), "axis": tuple(chosen) if chosen else None}


def broadcast_to(draw: Draw) -> Arguments:
    full = shape(draw)
    tail = full[draw(st.integers(0, len(full))) :]
    x = reals(draw, tuple(1 if draw(st.booleans()) else n for n in tail))
    return {"x": x, "shape": full}


def flip(draw: Draw) -> Arguments:
    sizes = shape(draw)
    return {"x": reals(draw, sizes), "axis": some_axes(draw, len(sizes))}


def slices(draw: Draw) -> Arguments:
    sizes = shape(draw, 1, 4, 5)
    key: list[Any] = []
    for size in sizes:
        if draw(st.integers(0, 3)) == 0:
            key.append(draw(st.integers(-size, size - 1)))
        else:
            part = draw(st.slices(size).filter(lambda s, n=size: len(range(n)[s]) > 0))
            key.append(part)
    key = key[: draw(st.integers(1, len(key)))]
    if draw(st.booleans()):
        key.insert(draw(st.integers(0, len(key))), None)
    if len(key) < len(sizes) and draw(st.booleans()):
        key.append(Ellipsis)
    return {"x": reals(draw, sizes), "key": key[0] if len(key) == 1 else tuple(key)}


def concatenate(draw: Draw) -> Arguments:
    sizes = shape(draw, 1)
    axis = draw(st.integers(0, len(sizes) - 1))
    lengths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    parts = [reals(draw, (*sizes[:axis], n, *sizes[axis + 1 :])) for n in lengths]
    return {"tensors": tuple(parts), "axis": axis - draw(st.sampled_from([0, len(sizes)]))}


def stack(draw: Draw) -> Arguments:
    sizes = shape(draw)
    parts = [reals(draw, sizes) for _ in range(draw(st.integers(1, 3)))]
    return {"tensors": tuple(parts), "axis": draw(st.integers(-len(sizes) - 1, len(sizes)))}


def pad(draw: Draw) -> Arguments:
    sizes = tuple(n + 1 for n in shape(draw, 1, 3, 3))
    mode = draw(st.sampled_from(["constant", "reflect", "edge", "replicate", "circular"]))
    padded = sizes[draw(st.integers(0, len(sizes) - 1)) :]
    most = {"reflect": 1, "circular": 0}
    widths = tuple(
        (draw(st.integers(0, n - most.get(mode, 0))), draw(st.integers(0, n - most.get(mode, 0))))
        for n in padded
    )
    value = draw(st.sampled_from([0, 1.5, -2])) if mode == "constant" else 0
    return {"x": reals(draw, sizes), "widths": widths, "mode": mode, "value": value}


def matmul(draw: Draw) -> Arguments:
    rows, depth, columns = (draw(st.integers(1, 4)) for _ in range(3))
    one, two = broadcasting(draw)
    left = draw(st.sampled_from([(depth,), (rows, depth), (*one, rows, depth)]))
    right = draw(st.sampled_from([(depth,), (depth, columns), (*two, depth, columns)]))
    return {"x": reals(draw, left), "y": reals(draw, right)}


def linear(draw: Draw) -> Arguments:
    inputs, outputs = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    bias = reals(draw, (outputs,)) if draw(st.booleans()) else None
    x = reals(draw, (*shape(draw, 0, 2), inputs))
    return {"x": x, "weight": reals(draw, (outputs, inputs)), "bias": bias}


def conv2d(draw: Draw) -> Arguments:
    groups = draw(st.integers(1, 3))
    channels, filters = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    stride, dilation = either_pair(draw, 1, 3), either_pair(draw, 1, 2)
    sides = st.tuples(*[st.integers(0, 3)] * 4)
    reach = [d * (k - 1) + 1 for d, k in zip(both(dilation), kernel, strict=True)]
    centred = both(stride) == (1, 1) and all(r % 2 for r in reach)
    named = ["valid", "full", *(["same"] if centred else [])]
    padding = draw(st.one_of(sides, st.integers(0, 2), st.sampled_from(named)))
    x = reals(
        draw,
        (
            draw(st.integers(1, 2)),
            channels,
            draw(st.integers(reach[0], reach[0] + 4)),
            draw(st.integers(reach[1], reach[1] + 4)),
        ),
    )
    return {
        "x": x,
        "weight": reals(draw, (filters, channels // groups, *kernel)),
        "bias": reals(draw, (filters,)) if draw(st.booleans()) else None,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }


def conv_transpose2d(draw: Draw) -> Arguments:
    groups = draw(st.integers(1, 2))
    channels, maps = groups * draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    stride, dilation = either_pair(draw, 1, 3), either_pair(draw, 1, 2)
    most = min(d * (k - 1) for d, k in zip(both(dilation), kernel, strict=True)) // 2
    more = min(max(s, d) for s, d in zip(both(stride), both(dilation), strict=True)) - 1
    x = reals(draw, (draw(st.integers(1, 2)), channels, *(draw(st.integers(1, 4)) for _ in "hw")))
    return {
        "x": x,
        "weight": reals(draw, (channels, maps, *kernel)),
        "bias": reals(draw, (maps * groups,)) if draw(st.booleans()) else None,
        "stride": stride,
        "padding": draw(st.integers(0, most)),
        "output_padding": draw(st.integers(0, more)),
        "groups": groups,
        "dilation": dilation,
    }


def _window(draw: Draw, dilated: bool) -> tuple[tuple[int, ...], Arguments]:
    kernel, dilation = either_pair(draw, 1, 3), either_pair(draw, 1, 2) if dilated else 1
    reach = [d * (k - 1) + 1 for d, k in zip(both(dilation), both(kernel), strict=True)]
    most = min(both(kernel)) // 2
    padding = draw(st.one_of(st.integers(0, most), st.tuples(*[st.integers(0, most)] * 2)))
    sizes = (
        draw(st.integers(1, 2)),
        draw(st.integers(1, 2)),
        *(draw(st.integers(r, r + 5)) for r in reach),
    )
    arguments = {
        "kernel_size": kernel,
        "stride": draw(st.one_of(st.none(), st.just(either_pair(draw, 1, 3)))),
        "padding": padding,
        "ceil_mode": draw(st.booleans()),
    }
    return sizes, arguments | ({"dilation": dilation} if dilated else {})


def max_pool2d(draw: Draw) -> Arguments:
    sizes, arguments = _window(draw, True)
    return {"x": distinct(draw, sizes)[0], **arguments}


def avg_pool2d(draw: Draw) -> Arguments:
    sizes, arguments = _window(draw, False)
    return {"x": reals(draw, sizes), "count_include_pad": draw(st.booleans()), **arguments}


def whole_maps(draw: Draw) -> Arguments:
    x = distinct(draw, shape(draw, 4, 4, 3))[0]
    return {"x": x, "keepdims": draw(st.booleans())}


def along_axis(draw: Draw) -> Arguments:
    sizes = shape(draw, 1)
    return {"x": reals(draw, sizes), "axis": draw(st.integers(-len(sizes), len(sizes) - 1))}


def classification(scores: str = "scores", **static: Any) -> Drawing:
    def draw_arguments(draw: Draw) -> Arguments:
        rows, classes = draw(st.integers(1, 4)), draw(st.integers(1, 5))
        label = source(draw).integers(0, classes, rows).astype(np.int32)
        values = distinct(draw, (rows, classes))[0]
        extra = {name: draw(values) for name, values in static.items()}
        return {scores: values, "label": label, **extra}

    return draw_arguments


def mse(draw: Draw) -> Arguments:
    sizes = shape(draw)
    return {"prediction": reals(draw, sizes), "target": reals(draw, sizes)}


def l2(draw: Draw) -> Arguments:
    several = tuple(reals(draw, shape(draw)) for _ in range(draw(st.integers(1, 3))))
    weights = several[0] if len(several) == 1 and draw(st.booleans()) else several
    lam = draw(st.sampled_from([0, 1, 1e-2, 2.5]))
    return {"weights": weights, "lam": np.array(0.3) if draw(st.booleans()) else lam}


def astype(draw: Draw) -> Arguments:
    dtype = draw(st.sampled_from(["float32", "float64", "int32", "bool"]))
    return {"x": reals(draw, shape(draw), -3, 3, avoid=(-2, -1, 0, 1, 2)), "dtype": dtype}


STRATEGIES: dict[str, Drawing] = {
    "abs": unary(avoid=(0,)),
    "add": binary(),
    "argmax": reduction(ties=False),
    "argmin": reduction(ties=False),
    "astype": astype,
    "avg_pool2d": avg_pool2d,
    "broadcast_to": broadcast_to,
    "clip": clip,
    "concatenate": concatenate,
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "cos": unary(),
    "divide": binary(avoid=(0,)),
    "elu": unary(avoid=(0,), alpha=st.sampled_from([1.0, 0.5])),
    "equal": comparison,
    "erf": unary(),
    "exp": unary(),
    "expand_dims": expand_dims,
    "expm1": unary(),
    "flatten": flatten,
    "flip": flip,
    "gelu": unary(-4, 4, approximate=st.sampled_from(["none", "tanh"])),
    "global_avg_pool2d": whole_maps,
    "global_max_pool2d": whole_maps,
    "greater": comparison,
    "greater_equal": comparison,
    "hardtanh": unary(
        -4,
        4,
        (-1, -0.5, 1, 2),
        min_val=st.sampled_from([-1.0, -0.5]),
        max_val=st.sampled_from([1, 2.0]),
    ),
    "l2": l2,
    "leaky_relu": unary(avoid=(0,), negative_slope=st.sampled_from([0.01, 0.2, 0])),
    "less": comparison,
    "less_equal": comparison,
    "linear": linear,
    "log": unary(0.1, 4),
    "log1p": unary(-0.8, 4),
    "log_softmax": along_axis,
    "logical_and": logic(2),
    "logical_not": logic(1),
    "logical_or": logic(2),
    "logsumexp": reduction(),
    "matmul": matmul,
    "max": reduction(ties=False),
    "max_pool2d": max_pool2d,
    "maximum": binary(ties=False),
    "mean": reduction(),
    "min": reduction(ties=False),
    "minimum": binary(ties=False),
    "mse": mse,
    "multiclass_hinge": classification(margin=st.sampled_from([1, 0.5])),
    "multiply": binary(),
    "negative": unary(),
    "nll": classification("log_probabilities"),
    "not_equal": comparison,
    "pad": pad,
    "power": power,
    "reciprocal": unary(avoid=(0,)),
    "relu": unary(avoid=(0,)),
    "relu6": unary(-3, 9, (0, 6)),
    "reshape": reshape,
    "sigmoid": unary(-6, 6),
    "silu": unary(-6, 6),
    "sin": unary(),
    "slice": slices,
    "softmax": along_axis,
    "softmax_cross_entropy": classification(),
    "softplus": unary(-6, 6, beta=st.sampled_from([1.0, 0.5, 3])),
    "sqrt": unary(0.1, 4),
    "square": unary(),
    "squeeze": squeeze,
    "stack": stack,
    "std": spread,
    "stop_gradient": unary(),
    "subtract": binary(),
    "sum": reduction(),
    "tanh": unary(),
    "transpose": transpose,
    "var": spread,
    "where": where,
}


def arguments_of(op: str) -> st.SearchStrategy[Arguments]:
    """Give the strategy of an op's arguments."""
    return st.composite(lambda draw: STRATEGIES[op](draw))()
