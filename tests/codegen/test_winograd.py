"""Winograd's tiles: exact algebra, the same sums, and roundings that stay within a stated bound."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import sympy

import graphcnn as g
from codegen.compile import Options, make_plan
from codegen.interpret import interpret
from codegen.notation import Tensor, indices
from codegen.notation import statement as state
from codegen.program import Program
from codegen.rewrite import rewrite
from graphcnn.program import to_program
from tests.codegen.running import Case, assert_agree
from tests.codegen.tiling import (
    EXACT,
    assert_same,
    in_tiles,
    normal,
    prepared,
    tables,
    tiled,
    winograd,
)
from tests.graphcnn.ops.building import with_gradients

TILES = (6, 7, 8)
# Float32, relative to the largest value of each output. The largest seen is 1.1e-5, for filters of
# five in two dimensions; adding up directly gives 0.8e-6. Other machines add in other orders.
BOUND = 3e-5
n, k, c, i, j, u, v = indices("n k c i j u v")

Layer = tuple[int, int, int, int, int, int, int, int]  # N, C, H, W, K, R, S, padding
LAYERS: dict[str, Layer] = {
    "whole tiles": (2, 3, 8, 8, 4, 3, 3, 1),
    "ragged tiles": (2, 3, 9, 11, 4, 3, 3, 1),
    "no padding": (2, 2, 10, 7, 3, 3, 3, 0),
    "much padding": (2, 2, 7, 6, 3, 3, 3, 2),
    "filters of five": (2, 2, 11, 9, 3, 5, 5, 2),
    "five by three": (2, 3, 9, 13, 2, 5, 3, 1),
    "one by three": (2, 3, 2, 17, 4, 1, 3, 0),
    "five by one": (2, 3, 14, 2, 4, 5, 1, 0),
    "fewest outputs": (2, 2, 6, 6, 2, 3, 3, 0),
}


def layer(sizes: Layer, dtype: str = "float64", **options: int) -> Program:
    """A convolution with its three gradients."""
    N, C, H, W, K, R, S, padding = sizes
    x, w = g.input("x", (N, C, H, W), dtype), g.input("w", (K, C, R, S), dtype)
    y = g.conv2d(x, w, padding=padding, name="y", **options)
    return with_gradients(y, [x, w])


# -- the matrices -----------------------------------------------------------------------------


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("short", [3, 5])
@pytest.mark.parametrize("backwards", [False, True], ids=["to data", "to weights"])
def test_the_matrices_multiply_exactly(tile: int, short: int, backwards: bool) -> None:
    """Σₑ A[e,i]·G[e,u]·B[e,a] is one where a = i + u, else zero: no number is rounded."""
    outputs, taps = (short, tile + 1 - short) if backwards else (tile + 1 - short, short)
    A, B, G = winograd.matrices(outputs, taps)
    for at in range(outputs):
        for tap in range(taps):
            product = (A.col(at).multiply_elementwise(G.col(tap)).T * B).tolist()[0]
            assert product == [sympy.Integer(a == at + tap) for a in range(tile)]


# -- the rewrite ------------------------------------------------------------------------------


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("what", LAYERS)
def test_tiles_add_up_to_the_same(what: str, tile: int) -> None:
    """Forward, to data and to weights, in two dimensions where two slide."""
    program = prepared(layer(LAYERS[what]))
    changed = in_tiles(program, tile)
    assert tiled(changed) == {"y", "dx", "dw"}
    assert_same(program, changed)


@pytest.mark.parametrize("only", [slice(0, 1), slice(1, 2)], ids=["rows", "columns"])
@pytest.mark.parametrize("tile", TILES)
def test_one_dimension_alone_adds_up_to_the_same(tile: int, only: slice) -> None:
    program = prepared(layer(LAYERS["five by three"]))
    assert_same(program, in_tiles(program, tile, only))


@pytest.mark.parametrize(("width", "held"), [(32, True), (8, False)])
def test_tiles_along_one_dimension_hold_the_little_padding_of_the_other(
    width: int, held: bool
) -> None:
    """Nothing is copied once more where the products are summed, unless it is much of a row."""
    changed = in_tiles(prepared(layer((1, 2, 9, width, 3, 3, 3, 1))), 6, slice(0, 1))
    (products,) = (s for s in changed.statements if s.target.name == "y_tiles")
    assert held != bool(products.guards)


def test_one_table_serves_all_that_multiply_by_it() -> None:
    """To data the filter is mirrored, and nothing else; to weights it is as long as four."""
    changed = in_tiles(prepared(layer(LAYERS["ragged tiles"])), 6)
    assert tables(changed) == {
        f"winograd_{name}" for name in ("A4_3", "A3_4", "B6", "G4_3", "G4_3m", "G3_4")
    }


@pytest.mark.parametrize("tile", TILES)
def test_tiles_in_c_are_the_interpreter(tile: int) -> None:
    cases = []
    for what in ("much padding", "five by three"):
        program = in_tiles(prepared(layer(LAYERS[what])), tile)
        cases.append(Case(program, normal(program), {}))
    assert_agree(cases, profile="debug+strict", tolerance=EXACT)


LARGE: Layer = (4, 64, 16, 16, 64, 3, 3, 1)


def test_large_layers_are_rewritten_unless_exact() -> None:
    program = layer(LARGE, "float32")
    assert tables(make_plan(program).rewritten)
    assert not tables(make_plan(program, Options(exact=True)).rewritten)


def test_images_that_come_alone_are_rewritten_too() -> None:
    program = layer((1, 128, 28, 28, 128, 3, 3, 1), "float32")
    assert tiled(make_plan(program).rewritten) >= {"y", "dx"}


@pytest.mark.parametrize(
    "options",
    [{"groups": 2}, {"groups": 64}, {"stride": 2, "groups": 2}, {"dilation": 2, "groups": 2}],
    ids=["groups", "depthwise", "strided groups", "dilated groups"],
)
def test_groups_are_left_alone(options: dict[str, int]) -> None:
    N, C, H, W, K, R, S, padding = LARGE
    sizes = N, C // options.get("groups", 1), H, W, K, R, S, padding
    x = g.input("x", (N, C, H, W))
    w = g.input("w", (K, sizes[1], R, S))
    y = g.conv2d(x, w, padding=padding, **options)
    program = to_program([y, *g.grad(g.sum(g.square(y)), [x, w])]).program
    assert not tables(make_plan(program).rewritten)


# -- rounding ---------------------------------------------------------------------------------


def growth(sizes: Layer, tile: int) -> float:
    """The largest error of float32, relative to the largest value of each output."""
    program = prepared(layer(sizes, "float32"))
    arrays = normal(program, seed=sum(sizes))
    exact = interpret(prepared(layer(sizes)), arrays, {})
    changed = in_tiles(program, tile)
    assert tiled(changed) == {"y", "dx", "dw"}
    made = interpret(changed, arrays, {})
    return max(
        float(abs(made[t.name] - exact[t.name]).max() / abs(exact[t.name]).max())
        for t in program.outputs
    )


ROUNDED: list[Layer] = [
    (2, 64, 8, 8, 64, 3, 3, 1),
    (2, 64, 13, 13, 96, 3, 3, 1),
    (2, 128, 7, 7, 64, 3, 3, 1),
    (2, 64, 14, 14, 64, 5, 5, 2),
    (2, 256, 8, 8, 64, 3, 3, 0),
    (2, 64, 14, 14, 64, 4, 4, 1),
    (2, 64, 16, 16, 64, 2, 2, 0),
]


@pytest.mark.parametrize("sizes", ROUNDED, ids=str)
def test_rounding_of_wide_layers_stays_small(sizes: Layer) -> None:
    assert growth(sizes, 6) < BOUND


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("taps", [3, 5])
def test_rounding_grows_no_more_than_it_is_said_to(tile: int, taps: int) -> None:
    """One product of one dimension, all signs for the worst."""
    outputs = tile + 1 - taps
    A, B, G = (np.array(m.tolist(), "float64") for m in winograd.matrices(outputs, taps))
    worst = np.einsum("ei,eu,ea->i", abs(A), abs(G), abs(B)).max()
    assert math.isclose(worst, winograd.error_growth(outputs, taps))


# -- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["winograd_B6", "winograd_A4_3", "x_tiles", "w_tiles", "y_tiles"])
def test_the_users_tensors_keep_their_names(name: str) -> None:
    x, w, y = Tensor("x", (2, 3, 12)), Tensor("w", (4, 3, 3)), Tensor("y", (2, 4, 10))
    other, z = Tensor(name, (5,)), Tensor("z", (5,))
    statements = (
        state(y[n, k, i], "+=", w[k, c, u] * x[n, c, i + u]),
        state(z[i], "=", 2 * other[i]),
    )
    program = Program((x, w, other), (y, z), statements)
    changed = in_tiles(program, 6)
    assert tables(changed) > {"winograd_G4_3"}
    assert_same(program, changed, 1e-5)


# -- what broke -------------------------------------------------------------------------------


def in_one_dimension(
    ranges: dict[str, int], letters: str = "i u", outputs: int = 38, taps: int = 3
) -> Program:
    o, f = indices(letters)
    sizes = {m: ranges[m.name] for m in (o, f) if m.name in ranges}
    x, w = Tensor("x", (2, 3, 40), "float64"), Tensor("w", (4, 3, taps), "float64")
    y = Tensor("y", (2, 4, outputs), "float64")
    return Program((x, w), (y,), (state(y[n, k, o], "+=", w[k, c, f] * x[n, c, o + f], sizes),))


@pytest.fixture(params=TILES)
def tile(request: pytest.FixtureRequest) -> Iterator[int]:
    yield request.param


def test_a_part_of_the_filter_is_enough(tile: int) -> None:
    program = in_one_dimension({"u": 3}, taps=7)
    assert_same(program, in_tiles(program, tile))


def test_a_part_of_the_target_stays_the_only_one_written(tile: int) -> None:
    program = in_one_dimension({"i": 33})
    assert_same(program, in_tiles(program, tile))


def test_a_part_of_a_long_filter_is_the_only_one_summed(tile: int) -> None:
    """The gradient to weights where the upstream gradient is a part of a larger tensor."""
    program = in_one_dimension({"u": 33}, outputs=3, taps=38)
    assert_same(program, in_tiles(program, tile))


@pytest.mark.parametrize("letters", ["i a0", "a1 a0", "a2 a1"])
def test_the_users_letters_do_not_meet_our_own(tile: int, letters: str) -> None:
    program = in_one_dimension({}, letters)
    assert_same(program, in_tiles(program, tile))


def padded_below() -> Program:
    """What pads the result leaves its gradient a part of the upstream one, read in place."""
    x, w = g.input("x", (16, 64, 14, 14)), g.input("w", (64, 64, 3, 3))
    y = g.pad(g.conv2d(x, w, padding=1), ((0, 3), (0, 3)))
    upstream = g.input("upstream", y.shape)
    return to_program(g.grad(g.sum(y * upstream), [w])).program


def test_the_gradient_of_a_padded_convolution_leaves_the_padding_out() -> None:
    program = padded_below()
    assert_same(program, rewrite(program)[0], BOUND)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(300))
def test_hundreds_of_layers_add_up_to_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def between(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    R, S = (int(rng.choice([1, 3, 5])) for _ in range(2))
    padding = between(0, min(2, max(R, S) - 1))
    H, W = R + between(0, 14), S + between(0, 14)
    sizes = between(1, 3), between(1, 4), H, W, between(1, 4), R, S, padding
    program = prepared(layer(sizes))
    for tile in TILES:
        for only in (slice(None), slice(0, 1), slice(1, 2)):
            assert_same(program, in_tiles(program, tile, only))
