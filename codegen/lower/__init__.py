"""From kernels to loop nests: loops over the box, guards as loop bounds, sums in registers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from codegen.affine import Size
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

Shape = tuple[Size, ...]
NOTHING = Schedule((), (), None).loops  # of which there is nothing to say


@dataclass(frozen=True)
class Lowered:
    """A group as a function, the tensors it takes in order, and the schedules it chose.

    The function may be that of another group, which does the same to other tensors.
    """

    function: Function
    tensors: tuple[Tensor, ...]
    group: Group
    schedules: tuple[Schedule | Tile, ...]

    @property
    def doc(self) -> tuple[str, ...]:
        """What the function computes here."""
        return _formulas(self.group)


def distinct_functions(lowered: Iterable[Lowered]) -> tuple[Function, ...]:
    """Give each function once."""
    return tuple({low.function.name: low.function for low in lowered}.values())


def _formulas(group: Group) -> tuple[str, ...]:
    return tuple(str(s) for kernel in group.kernels for s in kernel.statements)


def lower(group: Group, names: Names, memory: MemoryPlan, machine: Machine) -> tuple[Lowered, ...]:
    """Give the loop nests of a group, one for each phase that must end before the next begins.

    Tensors that are not stored live in registers only.
    """
    stored = {t.name for t in memory.stored}
    over = {t: memory.base[t] for k in group.kernels for t in k.made if t in memory.base}
    names.restart(over)
    kernels = tuple(map(_collapsed, group.inner))
    shapes, shown = _shapes(group.inner, kernels, names)
    writers = [KernelWriter(names, stored, machine, shown) for _ in kernels]
    nodes = [n for w, k in zip(writers, kernels, strict=True) for n in w.kernel(k)]
    for d, n in reversed(group.outer):
        stop = size_of(n, names.letter)
        nodes = [Loop(names.letter(d), (ZERO,), (stop,), tuple(nodes), shared=True)]
    body = without_unused(tuple(nodes))
    schedules = tuple(s for w in writers for s in w.schedules)
    loops = dict.fromkeys(s.loops for s in schedules if s.loops != NOTHING)
    made = [t for k in group.kernels for t in k.made if t in memory.stored]
    written = {names.tensor(t) for t in made}
    reads = dict.fromkeys((*(t for k in group.kernels for t in k.reads), *made))

    def array(name: str, t: Tensor, shared: bool, shape: Shape | None = None) -> Array:
        extents = tuple(size_of(n, names.letter) for n in shape or shapes[names.tensor(t)])
        return Array(name, t.dtype, extents, name in written, shared)

    found = []
    for k, phase in enumerate(phases(body, machine.wake, together=bool(group.outer))):
        mentioned = names_in(phase.nodes, ())  # where nothing competes, the best's place has no use
        flat = {key: name for key, name in shown.items() if name in mentioned}
        mentioned |= {name for name, _ in flat}
        taken: dict[str, Tensor] = {}  # an updated parameter is read and written as one array
        for t in reads:
            if names.tensor(t) in mentioned and t not in group.local:
                taken.setdefault(names.tensor(t), t)
        shared = Counter(memory.home(t) for t in taken.values())  # a view beside what it shows
        arrays = tuple(array(name, t, shared[memory.home(t)] > 1) for name, t in taken.items())
        known = taken | {names.tensor(t): t for t in group.local}
        used = names_in(phase.nodes, arrays)
        function = Function(
            names.function(group.kernels[-1].stages[-1].tensor),
            _formulas(group),
            tuple(d for d in names.dims if d in used),
            arrays,
            phase.nodes,
            phase.count,
            phase.least,
            tuple(array(names.tensor(t), t, False) for t in group.local),
            tuple(
                (replace(array(of, known[of], False, shape), name=name), of)
                for (of, shape), name in flat.items()
            ),
            (_extents(taken), *loops),
        )
        found.append(Lowered(function, tuple(taken.values()), group, () if k else schedules))
    return tuple(found)


def _extents(taken: Mapping[str, Tensor]) -> str:
    """Say how large arrays are; those of one number have no extents."""
    sized = (f"{name} {'×'.join(map(str, t.shape))}" for name, t in taken.items() if t.rank)
    return ", ".join(sized)


def _shapes(
    whole: Sequence[Kernel], kernels: Sequence[Kernel], names: Names
) -> tuple[dict[str, Shape], dict[tuple[str, Shape], str]]:
    """The shape that each array is declared in, and names for those shown in others too.

    Kernels that share a function need not merge the same axes: then none are merged where the
    array is declared.
    """

    def found(kernels: Sequence[Kernel]) -> dict[str, set[Shape]]:
        shapes: dict[str, set[Shape]] = {}
        for s in (s for k in kernels for s in k.statements):
            for t in (s.target, *(a.tensor for a in s.reads)):
                shapes.setdefault(names.tensor(t), set()).add(t.shape)
        return shapes

    declared = found(whole)
    declared |= {name: shapes for name, shapes in found(kernels).items() if len(shapes) == 1}
    shown = {
        (name, shape): names.fresh(f"{name}_flat")
        for name, shapes in found(kernels).items()
        for shape in sorted(shapes - declared[name], key=str)
    }
    return {name: next(iter(shapes)) for name, shapes in declared.items()}, shown


def _collapsed(kernel: Kernel) -> Kernel:
    """Give the kernel with contiguous neighbours merged into one index, if they all can be."""
    merged = iter(collapse(kernel.statements))
    stages = []
    for stage in kernel.stages:
        own = tuple(next(merged) for _ in stage.statements)
        stages.append(Stage(own[0].target, own))
    return Kernel(tuple(stages))


__all__ = ["Lowered", "distinct_functions", "lower"]
