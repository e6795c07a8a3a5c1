"""Cut long sums in parts, which threads share and which run together with what made their terms.

Before: dw[k] += dy[n,k,i]·x[n,i]        After: dw_parts[n,k] += dy[n,k,i]·x[n,i]
                                                dw[k] += dw_parts[n,k]

A part is all that one value of the slowest index adds, so the order of additions does not depend
on the number of threads. Sums of parts, and all that waits for them, come last: what makes terms
and what adds them up are neighbours then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from codegen.affine import Index, typical
from codegen.machine import Machine
from codegen.notation import BYTES, FLOATS, Reduce, Statement, Tensor
from codegen.program import Program
from codegen.schedule.order import far_first
from codegen.schedule.tile import tile_of

LONG = 1000  # terms of a part of each result that pay for one more sum
WORK = 100_000  # terms in all that are worth sharing
FEWEST = 4  # parts that are worth making
SMALL = 8  # times smaller that the parts must be than what they are summed from
SLOWER = 1.03  # times as long that the sums themselves may take


def cut_sums(program: Program, machine: Machine) -> Program:
    """Give the program with long sums in parts, and whatever waits for such a sum at the end."""
    names = {t.name for t in program.tensors}
    early: list[Statement] = []
    late: list[Statement] = []
    waiting: set[Tensor] = set()
    for s in program.statements:
        cut = None if len(program.definitions[s.target]) > 1 else _cut(s, names, machine)
        if cut is not None:
            part, total = cut
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


def _cut(s: Statement, names: set[str], machine: Machine) -> tuple[Statement, Statement] | None:
    """Give the parts of a sum and the sum of these; None where that does not pay."""
    if s.op is not Reduce.SUM or s.bindings or s.guards or s.target.dtype not in FLOATS:
        return None
    if len(s.reduced) < 2 or not all(isinstance(n, int) for _, n in s.box):
        return None
    if not all(m == 0 or isinstance(m, Index) for m in s.maps):
        return None
    index = far_first(s)[0]
    terms = math.prod(int(s.sizes[i]) for i in s.reduced)
    count = int(s.sizes[index])
    long = terms >= LONG * count and math.prod(int(n) for _, n in s.box) >= WORK
    if count < FEWEST or not long or any(index not in _used(a.maps) for a in s.reads):
        return None
    part, total = _apart(s, index, names)
    whole, pieces = tile_of(s, machine), tile_of(part, machine)
    if whole and pieces and pieces.work > SLOWER * whole.work:
        return None
    given = sum(_bytes(a.tensor) for a in s.reads)
    return (part, total) if SMALL * _bytes(part.target) <= given else None


def _apart(s: Statement, index: Index, names: set[str]) -> tuple[Statement, Statement]:
    """Give the sums over all indices but one, and the sum of these over that one."""
    name = f"{s.target.name}_parts"
    while name in names:
        name += "_"
    along = (index, s.sizes[index])
    parts = Tensor(name, (along[1], *s.target.shape), s.target.dtype)
    inner = tuple(pair for pair in s.box if pair != along)
    outer = tuple(pair for pair in inner if pair[0] in s.parallel)
    part = replace(s, target=parts, maps=(index, *s.maps), box=(along, *inner))
    return part, replace(s, body=parts[(index, *s.maps)], box=(*outer, along), support=())


def _used(maps: Sequence[Any]) -> set[Any]:
    return {i for m in maps for i in m.free_symbols}


def _bytes(tensor: Tensor) -> float:
    return BYTES[tensor.dtype] * math.prod(map(typical, tensor.shape))
