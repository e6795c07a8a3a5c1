"""Ask the result of a ReLU where it cut, so that what it was given need not be kept.

Before: y[i] += …;  z[i] = (0 if y[i] ≤ 0 else y[i]);  dy[i] = (0 if y[i] ≤ 0 else dz[i])
After:  y[i] += …;  z[i] = (0 if y[i] ≤ 0 else y[i]);  dy[i] = (0 if z[i] ≤ 0 else dz[i])

y is at or below zero where z is, and only there, NaN or not; the results have the same bits. Only
where y then has no reader but z, so that it never leaves registers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy

from codegen.notation import Reduce, Statement, Tensor, accesses, walk
from codegen.program import Program
from codegen.rewrite.maps import covers
from codegen.rewrite.reuse import match, same_value


def read_masks(program: Program) -> Program:
    """Give the program in which what only a mask is made of is not kept for it."""
    for tensor, (statement, *more) in program.definitions.items():
        plain = not more and statement.op is Reduce.SET and covers(statement)
        cut = _cut(statement.body) if plain else None
        if cut is None or statement.compute_dtype != tensor.dtype:
            continue
        made = program.statements.index(statement)  # what comes before cannot ask it
        changed = program.with_statements(
            s if at <= made else _asked(s, statement, *cut)
            for at, s in enumerate(program.statements)
        )
        if any(_freed(t, tensor, changed) for t in {a.tensor for a in accesses(cut[0])}):
            program = changed
    return program


def _cut(body: Any) -> tuple[Any, Any] | None:
    """The value and the number below which it is cut off: v and c of `c if v ≤ c else v`."""
    if isinstance(body, sympy.Piecewise) and len(body.args) == 2:
        (low, condition), (high, _) = body.args
        if isinstance(condition, sympy.Le) and low == condition.rhs and high == condition.lhs:
            return (high, low) if low.is_number else None
    return None


def _asked(s: Statement, holder: Statement, value: Any, number: Any) -> Statement:
    """Give a statement whose conditions on the value are conditions on what was cut."""
    rules = {}
    for part in walk(s.body):
        if isinstance(part, sympy.Le | sympy.Gt) and part.rhs == number:
            at = match(value, part.lhs)
            if at is not None and set(holder.maps) <= {*at, 0}:
                found = holder.target[tuple(at.get(m, m) for m in holder.maps)]
                if same_value(found, s):
                    rules[part] = part.func(found, number)
    return replace(s, body=s.body.xreplace(rules)) if rules else s


def _freed(tensor: Tensor, reader: Tensor, program: Program) -> bool:
    """Whether a tensor that is computed has no reader but one, and nobody outside sees it."""
    kept = {*program.outputs, *(new for _, new in program.updates)}
    readers = {s.target for s in program.readers.get(tensor, ())}
    return tensor in program.definitions and tensor not in kept and readers == {reader}
