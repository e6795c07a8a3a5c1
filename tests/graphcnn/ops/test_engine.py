"""Convolutions as a user would pick them, in C, with their three gradients.

All values are small integers, so what adds up directly is exact and must be the interpreter's bit
by bit; where Winograd's tiles take part, errors are relative to the largest value.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

import graphcnn as g
from codegen.compile import Executable, Options, Plan, make_plan
from codegen.machine import Machine
from codegen.notation import Tensor, indices
from codegen.notation import statement as state
from codegen.program import Program
from graphcnn.graph import Node
from graphcnn.program import to_program
from tests.codegen.running import (
    COMPILERS,
    Arrays,
    Case,
    assert_agree,
    compile_together,
    differences,
    expected,
    integers,
    run_c,
    run_sanitized,
)
from tests.graphcnn.ops.building import with_gradients

pytestmark = pytest.mark.usefixtures("own_cache")
CHANNELS = (1, 2, 3, 4, 5, 7, 8, 10, 12, 13, 16, 17, 20, 24, 31, 32, 33, 48, 64, 65)
BATCHES = (1, 2, 3, 5, 8, 16, 32)
MOST = 3_000_000  # products of one layer, so that the interpreter is done soon
EXACT = 2**23  # float32 holds all integers up to here, and twice that
TOLERANCE = 1e-4  # of Winograd's tiles; see tests/codegen/test_winograd.py
MACHINES = (
    None,  # this one
    Machine(),
    Machine(vector=32, registers=16, full=32),
    Machine(vector=16, registers=16, full=16),
    Machine(vector=64, registers=32, full=32),
)
# One for each of the engine's own ways; the others are drawn.
LAYERS: dict[str, tuple[int, ...]] = {  # N, C, H, W, K, R, S, stride, padding, dilation, groups
    "one image": (1, 16, 12, 12, 32, 3, 3, 1, 1, 1, 1),
    "odd channels": (8, 17, 9, 9, 33, 3, 3, 1, 1, 1, 1),
    "fewer than a vector": (16, 3, 14, 14, 10, 5, 5, 1, 2, 1, 1),
    "one by one": (5, 31, 7, 7, 65, 1, 1, 1, 0, 1, 1),
    "points": (32, 48, 1, 1, 40, 1, 1, 1, 0, 1, 1),
    "the whole image": (16, 13, 5, 5, 31, 5, 5, 1, 0, 1, 1),
    "stride": (8, 16, 13, 13, 32, 3, 3, 2, 1, 1, 1),
    "leaps": (3, 8, 17, 16, 16, 2, 3, 3, 0, 1, 1),
    "dilation": (2, 16, 15, 15, 17, 3, 3, 1, 2, 2, 1),
    "groups": (8, 32, 8, 8, 48, 3, 3, 1, 1, 1, 2),
    "depthwise": (4, 33, 10, 10, 33, 3, 3, 1, 1, 1, 33),
    "depthwise, twice as many": (4, 16, 10, 10, 32, 3, 3, 2, 1, 1, 16),
    "winograd": (8, 64, 12, 12, 64, 3, 3, 1, 1, 1, 1),
    "winograd, ragged": (3, 65, 11, 13, 64, 3, 3, 1, 0, 1, 1),
    "winograd, filters of five": (2, 64, 10, 10, 64, 5, 5, 1, 2, 1, 1),
    "winograd, strided": (2, 16, 23, 23, 48, 7, 7, 2, 3, 1, 1),
    "winograd, dilated": (2, 64, 15, 16, 64, 3, 3, 1, 2, 2, 1),
}


@dataclass(frozen=True)
class Layer:
    """A convolution with its gradients to x, w and b, and integers for it."""

    what: str
    case: Case
    options: Options


def layer(
    sizes: Sequence[int],
    what: str = "",
    *,
    symbolic: bool = False,
    bias: bool = True,
    relu: bool = False,
    options: Options | None = None,
) -> Layer:
    N, C, H, W, K, R, S, stride, padding, dilation, groups = sizes
    x = g.input("x", (g.dim("N") if symbolic else N, C, H, W))
    w = g.input("w", (K, C // groups, R, S))
    b = g.input("b", (K,)) if bias else None
    y: Node = g.conv2d(x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups)
    y = g.relu(y) if relu else y
    program = with_gradients(y, [x, w, *([b] if b is not None else [])])
    case = integers(program, dict.fromkeys(program.dims, N), seed=sum(sizes))
    return Layer(what or str(sizes), case, options or Options())


def drawn(seed: int) -> Layer:
    rng = np.random.default_rng(seed)

    def pick(options: Sequence[int]) -> int:
        return int(rng.choice(options))

    while True:
        groups = pick((1, 1, 1, 1, 2, 3))
        N, C, K = pick(BATCHES), pick(CHANNELS) * groups, pick(CHANNELS) * groups
        if pick((0, 0, 0, 0, 0, 1)):
            groups, K = C, C * pick((1, 2))
        R = pick((1, 2, 3, 3, 3, 4, 5, 7))
        S = pick((R, R, R, 1, 3))
        stride, dilation = pick((1, 1, 1, 2, 3)), pick((1, 1, 1, 1, 2))
        padding = pick((0, 0, 1, 1, 2, 3))
        H = max(1, dilation * (R - 1) + 1 - 2 * padding) + pick((0, 0, 1, 3, 6, 11))
        W = max(1, dilation * (S - 1) + 1 - 2 * padding) + pick((0, 0, 1, 4, 7, 13))
        sizes = N, C, H, W, K, R, S, stride, padding, dilation, groups
        if N * C * K // groups * R * S * (H + padding) * (W + padding) <= MOST:
            break
    return layer(
        sizes,
        symbolic=bool(pick((0, 1))),
        bias=bool(pick((0, 1))),
        relu=bool(pick((0, 1))),
        options=Options(exact=bool(pick((0, 1))), machine=MACHINES[pick(range(len(MACHINES)))]),
    )


def compiled(
    layers: Sequence[Layer], profile: str, compiler: str | None = None
) -> list[tuple[Layer, Executable]]:
    return [*zip(layers, compile_together(planned(layers), profile, compiler), strict=True)]


def planned(layers: Sequence[Layer]) -> list[Plan]:
    return [make_plan(some.case.program, some.options, f"run{k}") for k, some in enumerate(layers)]


def in_tiles(plan: Plan) -> bool:
    return "winograd" in str(plan.rewritten)


def check(layer: Layer, executable: Executable) -> None:
    check_results(layer, executable.plan, run_c(executable, layer.case))


def check_results(layer: Layer, plan: Plan, made: Arrays) -> None:
    wanted = expected(layer.case, fast=True)
    tolerance = TOLERANCE if in_tiles(plan) else 0
    assert all(abs(y).max(initial=0) < EXACT for y in wanted.values())
    for difference in differences(made, wanted, tolerance):
        code = "\n\n".join(plan.functions.values())
        raise AssertionError(f"{layer.what}, {layer.options}\n{layer.case}\n{difference}\n\n{code}")


@cache
def every() -> dict[str, tuple[Layer, Executable]]:
    """All layers, and without tiles one that they make inexact."""
    layers = [
        layer(sizes, what, symbolic=k % 2 == 0) for k, (what, sizes) in enumerate(LAYERS.items())
    ]
    layers.append(layer(LAYERS["winograd"], "winograd, exact", options=Options(exact=True)))
    found = compiled(layers, "debug+strict")
    return {some.what: (some, executable) for some, executable in found}


def test_layers_in_c_are_the_interpreter() -> None:
    for pair in every().values():
        check(*pair)


def test_the_layers_reach_what_is_claimed_of_them() -> None:
    for what, (_, executable) in every().items():
        if what.startswith("winograd"):
            assert in_tiles(executable.plan) != what.endswith("exact"), what
    plans = [executable.plan for _, executable in every().values()]
    assert sum(plan.laid_out != plan.rewritten for plan in plans) > len(plans) / 2


def test_drawn_layers_in_c_are_the_interpreter() -> None:
    for some, executable in compiled([drawn(seed) for seed in range(16)], "debug+strict"):
        check(some, executable)


@pytest.mark.parametrize("compiler", COMPILERS or [None])
def test_optimised_layers_in_c_are_the_interpreter(compiler: str | None) -> None:
    """Nothing to warn of either, on any compiler."""
    some = ["fewer than a vector", "depthwise"]
    layers = [layer(LAYERS[what], what, options=Options(exact=True)) for what in some]
    for pair in compiled(layers, "release+strict", compiler):
        check(*pair)


@pytest.mark.parametrize("compiler", COMPILERS[:1])
def test_layers_touch_nothing_beyond_their_arrays(compiler: str) -> None:
    layers = [drawn(100), layer(LAYERS["winograd, ragged"], bias=False)]
    plans = planned(layers)
    found = run_sanitized(plans, [[some.case] for some in layers], compiler)
    for some, plan, (made,) in zip(layers, plans, found, strict=True):
        check_results(some, plan, made)


def test_convolutions_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    for what in ("odd channels", "stride", "dilation", "groups", "winograd"):
        sizes = LAYERS[what]
        some = layer(sizes, what, options=Options(exact=True))
        arrays = {name: torch.tensor(array) for name, array in some.case.arrays.items()}
        leaves = [arrays[name].requires_grad_() for name in ("x", "w", "b")]
        stride, padding, dilation, groups = sizes[-4:]
        y = torch.nn.functional.conv2d(*leaves, stride, padding, dilation, groups)
        y.backward(arrays["upstream"])
        wanted = [y.detach(), *(leaf.grad for leaf in leaves)]
        ((_, executable),) = compiled([some], "debug")
        made = run_c(executable, some.case)
        for t, right in zip(some.case.program.outputs, wanted, strict=True):
            assert np.array_equal(made[t.name], right.numpy()), f"{what}: {t.name}"


# -- what broke -------------------------------------------------------------------------------


def test_kernels_that_run_together_write_their_own_part_only() -> None:
    """The loop that both share is the inner digit of the axis that the second one writes."""
    n, i, j, c = indices("n i j c")
    x, w = Tensor("x", (40, 40, 40)), Tensor("w", (48, 40))
    y, z = Tensor("y", (40, 40, 48)), Tensor("z", (1600, 48))
    product = state(y[i, n, j], "+=", w[j, c] * x[n, i, c])
    shown = state(z[40 * n + i, j], "=", y[i, n, j - 1], {i: 40, n: 40, j: 48})
    assert_agree([integers(Program((x, w), (z,), (product, shown)))], profile="debug")


ALIGNED = """
from tests.graphcnn.ops.test_engine import beside_each_other, check, compiled
for pair in compiled([beside_each_other()], "release", "gcc"):
    check(*pair)
print("fine")
"""


def beside_each_other() -> Layer:
    """Two convolutions, one below the other; the gradient keeps rows of 12 numbers on the stack."""
    x = g.input("x", (4, 32, 12, 12))
    w, w2 = (g.input(name, (32, 32, 3, 3)) for name in ("w", "w2"))
    y = g.concatenate([g.conv2d(x, each, padding=1) for each in (w, w2)], axis=2)
    program = to_program(g.grad(g.sum(g.square(y)), [x])).program
    return Layer("beside each other", integers(program, largest=1), Options(exact=True))


@pytest.mark.skipif("gcc" not in COMPILERS, reason="needs gcc")
def test_arrays_on_the_stack_are_aligned() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALIGNED], capture_output=True, text=True, check=False
    )
    assert done.stdout == "fine\n", (done.returncode, done.stderr[-4000:])


@pytest.mark.skipif("gcc" not in COMPILERS, reason="needs gcc")
def test_choices_along_short_rows_read_their_own_element() -> None:
    """The gradient of ReLU over 10×7×7, which is cut in blocks of 8 and so no single long loop."""
    sizes = (1, 8, 7, 8, 10, 1, 1, 2, 3, 1, 1)
    some = layer(sizes, relu=True, options=Options(machine=MACHINES[2], exact=True))
    for pair in compiled([some], "release", "gcc"):
        check(*pair)


@pytest.mark.long
@pytest.mark.parametrize("compiler", COMPILERS or [None])
@pytest.mark.parametrize(
    ("start", "count", "profile"),
    [(k, 40, "debug") for k in range(10_000, 10_800, 40)]
    + [(k, 20, "release") for k in range(20_000, 20_200, 20)],
)
def test_hundreds_of_layers_in_c_are_the_interpreter(
    start: int, count: int, profile: str, compiler: str | None
) -> None:
    for pair in compiled([drawn(seed) for seed in range(start, start + count)], profile, compiler):
        check(*pair)
