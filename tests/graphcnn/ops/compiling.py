"""Ops with their gradients as programs for C: drawn once, compiled once, run at any batch size."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import sympy
from hypothesis import HealthCheck, Phase, given, seed, settings

from codegen.affine import Dim
from codegen.compile import Executable, Plan
from codegen.interpret import interpret
from codegen.notation import FLOATS, DType, Reduce, Statement, Tensor
from codegen.program import Program
from codegen.rewrite import PASSES, rewrite
from codegen.sizes import bind_dims, evaluate
from graphcnn.errors import GraphError
from graphcnn.op import REGISTRY
from graphcnn.program import to_program
from graphcnn.testing import Applied, apply
from graphcnn.testing.strategies import Arguments, arguments_of
from tests.codegen.calling import Array, Arrays
from tests.codegen.running import Case, run_c, shape_of

N = Dim("N")
SIZES = (0, 1, 33)
DRAWING = settings(
    phases=[Phase.generate],
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
ROUNDINGS = 4  # of one statement, its elementary functions included


@dataclass(frozen=True)
class OpProgram:
    """An op and the gradients of its float inputs as one program, and the arrays drawn for it."""

    op: str
    program: Program
    drawn: Mapping[str, Array]

    @property
    def batched(self) -> bool:
        return N in self.program.dims

    @property
    def sizes(self) -> tuple[int, ...]:
        """The batch sizes to run with; x[1:] of no rows would have -1."""
        axes = {n for t in self.program.tensors for n in t.shape}
        there = [n for n in SIZES if all(evaluate(a, {N: n}) >= 0 for a in axes)]
        return tuple(there) if self.batched else (1,)

    def case(self, size: int) -> Case:
        """Give arrays for one batch size: the drawn ones, and more of the values found in them."""
        rng = np.random.default_rng(size)
        arrays = {}
        for tensor in self.program.inputs:
            shape = shape_of(tensor, {N: size})
            if tensor.name not in self.drawn:  # the upstream gradient
                arrays[tensor.name] = np.asarray(rng.uniform(-1, 1, shape), tensor.dtype)
            elif shape == self.drawn[tensor.name].shape:
                arrays[tensor.name] = self.drawn[tensor.name]
            else:
                arrays[tensor.name] = alike(self.drawn[tensor.name], shape, rng)
        dims = bind_dims((t, arrays[t.name].shape) for t in self.program.inputs)
        return Case(self.program, arrays, dims)

    @cached_property
    def padded(self) -> OpProgram:
        """The same where zero padding is read and multiplied, as C does, and not left out.

        Nobody can tell, except that 0 times what is not finite is NaN.
        """
        kept = {"gather", "trim", "settle", "pad reads"}
        program, _ = rewrite(self.program, {p.name for p in PASSES} - kept)
        return replace(self, program=program)

    @cached_property
    def counting(self) -> Program:
        """The program that also counts, and adds up without signs, the terms of every sum."""
        found: list[Statement] = []
        for s in self.program.statements:
            found.append(s)
            if s.op is not Reduce.SUM or s.target.dtype not in FLOATS:
                continue
            for what, body in (("terms", sympy.S.One), ("size", sympy.Abs(s.body))):
                target = Tensor(f"{s.target.name} {what}", s.target.shape, s.target.dtype)
                found.append(replace(s, target=target, body=body))
        return self.program.with_statements(found)


def alike(array: Array, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Give values picked from an array, floats a tenth more or less: rows differ, ties remain."""
    picked = rng.choice(array.ravel(), shape)
    if array.dtype.kind == "f":
        picked = picked * rng.choice([1, 0.9, 1.1], shape)
    return np.asarray(picked, array.dtype)


def batches(op: str, arguments: Arguments, dtype: DType) -> Applied:
    """Apply an op with the dim N for the first axis of all inputs that share it, if it can be.

    Where two axes are equal by chance the op refuses, and fewer inputs are taken.
    """
    lengths: dict[int, list[str]] = {}
    for parameter in REGISTRY[op].given(arguments):
        value = arguments[parameter]
        arrays = value if isinstance(value, tuple) else (value,)
        firsts = {a.shape[0] if isinstance(a, np.ndarray) and a.ndim else None for a in arrays}
        if len(firsts) == 1 and None not in firsts:
            lengths.setdefault(*firsts, []).append(parameter)
    for sharing in lengths.values():
        for count in range(len(sharing), 0, -1):
            for batched in itertools.combinations(sharing, count):
                try:
                    return apply(op, arguments, dtype, batched)
                except GraphError:
                    continue
    return apply(op, arguments, dtype)


def op_program(op: str, arguments: Arguments, dtype: DType) -> OpProgram:
    built = batches(op, arguments, dtype)
    wanted = [built.node]
    if built.node.dtype in FLOATS:
        wanted += built.gradients
    return OpProgram(op, to_program(wanted, name=op).program, built.arrays)


@cache
def draw_arguments(op: str, count: int, start: int) -> list[Arguments]:
    """Give so many, drawn once for all dtypes."""
    found: list[Arguments] = []

    @seed(start)
    @settings(DRAWING, max_examples=count)
    @given(arguments_of(op))
    def collect(arguments: Arguments) -> None:
        found.append(arguments)

    collect()
    return found


def draw_programs(op: str, dtype: DType, count: int, start: int = 0) -> list[OpProgram]:
    """Give so many programs of an op, if it has so many, batched ones first; a start gives others.

    The first drawn is left out: it is always the simplest.
    """
    made: dict[str, OpProgram] = {}
    for arguments in draw_arguments(op, 10 * count + 1, start)[:0:-1]:
        if sum(p.batched for p in made.values()) < count:
            one = op_program(op, arguments, dtype)
            made.setdefault(str(one.program), one)
    return sorted(made.values(), key=lambda p: not p.batched)[:count]


def wanted(made: OpProgram, case: Case) -> tuple[Arrays, float]:
    """Give the outputs by the interpreter, point by point, and how exact they are.

    A sum of n terms is exact to n units of rounding of Σ|terms|, in any order of adding; a
    statement that adds nothing rounds a few times. Errors pass on to later statements, whose
    values are no larger than the largest met anywhere in the program.
    """
    values = interpret(made.counting, case.arrays, case.dims, fast=False)
    longest, largest = 0.0, 1.0
    for name, value in values.items():
        if value.dtype.kind != "f":
            continue
        peak = float(np.max(np.abs(value), initial=0, where=np.isfinite(value)))
        if name.endswith(" terms"):
            longest = max(longest, peak)
        else:
            largest = max(largest, peak)
    outputs = {t.name: values[t.name] for t in made.program.outputs}
    dtypes = [t.dtype for t in made.program.tensors if t.dtype in FLOATS]
    unit = max((float(np.finfo(d).eps) for d in dtypes), default=0.0)
    return outputs, unit * largest * (longest + ROUNDINGS * len(made.program.statements))


def complaints(found: Arrays, right: Arrays, tolerance: float) -> Iterator[str]:
    """Say which outputs differ by more than a tolerance, in shape or in where they are not finite.

    >>> nan, three = np.array([np.nan, 1.0]), np.array([3.0, 1.0])
    >>> [*complaints({"y": nan}, {"y": nan}, 0)], len([*complaints({"y": nan}, {"y": three}, 9)])
    ([], 1)
    """
    for name, y in right.items():
        x = found[name]
        if y.dtype.kind == "f":
            finite = np.isfinite(y)
            same = np.array_equal(x[~finite], y[~finite], equal_nan=True)
            same = same and bool(np.all(np.abs(x[finite] - y[finite]) <= tolerance))
        else:
            same = np.array_equal(x, y)
        if x.dtype != y.dtype or x.shape != y.shape or not same:
            yield f"{name}, to {tolerance:.2g}: C gives\n{x}\nthe interpreter\n{y}"


def assert_same(
    made: OpProgram, executable: Executable, case: Case, meaning: OpProgram | None = None
) -> None:
    """Hold C equal to the interpreter of a program, or of what it is rewritten to."""
    assert_right(meaning or made, executable.plan, case, run_c(executable, case))


def assert_right(made: OpProgram, plan: Plan, case: Case, found: Arrays) -> None:
    """Hold what C gave for a plan equal to the interpreter of a program."""
    right, tolerance = wanted(made, case)
    for complaint in complaints(found, right, tolerance):
        given_arrays = "\n".join(f"{n} =\n{a!r}" for n, a in case.arrays.items())
        code = "\n\n".join(plan.functions.values())
        raise AssertionError(f"{made.op}: {case}\n{complaint}\n\n{given_arrays}\n\n{code}")


def spoil(case: Case, value: float, rng: np.random.Generator) -> Case:
    """Give the case with one element of each float input replaced."""

    def spoilt(array: Any) -> Any:
        if array.dtype.kind != "f" or not array.size:
            return array
        changed = array.copy()
        changed.flat[rng.integers(array.size)] = value
        return changed

    return Case(case.program, {n: spoilt(a) for n, a in case.arrays.items()}, case.dims)
