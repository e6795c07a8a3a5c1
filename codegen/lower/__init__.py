"""From kernels to loop nests: loops over the box, guards as loop bounds, sums in registers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from codegen.freeze import size_of
from codegen.lower.kernel import KernelWriter
from codegen.lower.share import phases
from codegen.machine import Machine
from codegen.memory import MemoryPlan
from codegen.names import Names
from codegen.nest import Array, Function, names_in, without_unused
from codegen.notation import Tensor
from codegen.schedule.collapse import collapse
from codegen.schedule.fuse import Kernel, Stage
from codegen.schedule.order import Schedule
from codegen.schedule.tile import Tile


@dataclass(frozen=True)
class Lowered:
    """A kernel as a function, the tensors it takes in order, and the schedules it chose."""

    function: Function
    tensors: tuple[Tensor, ...]
    kernel: Kernel
    schedules: tuple[Schedule | Tile, ...]


def lower(
    kernel: Kernel, names: Names, memory: MemoryPlan, machine: Machine
) -> tuple[Lowered, ...]:
    """Give the loop nests of a kernel, one for each phase that must end before the next begins.

    Tensors that are not stored live in registers only.
    """
    stored = memory.stored
    names.restart()
    flat = _collapsed(kernel)
    writer = KernelWriter(names, {t.name for t in stored}, machine)
    body = without_unused(tuple(writer.kernel(flat)))
    shapes = {t.name: t for s in flat.statements for t in (s.target, *(a.tensor for a in s.reads))}
    written = {names.tensor(t) for t in kernel.made if t in stored}
    reads = (*kernel.reads, *(t for t in kernel.made if t in stored))
    found = []
    for k, phase in enumerate(phases(body)):
        mentioned = names_in(phase.nodes, ())  # where nothing competes, the best's place has no use
        taken: dict[str, Tensor] = {}  # an updated parameter is read and written as one array
        for t in reads:
            if names.tensor(t) in mentioned:
                taken.setdefault(names.tensor(t), t)
        shared = Counter(memory.home(t) for t in taken.values())  # a view beside what it shows
        arrays = tuple(
            Array(
                name,
                t.dtype,
                tuple(size_of(n, names.letter) for n in shapes[t.name].shape),
                name in written,
                shared[memory.home(t)] > 1,
            )
            for name, t in taken.items()
        )
        used = names_in(phase.nodes, arrays)
        function = Function(
            names.function(kernel.stages[-1].tensor),
            tuple(str(s) for s in kernel.statements),
            tuple(d for d in names.dims if d in used),
            arrays,
            phase.nodes,
            phase.count,
            phase.least,
        )
        schedules = () if k else tuple(writer.schedules)
        found.append(Lowered(function, tuple(taken.values()), kernel, schedules))
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
