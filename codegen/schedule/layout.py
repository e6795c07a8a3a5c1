"""Where vectors come from: cut an index into blocks, and store tensors so that a block is one.

Before: y[n,k,i,j] += w[k,c,u,v]·x[n,c,i + u,j + v]
After:  w_packed[k,c,u,v,k'] = w[16·k + k',c,u,v]
        y[n,k,i,j,k'] += w_packed[k,c,u,v,k']·x[n,c,i + u,j + v]

A tensor that only the program itself sees is stored in blocks wherever all who touch it walk
along the axis one by one; what is given, or wanted, in the usual order is copied. For each sum of
products the cut is made that the cost model finds cheapest, copies counted.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sympy

from codegen.affine import Index, Size, as_size, index_symbols, typical
from codegen.machine import Machine
from codegen.names import unused
from codegen.notation import Access, Guard, Reduce, Statement, Tensor, accesses, rewritten
from codegen.program import Program
from codegen.schedule.collapse import collapse
from codegen.schedule.contraction import contraction
from codegen.schedule.copies import with_copies, without_copies
from codegen.schedule.order import SHORTEST, cost, far_first, stride
from codegen.schedule.tile import Tile, least_cycles, tile_of

COPY = 1.5  # cycles to bring one element from one order into another
WORTH = 0.9  # the part of the cycles that a cut, and blocks that end early, must not exceed
ENOUGH = 1.05  # times the least cycles there can be: what comes that close is taken
HALF = 0.7  # the part that blocks of half a vector must not exceed which an index does not fill
FULL = 0.6  # the part of a block that an index must fill
LEAST = 1000.0  # cycles that it must save, or the program had better be shorter
POSITION = (Reduce.ARGMAX, Reduce.ARGMIN)

Cuts = dict[Index, int]
Site = tuple[Tensor, tuple[Any, ...]]
Places = dict[Tensor, list[tuple[int, tuple[Any, ...]]]]


@dataclass(frozen=True)
class Blocks:
    """How a tensor is stored: one axis cut into blocks of so many, which stand innermost."""

    axis: int
    width: int


@dataclass
class Layout:
    """Decisions on the way: tensors in blocks, tensors that stay, indices cut by statement.

    The sums of products in `settled` have been decided: nothing cuts further indices of theirs.
    """

    program: Program
    places: Places
    barred: dict[int, set[Any]]
    blocked: dict[Tensor, Blocks] = field(default_factory=dict)
    plain: set[Tensor] = field(default_factory=set)
    cuts: dict[int, Cuts] = field(default_factory=dict)
    packed: dict[int, tuple[Index, frozenset[Access]]] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    cycles: float = 0.0
    weight: float = 1.0  # of a cycle: blocks that end early cost more than sums show

    @property
    def cost(self) -> float:
        """What layouts are compared by."""
        return self.cycles * self.weight


def lay_out(program: Program, machine: Machine, rank: int = 0) -> Program:
    """Give the program with the layouts and cuts that the cost model likes best.

    `rank` counts from there to what it likes less, which measuring may like better.
    """
    if not any(contraction(s) for s in program.statements):
        return program
    copied, copies = with_copies(program, machine)
    found: list[Layout] = []
    for start in reversed([*_strategies(copied, machine)]):  # what shares blocks is mostly better
        limit = found[0].cost if found and rank == 0 else math.inf
        found.insert(0, _decided(start, machine, limit))
    found.sort(key=lambda layout: layout.cost)
    return without_copies(_applied(found[min(rank, len(found) - 1)]), copies)


def _strategies(program: Program, machine: Machine) -> Iterator[Layout]:
    """Let vectors run along the axis that most tensors share, wherever it is; or never along it.

    Where it is none of whole blocks, each sum of products may still cut it for itself.
    """
    places: Places = {}
    for at, s in enumerate(program.statements):
        for tensor, maps in _sites(s):
            places.setdefault(tensor, []).append((at, maps))
    shared = _shared_axis(program)
    barred: dict[int, set[Any]] = {}
    for tensor, axis in shared:
        for at, maps in places[tensor]:
            barred.setdefault(at, set()).add(maps[axis])
    yield Layout(program, places, barred)
    if not shared:
        return
    width = _block_width({t.shape[axis] for t, axis in shared}, machine)
    layout = Layout(program, places, {}, weight=1.0 if width else 1 / WORTH)
    for tensor, axis in shared if width else ():
        blocks = Blocks(axis, width)
        if tensor.dtype == "float32" and _may_block(layout, tensor, blocks):
            layout.blocked[tensor] = blocks
    yield layout


def _block_width(sizes: set[Size], machine: Machine) -> int:
    """The widest block that an axis consists of whole ones of; 0 where there is none."""
    (size,) = sizes if len(sizes) == 1 else (0,)
    widest = machine.lanes("float32")
    for width in (widest, widest * machine.full // machine.vector):
        if isinstance(size, int) and size and size % width == 0:
            return width
    return 0


def _shared_axis(program: Program) -> list[tuple[Tensor, int]]:
    """The axes of tensors that run together with those of most of the program's own tensors."""
    group: dict[tuple[Tensor, int], tuple[Tensor, int]] = {}

    def root(site: tuple[Tensor, int]) -> tuple[Tensor, int]:
        while group.setdefault(site, site) != site:
            site = group[site]
        return site

    for s in program.statements:
        first: dict[Index, tuple[Tensor, int]] = {}
        for tensor, maps in _sites(s):
            for axis, m in enumerate(maps):
                if isinstance(m, Index) and tensor in program.definitions and _long(s.sizes[m]):
                    group[root((tensor, axis))] = root(first.setdefault(m, (tensor, axis)))
    members: dict[tuple[Tensor, int], list[tuple[Tensor, int]]] = {}
    for site in group:
        members.setdefault(root(site), []).append(site)
    return max(members.values(), key=len, default=[])


def _long(size: Size) -> bool:
    """Whether an axis may fill a vector."""
    return not isinstance(size, int) or size >= SHORTEST


def _decided(layout: Layout, machine: Machine, limit: float) -> Layout:
    """Decide for each sum of products, the longest first, then for whatever hangs on them.

    A layout that costs more than the limit is left undecided, for it is not taken.
    """
    program = layout.program
    sums = []
    for at, s in enumerate(program.statements):
        nest = contraction(s)
        if nest is not None:
            sums.append((nest.products, -at))
    for _, at in sorted(sums, reverse=True):
        if layout.cost > limit:
            return layout
        layout.cycles += _decide(layout, -at, machine)
        layout.settled.add(-at)
    _spread(layout)
    for at, s in enumerate(program.statements):
        if not contraction(s):
            layout.cycles += _simple_cycles(_formed(layout, at)[0])
    return layout


def _simple_cycles(s: Statement) -> float:
    """About how long a statement takes that runs in no tile."""
    points = math.prod(typical(n) for _, n in s.box)
    best = min((cost(i, s) for i, _ in s.box), default=1.0)
    return points * (len(s.reads) + 1) * min(1.0, best)


def _decide(layout: Layout, at: int, machine: Machine) -> float:
    """Choose the cut of one statement; give the cycles of it."""
    statement = layout.program.statements[at]
    current, _ = _formed(layout, at)
    tile = tile_of(current, machine)
    merged = tile_of(collapse((current,))[0], machine)  # as it runs if it stays as it is
    best, chosen = min((t.cycles for t in (tile, merged) if t), default=math.inf), None
    widest = machine.lanes(statement.target.dtype)
    narrowest = widest * machine.full // machine.vector
    nest = contraction(current)
    least = least_cycles(nest, machine) if nest else 0.0
    plain, limit = best, min(WORTH * best, best - LEAST)
    for lane, size in statement.box:
        if not isinstance(size, int) or lane in layout.barred.get(at, ()):
            continue
        width = widest
        filled = FULL if tile else FULL / 2  # where there is no tile, half as much will do
        fitting = 1 << (size - 1).bit_length()
        least_width = fitting if 2 * fitting == widest else narrowest
        while width >= least_width and limit > ENOUGH * least:
            trial = _trial(layout, at, lane, width) if size >= filled * width else None
            if trial is not None:
                formed, copies = _formed(trial, at)
                inner = _letters(statement, _cuts(trial, at))[lane][1]
                moved = sum(_elements(c, layout.program.fixed) for c in copies)
                enough = width >= narrowest or width == size
                most = limit if enough else min(limit, HALF * plain)
                early = WORTH if lane in statement.reduced and size % width else 1.0
                made = _tile_within(formed, machine, inner, early * most - COPY * moved)
                if made is not None:
                    cycles = (made.cycles + COPY * moved) / early
                    if cycles < most:
                        best, limit, chosen = cycles, cycles, trial
            width //= 2
    if chosen is not None:
        layout.blocked, layout.cuts = chosen.blocked, chosen.cuts
        layout.packed = chosen.packed
    elif tile is not None:  # it walks along these as they are
        for t, maps in _sites(current):
            if stride(t, maps, tile.lane) == 1 and t not in layout.blocked:
                layout.plain.add(t)
    return best if best < math.inf else _simple_cycles(current)


def _tile_within(s: Statement, machine: Machine, lane: Index, limit: float) -> Tile | None:
    """Give the best tile; None, without a search, where no tile can be that quick."""
    nest = contraction(s)
    if nest is None or least_cycles(nest, machine) >= limit:
        return None
    return tile_of(s, machine, lane)


def _trial(layout: Layout, at: int, lane: Index, width: int) -> Layout | None:
    """Give the layout with one more cut, its operands in blocks or packed; None where none is."""
    statement = layout.program.statements[at]
    trial = replace(
        layout,
        blocked=dict(layout.blocked),
        plain=set(layout.plain),
        cuts={**layout.cuts, at: {**layout.cuts.get(at, {}), lane: width}},
        packed=dict(layout.packed),
    )
    packed: set[Access] = set()
    for a in statement.reads:
        if not any(lane in m.free_symbols for m in a.maps):
            continue
        if stride(a.tensor, a.maps, lane) == 1 and a.tensor not in trial.blocked:
            continue
        axis = _alone(a.maps, lane)
        known = trial.blocked.get(a.tensor)
        if known == (axis is not None and Blocks(axis, width)):
            continue
        if known and known.width <= width and _only_here(trial, a.tensor, at):
            del trial.blocked[a.tensor]
            known = None
        if axis is not None and known is None and _may_block(trial, a.tensor, Blocks(axis, width)):
            trial.blocked[a.tensor] = Blocks(axis, width)
        elif _packable(a, statement):
            packed.add(a)
        else:
            return None
    if lane in statement.parallel:
        axis = _alone(statement.maps, lane)
        blocks = axis is not None and Blocks(axis, width)
        if blocks and _may_block(trial, statement.target, blocks):
            trial.blocked[statement.target] = blocks
    if not packed and trial.blocked == layout.blocked:
        return None  # all have their vectors already
    if packed:
        trial.packed[at] = (lane, frozenset(packed))
    return trial


def _only_here(layout: Layout, tensor: Tensor, at: int) -> bool:
    """Whether a statement alone reads a tensor, which nothing settled has in blocks."""
    users = {user for user, _ in layout.places[tensor]}
    written = {user for user in users if layout.program.statements[user].target == tensor}
    return not users & layout.settled and users - written == {at}


def _packable(access: Access, s: Statement) -> bool:
    """Whether a copy by the indices of a statement is no larger than what is read."""
    used = {i for m in access.maps for i in index_symbols(m)}
    points = math.prod(typical(s.sizes[i]) for i in used)
    return points <= math.prod(map(typical, access.tensor.shape))


def _alone(maps: Sequence[Any], index: Index) -> int | None:
    """The axis along which the index runs by itself, and along no other."""
    if sum(index in m.free_symbols for m in maps) != 1 or index not in maps:
        return None
    return list(maps).index(index)


def _may_block(layout: Layout, tensor: Tensor, blocks: Blocks) -> bool:
    """Whether nobody outside sees the tensor, and all others walk along the axis one by one."""
    program = layout.program
    if tensor in layout.plain or tensor in layout.blocked:
        return layout.blocked.get(tensor) == blocks
    outside = {*program.inputs, *program.parameters, *program.outputs}
    if tensor in outside or any(tensor == new for _, new in program.updates):
        return False
    size = tensor.shape[blocks.axis]
    if not isinstance(size, int):
        return False
    for at, maps in layout.places[tensor]:
        s = program.statements[at]
        index = maps[blocks.axis]
        if not isinstance(index, Index) or s.sizes.get(index) != size:
            return False
        if sum(index in m.free_symbols for m in maps) != 1:
            return False
        if index in {b.index for b in s.bindings} or (s.op in POSITION and index in s.reduced):
            return False
        known = _cuts(layout, at)
        if known.get(index, blocks.width) != blocks.width:
            return False
        if at in layout.settled and index not in known:
            return False  # a longer sum has found its loops, and this is no index that it cut
        if _overflows(s, index, blocks.width):
            return False
    return True


def _overflows(s: Statement, index: Index, width: int) -> bool:
    """Whether the last block would reach beyond an index that is a digit, into its neighbour."""
    others = (m for _, maps in _sites(s) for m in maps if m != index)
    return bool(s.sizes[index] % width) and any(index in m.free_symbols for m in others)


def _sites(s: Statement) -> list[Site]:
    """Every tensor that a statement writes or reads, with the coordinates."""
    return [(s.target, s.maps), *((a.tensor, a.maps) for a in s.reads)]


def _spread(layout: Layout) -> None:
    """Store in blocks whatever else runs along an index that is cut already."""
    program = layout.program
    changed = True
    while changed:
        changed = False
        for at, s in enumerate(program.statements):
            cuts = _cuts(layout, at)
            if not cuts:
                continue
            changed |= _followed(layout, s, cuts)
            if contraction(s):
                continue
            for tensor, maps in _sites(s):
                if tensor in layout.blocked:
                    continue
                for axis, m in enumerate(maps):
                    if m in cuts and _may_block(layout, tensor, Blocks(axis, cuts[m])):
                        layout.blocked[tensor] = Blocks(axis, cuts[m])
                        changed = True
                        break


def _followed(layout: Layout, writer: Statement, cuts: Cuts) -> bool:
    """Cut what reads a result point by point as its writer does, so that both share their loops."""
    changed = False
    for at, there in layout.places[writer.target]:
        s = layout.program.statements[at]
        if s.bindings or at in layout.settled or (s.reduced and s.target != writer.target):
            continue
        for m, theirs in zip(writer.maps, there, strict=True):
            alone = theirs in s.sizes and s.sizes[theirs] == writer.sizes.get(m)
            if m not in cuts or not alone or _overflows(s, theirs, cuts[m]):
                continue
            if theirs not in _cuts(layout, at):
                layout.cuts.setdefault(at, {})[theirs] = cuts[m]
                changed = True
    return changed


def _cuts(layout: Layout, at: int) -> Cuts:
    """The indices of a statement that are cut: by choice, or because a tensor is in blocks."""
    s = layout.program.statements[at]
    cuts = dict(layout.cuts.get(at, {}))
    for tensor, maps in _sites(s):
        if tensor in layout.blocked:
            blocks = layout.blocked[tensor]
            cuts[maps[blocks.axis]] = blocks.width
    return cuts


# -- applying ---------------------------------------------------------------------------------


def _applied(layout: Layout) -> Program:
    """Give the program with all that was decided."""
    statements: list[Statement] = []
    for at in range(len(layout.program.statements)):
        formed, copies = _formed(layout, at)
        statements += [*copies, formed]
    return layout.program.with_statements(statements)


def _formed(layout: Layout, at: int) -> tuple[Statement, tuple[Statement, ...]]:
    """Give a statement as the layout has it, and the copies that it reads."""
    s = layout.program.statements[at]
    cuts = _cuts(layout, at)
    if not cuts:
        return s, ()
    letters = _letters(s, cuts)
    rules = {i: width * letters[i][0] + letters[i][1] for i, width in cuts.items()}

    def moved(expr: Any) -> Any:
        if isinstance(expr, Index):  # as most are
            return rules.get(expr, expr)
        return sympy.expand(expr.xreplace(rules))

    def placed(tensor: Tensor, maps: tuple[Any, ...]) -> Access:
        blocks = layout.blocked.get(tensor)
        if blocks is None:
            return tensor[tuple(map(moved, maps))]
        outer, inner = letters[maps[blocks.axis]]
        there = tuple(outer if a == blocks.axis else moved(m) for a, m in enumerate(maps))
        return in_blocks(tensor, blocks)[(*there, inner)]

    left = placed(s.target, s.maps)
    body = s.body.xreplace({a: placed(a.tensor, a.maps) for a in accesses(s.body)} | rules)
    extra = rewritten(s.extra, moved)
    known = layout.blocked.get(s.target)
    filled = known and s.maps[known.axis]  # whose last block may as well hold anything
    extra += tuple(
        Guard(rules[i], s.sizes[i])
        for i, n in cuts.items()
        if s.sizes[i] % n and i != filled and not _zero_beyond(layout, at, i)
    )
    formed = replace(
        s,
        target=left.tensor,
        maps=left.maps,
        body=body,
        box=tuple(_box(s, cuts, letters)),
        bindings=tuple(replace(b, value=placed(b.value.tensor, b.value.maps)) for b in s.bindings),
        extra=extra,
        support=rewritten(s.support, moved),
    )
    if at not in layout.packed:
        return formed, ()
    lane, packed = layout.packed[at]
    swaps, copies = {}, []
    for number, a in enumerate(a for a in s.reads if a in packed):
        there = placed(a.tensor, a.maps)
        copy = _copy(there, formed, letters[lane][1], _free(layout, a.tensor, at, number))
        swaps[there] = copy.target[tuple(m.xreplace(_backwards(there, formed)) for m in copy.maps)]
        copies.append(copy)
    return replace(formed, body=formed.body.xreplace(swaps)), tuple(copies)


def _zero_beyond(layout: Layout, at: int, index: Index) -> bool:
    """Whether all that a sum reads along an index is zero beyond its end, in the last block."""
    s = layout.program.statements[at]
    lane, packed = layout.packed.get(at, (None, frozenset()))
    if index not in s.reduced or index != lane:
        return False

    def stops(a: Access) -> bool:
        if a not in packed:
            return _ends_in_zeros(layout, a.tensor)
        # What is in blocks itself is copied with whatever its last block ends in.
        return a.tensor not in layout.blocked and _stops_with(a, index, s.sizes[index])

    return all(stops(a) for a in s.reads if any(index in m.free_symbols for m in a.maps))


def _ends_in_zeros(layout: Layout, tensor: Tensor) -> bool:
    """Whether the last block of a tensor holds zeros where its axis has ended.

    It is filled with them, then written from tensors that are not in blocks and end there too.
    """
    blocks = layout.blocked.get(tensor)
    if blocks is None:
        return False
    sites = ((layout.program.statements[k], maps) for k, maps in layout.places[tensor])
    first, *rest = ((s, maps[blocks.axis]) for s, maps in sites if s.target == tensor)
    return first[0].body == 0 and all(
        isinstance(s.body, Access)
        and s.body.tensor not in layout.blocked
        and _stops_with(s.body, index, tensor.shape[blocks.axis])
        for s, index in rest
    )


def _stops_with(access: Access, index: Index, size: Size) -> bool:
    """Whether what is read ends where the index does: there is nothing, and so zero, beyond."""
    return any(
        m == index and n == size for m, n in zip(access.maps, access.tensor.shape, strict=True)
    )


def _copy(access: Access, s: Statement, lane: Index, name: str) -> Statement:
    """Give the copy of an operand by the indices that it is read with, the lane innermost.

    Short indices that stand side by side in the operand stay so: together they fill vectors. What
    is read backwards is copied forwards, as what turns arrays expects.
    """
    turned = _backwards(access, s)
    access = access.tensor[tuple(sympy.expand(m.xreplace(turned)) for m in access.maps)]
    used = {i for m in access.maps for i in m.free_symbols if isinstance(i, Index)} - {lane}
    beside = _beside(access, s, lane)
    rest = (*(i for i in s.parallel if i in used), *(i for i in far_first(s) if i in used))
    order = (*(i for i in rest if i not in beside), *beside, lane)
    target = Tensor(name, tuple(s.sizes[i] for i in order), access.tensor.dtype)
    box = tuple((i, s.sizes[i]) for i in order)
    return Statement(target, order, Reduce.SET, access, box)


def _backwards(access: Access, s: Statement) -> dict[Any, Any]:
    """Give the indices that run through an axis from its end, each as it is counted from there."""
    fixed = [(i, m) for m in access.maps for i in index_symbols(m) if isinstance(s.sizes[i], int)]
    return {i: m for i, m in fixed if m == s.sizes[i] - 1 - i}


def _beside(access: Access, s: Statement, lane: Index) -> tuple[Index, ...]:
    """The operand's last indices in its order, until they fill a vector; none if one does alone."""
    found: list[Index] = []
    run = 1
    for m, size in zip(reversed(access.maps), reversed(access.tensor.shape), strict=True):
        if not isinstance(m, Index) or m == lane or s.sizes[m] != size or run >= SHORTEST:
            break
        found.insert(0, m)
        run *= typical(size)
    return tuple(found) if len(found) > 1 else ()


def _free(layout: Layout, tensor: Tensor, at: int, number: int) -> str:
    """A name for the copy of an operand that no tensor has."""
    name = f"{tensor.name}_packed{at}" + (f"_{number}" if number else "")
    return unused(name, {t.name for t in layout.program.tensors})


def in_blocks(tensor: Tensor, blocks: Blocks) -> Tensor:
    """Give the tensor as it is stored: `x[n,c,h,w]` in blocks of c is `x[n,c/16,h,w,16]`."""
    count = as_size(sympy.ceiling(sympy.sympify(tensor.shape[blocks.axis]) / blocks.width))
    shape = [count if a == blocks.axis else n for a, n in enumerate(tensor.shape)]
    return Tensor(tensor.name, (*shape, blocks.width), tensor.dtype)


def _letters(s: Statement, cuts: Iterable[Index]) -> dict[Index, tuple[Index, Index]]:
    """Name the block of each index that is cut, and the place in it."""
    taken = {i.name for i in s.sizes}
    found = {}
    for i in cuts:
        pair = (f"{i.name}b", f"{i.name}l")
        while taken & set(pair):
            pair = (f"{pair[0]}_", f"{pair[1]}_")
        taken |= set(pair)
        found[i] = (Index(pair[0]), Index(pair[1]))
    return found


def _box(
    s: Statement, cuts: Cuts, letters: dict[Index, tuple[Index, Index]]
) -> Iterator[tuple[Index, Any]]:
    """The box with each cut index in two: places in a block run innermost of their kind."""
    for group in (s.parallel, s.reduced):
        for i in group:
            n = s.sizes[i]
            yield (letters[i][0], -(-int(n) // cuts[i])) if i in cuts else (i, n)
        yield from ((letters[i][1], cuts[i]) for i in group if i in cuts)


def _elements(copy: Statement, fixed: Collection[Tensor]) -> int:
    """How many elements a copy has, if it is made in each run."""
    if copy.body.tensor in fixed:
        return 0
    return math.prod(map(typical, copy.target.shape))
