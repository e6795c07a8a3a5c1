"""Values and gradients agree with PyTorch, wherever it has the op."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from graphcnn.op import REGISTRY
from graphcnn.testing import apply
from graphcnn.testing.strategies import Arguments, arguments_of
from graphcnn.testing.strategies.values import both, generators
from tests.graphcnn.ops.executors import EXECUTORS, run
from tests.graphcnn.ops.references import sides

torch = pytest.importorskip("torch")
F = torch.nn.functional

SAME_NAME = ["abs", "add", "cos", "divide", "erf", "exp", "expm1", "log", "log1p", "logical_and"]
SAME_NAME += ["logical_not", "logical_or", "maximum", "minimum", "multiply", "negative"]
SAME_NAME += ["reciprocal", "relu", "sigmoid", "sin", "sqrt", "square", "subtract", "tanh", "where"]
SAME_NAME += ["less", "less_equal", "greater", "greater_equal", "not_equal", "matmul"]
SAME_IN_F = ["elu", "leaky_relu", "hardtanh", "relu6", "silu", "gelu", "linear", "softplus"]
CONFIGURATIONS = {"conv2d": 1300, "max_pool2d": 420, "avg_pool2d": 420}
DISTINCT = {"conv2d": 500, "max_pool2d": 250, "avg_pool2d": 250}  # in shapes or arguments
ABSENT = {"argmin", "stop_gradient"}  # argmin is argmax of −x; detach is tested elsewhere


def dims(x: Any, axis: Any) -> Any:
    return tuple(range(x.ndim)) if axis is None else axis


def conv2d(x: Any, weight: Any, bias: Any, **static: Any) -> Any:
    dilation = both(static["dilation"])
    (top, bottom), (left, right) = sides(static["padding"], tuple(weight.shape[2:]), dilation)
    x = F.pad(x, (left, right, top, bottom))
    return F.conv2d(x, weight, bias, static["stride"], 0, dilation, static["groups"])


def max_pool2d(x: Any, kernel_size: Any, ceil_mode: bool, **static: Any) -> Any:
    return F.max_pool2d(x, kernel_size, ceil_mode=ceil_mode, **static)


def pad(x: Any, widths: Any, mode: str, value: float) -> Any:
    if mode == "constant":
        return F.pad(x, [n for pair in reversed(widths) for n in pair], mode, value)
    full = [(0, 0)] * (x.ndim - len(widths)) + list(widths)
    for axis, (before, after) in enumerate(full):
        last = x.movedim(axis, -1)
        rows = last.reshape(1, -1, last.shape[-1])
        rows = F.pad(rows, (before, after), "replicate" if mode == "edge" else mode)
        x = rows.reshape(*last.shape[:-1], -1).movedim(-1, axis)
    return x


def sliced(x: Any, key: Any) -> Any:
    """PyTorch has no negative steps: flip, then slice forwards."""
    where = np.arange(x.numel()).reshape(tuple(x.shape))[key]
    return x.reshape(-1)[torch.from_numpy(np.array(where))]


def hinge(scores: Any, label: Any, margin: float) -> Any:
    loss = F.multi_margin_loss(scores, label.long(), margin=margin, reduction="none")
    return loss * scores.shape[1]


def spread(find: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, axis, keepdims, correction: find(
        x, dims(x, axis), correction=correction, keepdim=keepdims
    )


def over(find: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, axis, keepdims: find(x, dims(x, axis), keepdim=keepdims) if x.ndim else x * 1


def extremum(find: str) -> Callable[..., Any]:
    """Over several axes PyTorch splits ties; there are none here."""
    name = {"max": torch.amax, "min": torch.amin}[find]
    return lambda x, axis, keepdims: name(x, dims(x, axis), keepdim=keepdims) if x.ndim else x * 1


def argmax(x: Any, axis: Any, keepdims: bool) -> Any:
    assume(axis is None or isinstance(axis, int))
    assume(x.ndim > 0)
    return (
        torch.argmax(x, axis, keepdim=keepdims)
        if axis is not None or not keepdims
        else (torch.argmax(x).reshape([1] * x.ndim))
    )


def squared(weights: Any, lam: Any) -> Any:
    return lam * sum((w**2).sum() for w in (weights if isinstance(weights, tuple) else (weights,)))


TORCH: dict[str, Callable[..., Any]] = {
    **{name: getattr(torch, name) for name in SAME_NAME},
    **{name: getattr(F, name) for name in SAME_IN_F},
    "argmax": argmax,
    "astype": lambda x, dtype: x.to(getattr(torch, dtype)),
    "avg_pool2d": F.avg_pool2d,
    "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
    "clip": lambda x, low, high: x * 1 if low is high is None else torch.clamp(x, low, high),
    "concatenate": lambda tensors, axis: torch.cat(tensors, axis),
    "conv2d": conv2d,
    "conv_transpose2d": F.conv_transpose2d,
    "equal": lambda x, y: torch.eq(x, y),
    "expand_dims": lambda x, axis: x.unsqueeze(axis),
    "flatten": lambda x, start_axis: torch.flatten(x, start_axis),
    "flip": lambda x, axis: torch.flip(x, [axis] if isinstance(axis, int) else dims(x, axis)),
    "global_avg_pool2d": lambda x, keepdims: x.mean((2, 3), keepdim=keepdims),
    "global_max_pool2d": lambda x, keepdims: torch.amax(x, (2, 3), keepdim=keepdims),
    "l2": squared,
    "log_softmax": lambda x, axis: F.log_softmax(x, axis),
    "logsumexp": over(torch.logsumexp),
    "max": extremum("max"),
    "max_pool2d": max_pool2d,
    "mean": over(torch.mean),
    "min": extremum("min"),
    "mse": lambda prediction, target: F.mse_loss(prediction, target),
    "multiclass_hinge": hinge,
    "nll": lambda log_probabilities, label: F.nll_loss(
        log_probabilities, label.long(), reduction="none"
    ),
    "pad": pad,
    "power": lambda x, exponent: torch.pow(x, exponent),
    "reshape": lambda x, shape: x.reshape(shape),
    "slice": lambda x, key: sliced(x, key),
    "softmax": lambda x, axis: F.softmax(x, axis),
    "softmax_cross_entropy": lambda scores, label: F.cross_entropy(
        scores, label.long(), reduction="none"
    ),
    "squeeze": lambda x, axis: torch.squeeze(x) if axis is None else torch.squeeze(x, axis),
    "stack": lambda tensors, axis: torch.stack(tensors, axis),
    "std": spread(torch.std),
    "sum": over(torch.sum),
    "transpose": lambda x, axes: x.permute(axes or tuple(range(x.ndim))[::-1]),
    "var": spread(torch.var),
}


def to_torch(value: Any) -> Any:
    if isinstance(value, tuple) and value and isinstance(value[0], np.ndarray):
        return tuple(map(to_torch, value))
    if not isinstance(value, np.ndarray):
        return value
    made = torch.from_numpy(np.array(value))
    return made.requires_grad_() if value.dtype.kind == "f" else made


def leaves(values: Any) -> list[Any]:
    found = [t for v in values for t in (v if isinstance(v, tuple) else (v,))]
    return [t for t in found if torch.is_tensor(t) and t.requires_grad]


def positional(op: str, given: dict[str, Any]) -> Any:
    return TORCH[op](*given.values()) if op in SAME_NAME else TORCH[op](**given)


def agree(op: str, arguments: Arguments, rng: np.random.Generator) -> None:
    given = {n: to_torch(v) for n, v in arguments.items()}
    ours = leaves(given.values())
    if op in {"softplus"}:
        given["threshold"] = 1e9  # above it PyTorch rounds to x
    if op in {"hardtanh"}:
        given["min_val"], given["max_val"] = float(given["min_val"]), float(given["max_val"])
    if op == "linear":
        given = {"input": given["x"], "weight": given["weight"], "bias": given["bias"]}
    elif op in SAME_IN_F or op in {"avg_pool2d", "conv_transpose2d"}:
        given["input"] = given.pop("x")
    wanted = positional(op, given)
    built = apply(op, arguments)
    nodes, arrays = [built.node], built.arrays
    if wanted.requires_grad and built.node.dtype == "float64":
        derived = built.gradients
        upstream = rng.uniform(-1, 1, built.node.shape)
        nodes, arrays = [built.node, *derived], arrays | {"seed": upstream}
    y, *found = run(EXECUTORS["interpreter"], nodes, arrays)
    theirs = wanted.detach().numpy()
    np.testing.assert_allclose(y, theirs.reshape(y.shape), rtol=1e-11, atol=1e-11)
    if not found:
        return
    gradient = torch.from_numpy(upstream).reshape(wanted.shape)
    slopes = torch.autograd.grad(wanted, ours, gradient, allow_unused=True)
    for dx, slope in zip(found, slopes, strict=True):
        theirs = np.zeros(dx.shape) if slope is None else slope.numpy()
        np.testing.assert_allclose(dx, theirs, rtol=1e-10, atol=1e-10)


def test_every_op_is_compared_or_known_to_be_absent() -> None:
    assert set(TORCH) | ABSENT == set(REGISTRY)


@pytest.mark.parametrize("op", sorted(TORCH))
def test_an_op_agrees_with_pytorch(op: str) -> None:
    compared: set[str] = set()

    @settings(max_examples=CONFIGURATIONS.get(op, 10))
    @given(arguments_of(op), st.data())
    def claim(arguments: Arguments, data: st.DataObject) -> None:
        agree(op, arguments, data.draw(generators()))
        compared.add(configuration(arguments))

    claim()
    assert len(compared) >= DISTINCT.get(op, 1)


def configuration(arguments: Arguments) -> str:
    """What an op is asked for: the shapes of the arrays, the values of the rest."""
    return repr({n: v.shape if isinstance(v, np.ndarray) else v for n, v in arguments.items()})
