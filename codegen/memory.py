"""Where each tensor lives: views share memory, updates happen in place, dead arrays make room.

What is neither given nor a result lies in one workspace, at offsets that `codegen.arena` finds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from codegen.affine import Dim, Size
from codegen.arena import ALIGNMENT, Arena, Block, place
from codegen.notation import BYTES, Access, Reduce, Statement, Tensor
from codegen.program import Program
from codegen.rewrite.maps import injective
from codegen.schedule.fuse import Kernel
from codegen.schedule.group import Group

Home = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class MemoryPlan:
    """Which array holds each tensor.

    `base` sends a view to the tensor whose memory it shows, an updated parameter's next value to
    the parameter, and what is written over a dying operand to that operand; tensors that are
    neither given nor in the arena never leave registers.
    """

    base: Mapping[Tensor, Tensor]
    arena: Arena
    stored: frozenset[Tensor]
    copies: tuple[tuple[Tensor, Tensor], ...]
    program: Program

    def home(self, tensor: Tensor) -> Tensor:
        """Give the tensor whose memory holds this one."""
        while tensor in self.base:
            tensor = self.base[tensor]
        return tensor

    def workspace(self, dims: Mapping[Dim, int]) -> int:
        """Give the size of the workspace in bytes for these sizes."""
        return self.arena.bytes(dims)

    def live(self, dims: Mapping[Dim, int]) -> int:
        """Give the most bytes of workspace tensors that live at the same time."""
        return self.arena.live(dims)

    def __str__(self) -> str:
        p, arena = self.program, self.arena
        held = [*p.inputs, *p.parameters, *p.outputs]
        lines = [f"{_size(t)!s:>16} bytes  {t.name}: {_role(t, p)}" for t in dict.fromkeys(held)]
        for block, start in zip(arena.blocks, arena.starts, strict=True):
            while_ = f"while groups {block.born} to {block.dies} run"
            lines.append(f"{block.bytes!s:>16} bytes  {block.tensor.name}: at {start}, {while_}")
        for let in arena.lets:
            most = ", ".join(map(str, let.sizes))
            text = f"max({most})" if len(let.sizes) > 1 else most
            lines.append(f"{'':>16}        {let.name} = {text}, rounded up to {ALIGNMENT}")
        lines += [
            f"{'':>16}        {v.name}: in the memory of {b.name}" for v, b in self.base.items()
        ]
        return "\n".join([*lines, *map(self._summary, arena.samples[::3])])

    def _summary(self, dims: Mapping[Dim, int]) -> str:
        where = "".join(f" at {d} = {n}" for d, n in dims.items())
        total, live = self.workspace(dims), self.live(dims)
        ratio = f", {total / live:.3f} of them" if live else ""
        return f"{total:>16} bytes  workspace{where}; {live} live at the same time{ratio}"


def _role(tensor: Tensor, program: Program) -> str:
    if tensor in program.inputs:
        return "input"
    return "parameter" if tensor in program.parameters else "output"


def _size(tensor: Tensor) -> Any:
    return sympy.expand(sympy.Mul(BYTES[tensor.dtype], *map(sympy.sympify, tensor.shape)))


def find_views(program: Program) -> dict[Tensor, Tensor]:
    """Give the tensors that only show another one's elements in the same order of memory."""
    kept = {*program.outputs, *(new for _, new in program.updates)}
    changed = {old for old, _ in program.updates}
    views: dict[Tensor, Tensor] = {}
    for tensor, statements in program.definitions.items():
        source = _viewed(statements)
        if source is not None and tensor not in kept and source not in changed:
            views[tensor] = source
    return views


def _viewed(statements: Sequence[Statement]) -> Tensor | None:
    """The tensor that a single copy shows whole, element by element in memory order."""
    (s, *more) = statements
    if more or s.op is not Reduce.SET or not isinstance(s.body, Access):
        return None
    source = s.body.tensor
    if s.guards or source.dtype != s.target.dtype or not injective(s):
        return None
    if _size(source) != _size(s.target):
        return None
    points = sympy.expand(sympy.Mul(*(sympy.sympify(n) for _, n in s.box)))
    if sympy.expand(points * BYTES[source.dtype]) != _size(source):
        return None
    same = _offset(source, s.body.maps) == _offset(s.target, s.maps)
    return source if same else None


def _offset(tensor: Tensor, maps: Sequence[Any]) -> Any:
    """The place of an element counted in memory order."""
    offset: Any = sympy.S.Zero
    for m, size in zip(maps, tensor.shape, strict=True):
        offset = offset * size + m
    return sympy.expand(offset)


def plan(program: Program, groups: Sequence[Group], views: Mapping[Tensor, Tensor]) -> MemoryPlan:
    """Give the memory plan of a program whose groups of kernels run in this order."""
    base: dict[Tensor, Tensor] = dict(views)

    def home(tensor: Tensor) -> Tensor:
        while tensor in base:
            tensor = base[tensor]
        return tensor

    copies = []
    for old, new in program.updates:
        kept = new in program.outputs or new in base  # by whoever reads it, by another parameter
        if not kept and _in_place(old, new, groups, home):
            base[new] = old
        else:
            copies.append((old, new))
    given = {*program.inputs, *program.parameters, *program.outputs}
    local = {t for group in groups for t in group.local}
    apart = given | local | {new for _, new in copies}
    for at, group in enumerate(groups):
        for kernel in group.kernels:
            for new in kernel.made:
                if new not in apart and home(new) == new:
                    base |= _over_operand(new, kernel, groups, at, apart, home)
    born, dies = _lives(groups, [new for _, new in copies], home)
    arrays = [t for t in born if t not in given | local and t in dies]
    stored = frozenset(
        t
        for group in groups
        for k in group.kernels
        for t in k.made
        if home(t) in given or home(t) in dies
    )
    blocks = [Block(t, _whole(_size(t)), born[t], dies[t]) for t in arrays]
    return MemoryPlan(base, place(blocks), stored, tuple(copies), program)


def _lives(
    groups: Sequence[Group], copied: Collection[Tensor], home: Home
) -> tuple[dict[Tensor, int], dict[Tensor, int]]:
    """Give the group that first makes each array, and the last that reads it from memory."""
    born: dict[Tensor, int] = {}
    dies: dict[Tensor, int] = {}
    read: set[Tensor] = set()
    for at, group in enumerate(groups):
        for kernel in group.kernels:
            for tensor in kernel.made:
                born.setdefault(home(tensor), at)
            for tensor in kernel.reads:
                dies[home(tensor)] = at
            read |= {home(a.tensor) for stage in kernel.stages for a in stage.reads}
    dies |= {home(new): len(groups) for new in copied}
    for tensor in born.keys() - read:  # what nobody reads is written all the same
        dies.setdefault(tensor, born[tensor])
    return born, dies


def _over_operand(
    new: Tensor,
    kernel: Kernel,
    groups: Sequence[Group],
    at: int,
    apart: Collection[Tensor],
    home: Home,
) -> dict[Tensor, Tensor]:
    """Give the operand of a kernel that dies there, over which its result may be written."""
    later = {t for group in groups[at:] for k in group.kernels for t in k.reads if k != kernel}
    if new not in later:
        return {}  # it stays in registers
    made = {t for k in groups[at].kernels for t in k.made}
    for old in kernel.reads:
        taken = home(old) in apart or home(old) in map(home, made)
        if old.shape == new.shape and not taken and _in_place(old, new, groups, home):
            return {new: old}
    return {}


def _in_place(old: Tensor, new: Tensor, groups: Sequence[Group], home: Home) -> bool:
    """Whether a value may be written over an old one: nobody else reads the old one from then on.

    In the kernel that writes it, the old value may be read at the very point that is written.
    """
    at = next(
        (g for g, group in enumerate(groups) if any(new in k.made for k in group.kernels)), -1
    )
    if at < 0 or old.dtype != new.dtype:
        return False
    kernel = next(k for k in groups[at].kernels if new in k.made)
    # Those that run together do so again in the next iteration.
    others = [k for group in groups[at:] for k in group.kernels if k is not kernel]
    if any(home(t) == home(old) for k in others for t in k.reads):
        return False
    written = kernel.made.index(new)
    place = kernel.stages[written].statements[-1].maps
    for k, stage in enumerate(kernel.stages):
        for s in stage.statements:
            for a in s.reads:
                elsewhere = a.maps != place or s.reduced or not stage.whole or a.tensor != old
                if home(a.tensor) == home(old) and (elsewhere or k > written):
                    return False
    return kernel.stages[written].whole


def _whole(size: Any) -> Size:
    return int(size) if size.is_Integer else size
