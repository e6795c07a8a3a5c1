"""Whatever a node is called, DOT and SVG stay well-formed and say its name."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphcnn as g
from graphcnn.draw import draw
from graphcnn.draw.dot import to_dot
from graphcnn.draw.labels import cleaned, joined, wrapped
from graphcnn.draw.page import to_page
from graphcnn.draw.picture import Picture
from graphcnn.draw.svg import with_colours, with_whole_lines
from graphcnn.graph import Node

BLANK = '<svg xmlns="http://www.w3.org/2000/svg"/>'
SVG = "{http://www.w3.org/2000/svg}"
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="lays out with `dot`")

NASTY = [
    '"); system("x',
    "int",
    "café 1",
    "<b>&amp;</b>",
    "</script><script>alert(1)</script>",
    "\\N \\G \\",
    'quote " and \\" and \\\\',
    "a\nb\r\t\x00\x1b",
    "\u202eright to left\u202c שלום",
    "]]> --> <!-- %3 {|}",
    "long " * 2000,
    "<starts and ends like markup>",
    "\ufffe\uffff\U0001f600",
    "_{sub} Σ_{i}",
]


def dot(text: str, form: str) -> str:
    done = subprocess.run(
        ["dot", f"-T{form}"], input=text.encode(), capture_output=True, check=True
    )
    assert not done.stderr, done.stderr
    return done.stdout.decode()


def picture_of(names: list[str]) -> Picture:
    total: Node = g.constant(1.0)
    for name in names:
        total = g.relu(total * g.input(name), name=name)
    return draw(total, gradients=True).picture


def said(svg: str) -> list[str]:
    """The lines of text of an SVG, spaces made equal."""
    root = ElementTree.fromstring(svg)
    return [squeezed("".join(t.itertext())) for t in root.iter(f"{SVG}text")]


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


@needs_dot
@pytest.mark.parametrize("rich", [True, False], ids=["rich", "plain"])
def test_hostile_names_are_drawn_as_they_are(rich: bool) -> None:
    picture = picture_of(NASTY)
    svg = dot(to_dot(picture, rich=rich), "svg")
    lines = said(with_whole_lines(svg) if rich else with_colours(svg, picture))
    for name in NASTY:
        assert squeezed(cleaned(name)) in lines
    root = ElementTree.fromstring(svg)
    assert not list(root.iter(f"{SVG}script"))
    drawn = [e for e in root.iter(f"{SVG}g") if e.get("class") == "node"]
    assert len(drawn) == len(picture.boxes)


@needs_dot
@pytest.mark.parametrize("rich", [True, False], ids=["rich", "plain"])
def test_a_line_in_several_colours_is_one_text(product: Node, rich: bool) -> None:
    picture = draw(product, gradients=True).picture
    svg = dot(to_dot(picture, rich=rich), "svg")
    lines = said(with_whole_lines(svg) if rich else with_colours(svg, picture))
    assert "∂L/∂x = ∂z/∂x · ∂L/∂z" in lines
    assert "z multiply" in lines
    assert not rich or "gradient" in lines  # a word of the legend by itself


@needs_dot
@settings(max_examples=8)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=[]), min_size=1, max_size=40),
        min_size=5, max_size=10, unique=True,
    )
)  # fmt: skip
def test_any_names_give_well_formed_dot_and_svg(names: list[str]) -> None:
    picture = picture_of(names)
    for rich in (True, False):
        text = to_dot(picture, rich=rich)
        assert len(said(with_whole_lines(dot(text, "svg")))) >= len(picture.boxes)
    again = dot(text, "dot")
    assert len(re.findall(r"^\t+n\d+\w*\t", again, re.MULTILINE)) == len(picture.boxes)


@given(st.text(st.characters(exclude_categories=[])))
def test_cleaned_text_is_short_and_printable(text: str) -> None:
    shown = cleaned(text)
    assert len(shown) <= 32
    shown.encode()
    ElementTree.fromstring(f"<a>{shown.replace('&', '').replace('<', '')}</a>")


@given(st.text("ab ·[]()", max_size=300))
def test_wrapping_keeps_every_character_and_a_bounded_width(text: str) -> None:
    rows = wrapped(text, 20)
    assert all(len(row) <= 21 for row in rows)
    assert squeezed("".join(rows)).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("width", [8, 20, 52])
@pytest.mark.parametrize(
    "text",
    [
        "y[n,k,i,j] = bias[k] + Σ_{c,u,v} x[n,c,2i+u−1,2j+v−1]·weight[k,c,u,v]",
        "∂y/∂x = (exp(−x)/(1 + exp(−x))² if x ≥ 0 else exp(x)/(exp(x) + 1) − exp(2·x))",
        "y = where the first largest x lies, counted in row order",
    ],
)
def test_joined_rows_are_the_formula_again(text: str, width: int) -> None:
    assert joined(wrapped(text, width), width) == text


class Parts(HTMLParser):
    """The scripts of a page, by type, and what handlers its elements have."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[list[str]] = []
        self.handlers: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag == "script":
            self.scripts.append([dict(attrs).get("type") or "", ""])

    def handle_data(self, data: str) -> None:
        if self.scripts and self.cdata_elem == "script":
            self.scripts[-1][1] += data


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.text(min_size=1), st.sampled_from(NASTY)), min_size=1, unique=True))
def test_any_names_give_a_page_with_its_own_scripts_only(names: list[str]) -> None:
    """The data reads back whole, and the one other script is that of every page."""
    (_, plain) = Parts(to_page(picture_of(["x"]), BLANK)).scripts
    found = Parts(to_page(picture_of(names), BLANK))
    data, script = found.scripts
    assert script == plain and not found.handlers
    assert data[0] == "application/json"
    titles = [detail["title"] for detail in json.loads(data[1])["details"]]
    assert cleaned(names[0]) in {cleaned(title) for title in titles}
