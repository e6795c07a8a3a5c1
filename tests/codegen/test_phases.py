"""What moves in strides, seen in phases: the same sums, in tiles where that is less work."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphcnn as g
from codegen.affine import Index
from codegen.compile import Options, freeze, make_plan
from codegen.interpret import interpret
from codegen.notation import Tensor, indices
from codegen.notation import statement as state
from codegen.program import Program
from codegen.rewrite.phases import in_phases, unseen
from tests.codegen.running import Case, assert_agree
from tests.codegen.test_winograd import BOUND
from tests.codegen.tiling import EXACT, assert_same, in_tiles, normal, prepared, tables, tiled
from tests.graphcnn.ops.building import with_gradients

n, k, c, i, j, u, v = indices("n k c i j u v")


def convolution(
    x: tuple[int, ...], w: tuple[int, ...], dtype: str = "float64", **options: int
) -> Program:
    """A convolution alone."""
    y = g.conv2d(g.input("x", x, dtype), g.input("w", w, dtype), name="y", **options)
    return g.program.to_program([y]).program


def with_its_gradients(
    x: tuple[int, ...], w: tuple[int, ...], dtype: str = "float64", **options: int
) -> Program:
    nodes = [g.input("x", x, dtype), g.input("w", w, dtype)]
    return with_gradients(g.conv2d(*nodes, name="y", **options), nodes)


# -- the view ---------------------------------------------------------------------------------


def in_strides(stride: int, dilation: int, taps: int, outputs: int, shift: int = 0) -> Program:
    reach = stride * (outputs - 1) + dilation * (taps - 1) + 1
    x, w = Tensor("x", (2, 3, reach), "float64"), Tensor("w", (4, 3, taps), "float64")
    y = Tensor("y", (2, 4, outputs), "float64")
    body = w[k, c, u] * x[n, c, stride * i + dilation * u - shift]
    return Program((x, w), (y,), (state(y[n, k, i], "+=", body),))


def test_the_taps_of_one_phase_slide_one_by_one() -> None:
    (s,) = in_strides(2, 1, 7, 10, shift=3).statements
    phased, views = in_phases(s, i, u) or (s, {})
    assert str(phased) == "y[n,k,i] += w[k,c,qu,u]·x[n,c,qu,i + u]"
    assert (phased.sizes[u], phased.sizes[Index("qu")]) == (4, 2)
    assert str(unseen(phased, views)) == (
        "y[n,k,i] += w[k,c,qu + 2·u]·x[n,c,2·i + qu + 2·u - 3]"
        "   where 0 ≤ qu + 2·u < 7, 0 ≤ 2·i + qu + 2·u - 3 < 25"
    )


def test_the_results_of_one_phase_slide_one_by_one_along_a_dilated_filter() -> None:
    (s,) = in_strides(1, 2, 3, 10).statements
    phased, _ = in_phases(s, i, u) or (s, {})
    assert str(phased) == "y[n,k,qi,i] += w[k,c,u]·x[n,c,qi,i + u]"
    assert (phased.sizes[i], phased.sizes[Index("qi")]) == (5, 2)


@pytest.mark.parametrize("outputs", [9, 10, 11])
@pytest.mark.parametrize(
    ("stride", "dilation", "taps"),
    [(2, 1, 7), (3, 1, 7), (3, 1, 9), (1, 2, 3), (1, 3, 4), (2, 2, 3), (4, 2, 5), (2, 4, 3)],
)
def test_phases_add_up_to_the_same(stride: int, dilation: int, taps: int, outputs: int) -> None:
    program = in_strides(stride, dilation, taps, outputs, shift=2)
    (s,) = program.statements
    phased, views = in_phases(s, i, u) or (s, {})
    assert views
    assert_same(program, program.with_statements([unseen(phased, views)]))


@pytest.mark.parametrize(("stride", "dilation"), [(3, 2), (2, 3)])
def test_steps_of_which_none_is_a_multiple_of_the_other_have_no_phases(
    stride: int, dilation: int
) -> None:
    (s,) = in_strides(stride, dilation, 5, 10).statements
    assert in_phases(s, i, u) is None


def test_a_part_of_an_axis_is_not_seen_in_phases() -> None:
    """What is seen beyond the end would be there, and not count."""
    (whole,) = in_strides(2, 1, 7, 10).statements
    assert in_phases(whole, i, u)
    part = replace(whole, box=tuple((m, 5 if m == u else size) for m, size in whole.box))
    assert in_phases(part, i, u) is None


# -- in tiles ---------------------------------------------------------------------------------


@st.composite
def layers(draw: st.DrawFn) -> Program:
    """Convolutions of one or two images, in strides, with dilated filters and in groups."""
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    strides = draw(st.sampled_from([(2, 2), (3, 3), (1, 2), (3, 1)]))
    dilation = draw(st.sampled_from([1, 1, 1, 2, 3]))
    taps = tuple(draw(st.integers(3, 11 if dilation == 1 else 5)) for _ in range(2))
    padding = draw(st.integers(0, min(taps) // 2))
    sizes = tuple(
        dilation * (r - 1) + 1 + s * draw(st.integers(3, 6)) + draw(st.integers(0, s - 1))
        for r, s in zip(taps, strides, strict=True)
    )
    N, C, K = draw(st.tuples(*[st.integers(1, 2)] * 3))
    x = g.input("x", (N, C * groups, *sizes), "float64")
    w = g.input("w", (K * groups, C, *taps), "float64")
    options = {"stride": strides, "dilation": dilation, "groups": groups, "padding": padding}
    return with_gradients(g.conv2d(x, w, name="y", **options), [x, w])


@given(layers(), st.sampled_from([7, 8]), st.sampled_from([slice(0, 1), slice(1, 2), slice(2)]))
def test_strided_layers_in_tiles_add_up_to_the_same(
    program: Program, tile: int, only: slice
) -> None:
    """Forward, to data and to weights; the seventh of six taps, and what is beyond the edges."""
    program = prepared(program)
    assert_same(program, in_tiles(program, tile, only))


@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("taps", [4, 5, 7, 8, 11])
@pytest.mark.parametrize("size", [26, 27])
def test_strided_layers_are_put_together_from_tiles(stride: int, taps: int, size: int) -> None:
    x, w = (1, 2, size, size), (3, 2, taps, taps)
    program = prepared(convolution(x, w, stride=stride, padding=taps // 2))
    changed = in_tiles(program, 7)
    assert tiled(changed) == {"y"}
    assert_same(program, changed)


def test_gradients_to_weights_are_put_together_from_tiles() -> None:
    program = prepared(with_its_gradients((2, 2, 21, 22), (3, 2, 5, 7), stride=2, padding=2))
    changed = in_tiles(program, 6)
    assert tiled(changed) >= {"y", "dw"}
    assert_same(program, changed)


def test_strided_tiles_in_c_are_the_interpreter() -> None:
    cases = []
    for options in ({"stride": 2, "padding": 3}, {"stride": 3}, {"dilation": 2, "padding": 2}):
        layer = prepared(with_its_gradients((2, 3, 23, 24), (4, 3, 7, 5), **options))
        program = in_tiles(layer, 7, slice(0, 1))
        cases.append(Case(program, normal(program), {}))
    assert_agree(cases, profile="debug+strict", tolerance=EXACT)


# -- the choice -------------------------------------------------------------------------------

STEM = {"x": (1, 3, 224, 224), "w": (64, 3, 7, 7)}


def test_a_stem_of_large_filters_is_rewritten_unless_exact() -> None:
    program = convolution(**STEM, dtype="float32", stride=2, padding=3)
    assert tiled(make_plan(program).rewritten) == {"y"}
    assert not tables(make_plan(program, Options(exact=True)).rewritten)


def test_dilated_layers_are_rewritten() -> None:
    layer = convolution((1, 128, 28, 28), (128, 128, 3, 3), "float32", dilation=2, padding=2)
    assert tiled(make_plan(layer).rewritten) == {"y"}


def test_short_rows_of_phases_are_tiled_in_one_dimension() -> None:
    """Of 20 by 20 results, those of a phase are 7 by 7: 39 filters do not pay for moving them."""
    layer = convolution((5, 197, 24, 24), (39, 197, 3, 3), "float32", dilation=3, padding=1)
    rewritten = make_plan(layer).rewritten
    assert tiled(rewritten) == {"y"}
    assert not any(t.name.endswith("tiles2") for t in rewritten.tensors)


def test_filters_of_two_taps_a_phase_are_not_worth_it() -> None:
    """Three taps make two phases of two: a third more products, before any are saved."""
    layer = convolution((1, 64, 56, 56), (128, 64, 3, 3), "float32", stride=2, padding=1)
    assert not tables(make_plan(layer).rewritten)


def test_frozen_filters_are_transformed_once() -> None:
    w = g.parameter("w", np.ones(STEM["w"], "float32"))
    y = g.conv2d(g.input("x", STEM["x"]), w, stride=2, padding=3, name="y")
    program = replace(g.program.to_program([y]).program, frozen=True)
    once, every = freeze(make_plan(program))
    assert any(t.name.startswith("w_tiles") for t in once.program.outputs)
    assert "w" not in {a.tensor.name for s in every.program.statements for a in s.reads}


# -- rounding ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tile", [6, 7, 8])
@pytest.mark.parametrize(("stride", "taps"), [(2, 3), (2, 7), (2, 11), (3, 8)])
def test_rounding_of_wide_strided_layers_stays_small(stride: int, taps: int, tile: int) -> None:
    x, w = (2, 96, 21, 21), (32, 96, taps, taps)
    exact, program = (
        prepared(convolution(x, w, kind, stride=stride, padding=taps // 2))
        for kind in ("float64", "float32")
    )
    arrays = normal(program)
    (wanted,) = (interpret(exact, arrays, {})[t.name] for t in exact.outputs)
    for only in (slice(0, 1), slice(1, 2)):
        changed = in_tiles(program, tile, only)
        assert tiled(changed) == {"y"}
        made = interpret(changed, arrays, {})["y"]
        assert abs(made - wanted).max() < BOUND * abs(wanted).max()
