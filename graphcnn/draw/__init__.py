"""Pictures of graphs, their gradients and their updates: who feeds whom, with which formula."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from codegen.notation import FLOATS
from graphcnn.backward import grad
from graphcnn.draw.dot import to_dot
from graphcnn.draw.layout import to_picture
from graphcnn.draw.mermaid import to_mermaid
from graphcnn.draw.page import to_page
from graphcnn.draw.picture import Picture
from graphcnn.draw.render import FORMATS, RenderError, to_image
from graphcnn.errors import DTypeError, GradientError, GraphError, user_origin
from graphcnn.graph import Graph, Node, Parameter, listed


@dataclass(frozen=True)
class Drawing:
    """A picture to look at, as DOT or Mermaid text, SVG or a file; Jupyter shows it by itself."""

    picture: Picture = field(repr=False)

    @cached_property
    def dot(self) -> str:
        """The picture in Graphviz' language; needs nothing installed."""
        return to_dot(self.picture)

    @cached_property
    def mermaid(self) -> str:
        """The picture as Mermaid text, which wikis and code hosts draw; needs nothing installed."""
        return to_mermaid(self.picture)

    def svg(self) -> str:
        """Give the picture as SVG text.

        Raises `RenderError` where nothing is installed that lays it out.
        """
        return to_image(self.picture, "svg").decode()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a .svg, .png, .pdf, .html, .dot or .mmd file, whole or not at all.

        The .html file is a page to explore, which needs nothing but a browser.
        """
        file = Path(path)
        match file.suffix.lower().removeprefix("."):
            case "dot":
                content = self.dot.encode()
            case "mmd":
                content = self.mermaid.encode()
            case "html":
                content = to_page(self.picture, self.svg(), file.stem).encode()
            case form if form in FORMATS:
                content = to_image(self.picture, form)
            case _:
                known = ", ".join(f".{form}" for form in (*FORMATS, "html", "dot", "mmd"))
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


def draw(
    nodes: Node | Iterable[Node | tuple[Node, Node]],
    *,
    gradients: bool = False,
    wrt: Node | Iterable[Node] | None = None,
) -> Drawing:
    """Give the picture of the graph that ends in these nodes.

    With `gradients` the backward graph of one scalar loss is drawn beside it: local gradients in
    green, upstream gradients in red, downstream gradients in blue. They are taken with respect to
    `wrt`: by default all trainable parameters, or all float inputs where there are none. A pair of
    a parameter and a node, as optimisers give them, shows that node as the parameter's next value.

    >>> from graphcnn.graph import input
    >>> print(draw(input("x")).dot.splitlines()[0])
    digraph graphcnn {
    """
    outputs, updates = _ends(nodes)
    if gradients or wrt is not None:
        outputs += _gradients(outputs, wrt)
    return Drawing(to_picture(outputs, updates))


def _ends(nodes: Any) -> tuple[tuple[Node, ...], tuple[tuple[Node, Node], ...]]:
    several = isinstance(nodes, Iterable) and not isinstance(nodes, Node)
    given: tuple[Any, ...] = tuple(nodes) if several else (nodes,)
    outputs = tuple(g for g in given if isinstance(g, Node))
    updates = tuple(g for g in given if not isinstance(g, Node))
    for pair in updates:
        if not (
            isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(n, Node) for n in pair)
        ):
            raise DTypeError(
                f"a {type(pair).__name__} cannot be drawn",
                rule="draw takes nodes, and pairs of a parameter and the node of its next value",
                fix="draw(loss), draw([loss, scores]) or draw([loss, (weight, new_weight)])",
            ).at("draw", user_origin())
    if not given:
        raise GraphError("there is nothing to draw", fix="give a node: draw(loss)").at(
            "draw", user_origin()
        )
    return outputs, updates


def _gradients(outputs: tuple[Node, ...], wrt: Node | Iterable[Node] | None) -> tuple[Node, ...]:
    if len(outputs) != 1:
        raise GradientError(
            f"gradients of {len(outputs)} nodes were asked for at once",
            rule="a picture shows the gradients of one loss",
            fix="draw(loss, gradients=True), or draw the nodes that grad() gives",
        ).at("draw", user_origin())
    loss = outputs[0]
    if wrt is not None:
        return tuple(grad(loss, listed(wrt)))
    nodes = Graph(outputs).nodes
    trained = [n for n in nodes if isinstance(n, Parameter) and n.trainable]
    inputs = [n for n in nodes if n.op == "input"]
    wanted = [n for n in trained or inputs if n.dtype in FLOATS]
    if not wanted:
        raise GradientError(
            "the graph has neither trainable parameters nor float inputs",
            rule="a gradient is taken with respect to something",
            fix="pass wrt=, or draw(loss) without gradients",
        ).at("draw", user_origin())
    found = grad(loss, wanted, allow_unused=True)
    return tuple(d for d in found if d.partner is not None)


__all__ = ["Drawing", "RenderError", "draw"]
