"""Where an op is linear in an argument its derived gradient is the exact adjoint:
⟨dy, A x⟩ = ⟨Aᵀ dy, x⟩ up to rounding."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphcnn.op import REGISTRY
from graphcnn.testing import apply
from graphcnn.testing.strategies import arguments_of
from graphcnn.testing.strategies.values import generators
from tests.graphcnn.ops.executors import EXECUTORS, Executor, run

LINEAR = {
    **dict.fromkeys(
        [
            "add",
            "avg_pool2d",
            "broadcast_to",
            "concatenate",
            "conv2d",
            "conv_transpose2d",
            "expand_dims",
            "flatten",
            "flip",
            "global_avg_pool2d",
            "linear",
            "matmul",
            "mean",
            "multiply",
            "negative",
            "nll",
            "pad",
            "reshape",
            "slice",
            "squeeze",
            "stack",
            "subtract",
            "sum",
            "transpose",
        ]
    ),
    "divide": ("x",),
    "where": ("x", "y"),
}
JOINTLY = {"add", "subtract", "concatenate", "stack", "where"}  # linear in all inputs at once
HOMOGENEOUS = {"bias": None, "value": 0}  # what makes an affine op linear


def check_adjoint(
    op: str, arguments: dict[str, Any], rng: np.random.Generator, executor: Executor
) -> None:
    built = apply(op, arguments | {n: v for n, v in HOMOGENEOUS.items() if n in arguments})
    derived = built.gradients
    upstream = rng.uniform(-1, 1, built.node.shape)
    y, *found = run(executor, [built.node, *derived], built.arrays | {"seed": upstream})
    forward = upstream * y
    products = [dx * built.arrays[n] for n, dx in zip(built.floats, found, strict=True)]
    if op in JOINTLY:
        products = [np.concatenate([p.ravel() for p in products])]
    elif LINEAR[op]:
        products = products[: len(LINEAR[op])]
    for backward in products:
        size = max(np.abs(forward).sum(), np.abs(backward).sum())
        assert abs(forward.sum() - backward.sum()) <= 1e-12 * size


@pytest.mark.parametrize("op", sorted(LINEAR))
def test_the_gradient_is_the_exact_adjoint(op: str, executor: Executor) -> None:
    @settings(max_examples=100 if op == "conv2d" else 10)
    @given(arguments_of(op), st.data())
    def claim(arguments: dict[str, Any], data: st.DataObject) -> None:
        check_adjoint(op, arguments, data.draw(generators()), executor)

    claim()


@pytest.mark.long
def test_ten_thousand_convolutions_are_exact_adjoints() -> None:
    checked: set[str] = set()

    @settings(max_examples=12_000)
    @given(arguments_of("conv2d"), st.data())
    def claim(arguments: dict[str, Any], data: st.DataObject) -> None:
        check_adjoint("conv2d", arguments, data.draw(generators()), EXECUTORS["interpreter"])
        # Values count too: every case has numbers of its own.
        checked.add(repr(arguments))

    claim()
    assert len(checked) >= 10_000


def test_the_ops_named_here_exist() -> None:
    assert set(LINEAR) <= set(REGISTRY)
