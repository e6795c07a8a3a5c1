"""Cut long sums in parts, which threads share and which run together with what made their terms.

Before: dw[k] += dy[n,k,i]·x[n,i]        After: dw_parts[n,k] += dy[n,k,i]·x[n,i]
                                                dw[k] += dw_parts[n,k]

A part is all that one value of the slowest index adds, so the order of additions does not depend
on the number of threads; or, where these terms are made first and are more than is near, all that
one value of the two slowest adds. Sums of parts, and all that waits for them, come last: what makes
terms and what adds them up are neighbours then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from codegen.affine import Index, typical
from codegen.machine import Machine
from codegen.names import unused
from codegen.notation import BYTES, FLOATS, Reduce, Statement, Tensor
from codegen.program import Program
from codegen.schedule.group import NEAR
from codegen.schedule.order import far_first
from codegen.schedule.tile import tile_of

LONG = 1000  # terms of a part of each result that pay for one more sum
WORK = 100_000  # terms in all that are worth sharing
FEWEST = 4  # parts that are worth making
SMALL = 8  # times smaller that the parts must be than what they are summed from
SHORT = 100  # terms of a part that is cut once more, where only so its terms are near
LESS = 3  # times smaller that such parts must be
SLOWER = 1.03  # times as long that the sums themselves may take


def cut_sums(program: Program, machine: Machine) -> Program:
    """Give the program with long sums in parts, and whatever waits for such a sum at the end."""
    names = {t.name for t in program.tensors}
    early: list[Statement] = []
    late: list[Statement] = []
    waiting: set[Tensor] = set()
    for s in program.statements:
        along = () if len(program.definitions[s.target]) > 1 else _cut(s, program, machine)
        if along:
            part, total = _apart(s, along, names)
            names.add(part.target.name)
            early.append(part)
            late.append(total)
            waiting.add(s.target)
        elif waiting & {s.target, *(a.tensor for a in s.reads)}:
            late.append(s)
            waiting.add(s.target)
        else:
            early.append(s)
    return program.with_statements((*early, *late))


def _cut(s: Statement, program: Program, machine: Machine) -> tuple[Index, ...]:
    """Give the indices along which a sum is cut; none where that does not pay."""
    if s.op is not Reduce.SUM or s.bindings or s.guards or s.target.dtype not in FLOATS:
        return ()
    if len(s.reduced) < 2 or not all(isinstance(n, int) for _, n in s.box):
        return ()
    if not all(m == 0 or isinstance(m, Index) for m in s.maps):
        return ()
    one, two = (far_first(s)[:count] for count in (1, 2))
    if not _pays(s, one, LONG, SMALL, machine):
        return ()
    again = _beyond(s, one, program, machine) and _pays(s, two, SHORT, LESS, machine)
    return two if again and not _beyond(s, two, program, machine) else one


def _pays(
    s: Statement, along: tuple[Index, ...], least: int, smaller: int, machine: Machine
) -> bool:
    """Whether parts of a sum have enough terms, are small, and take no longer."""
    terms = math.prod(int(s.sizes[i]) for i in s.reduced)
    count = math.prod(int(s.sizes[i]) for i in along)
    long = terms >= least * count and math.prod(int(n) for _, n in s.box) >= WORK
    if count < FEWEST or not long or any(not {*along} <= _used(a.maps) for a in s.reads):
        return False
    part, _ = _apart(s, along, set())
    whole, pieces = tile_of(s, machine), tile_of(part, machine)
    if whole and pieces and pieces.work > SLOWER * whole.work:
        return False
    return smaller * _bytes(part.target) <= sum(_bytes(a.tensor) for a in s.reads)


def _beyond(s: Statement, along: tuple[Index, ...], program: Program, machine: Machine) -> bool:
    """Whether what is made for one part of a sum, and for nothing else, is too much to be near."""
    count = math.prod(int(s.sizes[i]) for i in along)
    made = {a.tensor for a in s.reads if a.tensor in program.definitions}
    own = {t for t in made if all(r == s for r in program.readers[t])}
    return sum(map(_bytes, own)) / count > NEAR * machine.l2


def _apart(s: Statement, along: tuple[Index, ...], names: set[str]) -> tuple[Statement, Statement]:
    """Give the sums over all but some indices, and the sum of these over those."""
    name = unused(f"{s.target.name}_parts", names)
    cut = tuple((i, s.sizes[i]) for i in along)
    parts = Tensor(name, (*(n for _, n in cut), *s.target.shape), s.target.dtype)
    inner = tuple(pair for pair in s.box if pair not in cut)
    outer = tuple(pair for pair in inner if pair[0] in s.parallel)
    part = replace(s, target=parts, maps=(*along, *s.maps), box=(*cut, *inner))
    return part, replace(s, body=parts[(*along, *s.maps)], box=(*outer, *cut), support=())


def _used(maps: Sequence[Any]) -> set[Any]:
    return {i for m in maps for i in m.free_symbols}


def _bytes(tensor: Tensor) -> float:
    return BYTES[tensor.dtype] * math.prod(map(typical, tensor.shape))
