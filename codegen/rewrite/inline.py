"""Put an element-wise value into the statement that uses it, so that it needs no array.

Before: a[i] = x[i] + 1;  y[j,k] = a[j]·a[j]
After:  y[j,k] = (x[j] + 1)²

Only where no work is repeated: the value is used by one statement over no more points than it
has, or it costs next to nothing (a number, a copy, a scalar). A value made of the result of a
reduction is not put into the next one: it is computed while that result is still in a register.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy

from codegen.affine import Size, nonnegative
from codegen.notation import (
    FLOATS,
    Access,
    Guard,
    Reduce,
    Statement,
    Tensor,
    accesses,
    inside,
    walk,
)
from codegen.program import Program
from codegen.rewrite.gather import expanded
from codegen.rewrite.maps import covers
from codegen.scalar import BY_SYMBOL

MOST_READS = 12  # more operands than this in one body would spill registers


def inline(program: Program) -> Program:
    """Give the program with element-wise producers put into their consumers."""
    kept = {*program.outputs, *(new for _, new in program.updates)}
    readers = {t: len(users) for t, users in program.readers.items()}
    ready: dict[Tensor, Statement] = {}
    reduced = {s.target for s in program.statements if s.reduced}
    statements: list[Statement] = []
    for statement in program.statements:
        current = _with_producers(statement, ready, readers, reduced)
        owned = program.definitions[statement.target]
        statements.append(current)
        if len(owned) == 1 and statement.target not in kept and _inlinable(current):
            ready[statement.target] = current
    used = {a.tensor for s in statements for a in s.reads} | kept
    return program.with_statements(s for s in statements if s.target in used)


def _inlinable(statement: Statement) -> bool:
    elementwise = not statement.reduced and not statement.bindings
    return statement.op is Reduce.SET and elementwise and covers(statement)


def _with_producers(
    statement: Statement,
    ready: dict[Tensor, Statement],
    readers: dict[Tensor, int],
    reduced: set[Tensor],
) -> Statement:
    """Give the statement with every access worth it replaced by what defines it."""
    for access in accesses(statement.body):
        producer = ready.get(access.tensor)
        if producer is None or not _pays(producer, statement, access, readers):
            continue
        follows = any(a.tensor in reduced for a in accesses(producer.body))
        if statement.reduced and follows and not _free(producer.body):
            continue
        if producer.body.has(sympy.Piecewise) and _decides(access, statement.body):
            continue  # SymPy would try to solve a choice inside a condition
        rules = {i: m for i, m in zip(producer.maps, access.maps, strict=True) if i != 0}
        value = expanded(producer.body.xreplace(rules))
        body = statement.body.xreplace({access: value})
        guards = tuple(
            Guard(m, n)
            for m, n in zip(access.maps, access.tensor.shape, strict=True)
            if not inside(m, n, statement.sizes)
        )
        extra = tuple(dict.fromkeys((*statement.extra, *guards)))
        statement = replace(statement, body=body, extra=extra)
    return statement


def _decides(access: Access, body: Any) -> bool:
    """Whether a choice in the body asks for the access."""
    choices = (e for e in walk(body) if isinstance(e, sympy.Piecewise))
    return any(condition.has(access) for choice in choices for _, condition in choice.args)


def _pays(
    producer: Statement, consumer: Statement, access: Access, readers: dict[Tensor, int]
) -> bool:
    if producer.target.dtype not in FLOATS or consumer.compute_dtype != producer.target.dtype:
        return _copy(producer.body) and _same_kind(producer)
    if _free(producer.body):
        return True
    if producer.target.rank == 0 and not _expensive(producer.body):
        return True
    uses = sum(a.tensor == producer.target for a in accesses(consumer.body))
    operands = len(accesses(consumer.body)) + len(accesses(producer.body)) - 1
    once = readers[producer.target] == 1 and uses == 1 and operands <= MOST_READS
    return once and _no_more_points(consumer, producer)


def _free(body: Any) -> bool:
    """Whether a body costs nothing: a number or one read."""
    return _copy(body) or not accesses(body)


def _copy(body: Any) -> bool:
    return isinstance(body, Access)


def _same_kind(producer: Statement) -> bool:
    return bool(producer.body.tensor.dtype == producer.target.dtype)


def _expensive(body: Any) -> bool:
    return any(type(e) in BY_SYMBOL for e in walk(body))


def _no_more_points(consumer: Statement, producer: Statement) -> bool:
    points = _product(tuple(n for _, n in consumer.box))
    made = _product(tuple(n for _, n in producer.box))
    return nonnegative(sympy.expand(made - points))


def _product(sizes: tuple[Size, ...]) -> Any:
    return sympy.Mul(*map(sympy.sympify, sizes))
