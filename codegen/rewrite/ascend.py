"""Let sums walk forwards through what slides, as caches expect: taps are counted from the far end.

Before: dx[n,c,i] += w[k,c,u]·dy[n,k,i - u]                                           u < 3
After:  dx[n,c,i] += w[k,c,2 - u]·dy[n,k,i + u - 2]                                   u < 3

Only the order of additions changes. Filters, which are small and mostly copied anyhow, are read
backwards instead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy

from codegen.affine import Index, split
from codegen.notation import Reduce, Statement, rewritten
from codegen.program import Program
from codegen.rewrite.gather import expanded


def ascend(program: Program) -> Program:
    """Give the program with the taps of sums in the order in which they move what they slide on."""
    return program.with_statements(map(_ascending, program.statements))


def _ascending(s: Statement) -> Statement:
    rules: dict[Any, Any] = {i: s.sizes[i] - 1 - i for i in s.reduced if _descends(s, i)}
    if s.op is not Reduce.SUM or s.bindings or not rules:
        return s

    def turned(expr: Any) -> Any:
        return sympy.expand(expr.xreplace(rules))

    body = expanded(s.body.xreplace(rules))
    return replace(s, body=body, extra=rewritten(s.extra, turned))


def _descends(s: Statement, tap: Index) -> bool:
    """Whether an index that is summed over moves backwards whatever slides along another one."""
    moves = [split(m)[1] for a in s.reads for m in a.maps]
    steps = [terms[tap] for terms in moves if tap in terms and {*terms} & {*s.parallel}]
    whole = isinstance(s.sizes[tap], int) and all(step.is_Integer for step in steps)
    return whole and bool(steps) and all(step < 0 for step in steps)
