"""Run groups early that let more memory go than they take.

Before: dy₂, dx₂, dy₁, dx₁, …, next w₂, next w₁     x₂ and x₁ are kept to the end
After:  dy₂, next w₂, dx₂, dy₁, next w₁, …          each goes once its weights are updated
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from codegen.affine import TYPICAL
from codegen.notation import BYTES, Tensor
from codegen.program import Program
from codegen.schedule.group import Group
from codegen.sizes import evaluate


@dataclass(frozen=True)
class _Flow:
    """What groups, which sets of bits stand for, need of each other.

    `needs` says for each group which ones come before it, directly or not. Each array has its
    bytes, the group that makes it last, and the groups that read it.
    """

    needs: tuple[int, ...]
    arrays: tuple[tuple[int, int, int], ...]

    def live(self, done: int) -> int:
        """Give the bytes that are alive when these groups are done and no others."""
        return sum(n for n, made, read in self.arrays if done >> made & 1 and read & ~done)

    def most(self, order: Sequence[int], done: int = 0) -> int:
        """Give the most bytes that are alive while one of these groups runs, after others."""
        most = 0
        for g in order:
            most = max(most, self.live(done) + sum(n for n, made, _ in self.arrays if made == g))
            done |= 1 << g
        return most


def reorder(
    groups: Sequence[Group], program: Program, views: Mapping[Tensor, Tensor]
) -> tuple[Group, ...]:
    """Give the groups in an order in which less memory is alive at once, if there is one."""
    flow = _flow(groups, program, views)
    order = _early(flow, len(groups))
    if flow.most(order) >= flow.most(range(len(groups))):
        return tuple(groups)
    return tuple(groups[g] for g in order)


def _early(flow: _Flow, count: int) -> list[int]:
    """Go through the groups, and whenever some would set memory free, run these first.

    They are a last one, whose result no other group needs, and all that it needs. They must not
    take more than was alive before.
    """
    everyone = (1 << count) - 1
    last = everyone & ~functools.reduce(operator.or_, flow.needs, 0)
    order: list[int] = []
    done = most = 0
    for g in range(count):
        some = 1 << g & ~done
        while some:
            most = max(most, flow.most(_bits(some), done))
            order += _bits(some)
            done |= some
            cones = ((flow.needs[t] | 1 << t) & ~done for t in _bits(last & ~done))
            some = next(_letting_go(flow, cones, done, most), 0)
    return order


def _letting_go(flow: _Flow, some: Iterable[int], done: int, most: int) -> Iterator[int]:
    """Give those groups of all these after which less is alive than before, and at no time more."""
    now = flow.live(done)
    waiting = {read & ~done for _, made, read in flow.arrays if done >> made & 1 and read & ~done}
    for cone in some:
        ends_some = any(not readers & ~cone for readers in waiting)
        if ends_some and flow.live(done | cone) < now and flow.most(_bits(cone), done) <= most:
            yield cone


def _flow(groups: Sequence[Group], program: Program, views: Mapping[Tensor, Tensor]) -> _Flow:
    def home(tensor: Tensor) -> Tensor:
        while tensor in views:
            tensor = views[tensor]
        return tensor

    made: dict[Tensor, int] = {}
    readers: dict[Tensor, int] = {}
    for g, group in enumerate(groups):
        for kernel in group.kernels:
            made |= {home(t): g for t in kernel.made}
            for t in kernel.reads:
                readers[home(t)] = readers.get(home(t), 0) | 1 << g
    before = [0] * len(groups)
    for t, read in readers.items():
        if t in made:
            for g in _bits(read & ~(1 << made[t])):
                before[g] |= 1 << made[t]
    for old, new in program.updates:  # which is written over the old value once nobody reads it
        g = made[home(new)]
        before[g] |= readers.get(old, 0) & ((1 << g) - 1)
    needs: list[int] = []
    for direct in before:
        total = direct
        for other in _bits(direct):
            total |= needs[other]
        needs.append(total)
    elsewhere = {*program.outputs, *(new for _, new in program.updates)}
    arrays = tuple(
        (_bytes(t, program), g, readers.get(t, 0) & ~(1 << g))
        for t, g in made.items()
        if t not in elsewhere and readers.get(t, 0) & ~(1 << g)
    )
    return _Flow(tuple(needs), arrays)


def _bits(some: int) -> list[int]:
    return [g for g in range(some.bit_length()) if some >> g & 1]


def _bytes(tensor: Tensor, program: Program) -> int:
    dims = dict.fromkeys(program.dims, TYPICAL)
    return BYTES[tensor.dtype] * math.prod(evaluate(n, dims) for n in tensor.shape)
