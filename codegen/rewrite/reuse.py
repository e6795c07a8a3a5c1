"""Read an expensive function from the tensor that already holds it.

Before: y[i] = tanh(x[i]);  dx[j] = dy[j]·(1 - tanh(x[j])²)
After:  y[i] = tanh(x[i]);  dx[j] = dy[j]·(1 - y[j]²)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from codegen.affine import Index
from codegen.notation import Access, Guard, Reduce, Statement, accesses, inside, walk
from codegen.program import Program
from codegen.rewrite.maps import covers
from codegen.scalar import BY_SYMBOL


def reuse(program: Program) -> Program:
    """Give the program with repeated function values read from where they are kept."""
    held: dict[Any, list[Statement]] = {}
    statements = []
    for statement in program.statements:
        current = replace(statement, body=_reused(statement, held))
        statements.append(current)
        single = len(program.definitions[statement.target]) == 1
        if single and current.op is Reduce.SET and covers(current) and _function(current.body):
            held.setdefault(type(current.body), []).append(current)
    return program.with_statements(statements)


def _function(expr: Any) -> bool:
    return type(expr) in BY_SYMBOL


def _reused(statement: Statement, held: dict[Any, list[Statement]]) -> Any:
    rules = {}
    for part in walk(statement.body):
        for holder in held.get(type(part), ()):
            at = match(holder.body, part)
            if at is None or not set(holder.maps) <= {*at, 0}:
                continue
            found = holder.target[tuple(at.get(m, m) for m in holder.maps)]
            if same_value(found, statement):
                rules[part] = found
                break
    return statement.body.xreplace(rules) if rules else statement.body


def same_value(found: Access, statement: Statement) -> bool:
    """Whether the kept value is of the dtype computed in, and exists wherever it is asked for."""
    known = set(statement.guards)
    return found.tensor.dtype == statement.compute_dtype and all(
        inside(m, n, statement.sizes) or Guard(m, n) in known
        for m, n in zip(found.maps, found.tensor.shape, strict=True)
    )


def match(pattern: Any, expr: Any) -> dict[Any, Any] | None:
    """Give the coordinates at which the pattern's indices make it equal to the expression."""
    at: dict[Any, Any] = {}
    reads, found = accesses(pattern), accesses(expr)
    if len(reads) != len(found):
        return None
    for read, other in zip(reads, found, strict=True):
        if read.tensor != other.tensor:
            return None
        for p, e in zip(read.maps, other.maps, strict=True):
            if isinstance(p, Index) and at.setdefault(p, e) != e:
                return None
    return at if pattern.xreplace(at) == expr else None
