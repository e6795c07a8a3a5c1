"""The whole way from a program to something that runs, every stage kept for reading.

program → rewrite → kernels → memory plan → loop nests → C → library
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import tee
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.affine import Dim, Index
from codegen.aligned import workspace
from codegen.build import build, open_team, require_toolchain
from codegen.emit import (
    Unit,
    declarations,
    function_text,
    given_arrays,
    unit_parts,
    unit_text,
    without_twins,
)
from codegen.fingerprint import fingerprint
from codegen.lower import Lowered, distinct_functions, lower
from codegen.machine import Machine, this_machine
from codegen.memory import MemoryPlan, find_views
from codegen.memory import plan as plan_memory
from codegen.names import Names
from codegen.notation import Tensor
from codegen.program import Program
from codegen.rewrite import PASSES, rewrite
from codegen.schedule import Group, Kernel, cut_sums, fuse, group, lay_out, reorder

Array = npt.NDArray[Any]


INEXACT = frozenset({"winograd"})  # rewrites after which rounding grows
LAYOUTS = "layouts"  # the choice between ways to lay the whole program out

Choices = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Options:
    """What may be switched without changing results beyond rounding.

    `off` names rewrites to leave out (see `codegen.rewrite.PASSES`); `fuse` and `views` switch
    the grouping of statements into kernels and the sharing of memory by reshapes, `layouts` the
    cutting of indices into blocks, `group` the running of kernels together, `reorder` the running
    of some of them earlier. `exact` leaves out the rewrites after which rounding grows. `machine`
    is what schedules are made for, this one unless given. `choices` take another than the first of
    what the cost model ranks: pairs of what is chosen (`LAYOUTS`, or a sum of products as
    `Tile.key` names it) and the rank to take.
    """

    off: frozenset[str] = frozenset()
    fuse: bool = True
    views: bool = True
    layouts: bool = True
    parts: bool = True
    group: bool = True
    reorder: bool = True
    exact: bool = False
    machine: Machine | None = None
    choices: Choices = ()

    def __repr__(self) -> str:
        switches = f"off={sorted(self.off)}, fuse={self.fuse}, views={self.views}"
        switches += f", layouts={self.layouts}, parts={self.parts}, group={self.group}"
        switches += f", reorder={self.reorder}, exact={self.exact}"
        return f"Options({switches}, machine={self.machine}, choices={sorted(self.choices)})"


@dataclass(frozen=True)
class Plan:
    """A program on its way to C. Each stage prints, and is worked out when it is first asked for.

    >>> from codegen.notation import Tensor, indices, statement
    >>> x, y = Tensor("x", (3,)), Tensor("y", (3,))
    >>> (i,) = indices("i")
    >>> double = Plan(Program((x,), (y,), (statement(y[i], "=", 2 * x[i]),)))
    >>> print(double.nests[0].function)
    compute_y(x, y)
      for i in 0..3
        y_: float32 = (2 * x[i])
        y[i] = y_
    """

    program: Program
    options: Options = Options()
    entry: str = "run"
    timed: bool = False  # its C tells how long each nest took

    @cached_property
    def machine(self) -> Machine:
        """The machine that schedules are made for."""
        return self.options.machine or this_machine()

    @cached_property
    def _rewriting(self) -> tuple[Program, tuple[tuple[str, Program], ...]]:
        return rewrite(self.program, self.options.off | (INEXACT if self.options.exact else set()))

    @property
    def rewritten(self) -> Program:
        """The program after all rewrites."""
        return self._rewriting[0]

    @property
    def rewrites(self) -> tuple[tuple[str, Program], ...]:
        """The program after each rewrite that changed it, by the rewrite's name."""
        return self._rewriting[1]

    @cached_property
    def laid_out(self) -> Program:
        """The rewritten program with indices cut, operands packed and tensors in blocks."""
        found = self.rewritten
        if self.options.layouts:
            rank = dict(self.options.choices).get(LAYOUTS, 0)
            found = lay_out(found, self.machine, rank)
        return cut_sums(found, self.machine) if self.options.parts else found

    @cached_property
    def _views(self) -> Mapping[Tensor, Tensor]:
        return find_views(self.laid_out) if self.options.views else {}

    @cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        """The statements grouped into loop nests."""
        return fuse(self.laid_out, self.machine, self._views, enabled=self.options.fuse)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The kernels that run together for one iteration of some loops after the other."""
        program = self.laid_out
        apart = {*self._views, *self._views.values(), *(new for _, new in program.updates)}
        found = group(self.kernels, program, self.machine, apart, enabled=self.options.group)
        return reorder(found, program, self._views) if self.options.reorder else found

    @cached_property
    def memory(self) -> MemoryPlan:
        """Where each tensor lives."""
        return plan_memory(self.laid_out, self.groups, self._views)

    @cached_property
    def _names(self) -> Names:
        names = Names(self.laid_out.tensors, self.program.dims, _letters(self.kernels))
        for old, new in self.laid_out.updates:
            if self.memory.base.get(new) == old:
                names.alias(new, old)
        return names

    @cached_property
    def _lowering(self) -> Iterator[Lowered]:
        """A start from which copies run, so that nests are made one by one, and each once."""
        machine = replace(self.machine, ranks=self.options.choices)
        parts = (lower(g, self._names, self.memory, machine) for g in self.groups)
        (start,) = tee(without_twins(low for part in parts for low in part), 1)
        return start

    @cached_property
    def nests(self) -> tuple[Lowered, ...]:
        """The loop nest of each kernel."""
        return tuple(copy(self._lowering))

    @cached_property
    def unit(self) -> Unit:
        """The C text."""
        given = self.laid_out, self.nests, self.memory, self._names
        return unit_text(*given, self.entry, self.timed)

    def parts(self) -> Iterator[tuple[str, str]]:
        """Give the C in several files by name, each as soon as it is known."""
        lowered = copy(self._lowering)
        given = self.laid_out, lowered, self.memory, self._names
        return unit_parts(*given, self.entry, self.timed)

    @property
    def arrays(self) -> tuple[Tensor, ...]:
        """The tensors that the C is given, in its order."""
        return given_arrays(self.program)

    @cached_property
    def functions(self) -> dict[str, str]:
        """The C of each nest by the name of its function."""
        return {f.name: function_text(f) for f in distinct_functions(self.nests)}

    @cached_property
    def stages(self) -> dict[str, str]:
        """Every stage as text, in order."""
        return {
            "statements": str(self.program),
            **{f"after {name}": str(program) for name, program in self.rewrites},
            **({} if self.laid_out == self.rewritten else {"layouts": str(self.laid_out)}),
            "kernels": "\n\n".join(map(str, self.groups)),
            "schedules": "\n".join(
                f"{low.function.name}: {schedule}"
                for low in self.nests
                for schedule in low.schedules
            ),
            "nests": "\n\n".join(map(str, distinct_functions(self.nests))),
            "memory": str(self.memory),
            "c": self.unit.text,
        }


def make_plan(program: Program, options: Options | None = None, entry: str = "run") -> Plan:
    """Give the plan of a program; no compiler is needed to look at its stages."""
    return Plan(program, options or Options(), entry)


def freeze(made: Plan) -> tuple[Plan, Plan]:
    """Give the plan of all that follows from the parameters alone, and that of the rest.

    The first runs once; its outputs are parameters of the second. What is packed or transformed
    for the second is so only once, as long as the parameters keep their values.
    """
    program = replace(made, program=replace(made.program, frozen=True)).laid_out
    fixed = program.fixed
    wanted = {*program.outputs, *(new for _, new in program.updates)}
    known: set[Tensor] = set()
    for tensor, statements in program.definitions.items():
        reads = {a.tensor for s in statements for a in s.reads}
        if reads <= fixed | known and tensor not in wanted:
            known.add(tensor)
    before = [s for s in program.statements if s.target in known]
    after = [s for s in program.statements if s.target not in known]
    read = {a.tensor for s in after for a in s.reads}
    passed = tuple(t for t in program.definitions if t in known and t in read)
    first = Program(program.parameters, passed, tuple(before), name=f"{program.name}_once")
    second = replace(
        program,
        statements=tuple(after),
        frozen=False,
        parameters=(*(t for t in program.parameters if t in read or t not in fixed), *passed),
    )
    off = frozenset(p.name for p in PASSES)
    settled = replace(made.options, off=off, layouts=False, parts=False)
    return Plan(first, settled, f"{made.entry}_once"), Plan(second, settled, made.entry)


def _letters(kernels: Sequence[Kernel]) -> tuple[Index, ...]:
    """The indices of all nests: they get their names before any tensor does."""
    return tuple(dict.fromkeys(i for k in kernels for s in k.statements for i in s.sizes))


@dataclass(frozen=True)
class Executable:
    """A loaded program: `entry(arrays, workspace, dims, team)` runs it in one C call."""

    plan: Plan
    library: Any
    entry: Any
    _workspace: Any
    team: Any = None

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
        held = [arrays[t.name] for t in self.plan.arrays]
        for tensor, array in zip(self.plan.arrays, held, strict=True):
            if not array.flags.c_contiguous or array.dtype != np.dtype(tensor.dtype):
                raise ValueError(f"{tensor.name} must be a contiguous array of {tensor.dtype}")
        pointers = ffi.new("void *[]", [ffi.from_buffer(a) for a in held] or 1)
        scratch = workspace(self.workspace_bytes(sizes))
        self.entry(pointers, ffi.from_buffer(scratch), self.dims(sizes), self.team or ffi.NULL)


def load(
    made: Plan, *, profile: str = "release", toolchain: Any = None, threads: int | None = None
) -> Executable:
    """Give a plan compiled and loaded, to be run by so many threads (see `build.default_threads`).

    Raises `codegen.build.CompilerNotFound` where the machine has no C compiler.
    """
    entry = made.entry
    toolchain = toolchain or require_toolchain()  # asked once, not by each thread
    with ThreadPoolExecutor(1) as other:
        team = other.submit(open_team, threads)  # the first time it has to be compiled, too
        library = build(
            made.parts,
            declarations(entry, made.timed),
            origin=fingerprint(made.program, made.options, made.machine, entry, made.timed),
            profile=profile,
            toolchain=toolchain,
        )
    return Executable(
        made,
        library,
        getattr(library.lib, entry),
        getattr(library.lib, f"{entry}_workspace"),
        team.result(),
    )


PLAIN = Options(
    frozenset(p.name for p in PASSES),
    fuse=False,
    views=False,
    layouts=False,
    parts=False,
    group=False,
    reorder=False,
)
"""Everything optional switched off: one nest a statement, guards tested, scatters left alone."""
