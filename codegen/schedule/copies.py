"""Copies of what others see, for sums of products that may not do well with it as it is.

Before: dx[n,c,3·i + 1,3·j] += w[k,c,1,0]·dy[n,k,i,j], and eight more like it
After:  dx_copy[n,c,3·i + 1,3·j] += w[k,c,1,0]·dy[n,k,i,j], ...
        dx[n,c,h,w] = dx_copy[n,c,h,w]

Only the program itself sees a copy, so it can be stored in blocks; one that is not goes again.
"""

from __future__ import annotations

import math

from codegen.affine import Index, index_symbols, split, typical
from codegen.machine import Machine
from codegen.names import unused
from codegen.notation import Access, Reduce, Statement, Tensor
from codegen.notation import statement as state
from codegen.program import Program
from codegen.schedule.contraction import contraction
from codegen.schedule.search import crowded

Copies = dict[Tensor, Tensor]


def with_copies(program: Program, machine: Machine) -> tuple[Program, Copies]:
    """Let sums of products read and write copies; give with them what each is a copy of.

    They are of what is given, where several indices move along an axis, for a copy by these might
    be larger; and of what is wanted, where results would be scattered over it.
    """
    given = {*program.inputs, *program.parameters}
    names = {t.name for t in program.tensors}

    def copied(tensor: Tensor) -> Tensor:
        name = unused(f"{tensor.name}_copy", names)
        names.add(name)
        return tensor.renamed(name)

    made = {t: copied(t) for t in program.outputs if _scattered(t, program, machine)}
    read: Copies = {}
    statements: list[Statement] = []
    for s in program.statements:
        if contraction(s):  # one that comes before all that need a copy does well without
            bad = (a.tensor for a in s.reads if a.tensor in given and not _one_by_one(a))
            read |= {t: copied(t) for t in dict.fromkeys(bad) if t not in read}
            s = s.substitute(read)
        statements.append(s.substitute(made))
    before = (_copy(copy, t) for t, copy in reversed(read.items()))
    after = (_copy(t, copy) for t, copy in made.items())
    originals = {copy: t for t, copy in (read | made).items()}
    return program.with_statements((*before, *statements, *after)), originals


def without_copies(program: Program, originals: Copies) -> Program:
    """Give the program without the copies that look just like what they are copies of."""
    renamed = (s.substitute(originals) for s in program.statements if not _copies(s, originals))
    return program.with_statements(renamed)


def _copy(target: Tensor, source: Tensor) -> Statement:
    at = tuple(Index(f"a{axis}") for axis in range(target.rank))
    return state(target[at], Reduce.SET, source[at])


def _copies(s: Statement, originals: Copies) -> bool:
    """Whether a statement only brings a copy up to date, or what it is a copy of."""
    if not isinstance(s.body, Access):
        return False
    source = s.body.tensor
    return originals.get(s.target) == source or originals.get(source) == s.target


def _one_by_one(access: Access) -> bool:
    """Whether each axis follows one index at most, and each index one axis."""
    moved = [index_symbols(m) for m in access.maps]
    used = [i for indices in moved for i in indices]
    return all(len(indices) <= 1 for indices in moved) and len({*used}) == len(used)


def _scattered(target: Tensor, program: Program, machine: Machine) -> bool:
    """Whether sums that leave elements out make all of a tensor, and vectors of it collide.

    Along the axis of channels, the lanes of such a vector go one by one to lines that drive each
    other out of a cache.
    """
    sums = [s for s in program.definitions[target] if contraction(s) and _leaps(s)]
    points = sum(math.prod(typical(s.sizes[i]) for i in s.parallel) for s in sums)
    if points < math.prod(map(typical, target.shape)):
        return False
    return all(_collides(s, machine) for s in sums)


def _leaps(s: Statement) -> bool:
    """Whether a statement leaves elements out along some axis of its target."""
    steps = (split(m)[1].values() for m in s.maps)
    return any(along and 1 not in map(abs, along) for along in steps)


def _collides(s: Statement, machine: Machine) -> bool:
    """Whether lanes along the last axis that has an index of its own meet in a cache."""
    nest = contraction(s)
    assert nest is not None
    alone = [i for i in nest.parallel if nest.target.alone(i)]
    if not alone:
        return False
    lane = min(alone, key=lambda i: nest.target.strides[i])
    lanes = min(machine.lanes(nest.dtype), nest.sizes[lane])
    return bool(crowded(nest.target, {lane: lanes}, nest.dtype))
