"""Every op in the registry computes what NumPy computes, in both float types, NaN included."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphcnn
from codegen.notation import DType
from graphcnn.op import REGISTRY
from graphcnn.testing import apply, rounded
from graphcnn.testing.strategies.catalogue import STRATEGIES, arguments_of
from graphcnn.testing.strategies.values import generators
from tests.graphcnn.ops.executors import EXECUTORS, Array, Executor, run
from tests.graphcnn.ops.references import REFERENCES, expected

TOLERANCE = {"float32": 2e-6, "float64": 1e-13}  # of the largest value, times √(values added)
BATCHED = {
    **dict.fromkeys(
        [
            "abs",
            "argmax",
            "avg_pool2d",
            "clip",
            "conv2d",
            "conv_transpose2d",
            "cos",
            "elu",
            "erf",
            "exp",
            "expm1",
            "flatten",
            "gelu",
            "global_avg_pool2d",
            "global_max_pool2d",
            "hardtanh",
            "leaky_relu",
            "log_softmax",
            "logsumexp",
            "max",
            "max_pool2d",
            "mean",
            "min",
            "pad",
            "relu",
            "relu6",
            "sigmoid",
            "silu",
            "sin",
            "softmax",
            "softplus",
            "square",
            "std",
            "sum",
            "tanh",
            "transpose",
            "var",
        ],
        ("x",),
    ),
    "mse": ("prediction", "target"),
    "multiclass_hinge": ("scores", "label"),
    "nll": ("log_probabilities", "label"),
    "softmax_cross_entropy": ("scores", "label"),
}


def assert_close(made: Array, wanted: Array, dtype: str, terms: int = 1) -> None:
    finite = np.abs(wanted[np.isfinite(wanted)])
    atol = TOLERANCE[dtype] * np.sqrt(terms) * max(1.0, finite.max(initial=0))
    np.testing.assert_allclose(made, wanted, rtol=0, atol=atol, equal_nan=True)


def terms(arguments: dict[str, Any]) -> int:
    arrays = [v for a in arguments.values() for v in (a if isinstance(a, tuple) else (a,))]
    return 4 + sum(a.size for a in arrays if isinstance(a, np.ndarray))


def test_every_op_has_a_strategy_and_a_formula_and_a_public_name() -> None:
    assert set(STRATEGIES) == set(REGISTRY)
    assert set(REFERENCES) == set(REGISTRY)
    assert set(REGISTRY) <= set(graphcnn.__all__)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_op_computes_its_formula(op: str, dtype: DType, executor: Executor) -> None:
    @settings(max_examples=5)
    @given(arguments_of(op))
    def claim(arguments: dict[str, Any]) -> None:
        arguments = rounded(arguments, dtype)
        built = apply(op, arguments, dtype)
        (made,) = run(executor, [built.node], built.arrays)
        wanted = expected(op, arguments)
        assert made.shape == wanted.shape == built.node.shape
        assert made.dtype == built.node.dtype
        if wanted.dtype.kind == "f" and made.dtype.kind == "f":
            assert_close(made, wanted, str(built.node.dtype), terms(arguments))
        else:
            np.testing.assert_array_equal(made, wanted)

    claim()


def test_a_nan_stays_where_numpy_keeps_it(op: str, executor: Executor) -> None:
    """A NaN in each float input in turn; comparisons with it are false, as everywhere."""

    @settings(max_examples=4)
    @given(arguments_of(op), st.data())
    def claim(arguments: dict[str, Any], data: st.DataObject) -> None:
        if op == "astype" and arguments["dtype"] == "int32":
            return  # no integer stands for NaN
        for name, value in arguments.items():
            if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or not value.size:
                continue
            spoilt = value.copy()
            spoilt.flat[data.draw(generators()).integers(value.size)] = np.nan
            changed = arguments | {name: spoilt}
            built = apply(op, changed)
            (made,) = run(executor, [built.node], built.arrays)
            wanted = expected(op, changed)
            if made.dtype.kind == "f":
                assert_close(made, wanted, str(made.dtype), terms(arguments))
            else:
                np.testing.assert_array_equal(made, wanted)

    claim()


@pytest.mark.parametrize("batched_op", sorted(BATCHED))
def test_a_batch_may_have_any_size(batched_op: str) -> None:
    @settings(max_examples=3)
    @given(arguments_of(batched_op))
    def claim(arguments: dict[str, Any]) -> None:
        parameters = BATCHED[batched_op]
        if arguments[parameters[0]].ndim == 0:
            return
        built = apply(batched_op, arguments, batched=parameters)
        (made,) = run(EXECUTORS["interpreter"], [built.node], built.arrays)
        wanted = expected(batched_op, arguments)
        if made.dtype.kind == "f":
            assert_close(made, wanted, "float64", terms(arguments))
        else:
            np.testing.assert_array_equal(made, wanted)

    claim()
