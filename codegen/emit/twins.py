"""Functions that differ in nothing but names are one function, called for other arrays.

Before: y1[i] = max(x1[i], 0)   compute_y1(x1, y1)      After:   compute_y1(x1, y1)
        y2[j] = max(x2[j], 0)   compute_y2(x2, y2)               compute_y1(x2, y2)

Deep networks repeat themselves, and compilers take much longer for a function than we do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from codegen.emit.printer import function_text
from codegen.lower import Lowered
from codegen.nest import Function, Let, Loop, Node, Scratch, When

_WORD = re.compile(r"[A-Za-z_]\w*")


def without_twins(lowered: Iterable[Lowered]) -> Iterator[Lowered]:
    """Give the nests one by one, those that have an earlier twin with the function of that one."""
    known: dict[str, Function] = {}
    for low in lowered:
        yield replace(low, function=known.setdefault(_nameless(low.function), low.function))


def _nameless(function: Function) -> str:
    """The C of a function with its own names numbered, and how its work is shared."""
    shown = (array for array, _ in function.shown)
    arrays = (a.name for a in (*function.arrays, *function.local, *shown))
    own = {function.name, *arrays, *_made(function.body)}
    numbers: dict[str, str] = {}

    def numbered(word: re.Match[str]) -> str:
        return numbers.setdefault(word[0], f"${len(numbers)}") if word[0] in own else word[0]

    text = _WORD.sub(numbered, function_text(replace(function, doc=(), notes=())))
    # Where the lines of a signature break depends on the lengths of names.
    return f"{function.tasks} {function.least} {''.join(text.split())}"


def _made(nodes: Iterable[Node]) -> Iterator[str]:
    """The names that nodes declare."""
    for node in nodes:
        match node:
            case Loop(index, _, _, body):
                yield index
                yield from _made(body)
            case When(_, body):
                yield from _made(body)
            case Let(name) | Scratch(name):
                yield name
