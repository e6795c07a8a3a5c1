"""Drop statements whose target leads to no output.

Before: a[i] = x[i];  b[i] = 2·x[i];  output b
After:  b[i] = 2·x[i]
"""

from __future__ import annotations

from codegen.notation import Statement
from codegen.program import Program


def prune(program: Program) -> Program:
    """Give the program without statements that no output or update needs."""
    wanted = {*program.outputs, *(new for _, new in program.updates)}
    kept: list[Statement] = []
    for statement in reversed(program.statements):
        if statement.target in wanted:
            kept.append(statement)
            wanted |= {a.tensor for a in statement.reads}
    if len(kept) == len(program.statements):
        return program
    return program.with_statements(reversed(kept))
