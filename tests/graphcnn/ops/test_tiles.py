"""Convolutions and products of every awkward shape, in C, with their gradients and updates.

All values are small integers, so every sum is exact in any order: C must equal the interpreter
bit by bit. Only what RMSProp divides is rounded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

import graphcnn as g
from codegen.compile import Executable, Options, Plan, make_plan
from codegen.machine import this_machine
from codegen.notation import FLOATS, DType
from codegen.program import Program
from codegen.schedule.tile import Tile
from graphcnn.graph import Node, Parameter
from graphcnn.program import to_program
from tests.codegen.running import (
    COMPILERS,
    Arrays,
    Case,
    compile_together,
    expected,
    run_c,
    run_sanitized,
    shape_of,
)
from tests.graphcnn.ops.compiling import N

pytestmark = pytest.mark.usefixtures("own_cache")
COMPILER = COMPILERS[0] if COMPILERS else None
CHANNELS = (1, 2, 3, 4, 5, 8, 13, 16, 17)
LARGEST = 3  # of the integers in every array
MOST = 400_000  # multiplications of a layer, so that the interpreter is done soon
assert MOST * LARGEST**2 + LARGEST < 2**24, "float32 holds every integer up to here"
# E/2 + g²/2 rounds three times, all terms positive; w − lr·g/(√E + ε), of numbers of at most
# LARGEST + 1, about ten times: each by half a unit.
RELATIVE, ABSOLUTE = 2, 5 * (LARGEST + 1)


@dataclass(frozen=True)
class Net:
    """A layer with its gradients and one step of RMSProp, as a program, with its arrays."""

    what: str
    program: Program
    arrays: Arrays
    batch: int

    @property
    def case(self) -> Case:
        return Case(self.program, self.arrays, {d: self.batch for d in self.program.dims})


class Chooser:
    """A generator of layers' arguments."""

    def __init__(self, start: int) -> None:
        self.rng = np.random.default_rng(start)

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def pick(self, options: Sequence[int]) -> int:
        return options[self.between(0, len(options) - 1)]

    def chance(self) -> bool:
        return bool(self.rng.integers(2))

    def integers(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return np.asarray(self.rng.integers(-LARGEST, LARGEST + 1, shape), dtype)


def conv2d(choose: Chooser, batch: int, dtype: DType) -> tuple[Node, int]:
    groups = choose.pick((1, 1, 1, 2, 3))
    channels, filters = choose.pick(CHANNELS) * groups, choose.pick(CHANNELS) * groups
    kernel = choose.pick((1, 2, 3, 5)), choose.pick((1, 2, 3, 5))
    stride = choose.pick((1, 1, 2, 3)), choose.pick((1, 1, 1, 2, 3))
    dilation = choose.pick((1, 1, 2)), choose.pick((1, 1, 1, 2))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    height, width = reach[0] + choose.between(0, 5), choose.between(reach[1], 40)
    padding: tuple[int, ...] = tuple(choose.pick((0, 0, 1, 2, 3)) for _ in range(4))
    if choose.between(1, 4) == 1:  # the kernel sees the whole image
        height, width, padding = reach[0], reach[1], (0, 0, 0, 0)
    x = g.input("x", (N if choose.chance() else batch, channels, height, width), dtype)
    w = parameter(choose, "w", (filters, channels // groups, *kernel), dtype)
    bias = parameter(choose, "b", (filters,), dtype) if choose.chance() else None
    y = g.conv2d(
        x, w, bias, stride=stride, padding=padding, dilation=dilation, groups=groups, name="y"
    )
    depth = channels // groups * kernel[0] * kernel[1]
    return y, filters * y.shape[2] * y.shape[3] * depth


def linear(choose: Chooser, batch: int, dtype: DType) -> tuple[Node, int]:
    inputs, outputs = choose.between(1, 40), choose.between(1, 40)
    x = g.input("x", (N if choose.chance() else batch, inputs), dtype)
    w = parameter(choose, "w", (outputs, inputs), dtype)
    bias = parameter(choose, "b", (outputs,), dtype) if choose.chance() else None
    return g.linear(x, w, bias, name="y"), inputs * outputs


def matmul(choose: Chooser, batch: int, dtype: DType) -> tuple[Node, int]:
    rows, depth, columns = (choose.between(1, 40) for _ in range(3))
    first = N if choose.chance() else batch
    x = g.input("x", (first, rows, depth), dtype)
    w = parameter(choose, "w", (depth, columns), dtype)
    return g.matmul(x, w, name="y"), rows * depth * columns


LAYERS: dict[str, tuple[Callable[[Chooser, int, DType], tuple[Node, int]], int]] = {
    "conv2d": (conv2d, 7),  # and how many of ten
    "linear": (linear, 2),
    "matmul": (matmul, 1),
}
MIX = [name for name, (_, share) in LAYERS.items() for _ in range(share)]


def parameter(choose: Chooser, name: str, shape: tuple[int, ...], dtype: DType) -> Parameter:
    return g.parameter(name, choose.integers(shape, dtype), dtype=dtype)


def net(start: int) -> Net:
    """Give y = layer(x), often with ReLU, its gradients under a seed, and the updates."""
    choose = Chooser(start)
    layer = MIX[start % len(MIX)]
    dtype = FLOATS[choose.pick((0, 0, 1))]
    batch = choose.pick((1, 2, 3, 5))
    while True:
        y, products = LAYERS[layer][0](choose, batch, dtype)
        if products * batch <= MOST:
            break
    x = next(n for n in y.inputs if n.op == "input")
    if choose.chance():
        y = g.relu(y, name="r")
    upstream = g.input("upstream", y.shape, dtype)
    loss = g.sum(y * upstream)
    updates = g.rmsprop(loss, lr=0.5, alpha=0.5)
    trained = [old for old, _ in updates if old.trainable]
    # With dw among the outputs it is stored; without it, it may live in the update's registers.
    outputs = [y, *g.grad(loss, [x, *(trained if choose.chance() else [])])]
    program = to_program(outputs, updates, name=f"{layer}{start}").program
    arrays = {}
    for t in (*program.inputs, *program.parameters):
        arrays[t.name] = choose.integers(shape_of(t, {N: batch}), t.dtype)
    for old, _ in updates:
        if not old.trainable:  # the running mean of squares
            name = next(t.name for t in program.parameters if t.name.endswith(old.name or "?"))
            arrays[name] = np.abs(arrays[name]) + 1
    return Net(layer, program, arrays, batch)


def check(net: Net, executable: Executable) -> None:
    check_results(net, executable.plan, *(run_c(executable, net.case) for _ in range(2)))


def check_results(net: Net, plan: Plan, found: Arrays, again: Arrays) -> None:
    right = expected(net.case)
    updated = {old.name for old, _ in net.program.updates}
    for name, y in right.items():
        assert found[name].tobytes() == again[name].tobytes(), f"{name} differs from run to run"
        unit = np.finfo(y.dtype).eps if name in updated else 0
        if not np.allclose(found[name], y, rtol=RELATIVE * unit, atol=ABSOLUTE * unit):
            code = "\n\n".join(plan.functions.values())
            raise AssertionError(f"{net.case}\n{name}: C gives\n{found[name]}\nnot\n{y}\n\n{code}")


@cache
def compiled(
    start: int, count: int, profile: str, compiler: str | None = None
) -> Sequence[tuple[Net, Executable]]:
    nets = drawn(start, count)
    return [*zip(nets, compile_together(planned(nets), profile, compiler), strict=True)]


def drawn(start: int, count: int) -> Sequence[Net]:
    return [net(k) for k in range(start, start + count)]


def planned(nets: Sequence[Net]) -> Sequence[Plan]:
    exact = Options(exact=True)  # sums of integers, which tiles of plain sums leave as they are
    return [make_plan(n.program, exact, f"run{k}") for k, n in enumerate(nets)]


def unoptimised(compiler: str | None) -> Sequence[tuple[Net, Executable]]:
    """Sixty layers, shared between the compilers that there are."""
    compilers = COMPILERS or [None]
    count = 72 // len(compilers)
    return compiled(count * compilers.index(compiler), count, "debug+strict", compiler)


@pytest.mark.parametrize("compiler", COMPILERS or [None])
def test_layers_in_c_are_the_interpreter(compiler: str | None) -> None:
    """Other layers for each compiler: what breaks at -O0 is our doing, not the compiler's."""
    for some, executable in unoptimised(compiler):
        check(some, executable)


def test_optimised_layers_in_c_are_the_interpreter() -> None:
    """1004 is one for which gcc 12 reads wrong elements where it may unroll all loops."""
    for some, executable in compiled(1000, 8, "release+strict", COMPILER):
        check(some, executable)


def test_drawn_layers_have_tiles_of_every_kind() -> None:
    """Every number of vectors at once, every narrower vector that ends a row, blocks and rests."""
    found: set[tuple[str, bool, str, int]] = set()
    every = [executable.plan for c in COMPILERS or [None] for _, executable in unoptimised(c)]
    for plan in every:
        for nest in plan.nests:
            for tile in nest.schedules:
                if isinstance(tile, Tile):
                    inner = [s for k in nest.group.inner for s in k.statements]
                    summed = any(tile.lane in s.reduced for s in inner)
                    dtype = inner[0].target.dtype
                    rests = sum(len(segments) > 1 for _, segments in tile.rows)
                    found |= {(dtype, summed, "lanes", seg.block) for seg in tile.lanes}
                    found |= {("", summed, "vectors", tile.vectors), ("", summed, "rests", rests)}
    for dtype, size in {"float32": 4, "float64": 8}.items():
        widths = [w for w in (1, 2, 4, 8, 16) if w * size <= this_machine().vector]
        for summed in (False, True):
            assert {(dtype, summed, "lanes", w) for w in widths} <= found
    assert {("", False, "vectors", v) for v in (1, 2, 3, 4)} <= found
    assert {("", summed, "rests", n) for summed in (False, True) for n in (0, 1)} <= found


@pytest.mark.parametrize("compiler", COMPILERS[:1])
def test_tiles_touch_nothing_beyond_their_arrays(compiler: str) -> None:
    nets = drawn(2000, 6)
    plans = planned(nets)
    for some, plan, made in zip(
        nets, plans, run_sanitized(plans, [[n.case] * 2 for n in nets], compiler), strict=True
    ):
        check_results(some, plan, *made)


@pytest.mark.long
@pytest.mark.parametrize("compiler", COMPILERS or [None])
@pytest.mark.parametrize(
    ("start", "count", "profile"),
    [(k, 100, "debug") for k in range(10_000, 12_000, 100)]
    + [(k, 50, "release") for k in range(20_000, 20_500, 50)],
)
def test_thousands_of_layers_in_c_are_the_interpreter(
    start: int, count: int, profile: str, compiler: str | None
) -> None:
    for some, executable in compiled(start, count, profile, compiler):
        check(some, executable)
