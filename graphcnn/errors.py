"""Errors that teach: who, where in your file, what was given, the rule, the likely fix."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_PACKAGES = tuple(
    str(Path(__file__).resolve().parent.parent / package) for package in ("graphcnn", "codegen")
)


@dataclass(frozen=True)
class Origin:
    """The user's line that made a node."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}"


class GraphError(ValueError):
    """Base of all errors in building, differentiating, compiling or calling a graph."""

    def __init__(self, problem: str, *, rule: str = "", fix: str = "") -> None:
        self.problem, self.rule, self.fix = problem, rule, fix
        self.who = ""
        self.origin: Origin | None = None
        super().__init__(problem)

    def at(self, who: str, origin: Origin | None) -> Self:
        """Give the error with the node and the user's line in front."""
        self.who, self.origin = who, origin
        return self

    def __str__(self) -> str:
        head = " at ".join(str(part) for part in (self.who, self.origin) if part)
        lines = [f"{head}: {self.problem}" if head else self.problem]
        lines += [f"  rule: {self.rule}"] if self.rule else []
        lines += [f"  fix:  {self.fix}"] if self.fix else []
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
    """Give a shape as people write it: `8x3x32x32`, or `scalar`."""
    return "×".join(map(str, shape)) or "scalar"


def user_origin() -> Origin | None:
    """Give the innermost line of the call stack outside this project's packages."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGES) and not file.startswith("<frozen"):
            return Origin(file, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]
    return None
