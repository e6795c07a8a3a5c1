"""A drawing: the picture of a graph in every format, as text or as a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from graphcnn.compile import Step
from graphcnn.draw.document import to_document
from graphcnn.draw.dot import to_dot
from graphcnn.draw.labels import cleaned
from graphcnn.draw.layout import to_picture
from graphcnn.draw.mermaid import to_mermaid
from graphcnn.draw.page import to_page
from graphcnn.draw.picture import Picture
from graphcnn.draw.render import FORMATS, RenderError, to_image
from graphcnn.draw.values import Frame, frame_of
from graphcnn.draw.view import Level, View
from graphcnn.errors import GraphError, user_origin
from graphcnn.graph import Graph, Node
from graphcnn.kernels import Profile, code_of_nodes

SUFFIXES = tuple(f".{form}" for form in (*FORMATS, "html", "dot", "mmd", "tex"))


@dataclass(frozen=True)
class Drawing:
    """A picture to look at, as DOT or Mermaid text, SVG or a file; Jupyter shows it by itself."""

    outputs: tuple[Node, ...]
    updates: tuple[tuple[Node, Node], ...] = ()
    level: Level | None = None
    frames: tuple[Frame, ...] = field(default=(), repr=False)
    step: Step | None = field(default=None, repr=False)
    profile: Profile | None = field(default=None, repr=False)

    @cached_property
    def graph(self) -> Graph:
        """The graph that is drawn."""
        ends = (*self.outputs, *(n for _, n in self.updates), *(p for p, _ in self.updates))
        return Graph(tuple(dict.fromkeys(ends)))

    @cached_property
    def picture(self) -> Picture:
        """The picture before any format: boxes of coloured lines, and arrows."""
        code = code_of_nodes(self.step.graph, self.step.plan) if self.step else None
        view = View.of(self.graph, self.updates, self.level, self.frames, self.profile, code)
        return to_picture(view, self.outputs, self.updates)

    def with_values(self, at: Mapping[Any, Any], caption: str = "") -> Drawing:
        """Give the drawing with the numbers that its arrows carry for these inputs.

        `at` has an array for each input, by name or node; parameters are as they are now. Each call
        adds a frame: a page has a slider over them, and all other formats show the first. The
        caption says in a few words when that was, such as `"step 100"`.

        Raises `CallError` where an input is missing, unknown or does not fit.
        """
        count = len(self.frames) + 1
        shown = cleaned(caption) or f"frame {count}"
        return replace(self, frames=(*self.frames, frame_of(self.graph, at, shown)))

    @cached_property
    def dot(self) -> str:
        """The picture in Graphviz' language; needs nothing installed."""
        return to_dot(self.picture)

    @cached_property
    def mermaid(self) -> str:
        """The picture as Mermaid text, which wikis and code hosts draw; needs nothing installed."""
        return to_mermaid(self.picture)

    @cached_property
    def latex(self) -> str:
        """The formulas of all boxes as a LaTeX document; needs nothing installed."""
        return to_document(self.picture)

    def svg(self) -> str:
        """Give the picture as SVG text.

        Raises `RenderError` where nothing is installed that lays it out.
        """
        return to_image(self.picture, "svg").decode()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file of one of `SUFFIXES`, whole or not at all.

        The .html file is a page to explore, which needs nothing but a browser; the .tex file is a
        LaTeX document of all formulas.
        """
        file = Path(path)
        match file.suffix.lower().removeprefix("."):
            case "dot":
                content = self.dot.encode()
            case "mmd":
                content = self.mermaid.encode()
            case "tex":
                content = self.latex.encode()
            case "html":
                content = to_page(self.picture, self.svg(), file.stem).encode()
            case form if form in FORMATS:
                content = to_image(self.picture, form)
            case _:
                known = ", ".join(SUFFIXES)
                raise GraphError(
                    f"cannot tell a format from {file.name!r}",
                    rule=f"the suffix is one of {known}",
                    fix=f'save("{file.stem}.svg")',
                ).at("Drawing.save", user_origin())
        write_whole(file, content)
        return file

    def _repr_svg_(self) -> str | None:
        try:
            return self.svg()
        except RenderError:
            return None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Give Jupyter the SVG, and where there is none the reason and the DOT text."""
        try:
            return {"image/svg+xml": self.svg(), "text/plain": repr(self)}
        except RenderError as error:
            return {"text/plain": f"{error}\n\n{self.dot}"}


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name, then rename it: nobody sees half a file."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.stem[:32]}-", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
