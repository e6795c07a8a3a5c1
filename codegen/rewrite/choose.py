"""Turn a sum over an equality into one indexed read or write.

Before: loss[n] += [j = label[n]]·s[n,j]
After:  loss[n] += s[n,j]   with j := label[n]

Several indices are the digits of one number: `[2u + v = at[n]]` gives u := ⌊at[n]/2⌋ and
v := at[n] mod 2. An equality whose indices all run over the target is left as a choice: there it
costs one comparison an element and no jump.
"""

from __future__ import annotations

from dataclasses import replace

import sympy

from codegen.affine import Index, split
from codegen.notation import Access, Binding, Equal, Reduce, Statement
from codegen.program import Program
from codegen.rewrite.maps import injective


def choose(program: Program) -> Program:
    """Give the program with every solvable equality turned into bindings."""
    return program.with_statements(_chosen(s) for s in program.statements)


def _chosen(statement: Statement) -> Statement:
    if statement.op is not Reduce.SUM:
        return statement
    factors = sympy.Mul.make_args(statement.body)
    for bracket in (f for f in factors if isinstance(f, Equal)):
        bindings = _solve(bracket, statement)
        bound = {b.index for b in bindings}
        pays = bound & set(statement.reduced) or not injective(statement)
        if bindings and pays:
            body = sympy.Mul(*(f for f in factors if f is not bracket))
            box = tuple((i, n) for i, n in statement.box if i not in bound)
            return replace(statement, body=body, box=box, bindings=bindings)
    return statement


def _solve(bracket: Equal, statement: Statement) -> tuple[Binding, ...]:
    """Give a binding for each index of a mixed-radix number, or none where it is not one."""
    number, value = bracket.args
    if isinstance(number, Access):
        number, value = value, number
    if not isinstance(value, Access) or isinstance(number, Access):
        return ()
    constant, digits = split(number)
    used = {s for m in value.maps for s in m.free_symbols}
    if constant != 0 or not digits or used & set(digits):
        return ()
    radix = 1
    found: list[tuple[Index, int]] = []
    for symbol, factor in sorted(digits.items(), key=lambda item: int(item[1])):
        size = statement.sizes[symbol]
        if factor != radix or not isinstance(size, int):
            return ()
        found.append((symbol, radix))
        radix *= size
    leading = found[-1][0]
    return tuple(
        Binding(symbol, statement.sizes[symbol], value, divisor, symbol == leading)
        for symbol, divisor in reversed(found)
    )
