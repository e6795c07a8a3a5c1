"""No line runs through a label, whatever lays the picture out."""

import json

import pytest

import graphcnn as g
from benchmarks.networks import NETWORKS
from graphcnn.draw import draw, place
from graphcnn.draw.place import places
from tests.graphcnn.draw.crossings import crossings
from tests.graphcnn.draw.test_render import needs_dot, needs_module

PICTURES = {
    "the network of the notes": lambda: draw(NETWORKS["notes"]()[0], gradients=True),
    "LeNet": lambda: draw(NETWORKS["lenet"]()[0], gradients=True),
    "ResNet-18": lambda: draw(NETWORKS["resnet18"]()[0], gradients=True),
    "a step": lambda: draw(g.rmsprop(NETWORKS["notes"]()[0], 1e-3)),
}


@needs_dot
@pytest.mark.parametrize("name", PICTURES)
def test_no_line_runs_through_a_label(name: str) -> None:
    assert [*crossings(PICTURES[name]().svg())] == []


@needs_module
@pytest.mark.parametrize("name", PICTURES)
def test_no_line_does_with_the_module_either(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert [*crossings(PICTURES[name]().svg())] == []


@needs_dot
def test_graphviz_alone_draws_lines_through_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or this would be a test that cannot fail."""
    monkeypatch.setattr(place, "_moved", lambda arrows, boxes: {})
    assert [*crossings(PICTURES["LeNet"]().svg())]


def laid_out(*arrows: tuple[str, str]) -> bytes:
    """What Graphviz says of arrows, each a line and the middle of its label, which is 40 wide."""
    draw = [{"op": "F", "size": 10.0}, {"op": "T", "width": 50.0}]
    edges = [
        {"id": f"arrow-{k}", "pos": pos, "lp": lp, "_ldraw_": draw}
        for k, (pos, lp) in enumerate(arrows)
    ]
    box = {"name": "n0", "pos": "500,500", "width": "1", "height": "1"}
    return json.dumps({"bb": "0,0,600,600", "objects": [box], "edges": edges}).encode()


UPRIGHT = "e,0,0 0,300 0,200 0,100 0,0"


def test_a_label_that_is_clear_stays() -> None:
    found = places(laid_out((UPRIGHT, "30,150")))
    assert found.arrows["arrow-0"]["lp"] == "30,150"
    assert found.arrows["arrow-0"]["pos"] == UPRIGHT
    assert found.graph == {"layout": "nop2", "bb": "0,0,600,600"}
    assert found.boxes == {"n0": {"pos": "500,500", "width": "1", "height": "1"}}


def test_a_label_that_a_line_crosses_moves_beside_its_own_line() -> None:
    crossing = "e,40,0 40,300 40,200 40,100 40,0"
    found = places(laid_out((UPRIGHT, "30,150"), (crossing, "70,150")))
    x, y = map(float, found.arrows["arrow-0"]["lp"].split(","))
    assert x + 20 < 0 and 0 < y < 300
    assert found.arrows["arrow-1"]["lp"] == "70,150"


def test_a_label_stands_above_or_below_a_line_that_lies_flat() -> None:
    flat = "e,300,0 0,0 100,0 200,0 300,0"
    found = places(laid_out((flat, "150,0")))
    x, y = map(float, found.arrows["arrow-0"]["lp"].split(","))
    assert 0 < x < 300 and 5 < abs(y) < 20


def test_a_label_that_strayed_comes_back_to_its_line_if_there_is_room() -> None:
    found = places(laid_out((UPRIGHT, "70,150")))
    x, _ = map(float, found.arrows["arrow-0"]["lp"].split(","))
    assert 20 < abs(x) < 30
    walls = [(f"e,{x},0 {x},300 {x},200 {x},100 {x},0", "900,900") for x in range(-50, 60, 10)]
    crowded = places(laid_out((UPRIGHT, "100,150"), *walls))
    assert crowded.arrows["arrow-0"]["lp"] == "100,150"
