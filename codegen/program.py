"""A program: statements in order over named tensors, each with a role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from codegen.affine import Dim
from codegen.notation import NotationError, Reduce, Statement, Tensor, accesses


@dataclass(frozen=True)
class Program:
    """Tensor statements that turn inputs and parameters into outputs.

    `updates` names, for each parameter that changes, the tensor that holds its next value. All
    statements see the old values; the new ones take their place when the last statement is done.
    A tensor starts at the identity of its first statement (zero, or ∓∞ for max and min).
    `frozen` says that parameters that are not updated keep their values for good, so that what
    follows from them alone need not be worked out again in each run.

    Raises `NotationError` where a tensor is read before it is written, written by statements that
    disagree, or unknown.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    statements: tuple[Statement, ...]
    parameters: tuple[Tensor, ...] = ()
    updates: tuple[tuple[Tensor, Tensor], ...] = ()
    name: str = "program"
    frozen: bool = False

    def __post_init__(self) -> None:
        """Check that the order of statements gives every read a value."""
        names: dict[str, Tensor] = {}
        for tensor in self.tensors:
            if names.setdefault(tensor.name, tensor) != tensor:
                raise NotationError(f"two different tensors are called {tensor.name}")
        given = {*self.inputs, *self.parameters}
        last = {s.target: at for at, s in enumerate(self.statements)}
        for at, statement in enumerate(self.statements):
            if statement.target in given:
                raise NotationError(f"{statement}: {statement.target.name} is given, not computed")
            for access in statement.reads:
                if access.tensor not in given and last.get(access.tensor, at) >= at:
                    raise NotationError(f"{statement}: {access.tensor.name} is not finished yet")
        for tensor, owned in self.definitions.items():
            _check_owners(tensor, owned)
        for wanted in (*self.outputs, *(new for _, new in self.updates)):
            if wanted not in given and wanted not in last:
                raise NotationError(f"output {wanted.name} is never computed")
        for parameter, new in self.updates:
            same = parameter.shape == new.shape and parameter.dtype == new.dtype
            if parameter not in self.parameters or new in given or not same:
                raise NotationError(
                    f"{describe(new)} cannot become the next {describe(parameter)}: an update "
                    "gives a parameter a computed tensor of its shape and dtype"
                )
        if len({parameter for parameter, _ in self.updates}) < len(self.updates):
            raise NotationError("a parameter is updated twice")

    @cached_property
    def definitions(self) -> dict[Tensor, tuple[Statement, ...]]:
        """The statements that own each computed tensor, in order."""
        found: dict[Tensor, tuple[Statement, ...]] = {}
        for statement in self.statements:
            found[statement.target] = (*found.get(statement.target, ()), statement)
        return found

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """Every tensor, in order of appearance."""
        found: dict[Tensor, None] = dict.fromkeys((*self.inputs, *self.parameters))
        for statement in self.statements:
            found.update(dict.fromkeys(a.tensor for a in statement.reads))
            found[statement.target] = None
        found.update(dict.fromkeys(self.outputs))
        return tuple(found)

    @cached_property
    def temporaries(self) -> tuple[Tensor, ...]:
        """Computed tensors that nobody outside sees."""
        seen = {*self.outputs}
        return tuple(t for t in self.definitions if t not in seen)

    @cached_property
    def readers(self) -> dict[Tensor, tuple[Statement, ...]]:
        """The statements that read each tensor, in order."""
        found: dict[Tensor, tuple[Statement, ...]] = {}
        for statement in self.statements:
            for tensor in dict.fromkeys(a.tensor for a in statement.reads):
                found[tensor] = (*found.get(tensor, ()), statement)
        return found

    @cached_property
    def fixed(self) -> frozenset[Tensor]:
        """The parameters that have the same values in every run."""
        changing = {old for old, _ in self.updates}
        return frozenset(self.parameters) - changing if self.frozen else frozenset()

    @cached_property
    def dims(self) -> tuple[Dim, ...]:
        """Symbolic sizes of the program, in name order."""
        symbols: set[Dim] = set()
        shapes = [t.shape for t in self.tensors]
        boxes = [tuple(s.sizes.values()) for s in self.statements]
        for size in (n for sizes in (*shapes, *boxes) for n in sizes):
            if not isinstance(size, int):
                symbols |= size.free_symbols
        for s in self.statements:
            for expr in (*s.maps, s.body, *(b.value for b in s.bindings)):
                symbols |= {d for d in expr.free_symbols if isinstance(d, Dim)}
        return tuple(sorted(symbols, key=lambda d: d.name))

    def with_statements(self, statements: Iterable[Statement]) -> Program:
        """Give the same program with other statements."""
        return replace(self, statements=tuple(statements))

    def __str__(self) -> str:
        def listed(tensors: Iterable[Tensor]) -> str:
            return ", ".join(describe(t) for t in tensors) or "none"

        lines = [
            f"inputs      {listed(self.inputs)}",
            f"parameters  {listed(self.parameters)}",
            *map(str, self.statements),
            f"outputs     {listed(self.outputs)}",
        ]
        lines += [f"update      {old.name} ← {new.name}" for old, new in self.updates]
        return "\n".join(lines)


def describe(tensor: Tensor) -> str:
    """Give a tensor's name, dtype and shape: `x float32[N, 3, 32, 32]`."""
    return f"{tensor.name} {tensor.dtype}[{', '.join(map(str, tensor.shape))}]"


def _check_owners(tensor: Tensor, owned: tuple[Statement, ...]) -> None:
    """Several statements share a tensor only as one fill and then sums or disjoint writes."""
    first, *rest = owned
    ops = {s.op for s in rest}
    sums = ops <= {Reduce.SUM} and first.op in (Reduce.SET, Reduce.SUM)
    writes = ops == {Reduce.SET} and first.op is Reduce.SET and not accesses(first.body)
    if rest and not (sums or writes):
        shown = "\n  ".join(map(str, owned))
        raise NotationError(f"{tensor.name} is owned by statements that disagree:\n  {shown}")
