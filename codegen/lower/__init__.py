"""From kernels to loop nests: loops over the box, guards as loop bounds, sums in registers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from codegen.freeze import size_of
from codegen.lower.kernel import KernelWriter
from codegen.lower.loops import ZERO
from codegen.lower.share import phases
from codegen.machine import Machine
from codegen.memory import MemoryPlan
from codegen.names import Names
from codegen.nest import Array, Function, Loop, names_in, without_unused
from codegen.notation import Tensor
from codegen.schedule.collapse import collapse
from codegen.schedule.fuse import Kernel, Stage
from codegen.schedule.group import Group
from codegen.schedule.order import Schedule
from codegen.schedule.tile import Tile


@dataclass(frozen=True)
class Lowered:
    """A group as a function, the tensors it takes in order, and the schedules it chose."""

    function: Function
    tensors: tuple[Tensor, ...]
    group: Group
    schedules: tuple[Schedule | Tile, ...]


def lower(group: Group, names: Names, memory: MemoryPlan, machine: Machine) -> tuple[Lowered, ...]:
    """Give the loop nests of a group, one for each phase that must end before the next begins.

    Tensors that are not stored live in registers only.
    """
    stored = {t.name for t in memory.stored}
    names.restart()
    writers = [KernelWriter(names, stored, machine) for _ in group.kernels]
    # Kernels that share a function must agree on the shapes of their arrays.
    kernels = group.inner if group.outer else tuple(map(_collapsed, group.kernels))
    nodes = [n for w, k in zip(writers, kernels, strict=True) for n in w.kernel(k)]
    for d, n in reversed(group.outer):
        stop = size_of(n, names.letter)
        nodes = [Loop(names.letter(d), (ZERO,), (stop,), tuple(nodes), shared=True)]
    body = without_unused(tuple(nodes))
    shapes = {
        t.name: t
        for k in kernels
        for s in k.statements
        for t in (s.target, *(a.tensor for a in s.reads))
    }
    made = [t for k in group.kernels for t in k.made if t in memory.stored]
    written = {names.tensor(t) for t in made}
    reads = dict.fromkeys((*(t for k in group.kernels for t in k.reads), *made))

    def array(name: str, t: Tensor, shared: bool) -> Array:
        shape = tuple(size_of(n, names.letter) for n in shapes[t.name].shape)
        return Array(name, t.dtype, shape, name in written, shared)

    found = []
    for k, phase in enumerate(phases(body)):
        mentioned = names_in(phase.nodes, ())  # where nothing competes, the best's place has no use
        taken: dict[str, Tensor] = {}  # an updated parameter is read and written as one array
        for t in reads:
            if names.tensor(t) in mentioned and t not in group.local:
                taken.setdefault(names.tensor(t), t)
        shared = Counter(memory.home(t) for t in taken.values())  # a view beside what it shows
        arrays = tuple(array(name, t, shared[memory.home(t)] > 1) for name, t in taken.items())
        used = names_in(phase.nodes, arrays)
        function = Function(
            names.function(group.kernels[-1].stages[-1].tensor),
            tuple(str(s) for kernel in group.kernels for s in kernel.statements),
            tuple(d for d in names.dims if d in used),
            arrays,
            phase.nodes,
            phase.count,
            phase.least,
            tuple(array(names.tensor(t), t, False) for t in group.local),
        )
        schedules = () if k else tuple(s for w in writers for s in w.schedules)
        found.append(Lowered(function, tuple(taken.values()), group, schedules))
    return tuple(found)


def _collapsed(kernel: Kernel) -> Kernel:
    """Give the kernel with contiguous neighbours merged into one index, if they all can be."""
    merged = iter(collapse(kernel.statements))
    stages = []
    for stage in kernel.stages:
        own = tuple(next(merged) for _ in stage.statements)
        stages.append(Stage(own[0].target, own))
    return Kernel(tuple(stages))


__all__ = ["Lowered", "lower"]
