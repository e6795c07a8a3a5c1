"""Layers, ops or statements: what a box stands for."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import graphcnn as g
from graphcnn.draw import Drawing, draw
from graphcnn.draw.roles import Role
from graphcnn.errors import DTypeError, GraphError
from graphcnn.graph import Node

TEXTS = (".svg", ".html", ".dot", ".mmd", ".tex")


def says(drawing: Drawing) -> list[str]:
    return [
        " ".join("".join(s.text for s in line) for line in b.lines) for b in drawing.picture.boxes
    ]


def block(x: Node, channels: int) -> Node:
    w = g.parameter("weight", np.zeros((channels, channels, 3, 3)))
    return x + g.relu(g.conv2d(x, w, padding=1))


def deep(blocks: int) -> Node:
    x = g.input("x", (g.dim("N"), 4, 8, 8))
    for k in range(blocks):
        with g.scope(f"block{k}"), g.scope("conv"):
            x = block(x, 4)
    return g.mean(x, name="loss")


def test_a_scope_is_the_name_of_a_layer() -> None:
    shown = says(draw(deep(2), level="layers"))
    assert any(
        s.startswith("block0.conv conv2d → relu → add 144 weights: weight 4×4×3×3") for s in shown
    )


def test_scopes_name_parameters_and_end() -> None:
    with g.scope("a"):
        with g.scope("b"):
            assert g.parameter("w", 1.0).name == "a.b.w"
        assert g.parameter("w", 1.0).name == "a.w"
    assert g.parameter("w", 1.0).name == "w"
    assert g.relu(g.input("x")).scope == ()


@pytest.mark.parametrize("name", ["", 3, None])
def test_a_scope_has_a_name(name: object) -> None:
    with pytest.raises(DTypeError, match="scope"), g.scope(name):  # type: ignore[arg-type]
        pass


def test_scopes_that_nest_are_cut_until_there_are_few() -> None:
    """Of 200 blocks of two parts each, on one picture, the outer ones are shown."""
    x = g.input("x", (g.dim("N"), 4, 8, 8))
    for stage in range(4):
        with g.scope(f"stage{stage}"):
            for k in range(20):
                with g.scope(f"block{k}"):
                    x = block(x, 4)
    shown = says(draw(g.mean(x)))
    assert sum(s.startswith("stage") for s in shown) == 4
    assert len(shown) < 10


def test_large_graphs_are_drawn_by_layers_and_small_ones_by_ops() -> None:
    assert len(draw(deep(50)).picture.boxes) < 60
    assert len(draw(deep(50), level="ops").picture.boxes) > 200
    assert sum(s.startswith("conv2d ") for s in says(draw(deep(2)))) == 2


def test_without_scopes_layers_follow_the_weights(net: Node) -> None:
    shown = says(draw(net, level="layers", gradients=True))
    starts = [s.split()[0] for s in shown]
    assert {"conv", "linear", "softmax_cross_entropy"} <= {*starts}
    assert "conv backward ∂L/∂filters, ∂L/∂bias" in shown


def test_layers_whose_weights_share_no_name_stay_apart() -> None:
    x = g.input("x", (2, 4))
    for k in range(3):
        x = g.relu(g.linear(x, g.parameter(f"w{k}", np.zeros((4, 4)))))
    shown = says(draw(x, level="layers"))
    assert [s.split()[0] for s in shown if "→ relu" in s] == ["linear", "linear_1", "linear_2"]


def test_a_layer_never_leads_back_into_an_earlier_one(net: Node) -> None:
    for root in (net, deep(3)):
        picture = draw(root, level="layers").picture
        place = {key: k for k, (key,) in enumerate(picture.order[1:])}
        assert all(
            place[a.tail] < place[a.head] for a in picture.arrows if {a.tail, a.head} <= {*place}
        )


def test_backward_layers_stand_beside_their_layers() -> None:
    picture = draw(deep(2), level="layers", gradients=True).picture
    names = {
        box.key: text
        for box, text in zip(
            picture.boxes, says(draw(deep(2), level="layers", gradients=True)), strict=True
        )
    }
    pairs = {(names[a].split()[0], names[b].split()[0]) for a, b in picture.pairs}
    assert ("block0.conv", "block0.conv") in pairs


def test_updates_are_a_box_for_each_layer() -> None:
    loss = deep(2)
    drawing = draw([loss, *g.rmsprop(loss)], level="layers")
    shown = [
        s
        for s, b in zip(says(drawing), drawing.picture.boxes, strict=True)
        if b.role is Role.UPDATE
    ]
    assert shown == [f"block{k}.conv update weight ←, weight.mean_square ←" for k in range(2)]


def test_statements_show_all_that_an_op_computes() -> None:
    x = g.input("x", (g.dim("N"), 3))
    (box,) = (s for s in says(draw(g.softmax(x), level="statements")) if s.startswith("softmax"))
    assert box.count("=") >= 3 and "exp(" in box and "Σ" in box


def test_an_unknown_level_names_the_known_ones(net: Node) -> None:
    with pytest.raises(GraphError, match="'layers', 'ops', 'statements'"):
        draw(net, level="atoms")  # type: ignore[arg-type]


HOSTILE = ['"', "</script><script>x", "<b>", "\\N", "%$#{}_^~", "a\nb", "\u202eabc", "x" * 9999]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_may_name_a_layer(name: str, tmp_path: Path) -> None:
    with g.scope(name):
        loss = g.mean(block(g.input("x", (2, 4, 8, 8)), 4))
    drawing = draw(loss, level="layers", gradients=True)
    forms = {s: drawing.save(tmp_path / f"a{s}").read_text("utf-8") for s in TEXTS}
    assert forms[".html"].count("</script>") == 2
    ElementTree.fromstring(forms[".svg"])
    assert not any("<script>x" in text for text in forms.values())


def test_every_node_has_a_box_at_every_level() -> None:
    loss = deep(3)
    for level in ("layers", "ops", "statements"):
        drawing = draw([loss, *g.adam(loss)], level=level)
        order = [key for keys in drawing.picture.order for key in keys]
        assert sorted(order) == sorted(b.key for b in drawing.picture.boxes)
        assert len(drawing.picture.details) == len(drawing.picture.boxes)
