"""Group statements into kernels: a reduction and the element-wise stages that follow it at once.

Before: y[n,k] += w[k,c]·x[n,c]   |   z[i,j] = max(y[i,j] + b[j], 0)     two nests
After:  y[n,k] += w[k,c]·x[n,c];  z[n,k] = max(y[n,k] + b[k], 0)         one nest, y in registers
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import sympy

from codegen.affine import Box, Index, Size, as_size, split
from codegen.machine import Machine
from codegen.notation import Guard, Reduce, Statement, Tensor, rewritten
from codegen.program import Program
from codegen.rewrite.gather import expanded
from codegen.rewrite.maps import injective, storing, unguarded
from codegen.schedule.collapse import collapse
from codegen.schedule.order import pointwise_order, stride
from codegen.schedule.tile import tile_of


@dataclass(frozen=True)
class Stage:
    """The statements that own one tensor."""

    tensor: Tensor
    statements: tuple[Statement, ...]

    @cached_property
    def reads(self) -> tuple[Any, ...]:
        """Every access of the stage."""
        return tuple(dict.fromkeys(a for s in self.statements for a in s.reads))

    @cached_property
    def whole(self) -> bool:
        """Whether each statement covers the tensor, point by point, in plain coordinates."""
        boxes = {tuple(s.sizes[i] for i in s.parallel) for s in self.statements}
        return len(boxes) == 1 and all(covers_by_points(s) for s in self.statements)

    @cached_property
    def starts(self) -> bool:
        """Whether the stage is a sum and what it starts from, at the very same points."""
        if len(self.statements) != 2:
            return False
        start, total = self.statements
        places = start.op is Reduce.SET and total.op is Reduce.SUM and start.maps == total.maps
        alike = not start.reduced and start.box == unguarded(total).box and injective(total)
        plain = bool(total.reduced) and not start.bindings and not total.bindings
        return places and alike and plain and {*start.guards} == {*unguarded(total).guards}

    @property
    def complete(self) -> bool:
        """Whether the elements of a stage's points need nothing but these points."""
        return self.whole or self.starts

    @property
    def pointwise(self) -> bool:
        """Whether the stage is one element-wise assignment."""
        (*_, last) = self.statements
        return len(self.statements) == 1 and self.whole and not last.reduced

    def __str__(self) -> str:
        return "\n".join(map(str, self.statements))


@dataclass(frozen=True)
class Kernel:
    """Stages that run in one loop nest, over the box of the first."""

    stages: tuple[Stage, ...]

    @property
    def name(self) -> str:
        """The kernel is called after the tensor that it ends in."""
        return self.stages[-1].tensor.name

    @property
    def box(self) -> Box:
        """The parallel box that all stages share."""
        first = self.stages[0].statements[0]
        return tuple((i, n) for i, n in first.box if i in first.parallel)

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """All statements, in order."""
        return tuple(s for stage in self.stages for s in stage.statements)

    @cached_property
    def made(self) -> tuple[Tensor, ...]:
        """The tensors that the kernel computes."""
        return tuple(stage.tensor for stage in self.stages)

    @cached_property
    def reads(self) -> tuple[Tensor, ...]:
        """The tensors that the kernel reads from memory, in order."""
        own = set(self.made)
        found = dict.fromkeys(a.tensor for s in self.stages for a in s.reads)
        return tuple(t for t in found if t not in own)

    def __str__(self) -> str:
        return "\n".join(map(str, self.stages))


def covers_by_points(statement: Statement, *, cut: bool = False) -> bool:
    """Whether a statement writes every element once a point, guards of its reads aside.

    Along an axis where its place is granted, it need only write different elements. If it may be
    `cut`, there may be points beyond the end of an axis, which guards exclude.
    """
    if statement.bindings:
        return False
    sizes = statement.sizes
    seen: set[Index] = set()
    for m, n in zip(statement.maps, statement.target.shape, strict=True):
        if m == 0 and n == 1:
            continue
        constant, steps = split(m)
        if Guard(m, n) in statement.granted and not constant.is_Integer:
            if seen & set(steps) or not _counts(steps, sizes, None):
                return False
            seen |= set(steps)
            continue
        guards = statement.guards if cut else ()
        if constant != 0 or seen & set(steps) or not _counts(steps, sizes, n, guards):
            return False
        seen |= set(steps)
    return True


def _counts(
    steps: Mapping[Index, Any],
    sizes: Mapping[Index, Size],
    n: Size | None,
    guards: Collection[Guard] = (),
) -> bool:
    """Whether the indices are the digits of a number that counts from zero up to n.

    Without n it need not count: different digits must only give different numbers. Guards may say
    that its last digits count no further than they do.
    """
    reach: Any = 1
    number: Any = 0
    for i, step in sorted(steps.items(), key=lambda item: str(item[1]).rjust(20)):
        apart = n is None and step.is_Integer and isinstance(reach, int) and step >= reach
        if step != reach and not apart:
            return False
        number += step * i
        reach = as_size(step * sizes[i])
        reach = next((g.size for g in guards if g.expr == number), reach)
    return n is None or bool(reach == n)


def fuse(
    program: Program,
    machine: Machine,
    views: Mapping[Tensor, Tensor] | None = None,
    *,
    enabled: bool = True,
) -> tuple[Kernel, ...]:
    """Give the kernels of a program in an order in which each follows what it reads.

    `views` show the elements of another tensor and need no kernel.
    """
    views = views or {}
    kernels: list[Kernel] = []
    home: dict[Tensor, int] = {}
    last = {s.target: at for at, s in enumerate(program.statements)}
    definitions = sorted(program.definitions.items(), key=lambda item: last[item[0]])
    for tensor, statements in definitions:
        if tensor in views:
            home[tensor] = home.get(views[tensor], -1)
            continue
        stage = _uniform(Stage(tensor, statements))
        at = _place(stage, kernels, home, machine) if enabled else None
        if at is None:
            at = len(kernels)
            kernels.append(Kernel((stage,)))
        else:
            kernel = kernels[at]
            shown = _over(stage.statements[0], kernel.stages[0].statements[0], kernel.box)
            assert shown is not None
            kernels[at] = Kernel((*kernel.stages, Stage(tensor, (shown,))))
        home[tensor] = at
    return tuple(kernels)


def _place(
    stage: Stage, kernels: Sequence[Kernel], home: dict[Tensor, int], machine: Machine
) -> int | None:
    """The kernel that an element-wise stage can join: the last one that makes what it reads."""
    if not stage.pointwise:
        return None
    (statement,) = stage.statements
    if statement.guards:
        return None
    at = max((home[a.tensor] for a in statement.reads if a.tensor in home), default=-1)
    if at < 0:
        return None
    kernel = kernels[at]
    if not kernel.stages[0].whole or not all(s.pointwise for s in kernel.stages[1:]):
        return None
    shown = _over(statement, kernel.stages[0].statements[0], kernel.box)
    if shown is None:
        return None
    points = {s.tensor: s.statements[0].maps for s in kernel.stages}
    for access in shown.reads:
        if home.get(access.tensor) == at and access.maps != points.get(access.tensor):
            return None
    return None if _astray(shown, kernel, machine, {t.name for t in home}) else at


def _astray(
    statement: Statement, kernel: Kernel, machine: Machine, computed: Collection[str]
) -> bool:
    """Whether a statement would hop through what is given along the lanes of a sum, and need not.

    What the program computed itself is near, or lies along these lanes already.
    """
    near = {*computed, statement.target.name}
    given = [a for a in statement.reads if a.tensor.name not in near]
    if not given:
        return False
    tile = tile_of(kernel.stages[0].statements[-1], machine)
    if tile is None or all(stride(a.tensor, a.maps, tile.lane) in (0, 1) for a in given):
        return False
    return pointwise_order(collapse((statement,)), near)[-1] != tile.lane


def _uniform(stage: Stage) -> Stage:
    """Give a stage whose statements all run over the box of its sum, if they can.

    That may have points beyond an end, if what it is added to is the only other statement.
    """
    head = next((s for s in stage.statements if s.reduced), stage.statements[0])
    box = Kernel((Stage(stage.tensor, (head,)),)).box
    cut = len(stage.statements) == 2 and stage.statements[1] == head
    shown = [s if s == head else _over(s, head, box, cut=cut) for s in stage.statements]
    if not covers_by_points(head, cut=cut) or None in shown:
        return stage
    made = Stage(stage.tensor, tuple(s for s in shown if s is not None))
    return made if made.complete else stage


def _over(
    statement: Statement, head: Statement, box: Box, *, cut: bool = False
) -> Statement | None:
    """Give a statement over the box of another one, where both run over as many points.

    Its indices get the other's letters; or, where that one counts along an axis in digits, those
    digits: z[i] = y[i] after y[4·t + i] is z[4·t + i] = y[4·t + i]. Digits of its own stay digits.
    """
    if not covers_by_points(statement, cut=cut):
        return None
    if tuple(statement.sizes[i] for i in statement.parallel) == tuple(n for _, n in box):
        return aligned(statement, box)
    if head.target.shape != statement.target.shape:
        return None
    if statement.reduced:
        return None
    rules: dict[Any, Any] = {}
    for m, to in zip(statement.maps, head.maps, strict=True):
        renamed = _renamed(m, statement, to, head)
        if renamed is None:
            return None
        rules |= renamed

    def swap(expr: Any) -> Any:
        return sympy.expand(expr.xreplace(rules))

    return replace(
        statement,
        maps=head.maps,
        body=expanded(statement.body.xreplace(rules)),
        box=box,
        extra=(*rewritten(statement.extra, swap), *(storing(head) if cut else ())),
    )


def _renamed(m: Any, statement: Statement, to: Any, head: Statement) -> dict[Any, Any] | None:
    """Give what makes one coordinate the other: a digit is a digit, or as many of them."""
    if isinstance(m, Index) or m == 0:
        return {m: to} if m != 0 else {}
    (start, digits), (begin, others) = split(m), split(to)
    if start != begin or not all(step.is_Integer for step in (*digits.values(), *others.values())):
        return None
    rules: dict[Any, Any] = {}
    rest = dict(others)
    for i, step in sorted(digits.items(), key=lambda item: int(item[1]), reverse=True):
        own = {o: rest.pop(o) / step for o, s in others.items() if o in rest and s >= step}
        if not _counts(own, head.sizes, statement.sizes[i], head.guards):
            return None
        rules[i] = sum(o * s for o, s in own.items())
    return None if rest else rules


def aligned(statement: Statement, box: Box) -> Statement:
    """Give a statement with its parallel indices called as those of a box of the same sizes."""
    old = [i for i, _ in statement.box if i in statement.parallel]
    letters: dict[Any, Any] = {a: b for a, (b, _) in zip(old, box, strict=True) if a != b}
    taken = {b for b, _ in box}
    for i in statement.reduced:
        fresh = i
        while fresh in taken:
            fresh = Index(f"{fresh.name}2")
        taken.add(fresh)
        if fresh != i:
            letters[i] = fresh
    return statement.substitute(letters)
