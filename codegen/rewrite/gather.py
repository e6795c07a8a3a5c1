"""Turn scatters into gathers by inverting affine maps.

Before: dx[2·i + u] += dy[i]·w[u]
After:  dx[2·i]     += dy[i - u]·w[2·u]         where 0 ≤ i - u < |i|
        dx[2·i + 1] += dy[i - u]·w[2·u + 1]     where 0 ≤ i - u < |i|

After it no two points write the same element, so elements can be computed independently and in
registers. A stride gives one statement for each phase, not a divisibility test in a loop: nothing
is multiplied by the zeros that a dilated input would hold.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import sympy

from codegen.affine import Index, Size, split, typical
from codegen.notation import Access, Guard, Reduce, Statement, Tensor, accesses, rewritten
from codegen.notation import statement as state
from codegen.program import Program
from codegen.rewrite.maps import injective, mixed_radix

NEAR = 1 << 18  # elements that stay near a core
PADDED = 7  # points that may be visited while one element is copied from afar


def gather(program: Program) -> Program:
    """Give the program with every sum whose left side is affine and overlapping inverted."""
    statements: list[Statement] = []
    parts = [(s, [*gathered(s)]) for s in program.statements]  # equal sums count twice
    reached = {s.target for s, found in parts if found}
    for s, found in parts:
        if s.target not in reached:  # stride 2 onto one element, for which all points are odd
            reached.add(s.target)
            found = [_nothing(s.target)]
        statements += found
    return program.with_statements(statements)


def _nothing(tensor: Tensor) -> Statement:
    at = tuple(Index(f"a{axis}") for axis in range(tensor.rank))
    return state(tensor[at], Reduce.SET, sympy.S.Zero)


def gathered(
    statement: Statement, through: Collection[Tensor] | None = None
) -> Iterator[Statement]:
    """Give the statements that gather what one statement scatters.

    They move through these operands rather than others, by default through those of least work.
    """
    axis = _overlapping(statement)
    if statement.op is not Reduce.SUM or statement.bindings or axis is None:
        yield statement
        return
    through = _through(statement, axis) if through is None else through
    solved = _invert(statement, axis, through)
    if solved is None:
        yield statement
        return
    for part in solved:
        yield from gathered(part, through)


def _overlapping(statement: Statement) -> int | None:
    """The first coordinate of the left side that several points share."""
    if injective(statement):
        return None
    for axis, m in enumerate(statement.maps):
        coefficients = split(m)[1]
        if len(coefficients) > 1 and not mixed_radix(coefficients, statement):
            return axis
    return None


def _invert(statement: Statement, axis: int, through: Collection[Tensor]) -> list[Statement] | None:
    """Solve `h = s·i + Σ d·u + c` for one of the indices, where that can be done.

    The one that reaches furthest leaves the fewest points to visit: so many rows of each phase of
    h, of which there are s, times the lengths of the others.
    """
    _, coefficients = split(statement.maps[axis])
    elsewhere = {s for a, m in enumerate(statement.maps) if a != axis for s in m.free_symbols}
    if elsewhere & set(coefficients) or not all(c.is_Integer for c in coefficients.values()):
        return None
    reach = _reaches(statement, axis)
    ordered = sorted(coefficients, key=lambda i: (reach[i], i.name), reverse=True)
    moved = {i: {a.tensor for a in _moved(statement, i)} for i in ordered}
    ordered.sort(key=lambda i: moved[i].isdisjoint(through))
    found = (_solve(statement, axis, i) for i in ordered)
    return next((parts for parts in found if parts is not None), None)


def _through(statement: Statement, axis: int) -> Collection[Tensor]:
    """Give the operands to move through where reaches alone are no good guide; or none.

    What the solved index moves through is read beyond its ends, and so copied with zeros around it.
    Where that is more than stays near a core, fewer points do not always pay: it has to come from
    afar, while tiles leave out many of the points that see zeros of what is near. About how many
    was measured on layers of large filters: the geometric mean of all points and those that see no
    zeros tells best which way is quicker.
    """
    choices = {i: _padded(statement, i) for i in _reaches(statement, axis)}
    if all(elements <= NEAR for elements, _ in choices.values()):
        return ()
    written = math.prod(map(typical, statement.sizes.values()))

    def work(index: Index) -> float:
        elements, points = choices[index]
        return points + PADDED * elements if elements > NEAR else math.sqrt(points * written)

    return {a.tensor for a in _moved(statement, min(choices, key=work))}


def _moved(statement: Statement, index: Index) -> list[Access]:
    return [a for a in accesses(statement.body) if index in a.free_symbols]


def _reaches(statement: Statement, axis: int) -> dict[Index, float]:
    """How far each index of a coordinate of the left side moves along it."""
    coefficients = split(statement.maps[axis])[1]
    return {
        i: _length(statement.sizes[i]) * abs(int(c)) if c.is_Integer else math.inf
        for i, c in coefficients.items()
    }


def _padded(statement: Statement, solved: Index) -> tuple[float, float]:
    """Give how many elements are padded and points visited if all axes are solved alike.

    That is for the indices that move through the same operands as this one.
    """
    moved = _moved(statement, solved)
    elements = float(sum(math.prod(map(typical, a.tensor.shape)) for a in moved))
    points = float(math.prod(map(typical, statement.sizes.values())))
    for axis, size in enumerate(statement.target.shape):
        reach = _reaches(statement, axis)
        alike = [i for i in reach if any(i in a.free_symbols for a in moved)]
        if len(reach) == 2 and len(alike) == 1 and math.isfinite(sum(reach.values())):
            own = reach[alike[0]]
            elements *= (typical(size) + sum(reach.values()) - own) / own
            points *= typical(size) / own
    return elements, points


def _solve(statement: Statement, axis: int, solved: Index) -> list[Statement] | None:
    """Solve for one index; one statement for each phase of h."""
    constant, coefficients = split(statement.maps[axis])
    stride = int(coefficients[solved])
    others = {u: int(c) for u, c in coefficients.items() if u != solved}
    size = statement.target.shape[axis]
    if abs(stride) == 1:
        shift = sum((c * u for u, c in others.items()), constant)
        back = stride * (solved - shift)
        return [_replace(statement, axis, solved, solved, size, {solved: back}, {})]
    if stride < 0 or not isinstance(size, int) or not constant.is_Integer:
        return None
    if not all(isinstance(statement.sizes[u], int) for u in others):
        return None
    parts = {u: stride // math.gcd(stride, c) for u, c in others.items()}
    result = []
    for phases in itertools.product(*(range(n) for n in parts.values())):
        digit = dict(zip(parts, phases, strict=True))
        offset = int(constant) + sum(others[u] * q for u, q in digit.items())
        phase = offset % stride
        rows = -(-(size - phase) // stride)
        counts = {u: -(-(int(statement.sizes[u]) - q) // parts[u]) for u, q in digit.items()}
        if rows <= 0 or min(counts.values()) <= 0:
            continue
        back = solved + (phase - offset) // stride
        back -= sum((others[u] * parts[u] // stride * u for u in others), sympy.S.Zero)
        rules = {u: parts[u] * u + q for u, q in digit.items()} | {solved: back}
        left = stride * solved + phase
        result.append(_replace(statement, axis, left, solved, rows, rules, counts))
    return result


def _replace(
    statement: Statement,
    axis: int,
    left: Any,
    solved: Index,
    rows: Size,
    rules: dict[Index, Any],
    counts: dict[Index, int],
) -> Statement:
    """Give the statement with its indices rewritten; the solved one keeps its letter and place."""

    def swap(expr: Any) -> Any:
        return sympy.expand(expr.xreplace(rules))

    maps = tuple(left if a == axis else swap(m) for a, m in enumerate(statement.maps))
    changed = statement.body.xreplace(rules)
    back = swap(sympy.sympify(solved))
    sizes: dict[Index, Size] = {**statement.sizes, **counts, solved: rows}
    box = tuple((i, sizes[i]) for i, _ in statement.box)
    extra = rewritten(statement.extra, swap)
    extra += (Guard(back, statement.sizes[solved]),)
    return replace(statement, maps=maps, body=expanded(changed), box=box, extra=extra)


def expanded(body: Any) -> Any:
    """Give the body with the coordinates of its accesses multiplied out."""
    rules = {a: a.func(a.tensor, *map(sympy.expand, a.maps)) for a in accesses(body)}
    return body.xreplace({a: b for a, b in rules.items() if a != b})


def _length(size: Size) -> float:
    return size if isinstance(size, int) else math.inf
