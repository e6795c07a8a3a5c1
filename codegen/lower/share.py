"""Loops that several threads can share: a chain of them becomes one loop over tasks.

Before: for n in 0..N          After: for task in first..last
          for i in 0..28                n = task / 28
            ...                         i = task % 28
                                        ...

Iterations of a shared loop write different elements and read none that another one writes, so who
runs them, and how many at once, is not seen in the result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from codegen.affine import TYPICAL
from codegen.nest import (
    Apply,
    Element,
    Expression,
    Let,
    Loop,
    Name,
    Node,
    Number,
    Scratch,
    Store,
    Transpose,
    When,
    times,
)

ENOUGH = 32  # tasks: more balance no better, and cost more to hand out
MANY = 16  # tasks: these do if the loops inside cannot be shared as one
# Iterations of a task, where each is so short that compilers turn several into vectors. Where two
# products are added they may fuse either one into a multiply-add, and do not choose alike for
# vectors and for what is left over; between stretches of whole vectors nothing is.
GRAIN = 64
CALL = 12  # operations that a function of the mathematics library stands for
FIRST, LAST = Name("first"), Name("last")
ZERO = Number(0, "int64")


@dataclass(frozen=True)
class Phase:
    """Nodes that run before the next phase starts: `count` tasks, shared if at least `least`."""

    nodes: tuple[Node, ...]
    count: Expression | None
    least: int = 0


def phases(nodes: Sequence[Node], wake: int, *, together: bool = False) -> tuple[Phase, ...]:
    """Give a kernel's nodes as phases: each loop of its own where nothing else stands beside.

    What runs `together` in one iteration, passing small arrays on, is not parted; and no loop is
    shared for less than `wake` operations.
    """
    if not all(isinstance(node, Loop) for node in nodes):
        return (Phase(tuple(nodes), None),)
    loops = (node for node in nodes if isinstance(node, Loop))
    parts = loops if together else (part for loop in loops for part in parted(loop))
    return tuple(_phase(part, wake) for part in parts)


def parted(loop: Loop) -> tuple[Loop, ...]:
    """Give a loop as one for each of those inside where only these make tasks enough.

    Before: for g in 0..3                   After: for g in 0..3
              for k in 0..48 by 9                    for k in 0..48 by 9
                ...                                    ...
              for k in 48..52 by 4                 for g in 0..3
                ...                                  for k in 48..52 by 4
                                                       ...
    """
    chain = _chain(loop)
    inside = chain[-1].body if chain else ()
    shared = [node for node in inside if isinstance(node, Loop) and node.shared]
    if len(inside) < 2 or len(shared) < len(inside) or _tasks(chain) >= MANY:
        return (loop,)
    found: list[Loop] = []
    for node in shared:
        for link in reversed(chain):
            node = replace(link, body=(node,))
        found += parted(node)
    return tuple(found)


def joined(nodes: Sequence[Node], *, within: bool = False) -> list[Node]:
    """Give loops, whose iterations are independent, with neighbours that count alike made one.

    Before: for i in 0..56                  After: for i in 0..56
              for k in 0..60 by 6                    for k in 0..60 by 6
                ...                                    ...
            for i in 0..56                           for k in 60..64 by 4
              for k in 60..64 by 4                     ...
                ...

    What the first of them fetches is near when the second needs it, and threads wait for each other
    once. Where they differ, nothing inside is shared any more, so those around have to make tasks
    enough; `within` a loop that is shared they make more than that one alone.
    """
    found: list[Node] = []
    for node in nodes:
        last = found[-1] if found else None
        if isinstance(last, Loop) and isinstance(node, Loop) and _alike(last, node):
            both = replace(last, body=tuple(joined([*last.body, *node.body], within=True)))
            if within or _tasks(_chain(both)) >= MANY:
                found[-1] = both
                continue
        found.append(node)
    return found


def _alike(one: Loop, other: Loop) -> bool:
    """Whether two loops are shared, differ at most in what they do, and name nothing twice."""
    named = [node.name for node in (*one.body, *other.body) if isinstance(node, Let | Scratch)]
    once = len({*named}) == len(named)
    return one.shared and once and replace(one, body=other.body) == other


def _tasks(chain: Sequence[Loop]) -> float:
    """About how many tasks nested loops make."""
    return math.prod(_number(_trips(link)) for link in chain)


def _phase(loop: Loop, wake: int) -> Phase:
    chain = _chain(loop)
    if not chain:
        return Phase((loop,), None)
    trips = [_trips(link) for link in chain]
    body = chain[-1].body
    count = trips[0]
    for more in trips[1:]:
        count = _product(count, more)
    (only, *others) = chain
    straight = not others and only.start == (ZERO,) and only.step == 1
    grain = GRAIN if straight and _elements(body) < GRAIN else 1
    least = max(2, int(-(-wake // (grain * max(1.0, sum(map(_work, body)))))))
    tasks = _grains(count, grain)
    if isinstance(tasks, Number) and tasks.value < least:
        return Phase((loop,), None)
    if straight:
        stop = (times(LAST, grain), *(only.stop if grain > 1 else ()))
        first, alone = (times(FIRST, grain),), grain == 1
        shared: Loop = replace(only, start=first, stop=stop, shared=False, apart=alone)
        return Phase((shared,), tasks, least)
    lets: list[Node] = []
    for k, link in enumerate(chain):
        at: Expression = Name("task")
        for inner in trips[k + 1 :]:
            at = Apply("/", (at, inner), "int64")
        if k:
            at = Apply("mod", (at, trips[k]), "int64")
        at = times(at, link.step)
        if link.start != (ZERO,):
            at = Apply("+", (at, link.start[0]), "int64")
        lets.append(Let(link.index, "int64", at))
    task = Loop("task", (FIRST,), (LAST,), (*lets, *body), apart=True)
    return Phase((task,), tasks, least)


def _chain(loop: Loop) -> list[Loop]:
    """The shared loops, one directly inside the other, that give tasks enough."""
    chain: list[Loop] = []
    count = 1.0
    node: Node = loop
    while isinstance(node, Loop) and node.shared and count < ENOUGH:
        indices = {link.index for link in chain}
        simple = len(node.start) == len(node.stop) == 1
        if not simple or indices & _names((*node.start, *node.stop)):
            break
        if chain and not any(isinstance(inner, Loop) for inner in node.body):
            break
        chain.append(node)
        count *= _number(_trips(node))
        if len(node.body) != 1:
            break
        node = node.body[0]
    return chain


def _trips(loop: Loop) -> Expression:
    """How often the body runs."""
    (start,), (stop,) = loop.start, loop.stop
    if isinstance(start, Number) and isinstance(stop, Number):
        return Number(max(0, -(-int(stop.value - start.value) // loop.step)), "int64")
    length = stop if start == ZERO else Apply("-", (stop, start), "int64")
    return _grains(length, loop.step)


def _grains(count: Expression, size: int) -> Expression:
    """How many parts of this size there are, the last one perhaps smaller."""
    if size == 1:
        return count
    if isinstance(count, Number):
        return Number(-(-int(count.value) // size), "int64")
    more = Apply("+", (count, Number(size - 1, "int64")), "int64")
    return Apply("/", (more, Number(size, "int64")), "int64")


def _product(a: Expression, b: Expression) -> Expression:
    if isinstance(a, Number) and isinstance(b, Number):
        return Number(a.value * b.value, "int64")
    return Apply("*", (a, b), "int64")


def _number(e: Expression) -> float:
    """About how large a size is."""
    match e:
        case Number(value):
            return float(value)
        case Apply("*", (a, b)):
            return _number(a) * _number(b)
        case Apply("/", (a, b)):
            return _number(a) / max(1.0, _number(b))
        case Apply("+", (a, b)):
            return _number(a) + _number(b)
        case Apply("-", (a, b)):
            return max(1.0, _number(a) - _number(b))
    return float(TYPICAL)


def _about(loop: Loop) -> float:
    """About how often the body runs."""
    return max(1.0, (_number(loop.stop[0]) - _number(loop.start[0])) / loop.step)


def _work(node: Node) -> float:
    """About how many operations a node takes."""
    match node:
        case Loop():
            return _about(node) * sum(map(_work, node.body))
        case When(_, body):
            return 1 + sum(map(_work, body))
        case Let(_, _, value) | Store(_, value):
            return 1 + _operations(value)
        case Transpose(_, _, value):
            _, _, rows = str(value.dtype).removesuffix("@").partition("x")
            return float(rows) ** 2
    return 0


def _operations(e: Expression) -> float:
    match e:
        case Apply(op, args):
            known = not op.isidentifier() or op in ("neg", "select", "cast", "and", "or", "not")
            return (1 if known else CALL) + sum(map(_operations, args))
    return 0


def _elements(body: Sequence[Node]) -> float:
    """About how often the innermost of these nodes run."""
    loops = [node for node in body if isinstance(node, Loop)]
    return sum(_about(one) * _elements(one.body) for one in loops) if loops else 1.0


def _names(expressions: Sequence[Expression]) -> set[str]:
    found: set[str] = set()
    for e in expressions:
        match e:
            case Name(name):
                found.add(name)
            case Element(array, at):
                found |= {array} | _names(at)
            case Apply(_, args):
                found |= _names(args)
    return found
