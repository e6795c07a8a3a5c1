"""Copy an operand with its zero padding, so that inner loops need no guard.

Before: y[n,k,i] += w[k,u]·x[n,i + u - 1]                where 0 ≤ i + u - 1 < 32
After:  x_padded[n,i + 1] = x[n,i]
        y[n,k,i] += w[k,u]·x_padded[n,i + u]             zero but for 0 ≤ i + u - 1 < 32

Only for sums of products over several points, where each copied element is read many times. A
factor that is infinite or NaN meets the zeros of the padding and makes NaN, as it does in PyTorch;
for finite factors the padding is excluded exactly.
"""

from __future__ import annotations

from dataclasses import replace

import sympy

from codegen.affine import Index, bounds
from codegen.names import unused
from codegen.notation import Access, Guard, Reduce, Statement, Tensor, inside
from codegen.notation import statement as state
from codegen.program import Program

Margins = tuple[tuple[int, int], ...]


def pad_reads(program: Program) -> Program:
    """Give the program with guarded operands of contractions copied into padded tensors."""
    margins = _margins(program.statements)
    if not margins:
        return program
    names = {t.name for t in program.tensors}
    padded = {t: _padded(t, sides, names) for t, sides in margins.items()}
    statements: list[Statement] = []
    made: set[Tensor] = set()
    for statement in program.statements:
        for access in _guarded(statement):
            if access.tensor not in padded:
                continue
            if access.tensor not in made:
                made.add(access.tensor)
                statements += _copy(access.tensor, padded[access.tensor], margins[access.tensor])
            statement = _shifted(statement, access, padded[access.tensor], margins[access.tensor])
        statements.append(statement)
    return program.with_statements(_together(statements))


def _guarded(statement: Statement) -> tuple[Access, ...]:
    """The operands of a contraction that read outside their tensors."""
    factors = sympy.Mul.make_args(statement.body)
    reads = [f for f in factors if isinstance(f, Access)]
    plain = len(reads) > 1 and all(isinstance(f, Access) or f.is_number for f in factors)
    if statement.op is not Reduce.SUM or not plain or not statement.reduced:
        return ()
    return tuple(
        a
        for a in reads
        if not all(
            inside(m, n, statement.sizes) for m, n in zip(a.maps, a.tensor.shape, strict=True)
        )
    )


def _margins(statements: tuple[Statement, ...]) -> dict[Tensor, Margins]:
    """The widest margin that the guarded reads of each tensor need on each side."""
    found: dict[Tensor, Margins] = {}
    for statement in statements:
        for access in _guarded(statement):
            sides = _sides(statement, access)
            known = found.get(access.tensor, ((0, 0),) * access.tensor.rank)
            if sides is not None:
                found[access.tensor] = tuple(
                    (max(a, c), max(b, d)) for (a, b), (c, d) in zip(known, sides, strict=True)
                )
    return found


def _sides(statement: Statement, access: Access) -> Margins | None:
    """How far a read reaches outside its tensor, before and after each axis."""
    sides = []
    for m, size in zip(access.maps, access.tensor.shape, strict=True):
        try:
            low, high = bounds(m, statement.sizes)
        except ValueError:  # a coefficient like N - 1, whose sign nobody knows
            return None
        before, after = -low, sympy.expand(high - (sympy.sympify(size) - 1))
        if not (before.is_Integer and after.is_Integer):
            return None
        sides.append((max(0, int(before)), max(0, int(after))))
    return tuple(sides)


def _padded(tensor: Tensor, sides: Margins, names: set[str]) -> Tensor:
    name = unused(f"{tensor.name}_padded", names)
    names.add(name)
    shape = [n + before + after for n, (before, after) in zip(tensor.shape, sides, strict=True)]
    return Tensor(name, shape, tensor.dtype)


def _copy(tensor: Tensor, padded: Tensor, sides: Margins) -> tuple[Statement, Statement]:
    """Give the two statements that fill a padded tensor: zeros, then the copy."""
    letters = tuple(Index(f"a{axis}") for axis in range(tensor.rank))
    left = tuple(i + before for i, (before, _) in zip(letters, sides, strict=True))
    return (
        state(padded[letters], Reduce.SET, sympy.S.Zero),
        state(
            padded[left], Reduce.SET, tensor[letters], dict(zip(letters, tensor.shape, strict=True))
        ),
    )


def _shifted(statement: Statement, access: Access, padded: Tensor, sides: Margins) -> Statement:
    """Give the statement reading the padded copy, without the guards that it makes needless."""
    maps = [sympy.expand(m + before) for m, (before, _) in zip(access.maps, sides, strict=True)]
    gone = tuple(map(Guard, access.maps, access.tensor.shape))
    beyond = (g for g in gone if not inside(g.expr, g.size, statement.sizes))
    return replace(
        statement,
        body=statement.body.xreplace({access: padded[tuple(maps)]}),
        extra=tuple(g for g in statement.extra if g not in gone),
        support=(*statement.support, *beyond),
    )


def _together(statements: list[Statement]) -> list[Statement]:
    """Keep the statements of one tensor side by side where copies came between them."""
    owned: dict[Tensor, list[Statement]] = {}
    for s in statements:
        owned.setdefault(s.target, []).append(s)
    last = {s.target: at for at, s in enumerate(statements)}
    ordered = sorted(owned, key=lambda t: last[t])
    return [s for t in ordered for s in owned[t]]
