"""Optimisers are what their papers and PyTorch say, step by step."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import graphcnn as g
from codegen.build import find_toolchain
from graphcnn.compile import compile
from graphcnn.graph import Node, Parameter
from graphcnn.optim import adam, rmsprop, sgd, trainable

Array = npt.NDArray[Any]
Rule = Callable[[Array, Iterator[int]], Callable[[Array, Array], Array]]
STEPS = 20
N = g.dim("N")
RNG = np.random.default_rng(0)
START = {"w": RNG.standard_normal((2, 3)), "b": RNG.standard_normal(2)}


def batches(size: int) -> list[tuple[Array, Array]]:
    rng = np.random.default_rng(size)
    return [(rng.standard_normal((size, 3)), rng.standard_normal((size, 2))) for _ in range(STEPS)]


# Independent references: each gives a function from value and gradient to the next value.


def reference_sgd(
    lr: float,
    momentum: float = 0,
    dampening: float = 0,
    nesterov: bool = False,
    weight_decay: float = 0,
) -> Callable[[], Callable[[Array, Array], Array]]:
    def start() -> Callable[[Array, Array], Array]:
        velocity: Any = 0.0

        def following(w: Array, slope: Array) -> Array:
            nonlocal velocity
            slope = slope + weight_decay * w
            velocity = momentum * velocity + (1 - dampening if momentum else 1) * slope
            return w - lr * (slope + momentum * velocity if nesterov else velocity)

        return following

    return start


def reference_rmsprop(
    lr: float = 0.01,
    alpha: float = 0.99,
    eps: float = 1e-8,
    eps_mode: str = "outside",
    momentum: float = 0,
    weight_decay: float = 0,
) -> Callable[[], Callable[[Array, Array], Array]]:
    def start() -> Callable[[Array, Array], Array]:
        square: Any = 0.0
        velocity: Any = 0.0

        def following(w: Array, slope: Array) -> Array:
            nonlocal square, velocity
            slope = slope + weight_decay * w
            square = alpha * square + (1 - alpha) * slope**2
            root = np.sqrt(square) + eps if eps_mode == "outside" else np.sqrt(square + eps)
            velocity = momentum * velocity + slope / root
            return w - lr * velocity

        return following

    return start


def reference_adam(
    lr: float = 0.001,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
) -> Callable[[], Callable[[Array, Array], Array]]:
    def start() -> Callable[[Array, Array], Array]:
        mean: Any = 0.0
        square: Any = 0.0
        t = 0

        def following(w: Array, slope: Array) -> Array:
            nonlocal mean, square, t
            t += 1
            slope = slope + weight_decay * w
            mean = betas[0] * mean + (1 - betas[0]) * slope
            square = betas[1] * square + (1 - betas[1]) * slope**2
            unbiased = mean / (1 - betas[0] ** t)
            return w - lr * unbiased / (np.sqrt(square / (1 - betas[1] ** t)) + eps)

        return following

    return start


OPTIMISERS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sgd": (sgd, reference_sgd),
    "rmsprop": (rmsprop, reference_rmsprop),
    "adam": (adam, reference_adam),
}
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {"lr": 0.1}),
    ("sgd", {"lr": 0.1, "weight_decay": 0.2}),
    ("sgd", {"lr": 0.1, "momentum": 0.9}),
    ("sgd", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("sgd", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("rmsprop", {}),
    ("rmsprop", {"lr": 0.05, "alpha": 0.8, "eps": 1e-3}),
    ("rmsprop", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
    ("rmsprop", {"lr": 0.05, "alpha": 0.9, "eps": 1e-2, "eps_mode": "inside"}),
    ("adam", {}),
    ("adam", {"lr": 0.05, "betas": (0.0, 0.9)}),
    ("adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1}),
]
# Where momentum starts, PyTorch does not dampen; we follow the formula from the first step.
DAMPENED = ("sgd", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5})

settings = pytest.mark.parametrize(
    ("name", "options"),
    SETTINGS,
    ids=[f"{n}-{'-'.join(f'{k}={v}' for k, v in o.items())}" for n, o in SETTINGS],
)
sizes = pytest.mark.parametrize("size", [1, 7])


def model() -> tuple[Node, dict[str, Parameter]]:
    x, target = g.input("x", (N, 3), "float64"), g.input("target", (N, 2), "float64")
    held = {name: g.parameter(name, value, dtype="float64") for name, value in START.items()}
    return g.mse(g.linear(x, held["w"], held["b"]), target), held


def train(name: str, options: dict[str, Any], size: int, backend: str = "numpy") -> list[Array]:
    """Give the values of all parameters after each step, one row a step."""
    loss, held = model()
    step = compile(loss, OPTIMISERS[name][0](loss, **options), backend=backend)
    path = []
    for x, target in batches(size):
        step(x=x, target=target)
        path.append(np.concatenate([p.value.ravel() for p in held.values()]))
    return path


def slopes(held: dict[str, Array], x: Array, target: Array) -> dict[str, Array]:
    error = 2 * (x @ held["w"].T + held["b"] - target) / target.size
    return {"w": error.T @ x, "b": error.sum(0)}


@sizes
@pytest.mark.parametrize(("name", "options"), [*SETTINGS, DAMPENED])
def test_equals_its_formula(name: str, options: dict[str, Any], size: int) -> None:
    held = dict(START)
    rules = {n: OPTIMISERS[name][1](**options)() for n in held}
    expected = []
    for x, target in batches(size):
        given = slopes(held, x, target)
        held = {n: rules[n](value, given[n]) for n, value in held.items()}
        expected.append(np.concatenate([v.ravel() for v in held.values()]))
    np.testing.assert_allclose(train(name, options, size), expected, rtol=1e-12, atol=1e-14)


@sizes
@settings
def test_equals_pytorch(name: str, options: dict[str, Any], size: int) -> None:
    torch = pytest.importorskip("torch")
    if options.get("eps_mode") == "inside":
        pytest.skip("PyTorch has eps outside the root only")
    held = {n: torch.tensor(v, requires_grad=True) for n, v in START.items()}
    kinds = {"sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop, "adam": torch.optim.Adam}
    optimiser = kinds[name](list(held.values()), **options)
    expected = []
    for x, target in batches(size):
        optimiser.zero_grad()
        found = torch.nn.functional.linear(torch.tensor(x), held["w"], held["b"])
        torch.nn.functional.mse_loss(found, torch.tensor(target)).backward()
        optimiser.step()
        expected.append(np.concatenate([p.detach().numpy().ravel() for p in held.values()]))
    np.testing.assert_allclose(train(name, options, size), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.skipif(find_toolchain() is None, reason="no compiler")
@pytest.mark.parametrize("name", OPTIMISERS)
def test_c_takes_the_same_steps(name: str) -> None:
    options = {"lr": 0.1, "weight_decay": 0.1, **({"momentum": 0.9} if name != "adam" else {})}
    np.testing.assert_allclose(
        train(name, options, 7, "c"), train(name, options, 7), rtol=1e-10, atol=1e-12
    )


def test_learning_rate_may_be_an_input() -> None:
    loss, held = model()
    lr = g.input("lr", (), "float64")
    step = compile(loss, sgd(loss, lr), backend="numpy")
    ((x, target), *_) = batches(4)
    step(x=x, target=target, lr=0.0)
    np.testing.assert_array_equal(held["w"].value, START["w"])
    step(x=x, target=target, lr=0.5)
    expected = START["w"] - 0.5 * slopes(START, x, target)["w"]
    np.testing.assert_allclose(held["w"].value, expected, rtol=1e-12)


def test_first_rmsprop_step_has_the_size_that_its_text_says() -> None:
    w = g.parameter("w", [3.0, -0.5], dtype="float64")
    loss = g.sum(w * w)
    compile(loss, rmsprop(loss, 0.01, alpha=0.99), backend="numpy")()
    np.testing.assert_allclose(w.value, [3 - 0.1, -0.5 + 0.1], rtol=1e-6)


def test_only_the_parameters_asked_for_change() -> None:
    loss, held = model()
    step = compile(loss, adam(loss, parameters=[held["b"]]), backend="numpy")
    step(x=np.ones((1, 3)), target=np.ones((1, 2)))
    np.testing.assert_array_equal(held["w"].value, START["w"])
    assert not np.any(held["b"].value == START["b"])


def test_what_is_not_trainable_stays() -> None:
    fixed = g.parameter("fixed", 2.0, trainable=False)
    w = g.parameter("w", 1.0)
    loss = (w * fixed - 1) ** 2
    assert trainable(loss) == (w,)
    compile(loss, sgd(loss, 0.1), backend="numpy")()
    assert float(fixed.value) == 2.0
    assert float(w.value) == pytest.approx(1 - 0.1 * 4)


def test_state_has_the_dtype_and_shape_of_its_parameter() -> None:
    loss, held = model()
    updated = [old for old, _ in adam(loss)]
    assert {p.dtype for p in updated} == {"float64"}
    assert [p.name for p in updated if p.name.startswith("w")] == ["w.mean", "w.mean_square", "w"]
    assert all(p.shape == held["w"].shape for p in updated if p.name.startswith("w"))
    assert not any(p.trainable for p in updated if "." in p.name)


def test_parameters_of_two_dtypes_train_together() -> None:
    single, double = g.parameter("single", 1.0), g.parameter("double", 1.0, dtype="float64")
    loss = single.astype("float64") ** 2 + double**2
    step = compile(loss, adam(loss, 0.1), backend="numpy")
    for _ in range(3):
        step()
    assert float(single.value) == pytest.approx(float(double.value), rel=2e-7)
    assert float(double.value) == pytest.approx(0.7, abs=0.01)
