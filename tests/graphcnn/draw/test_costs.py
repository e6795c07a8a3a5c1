"""A profile of a compiled step, and the picture that shows it."""

import numpy as np
import pytest

import graphcnn as g
from codegen.build import find_toolchain
from graphcnn.compile import Step
from graphcnn.draw import draw
from graphcnn.draw.costs import fill
from graphcnn.draw.roles import DARK, INK, SCALE
from graphcnn.errors import CallError, GraphError
from graphcnn.kernels import Cost, Profile, code_of_nodes, nodes_of_kernels
from tests.graphcnn.draw.conftest import small_net

pytestmark = pytest.mark.skipif(find_toolchain() is None, reason="no compiler")
FILLS = [*SCALE]
AT = {"image": np.ones((2, 1, 6, 6), "f"), "label": [2, 0]}


@pytest.fixture(scope="module")
def step() -> Step:
    loss = small_net()
    return g.compile(loss, updates=g.rmsprop(loss))


@pytest.fixture(scope="module")
def profile(step: Step) -> Profile:
    return step.profile(AT, rounds=3)


def test_every_kernel_has_a_time(step: Step, profile: Profile) -> None:
    assert [c.function for c in profile.costs] == [low.function.name for low in step.plan.nests]
    assert all(0 <= c.seconds < 1 and c.bytes > 0 for c in profile.costs)
    assert profile.seconds > 0


def test_profiling_trains_nothing(step: Step, profile: Profile) -> None:
    filters = next(n for n in step.graph.nodes if n.name == "filters")
    assert (filters.value == 1).all()  # type: ignore[attr-defined]


def test_an_ordinary_step_has_no_clock_in_it(step: Step) -> None:
    plain = step.plan.unit.text
    assert "clock_gettime" not in plain and "_seconds" not in plain


def test_every_computed_node_is_some_kernels(step: Step) -> None:
    """Or is done within one whose other nodes are known."""
    kernels = nodes_of_kernels(step.graph, step.plan)
    assert all(kernels)
    known = {node for nodes in kernels for node in nodes}
    (convolution,) = step.graph.of_kind("conv2d")
    assert convolution in known


def test_the_c_of_a_node_is_that_of_its_kernels(step: Step) -> None:
    code = code_of_nodes(step.graph, step.plan)
    (convolution,) = step.graph.of_kind("conv2d")
    assert "static void compute_" in code[convolution]
    picture = draw(step).picture
    assert any("static void" in detail.code for detail in picture.details)


def test_boxes_say_what_they_cost_and_the_slowest_is_darkest(step: Step, profile: Profile) -> None:
    picture = draw(step, profile=profile).picture
    assert {box.fill for box in picture.boxes} <= {"", *SCALE}
    assert any(box.fill == FILLS[-1] for box in picture.boxes)
    assert [colour for _, colour in picture.scale] == [*SCALE]
    texts = [span.text for box in picture.boxes for line in box.lines for span in line]
    assert any("µs, " in text or "ns, " in text or "ms, " in text for text in texts)


def test_the_scale_is_told_apart_in_grey_and_read_with_ink() -> None:
    lights = [luminance(colour) for colour in FILLS]
    assert lights == sorted(lights, reverse=True)
    assert all(contrast(light, INK) > 7 for light in FILLS)
    assert all(contrast(dark, DARK[INK]) > 4.5 for dark in SCALE.values())


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first) + 0.05, luminance(second) + 0.05), reverse=True)
    return high / low


def luminance(colour: str) -> float:
    """Relative luminance, as the Web Content Accessibility Guidelines define it."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_times_take_the_colours_in_turn() -> None:
    assert [fill(t, 4.0) for t in range(5)] == [*SCALE]
    assert fill(0.0, 0.0) == FILLS[0]


def test_a_table_has_the_slowest_first() -> None:
    costs = (Cost("first", (), 1e-6, 4_000), Cost("second", (), 3e-6, 3_000_000))
    head, *rows = str(Profile(costs)).splitlines()
    assert head.split() == ["kernel", "µs", "share", "MB", "GB/s"]
    assert [row.split() for row in rows] == [
        ["second", "3.0", "75.0%", "3.000", "1000.0"],
        ["first", "1.0", "25.0%", "0.004", "4.0"],
    ]


def test_what_cannot_be_timed_is_said(step: Step) -> None:
    with pytest.raises(CallError, match="label"):
        step.profile({"image": AT["image"]})
    with pytest.raises(GraphError, match="no kernels to time"):
        g.compile(g.input("x"), backend="numpy").profile({"x": 1.0})
