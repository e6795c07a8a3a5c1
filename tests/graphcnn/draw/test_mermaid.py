"""Mermaid text has every box and arrow of the picture, in its colour, and no name breaks it."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

import graphcnn as g
from graphcnn.draw import draw
from graphcnn.draw.mermaid import to_mermaid
from graphcnn.draw.picture import Picture
from graphcnn.draw.roles import DOWNSTREAM, INK, UPSTREAM
from graphcnn.graph import Node
from tests.graphcnn.draw.test_labels import NASTY, picture_of

TEXT = r'"((?:[^"#<>\n]|#\d+;|</?(?:b|sub)>|<br>)*)"'
BOX = re.compile(rf"    (\w+)(?:\[|\(\[){TEXT}(?:\]|\]\)):::(\w+)")
ARROW = re.compile(rf"    (\w+) (-->|-\.->)(?:\|{TEXT}\|)? (\w+)")
STYLE = re.compile(r"    linkStyle (\d+) stroke:(#\w{6}),color:\2")
CLASS = re.compile(r"    classDef (\w+) fill:#\w{6},stroke:#\w{6},color:#\w{6}")


def read_back(text: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]], dict[int, str]]:
    """The boxes, arrows and colours of arrows that a text declares, of which each line is one."""
    head, *rows = text.split("\n")
    assert head == "flowchart TD"
    found = [next(filter(None, (p.fullmatch(r) for p in (BOX, ARROW, STYLE, CLASS)))) for r in rows]
    boxes = [m.groups() for m in found if m.re is BOX]
    arrows = [m.groups() for m in found if m.re is ARROW]
    colours = {int(m[1]): m[2] for m in found if m.re is STYLE}
    assert {box[-1] for box in boxes} == {m[1] for m in found if m.re is CLASS}
    return boxes, arrows, colours


def plain(text: str | None) -> str:
    """What a reader sees."""
    shown = re.sub(r"<.*?>", "", (text or "").replace("<br>", "\n"))
    return re.sub(r"#(\d+);", lambda m: chr(int(m[1])), shown)


def assert_says_the_picture(picture: Picture) -> None:
    boxes, arrows, colours = read_back(to_mermaid(picture))
    assert [(key, plain(text), role) for key, text, role in boxes] == [
        (b.key, "\n".join("".join(s.text for s in line) for line in b.lines if line), b.role.label)
        for b in picture.boxes
    ]
    assert [(tail, plain(label), head) for tail, _, label, head in arrows] == [
        (a.tail, a.label, a.head) for a in picture.arrows
    ]
    drawn = [a.colours for a in picture.arrows]
    assert colours == {k: several[-1] for k, several in enumerate(drawn) if several != (INK,)}


def test_the_two_charts_of_a_product(product: Node) -> None:
    boxes, *_ = read_back(draw(product).mermaid)
    assert [plain(text) for _, text, _ in boxes] == [
        "x\ninput", "y\ninput", "z  multiply\nz = x · y", "z",
    ]  # fmt: skip
    boxes, arrows, colours = read_back(draw(product, gradients=True).mermaid)
    (rule,) = (text for _, text, _ in boxes if text.startswith("multiply backward"))
    assert "∂z/∂x = y" in plain(rule).split("\n")
    labelled = {plain(label): colours.get(k) for k, (_, _, label, _) in enumerate(arrows) if label}
    assert labelled["∂L/∂z"] == UPSTREAM
    assert labelled["∂L/∂x"] == labelled["∂L/∂y"] == DOWNSTREAM


def test_a_network_with_its_gradients(net: Node) -> None:
    assert_says_the_picture(draw(net, gradients=True).picture)


def test_hostile_names_stay_text() -> None:
    assert_says_the_picture(picture_of(NASTY))


@settings(max_examples=20)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_any_name_stays_text(name: str) -> None:
    assert_says_the_picture(draw(g.relu(g.input("x"), name=name)).picture)


def test_hundreds_of_nodes_have_a_box_each() -> None:
    x: Node = g.input("x", (3,))
    count = 600
    for _ in range(count):
        x = g.exp(x)
    boxes, arrows, _ = read_back(draw(x).mermaid)
    assert len({key for key, *_ in boxes}) == len(boxes) == count + 2
    assert len(arrows) == count + 1
