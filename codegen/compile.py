"""The whole way from a program to something that runs, every stage kept for reading.

program → rewrite → kernels → memory plan → loop nests → C → library
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.affine import Dim, Index
from codegen.build import build
from codegen.emit import Unit, function_text, unit_text
from codegen.lower import Lowered, lower
from codegen.memory import MemoryPlan, find_views, plan
from codegen.names import Names
from codegen.program import Program
from codegen.rewrite import PASSES, rewrite
from codegen.schedule import Kernel, fuse

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Options:
    """What may be switched without changing results beyond rounding.

    `off` names rewrites to leave out (see `codegen.rewrite.PASSES`); `fuse` and `views` switch
    the grouping of statements into kernels and the sharing of memory by reshapes.
    """

    off: frozenset[str] = frozenset()
    fuse: bool = True
    views: bool = True


@dataclass(frozen=True)
class Plan:
    """A program on its way to C; each stage prints."""

    program: Program
    options: Options
    rewrites: tuple[tuple[str, Program], ...]
    rewritten: Program
    kernels: tuple[Kernel, ...]
    memory: MemoryPlan
    nests: tuple[Lowered, ...]
    unit: Unit = field(repr=False)

    @cached_property
    def functions(self) -> dict[str, str]:
        """The C of each nest by the name of its function."""
        return {low.function.name: function_text(low.function) for low in self.nests}

    @cached_property
    def stages(self) -> dict[str, str]:
        """Every stage as text, in order."""
        return {
            "statements": str(self.program),
            **{f"after {name}": str(program) for name, program in self.rewrites},
            "kernels": "\n\n".join(map(str, self.kernels)),
            "schedules": "\n".join(
                f"{low.function.name}: {schedule}"
                for low in self.nests
                for schedule in low.schedules
            ),
            "nests": "\n\n".join(str(low.function) for low in self.nests),
            "memory": str(self.memory),
            "c": self.unit.text,
        }


def make_plan(program: Program, options: Options | None = None, entry: str = "run") -> Plan:
    """Give every stage of a program up to its C text; no compiler is needed.

    >>> from codegen.notation import Tensor, indices, statement
    >>> x, y = Tensor("x", (3,)), Tensor("y", (3,))
    >>> (i,) = indices("i")
    >>> double = Program((x,), (y,), (statement(y[i], "=", 2 * x[i]),))
    >>> print(make_plan(double).nests[0].function)
    compute_y(x, y)
      for i in 0..3
        y_: float32 = (2 * x[i])
        y[i] = y_
    """
    options = options or Options()
    rewritten, steps = rewrite(program, options.off)
    views = find_views(rewritten) if options.views else {}
    kernels = fuse(rewritten, views, enabled=options.fuse)
    memory = plan(rewritten, kernels, views)
    names = Names(rewritten.tensors, program.dims, _letters(kernels))
    for old, new in rewritten.updates:
        if memory.base.get(new) == old:
            names.alias(new, old)
    nests = tuple(lower(kernel, names, memory) for kernel in kernels)
    unit = unit_text(rewritten, nests, memory, names, entry)
    return Plan(program, options, steps, rewritten, kernels, memory, nests, unit)


def _letters(kernels: Sequence[Kernel]) -> tuple[Index, ...]:
    """The indices of all nests: they get their names before any tensor does."""
    return tuple(dict.fromkeys(i for k in kernels for s in k.statements for i in s.sizes))


@dataclass(frozen=True)
class Executable:
    """A loaded program: `entry(arrays, workspace, dims)` runs it in one C call."""

    plan: Plan
    library: Any
    entry: Any
    _workspace: Any

    def dims(self, sizes: Sequence[int]) -> Any:
        """Give the values of the program's dims, in its order, as C wants them."""
        return self.library.ffi.new("int64_t[]", [*sizes, 0])

    def workspace_bytes(self, sizes: Sequence[int]) -> int:
        """Give the bytes of scratch memory that a call with these sizes needs."""
        return int(self._workspace(self.dims(sizes)))

    def run(self, arrays: Mapping[str, Array], dims: Mapping[Dim, int]) -> None:
        """Run once on arrays by name; outputs and updated parameters are written in place."""
        ffi = self.library.ffi
        sizes = [dims[d] for d in self.plan.program.dims]
        held = [arrays[t.name] for t in self.plan.unit.arrays]
        for tensor, array in zip(self.plan.unit.arrays, held, strict=True):
            if not array.flags.c_contiguous or array.dtype != np.dtype(tensor.dtype):
                raise ValueError(f"{tensor.name} must be a contiguous array of {tensor.dtype}")
        pointers = ffi.new("void *[]", [ffi.from_buffer(a) for a in held] or 1)
        scratch = aligned_bytes(self.workspace_bytes(sizes))
        self.entry(pointers, ffi.from_buffer(scratch), self.dims(sizes))


def aligned_bytes(count: int, alignment: int = 64) -> npt.NDArray[np.uint8]:
    """Give that many bytes, starting at a multiple of the alignment."""
    raw = np.empty(count + alignment, np.uint8)
    start = -raw.ctypes.data % alignment
    return raw[start : start + count]


def load(made: Plan, *, profile: str = "release", toolchain: Any = None) -> Executable:
    """Give a plan compiled and loaded.

    Raises `codegen.build.CompilerNotFound` where the machine has no C compiler.
    """
    entry = made.unit.entry
    library = build(made.unit.parts, made.unit.declarations, profile=profile, toolchain=toolchain)
    return Executable(
        made, library, getattr(library.lib, entry), getattr(library.lib, f"{entry}_workspace")
    )


PLAIN = Options(frozenset(p.name for p in PASSES), fuse=False, views=False)
"""Everything optional switched off: one nest a statement, guards tested, scatters left alone."""
