"""Settle sums: a sum of one term is an assignment, and element-wise sums over one box are one.

Before: dx[i] += dy[i]·a[i];  dx[j] += dz[j]
After:  dx[i] = dy[i]·a[i] + dz[i]
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy

from codegen.affine import Index
from codegen.notation import Reduce, Statement, rewritten
from codegen.program import Program
from codegen.rewrite.maps import covers, injective


def settle(program: Program) -> Program:
    """Give the program with element-wise sums written as one assignment."""
    statements: list[Statement] = []
    done = set()
    last = {s.target: at for at, s in enumerate(program.statements)}
    for at, statement in enumerate(program.statements):
        if last[statement.target] == at:
            statements += _settled(program.definitions[statement.target])
            done.add(statement.target)
    return program.with_statements(statements)


def _settled(owned: tuple[Statement, ...]) -> tuple[Statement, ...]:
    owned = tuple(map(without_unit_indices, owned))
    (head, *others) = owned
    if not others and head.op is Reduce.SUM and _elementwise(head) and injective(head):
        return (replace(head, op=Reduce.SET),)  # what it does not reach is zero either way
    simple = [
        s for s in owned if _elementwise(s) and covers(s) and s.op in (Reduce.SUM, Reduce.SET)
    ]
    if not simple or any(s.op is Reduce.SET for s in owned[1:]):
        return owned
    first = simple[0]
    same = [s for s in simple if len(s.box) == len(first.box)]
    bodies = [s.body.xreplace(_letters(s, first)) for s in same]
    merged = replace(first, op=Reduce.SET, body=sympy.Add(*bodies))
    # What was assigned first now meets a value: it adds to it, as it added to zero before.
    return (merged, *(replace(s, op=Reduce.SUM) for s in owned if s not in same))


def _letters(statement: Statement, first: Statement) -> dict[Any, Any]:
    """Give the renaming that lets a statement use the letters of another one."""
    pairs = zip(statement.maps, first.maps, strict=True)
    return {old: new for old, new in pairs if isinstance(old, Index)}


def without_unit_indices(statement: Statement) -> Statement:
    """Give the statement with every index that only takes the value zero replaced by zero."""
    unit = {i: sympy.S.Zero for i, n in statement.box if n == 1}
    if not unit:
        return statement

    def swap(expr: Any) -> Any:
        return expr.xreplace(unit)

    return replace(
        statement,
        maps=tuple(map(swap, statement.maps)),
        body=swap(statement.body),
        box=tuple((i, n) for i, n in statement.box if i not in unit),
        bindings=tuple(replace(b, value=swap(b.value)) for b in statement.bindings),
        extra=rewritten(statement.extra, swap),
    )


def _elementwise(statement: Statement) -> bool:
    return not statement.reduced and not statement.bindings
