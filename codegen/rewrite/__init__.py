"""Rewrites of programs: each gives a program of the same meaning, and can be switched off."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from codegen.program import Program
from codegen.rewrite.ascend import ascend
from codegen.rewrite.choose import choose
from codegen.rewrite.gather import gather
from codegen.rewrite.inline import inline
from codegen.rewrite.masks import read_masks
from codegen.rewrite.merge import merge_equal
from codegen.rewrite.pad import pad_reads
from codegen.rewrite.prune import prune
from codegen.rewrite.reuse import reuse
from codegen.rewrite.settle import settle
from codegen.rewrite.trim import trim
from codegen.rewrite.winograd import winograd


@dataclass(frozen=True)
class Pass:
    """One row of the table: a rewrite and why it is there."""

    name: str
    rewrite: Callable[[Program], Program]
    reason: str


PASSES: tuple[Pass, ...] = (
    Pass("prune", prune, "what no output needs is not computed"),
    Pass("merge equal", merge_equal, "what is computed twice is computed once"),
    Pass("choose", choose, "a sum over [j = label[n]] is one indexed read or write"),
    Pass("gather", gather, "each element of a gradient is written once, by one thread"),
    Pass("trim", trim, "what padding excludes everywhere is not visited"),
    Pass("settle", settle, "a sum of one term is an assignment, sums over one box are one sum"),
    Pass("reuse", reuse, "an expensive function of a value is not evaluated twice"),
    Pass("inline", inline, "an element-wise value used once needs no array"),
    Pass("merge again", merge_equal, "inlining shows more statements to be equal"),
    Pass("read masks", read_masks, "a result kept anyway tells where it was cut off"),
    Pass("winograd", winograd, "sliding sums of products take fewer products in tiles"),
    Pass("ascend", ascend, "memory is read forwards, and so asked for in time"),
    Pass("pad reads", pad_reads, "zero padding is copied once instead of tested in inner loops"),
    Pass("merge padded", merge_equal, "one padded copy serves all who read it"),
    Pass("prune again", prune, "what inlining and merging left over goes"),
)


def rewrite(
    program: Program, off: Collection[str] = ()
) -> tuple[Program, tuple[tuple[str, Program], ...]]:
    """Give the rewritten program, and the program after each pass that changed it.

    `off` names passes to leave out; an unknown name raises `ValueError`.
    """
    unknown = set(off) - {p.name for p in PASSES}
    if unknown:
        known = ", ".join(p.name for p in PASSES)
        raise ValueError(f"no pass is called {', '.join(sorted(unknown))}; there are: {known}")
    steps = []
    for row in PASSES:
        if row.name in off:
            continue
        changed = row.rewrite(program)
        if changed.statements != program.statements:
            steps.append((row.name, changed))
        program = changed
    return program, tuple(steps)
