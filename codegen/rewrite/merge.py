"""Merge tensors that are defined by equal statements, whatever their names and letters.

Before: a[i] += x[i,j];  b[k] += x[k,l];  y[i] = a[i]·b[i]
After:  a[i] += x[i,j];  y[i] = a[i]²
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from codegen.affine import Index
from codegen.notation import Statement, Tensor
from codegen.program import Program

_TARGET = "·"


def merge_equal(program: Program) -> Program:
    """Give the program with equal definitions merged; outputs keep tensors of their own."""
    kept: dict[Any, Tensor] = {}
    renamed: dict[Any, Any] = {}
    own = {*program.outputs, *(new for _, new in program.updates)}
    statements: list[Statement] = []
    for tensor, owned in _in_order(program):
        current = tuple(_swap(s, renamed) for s in owned)
        key = tuple(canonical(s) for s in current)
        first = kept.setdefault(key, tensor)
        if first is not tensor and tensor not in own:
            renamed[tensor] = first
        else:
            statements += current
    return program.with_statements(statements)


@lru_cache(maxsize=4096)
def canonical(statement: Statement) -> Any:
    """Give a key that equal statements share: target and letters do not count."""
    letters: dict[Any, Any] = {symbol: Index(f"·{k}") for k, symbol in enumerate(statement.sizes)}
    letters[statement.target] = statement.target.renamed(_TARGET)
    plain = statement.substitute(letters)
    return (plain.target, plain.maps, plain.op, plain.body, plain.box, plain.bindings, plain.extra)


def _swap(statement: Statement, renamed: dict[Any, Any]) -> Statement:
    rules = {a.tensor: renamed[a.tensor] for a in statement.reads if a.tensor in renamed}
    return statement.substitute(rules)


def _in_order(program: Program) -> list[tuple[Tensor, tuple[Statement, ...]]]:
    """The definitions, each where its last statement stands, so that its reads come before."""
    last = {s.target: at for at, s in enumerate(program.statements)}
    return sorted(program.definitions.items(), key=lambda item: last[item[0]])
