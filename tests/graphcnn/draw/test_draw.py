"""What a picture shows of a graph, its gradients and its updates."""

import re
import shutil
import time
from collections.abc import Callable

import numpy as np
import pytest

import graphcnn as g
from graphcnn.draw import Drawing, draw
from graphcnn.draw.picture import Arrow, Box
from graphcnn.draw.roles import DOWNSTREAM, LOCAL, UPSTREAM, Role
from graphcnn.errors import DTypeError, GradientError, GraphError
from graphcnn.graph import Node
from tests.graphcnn.draw.conftest import small_net, small_product
from tests.pace import pace


def texts(box: Box) -> list[str]:
    return ["".join(span.text for span in line) for line in box.lines if line]


def squeezed(rows: list[str]) -> str:
    return re.sub(r"\s+", " ", " ".join(rows))


def box_saying(drawing: Drawing, said: str) -> Box:
    found = [b for b in drawing.picture.boxes if any(said in text for text in texts(b))]
    assert found, f"no box says {said!r}: {[texts(b) for b in drawing.picture.boxes]}"
    return found[0]


def arrows_into(drawing: Drawing, box: Box) -> list[Arrow]:
    return [a for a in drawing.picture.arrows if a.head == box.key]


def test_forward_picture_names_values_ops_and_shapes(net: Node) -> None:
    drawing = draw(net)
    conv = box_saying(drawing, "conv  conv2d")
    assert squeezed(texts(conv)[1:3]) == (
        "conv[n,k,i,j] = bias[k] + Σc,u,v image[n,c,i+u−1,j+v−1]·filters[k,c,u,v]"
    )
    assert "padding=1" in texts(conv)
    assert [a.label for a in arrows_into(drawing, conv)] == ["N×1×6×6", "2×1×3×3", "2"]
    assert conv.role is Role.OP
    assert box_saying(drawing, "image").role is Role.INPUT
    assert box_saying(drawing, "filters").role is Role.PARAMETER
    assert box_saying(drawing, "loss = ").role is Role.LOSS


def test_arguments_at_their_default_are_not_shown(net: Node) -> None:
    shown = " ".join(t for b in draw(net).picture.boxes for t in texts(b))
    assert "kernel_size=2" in shown
    assert "stride" not in shown and "groups" not in shown


def test_legend_has_the_roles_that_occur_and_no_others(product: Node) -> None:
    assert draw(product).picture.roles == (Role.INPUT, Role.OP, Role.RESULT)
    assert draw(product, gradients=True).picture.roles == (Role.INPUT, Role.LOSS, Role.GRADIENT)


def test_the_notes_chart_of_a_product(product: Node) -> None:
    drawing = draw(product, gradients=True)
    rule = box_saying(drawing, "multiply backward")
    assert texts(rule)[1:] == [
        "∂z/∂x = y",
        "∂L/∂x = ∂z/∂x · ∂L/∂z",
        "∂z/∂y = x",
        "∂L/∂y = ∂z/∂y · ∂L/∂z",
    ]
    colours = [[span.colour for span in line] for line in rule.lines if line]
    assert colours[1] == [LOCAL]
    assert (colours[2][0], colours[2][1], colours[2][-1]) == (DOWNSTREAM, LOCAL, UPSTREAM)
    upstream, *_ = arrows_into(drawing, rule)
    assert (upstream.label, upstream.colours) == ("∂L/∂z", (UPSTREAM,))
    assert upstream.tail == box_saying(drawing, "seed").key
    downstream = [a for a in drawing.picture.arrows if a.tail == rule.key]
    assert [(a.label, a.colours) for a in downstream] == [
        ("∂L/∂x", (DOWNSTREAM,)),
        ("∂L/∂y", (DOWNSTREAM,)),
    ]


def test_what_is_downstream_of_one_op_is_upstream_of_the_next(net: Node) -> None:
    drawing = draw(net, gradients=True)
    relu = box_saying(drawing, "relu backward")
    (arrow,) = [a for a in drawing.picture.arrows if a.tail == relu.key]
    assert arrow.head == box_saying(drawing, "conv2d backward").key
    assert (arrow.label, arrow.colours) == ("∂L/∂conv", (DOWNSTREAM, UPSTREAM))


def test_backward_boxes_stand_beside_their_forward_partners(net: Node) -> None:
    drawing = draw(net, gradients=True)
    for op in ("conv2d", "relu", "max_pool2d", "linear", "softmax_cross_entropy"):
        forward = next(b for b in drawing.picture.boxes if op in texts(b)[0])
        pair = (forward.key, box_saying(drawing, f"{op} backward").key)
        assert pair in drawing.picture.pairs


def test_a_value_with_several_consumers_gets_a_sum() -> None:
    w = g.parameter("w", [1.0, 2.0])
    drawing = draw(g.sum(g.exp(w) + w), gradients=True)
    plus = box_saying(drawing, "sum over consumers")
    assert len(arrows_into(drawing, plus)) == 2
    (total,) = [a for a in drawing.picture.arrows if a.tail == plus.key]
    assert total.label == "∂L/∂w"


def test_a_value_used_twice_by_one_op_gets_both_arrows_and_a_sum() -> None:
    x = g.input("x")
    drawing = draw(x * x, gradients=True)
    rule = box_saying(drawing, "multiply backward")
    assert [t for t in texts(rule) if t.endswith("/∂x = x")] == ["∂z/∂x = x"] * 2
    assert len([a for a in drawing.picture.arrows if a.tail == rule.key]) == 2


def test_a_value_called_l_is_not_confused_with_the_loss() -> None:
    taken = g.input("L")
    drawing = draw(g.multiply(taken, 2.0, name="z"), gradients=True)
    box_saying(drawing, "∂z/∂L = 2")
    box_saying(drawing, "ℒ = z")


def test_a_loss_called_l_is_the_loss() -> None:
    drawing = draw(g.square(g.input("x"), name="L"), gradients=True)
    assert "∂L/∂x" in drawing.dot and "ℒ" not in drawing.dot


def test_updates_show_the_next_value_of_a_parameter() -> None:
    w = g.parameter("w", [1.0, 2.0])
    loss = g.sum(w * w)
    drawing = draw([loss, (w, w - 0.1 * g.grad(loss, w))])
    assert box_saying(drawing, "· ∂L/∂w").role is Role.UPDATE
    assert box_saying(drawing, "w ←").role is Role.UPDATE


def test_gradients_drawn_alone_show_the_values_they_need() -> None:
    x, y = g.input("x"), g.input("y")
    drawing = draw(g.grad(x * y, [x, y]))
    rule = box_saying(drawing, "multiply backward")
    sources = {a.tail for a in arrows_into(drawing, rule) if a.dashed}
    assert [texts(b)[0] for b in drawing.picture.boxes if b.key in sources] == ["y", "x"]
    assert drawing.picture.notes[-1].text.startswith("dashed")


def test_gradients_of_gradients_draw() -> None:
    x = g.input("x")
    first = g.grad(x * x * x, x)
    assert "∂" in draw(g.grad(first, x)).dot


def test_wrt_chooses_what_the_gradients_are_taken_of() -> None:
    x, w = g.input("x", (2,)), g.parameter("w", [1.0, 2.0])
    labels = [a.label for a in draw(g.sum(x * w), wrt=x).picture.arrows]
    assert "∂L/∂x" in labels and "∂L/∂w" not in labels


def test_gradients_need_one_loss(product: Node) -> None:
    with pytest.raises(GradientError, match="one loss"):
        draw([product, product * 2.0], gradients=True)


def test_gradients_need_something_to_change() -> None:
    with pytest.raises(GradientError, match="pass wrt="):
        draw(g.constant(1.0) + 2.0, gradients=True)


def test_what_is_no_node_is_named() -> None:
    with pytest.raises(DTypeError, match="a float cannot be drawn"):
        draw(1.5)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="nothing to draw"):
        draw([])


def test_equal_graphs_draw_to_equal_text() -> None:
    def build() -> Node:
        return g.sum(g.input("x", (3,)) * g.parameter("w", np.ones(3)))

    assert draw(build(), gradients=True).dot == draw(build(), gradients=True).dot


@pytest.mark.alone
def test_a_thousand_nodes_draw_in_a_second() -> None:
    x = g.parameter("x", [1.0])
    y: Node = x
    for _ in range(250):
        y = g.exp(g.relu(y) * 0.5)
    loss = g.sum(y)
    draw(g.sum(g.exp(x)))  # imports and caches are not what is measured
    start = time.perf_counter()
    text = draw(loss).dot
    assert time.perf_counter() - start < 1 * pace()
    assert text.count(" -> ") == 1002


@pytest.mark.alone
def test_a_thousand_ops_are_an_image_in_five_seconds() -> None:
    """Each op with a box of its own; by layers it takes a fifth of a second."""
    if shutil.which("dot") is None:
        pytest.skip("lays out with `dot`")
    y: Node = g.input("x", (g.dim("N"), 4, 8, 8))
    for k in range(200):
        weight, bias = g.parameter(f"w{k}", np.zeros((4, 4, 3, 3))), g.parameter(f"b{k}", [0.0] * 4)
        y = y + g.relu(g.conv2d(y, weight, bias, padding=1))
    start = time.perf_counter()
    drawing = draw(y, level="ops")
    assert drawing.svg()
    assert len(drawing.picture.boxes) > 1000
    assert time.perf_counter() - start < 5 * pace()


def test_long_chains_have_drawable_gradients() -> None:
    y: Node = g.input("x")
    for _ in range(1000):
        y = g.relu(y)
    assert draw(y, gradients=True).dot.count("relu backward") == 1000


def updated() -> Drawing:
    w = g.parameter("w", [1.0, 2.0])
    loss = g.sum(g.square(w), name="loss")
    return draw([loss, *g.sgd(loss, lr=0.1, momentum=0.9)])


def diamond() -> Drawing:
    """One value that two ops use, with numbers."""
    x = g.input("x")
    a = g.exp(x, name="a")
    return draw(g.add(g.sin(a), g.square(a), name="z"), gradients=True, at={x: 0.0})


def classified() -> Drawing:
    scores, label = g.input("scores", (g.dim("N"), 3)), g.input("label", (g.dim("N"),), "int32")
    loss = g.mean(g.softmax_cross_entropy(scores, label), name="loss")
    return draw(loss, gradients=True, level="statements")


SMALL: dict[str, Callable[[], Drawing]] = {
    "product": lambda: draw(small_product(), gradients=True),
    "net": lambda: draw(small_net(), gradients=True),
    "layers": lambda: draw(small_net(), gradients=True, level="layers"),
    "updated": updated,
    "diamond": diamond,
    "classified": classified,
}


@pytest.mark.parametrize("name", SMALL)
def test_small_graphs_in_dot(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.dot", SMALL[name]().dot)


@pytest.mark.parametrize("name", SMALL)
def test_small_graphs_in_mermaid(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.mmd", SMALL[name]().mermaid)


@pytest.mark.parametrize("name", SMALL)
def test_small_graphs_in_latex(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.tex", SMALL[name]().latex)
