"""Errors that teach: who, where in your file, what was given, the rule, the likely fix."""

from __future__ import annotations

import difflib
import linecache
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Self

_PACKAGES = ("graphcnn", "codegen")
_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Origin:
    """The user's line that made a node."""

    file: str
    line: int

    @property
    def text(self) -> str:
        """What the line says; nothing where the file is gone."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        return f"{_cell(self.file) or Path(self.file).name}:{self.line}"


class GraphError(ValueError):
    """Base of all errors in building, differentiating, compiling or calling a graph."""

    def __init__(self, problem: str, *, rule: str = "", fix: str = "") -> None:
        self.problem, self.rule, self.fix = problem, rule, fix
        self.who = self.given = ""
        self.origin: Origin | None = None
        super().__init__(problem)

    def at(self, who: str, origin: Origin | None, given: str = "") -> Self:
        """Give the error with the node and the user's line in front, and what was given below."""
        self.who, self.origin, self.given = who, origin, given
        return self

    def __str__(self) -> str:
        head = " at ".join(str(part) for part in (self.who, self.origin) if part)
        lines = [f"{head}: {self.problem}" if head else self.problem]
        below = {"given": self.given, "rule": self.rule, "fix": self.fix}
        lines += [f"  {what + ':':<7}{text}" for what, text in below.items() if text]
        return "\n".join(lines)


class ShapeError(GraphError):
    """Shapes, axes or sizes do not fit."""


class DTypeError(GraphError, TypeError):
    """A value or argument is of the wrong type."""


class GradientError(GraphError):
    """A gradient was asked for that does not exist."""


class CallError(GraphError):
    """A compiled function was called with inputs that do not fit."""


def described(shape: Iterable[Any]) -> str:
    """Give a shape as people write it: `8×3×32×32`, or `scalar`."""
    return "×".join(map(str, shape)) or "scalar"


def nearest(name: str, known: Iterable[str]) -> str:
    """Give the known name most like this one, or nothing.

    >>> nearest("strides", ("stride", "padding")), nearest("q", ("stride", "padding"))
    ('stride', '')
    """
    return next(iter(difflib.get_close_matches(name, list(known), 1)), "")


def user_origin() -> Origin | None:
    """Give the user's line: the innermost of the call stack that is neither ours nor installed.

    Where there is none, because an installed program builds the graph, give the innermost line
    outside this project.
    """
    outside = None
    for frame in _frames(sys._getframe(1)):
        # By module and not by path: a user's folder may well be called graphcnn.
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if module in _PACKAGES:
            continue
        outside = outside or frame
        installed = any(part in _INSTALLED for part in Path(frame.f_code.co_filename).parts)
        if module not in sys.stdlib_module_names and not installed:
            return Origin(frame.f_code.co_filename, frame.f_lineno)
    return Origin(outside.f_code.co_filename, outside.f_lineno) if outside else None


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _cell(file: str) -> str:
    """Give `In[3]` where a notebook keeps the code of that cell in this file, else nothing."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    name = getattr(getattr(shell, "compile", None), "format_code_name", lambda file: None)(file)
    return str(name[1]) if name else ""
