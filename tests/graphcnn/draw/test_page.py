"""What the interactive page is made of; no browser is needed to see that."""

import base64
import hashlib
import html
import re
import shutil
from xml.etree import ElementTree

import pytest

import graphcnn as g
from graphcnn.draw import draw
from graphcnn.draw.compact import compact
from graphcnn.draw.page import to_page
from graphcnn.draw.render import to_image
from graphcnn.draw.roles import DARK, Role
from graphcnn.graph import Node
from tests.graphcnn.draw.pages import (
    ATTACK,
    HOSTILE,
    PAPERS,
    SVG,
    TEXTS,
    chain,
    page,
    step,
)

pytestmark = pytest.mark.skipif(shutil.which("dot") is None, reason="lays out with `dot`")


def test_equal_pictures_give_equal_pages(net: Node) -> None:
    one, other = (draw(net, gradients=True).picture for _ in range(2))
    assert to_page(one, SVG) == to_page(other, SVG)


def test_the_policy_allows_the_page_own_script_and_style_alone() -> None:
    text = page(chain(HOSTILE), title=ATTACK)
    policy = re.findall(r'Security-Policy" content="([^"]*)"', text)[0]
    for kind, pattern in [
        ("script", r'<script type="module">(.*?)</script>'),
        ("style", r"<style>(.*?)</style>"),
    ]:
        (inlined,) = re.findall(pattern, text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inlined.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_the_page_loads_nothing() -> None:
    text = page(step())
    assert not re.findall(r"\b(?:src|href)=|url\(|@import|https?://", text)


def test_names_end_no_element_of_the_page() -> None:
    text = page(chain(HOSTILE), title=ATTACK)
    assert text.count("<script") == text.count("</script") == 2
    assert "<img" not in text
    assert html.escape(ATTACK) in text
    text.encode()


def test_the_small_svg_says_what_the_large_one_says(net: Node) -> None:
    def said(svg: str) -> list[str]:
        texts = (e for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("text"))
        return ["".join(text.itertext()) for text in texts]

    large = to_image(draw(net, gradients=True).picture, "svg").decode()
    small = compact(large)
    assert said(small) == said(large)
    assert len(small) < 0.7 * len(large)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_stands_out_from_every_fill(dark: bool) -> None:
    def luminance(colour: str) -> float:
        parts = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        low, high = sorted((luminance(one), luminance(other)))
        return (high + 0.05) / (low + 0.05)

    fills = [*(DARK[role.fill] if dark else role.fill for role in Role), *PAPERS[dark]]
    weak = {
        (text, fill): found
        for text in (DARK[colour] if dark else colour for colour in TEXTS)
        for fill in fills
        if (found := contrast(text, fill)) < 4.5
    }
    assert not weak


def test_roles_that_share_a_light_colour_share_the_dark_one() -> None:
    for role in Role:
        assert (DARK[role.fill], DARK[role.outline]) == (role.dark_fill, role.dark_outline)


def test_a_page_shows_the_line_that_made_a_node() -> None:
    z = g.relu(g.input("x"))  # ⟨the line⟩
    data = to_page(draw(z, gradients=True).picture, SVG)
    assert data.count('["line","z = g.relu(g.input(\\"x\\"))  # ⟨the line⟩"]') == 3
