"""Run kernels together, for one stretch of an axis after the other: what they pass stays near.

Before: for n: x_padded[n,…] = x[n,…]        After: for n: x_padded[…] = x[n,…]
        for n: y[n,…] += w[…]·x_padded[n,…]                y[n,…] += w[…]·x_padded[…]

What only the kernels of a group see is no array of the program any more, but a small one of its
own in each iteration.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from codegen.affine import Dim, Index, Size, split, typical
from codegen.aligned import LINE
from codegen.machine import Machine
from codegen.notation import BYTES, Access, Guard, Statement, Tensor, accesses, inside, rewritten
from codegen.program import Program
from codegen.rewrite.gather import expanded
from codegen.schedule.collapse import collapse
from codegen.schedule.fuse import Kernel, Stage
from codegen.schedule.tile import tile_of

MOST = 896 << 10  # bytes that the small arrays of one iteration may take on a thread's stack
NEAR = 7 / 8  # of the second cache, beyond which they would not be near
FEWEST = 8  # iterations that keep several threads busy
SLOWER = 1.1  # times as long that the work itself may take
SAME = 1.01  # times as long that count as no longer
SEVERAL = 3  # choices of loops that are compared
FAR = 1 / 4  # of the last cache, beyond which arrays are not likely to be in it
BETWEEN = 6  # kernels that may stand between those of a group
LEAST = 256 << 10  # bytes that pass between kernels: less stays in the cache in any case

Letters = tuple[Index, ...]  # one for each statement of a kernel


@dataclass(frozen=True)
class Group:
    """Kernels that run one after the other, or, with `outer` loops, for each iteration of these.

    `local` says of tensors that live in one iteration which axes the loops have taken.
    """

    kernels: tuple[Kernel, ...]
    outer: tuple[tuple[Dim, Size], ...] = ()
    letters: tuple[tuple[Letters, ...], ...] = ()
    local: Mapping[Tensor, tuple[int, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        text = "\n\n".join(map(str, self.kernels))
        if not self.outer:
            return text
        loops = ", ".join(f"{d} < {n}" for d, n in self.outer)
        return f"together for {loops}:\n{text}"

    @cached_property
    def inner(self) -> tuple[Kernel, ...]:
        """The kernels as they are within one iteration."""
        if not self.outer:
            return self.kernels
        return tuple(
            _inner(kernel, self, letters)
            for kernel, letters in zip(self.kernels, self.letters, strict=True)
        )


@dataclass(eq=False)  # each is itself alone
class _Open:
    """A group that is being put together: for each dimension, the letters of every kernel.

    `passed` are the tensors that only its kernels would see, and `ahead` the kernels that stood
    between them, follow from none of them, and come first.
    """

    kernels: list[Kernel]
    dimensions: list[list[Letters]]
    passed: tuple[Tensor, ...] = ()
    ahead: tuple[Kernel, ...] = ()

    @cached_property
    def kept(self) -> float:
        """The bytes that need not pass through memory."""
        return sum(map(_bytes, self.passed))

    @property
    def span(self) -> int:
        """How many kernels it takes the place of."""
        return len(self.ahead) + len(self.kernels)


def group(
    kernels: Sequence[Kernel],
    program: Program,
    machine: Machine,
    apart: Collection[Tensor],
    *,
    enabled: bool = True,
) -> tuple[Group, ...]:
    """Give the kernels in groups, in the same order.

    Tensors in `apart` have memory of their own or show that of others, and stay outside.
    """
    if not enabled:
        return tuple(Group((k,)) for k in kernels)
    runs = [_runs_from(at, kernels, program, apart) for at in range(len(kernels))]
    made: dict[_Open, Group | None] = {}
    while True:
        chosen = _most_kept(runs)
        made |= {run: _quickest(run, machine) for run in chosen if run not in made}
        found = [group for run in chosen if (group := made[run])]
        if len(found) == len(chosen):
            return tuple(found)
        runs = [[run for run in some if made.get(run, True)] for some in runs]


def _runs_from(
    at: int, kernels: Sequence[Kernel], program: Program, apart: Collection[Tensor]
) -> list[_Open]:
    """Give a kernel alone, and what may be groups that begin with it, the shortest first."""
    current = _Open([kernels[at]], [])
    found = [current]
    ahead: list[Kernel] = []
    updated = {new for _, new in program.updates}  # whose old values others may still read
    for kernel in kernels[at + 1 :]:
        if not any(t in k.made for t in kernel.reads for k in current.kernels):
            if len(ahead) == BETWEEN or updated.intersection(kernel.made):
                break
            ahead.append(kernel)
            continue
        joined = _joined(current, kernel)
        if joined is None:
            break
        current = joined
        if passed := _passed(current, program, apart):
            found.append(replace(current, passed=passed, ahead=tuple(ahead)))
    return found


def _most_kept(runs: Sequence[Sequence[_Open]]) -> list[_Open]:
    """Give runs, one after the other, that keep the most bytes from passing through memory."""
    best: list[tuple[float, _Open | None]] = [(0.0, None)]  # from each kernel to the end
    for some in reversed(runs):
        after = [(r.kept + best[-r.span][0], r) for r in some]
        best.append(max(after, key=lambda pair: pair[0]))
    chosen: list[_Open] = []
    at = len(runs)
    while at:
        run = best[at][1]
        assert run is not None
        chosen += [*(_Open([k], []) for k in run.ahead), run]
        at -= run.span
    return chosen


def _joined(current: _Open, kernel: Kernel) -> _Open | None:
    """Give the group with one more kernel, over the dimensions that are still shared."""
    flows = [t for t in kernel.reads if any(t in k.made for k in current.kernels)]
    if not flows:
        return None
    if current.dimensions:
        dimensions = []
        for known in current.dimensions:
            more = {_continued(current.kernels, known, t, kernel) for t in flows}
            if len(more) == 1 and (only := more.pop()):
                dimensions.append([*known, only])
    else:
        (first,) = current.kernels
        dimensions = []
        for letters in _dimensions(first, flows[0]):
            more = {_continued([first], [letters], t, kernel) for t in flows}
            if len(more) == 1 and (only := more.pop()):
                dimensions.append([letters, only])
    if not dimensions:
        return None
    return _Open([*current.kernels, kernel], dimensions)


def _dimensions(kernel: Kernel, tensor: Tensor) -> list[Letters]:
    """The axes of a tensor along which the kernel that makes it can be cut into iterations."""
    stage = next(s for s in kernel.stages if s.tensor == tensor)
    found = []
    for axis in range(tensor.rank):
        if kernel.stages[0].complete:
            m = stage.statements[0].maps[axis]
            letters = (m,) * len(kernel.statements)
        else:
            letters = tuple(s.maps[axis] for s in kernel.statements)
        if all(map(_runs, kernel.statements, letters)):
            size = {s.sizes[i] for s, i in zip(kernel.statements, letters, strict=True)}
            if size == {tensor.shape[axis]}:
                found.append(letters)
    return found


def _runs(s: Statement, letter: Any) -> bool:
    """Whether an index runs freely over independent points of a statement."""
    return letter in s.parallel and not s.bindings


def _continued(
    kernels: Sequence[Kernel], letters: Sequence[Letters], tensor: Tensor, reader: Kernel
) -> Letters | None:
    """The letters with which a kernel reads a tensor along the axis that a dimension runs."""
    at = next(k for k, kernel in enumerate(kernels) if tensor in kernel.made)
    axis = _axis(kernels[at], letters[at], tensor)
    if axis is None:
        return None
    read = [{a.maps[axis] for a in s.reads if a.tensor == tensor} for s in reader.statements]
    if any(len(found) > 1 for found in read):
        return None
    known = [next(iter(found), None) for found in read]
    s, letter = next((s, i) for s, i in zip(reader.statements, known, strict=True) if i is not None)
    if reader.stages[0].complete:
        found: tuple[Any, ...] = (letter,) * len(known)
    else:
        if letter not in s.maps:
            return None
        there = list(s.maps).index(letter)
        found = tuple(o.maps[there] for o in reader.statements)
    if any(i not in (None, f) for i, f in zip(known, found, strict=True)):
        return None
    sizes = {s.sizes.get(i) for s, i in zip(reader.statements, found, strict=True)}
    runs = all(map(_runs, reader.statements, found))
    return found if runs and sizes == {tensor.shape[axis]} else None


def _axis(kernel: Kernel, letters: Letters, tensor: Tensor) -> int | None:
    """The axis of a tensor along which a dimension of its kernel runs, and nothing else does."""
    found = set()
    for s, i in zip(kernel.statements, letters, strict=True):
        if s.target == tensor:
            moved = [axis for axis, m in enumerate(s.maps) if i in m.free_symbols]
            found.add(moved[0] if len(moved) == 1 and s.maps[moved[0]] == i else None)
    return found.pop() if len(found) == 1 else None


def _passed(current: _Open, program: Program, apart: Collection[Tensor]) -> tuple[Tensor, ...]:
    """The tensors that only the kernels of a group would see; none if it cannot be one."""
    own = current.kernels
    outside = {*apart, *program.outputs, *program.inputs, *program.parameters}
    made = [t for k in current.kernels for t in k.made]
    if any(t in outside for k in current.kernels[:-1] for t in k.made):
        return ()
    users = {t: {s.target for s in program.readers.get(t, ())} for t in made}
    inside_ = {t for k in own for t in k.made}
    local = [t for t in made if t not in outside and users[t] and users[t] <= inside_]
    passed = [t for t in local if any(t in k.reads for k in current.kernels)]
    if not passed or sum(map(_bytes, passed)) < LEAST:
        return ()
    if any(
        old in k.reads
        for old, new in program.updates
        if new in inside_
        for k in own
        if new not in k.made
    ):
        return ()  # an iteration would write over what another one reads
    if any(not k.stages[0].complete and k.made[0] not in passed for k in own):
        return ()  # it would have to fill a part of an array that others see
    return tuple(passed)


def _quickest(current: _Open, machine: Machine) -> Group | None:
    """Give the group over the dimensions that make it the quickest; None if none pay."""
    if len(current.kernels) == 1:
        return Group(tuple(current.kernels))
    fitting = _fitting(current, min(MOST, NEAR * machine.l2))
    far = current.kept > FAR * machine.l3  # then choices that pay are looked for to the end
    tried = (
        (_over(current, some), some) for some in itertools.islice(fitting, None if far else SEVERAL)
    )
    paying = (each for each in tried if _pays(each[0], current.passed, machine))
    found = [*itertools.islice(paying, SEVERAL)]
    if not found:
        return None
    best, chosen = min(found, key=lambda each: _cycles(each[0], machine))
    return _finer(current, chosen, best, machine) if _spilt(best, machine) else best


def _finer(current: _Open, some: Sequence[list[Letters]], whole: Group, machine: Machine) -> Group:
    """Give the group over one more dimension where its small arrays stay in the first cache then.

    Its iterations see slices that lie in one piece, and must not take longer.
    """
    for more in (d for d in current.dimensions if d not in some):
        group = _over(current, [*some, more])
        first = list(range(len(group.outer)))
        slices = all(sorted(axes) == first for axes in group.local.values())
        quick = _cycles(group, machine) <= SAME * _cycles(whole, machine)
        if slices and quick and not _spilt(group, machine):
            return group
    return whole


def _over(current: _Open, some: Sequence[list[Letters]]) -> Group:
    """Give the group over some dimensions."""
    chosen = sorted(some, key=lambda d: _moved(current.kernels, d), reverse=True)
    sizes = _sizes(current.kernels, chosen)
    axes = {t: _axes(current.kernels, chosen, t) for t in current.passed}
    return Group(
        tuple(current.kernels),
        tuple(
            (Dim(f"this {letters[0][0].name}"), size)
            for letters, size in zip(chosen, sizes, strict=True)
        ),
        tuple(tuple(d[k] for d in chosen) for k in range(len(current.kernels))),
        {t: tuple(a for a in of if a is not None) for t, of in axes.items()},
    )


def _spilt(group: Group, machine: Machine) -> bool:
    """Whether the small arrays of an iteration leave no room in the first cache for others."""
    return sum(_small(t, axes) for t, axes in group.local.items()) > machine.l1 / 2


def _fitting(current: _Open, most: float) -> Iterator[Sequence[list[Letters]]]:
    """Give the dimensions that together keep the small arrays small, no more than need be."""
    known: list[set[int]] = []
    every = range(len(current.dimensions))
    for some in (c for count in every for c in itertools.combinations(every, count + 1)):
        chosen = [current.dimensions[at] for at in some]
        axes = {t: _axes(current.kernels, chosen, t) for t in current.passed}
        if any(fit <= {*some} for fit in known) or any(None in of for of in axes.values()):
            continue
        iterations = math.prod(map(typical, _sizes(current.kernels, chosen)))
        if sum(_small(t, of) for t, of in axes.items()) <= most and iterations >= FEWEST:
            known.append({*some})
            yield chosen


def _cycles(group: Group, machine: Machine) -> float:
    """Give about how long the kernels take in pieces, by the models of their sums."""
    once = 0.0
    for s in (s for kernel in group.inner for s in collapse(kernel.statements)):
        tile = tile_of(s, machine)
        once += tile.cycles if tile else math.prod(map(typical, s.sizes.values()))
    return once * math.prod(typical(n) for _, n in group.outer)


def _moved(kernels: Sequence[Kernel], dimension: Sequence[Letters]) -> float:
    """The bytes of what is read from outside, as far as a dimension runs through them.

    Outermost, it lets each iteration inside, and each thread, read what the last one has read.
    """
    made = {t for k in kernels for t in k.made}
    read = {
        a.tensor
        for kernel, letters in zip(kernels, dimension, strict=True)
        for s, letter in zip(kernel.statements, letters, strict=True)
        for a in s.reads
        if any(letter in m.free_symbols for m in a.maps)
    }
    return sum(map(_bytes, read - made))


def _axes(
    kernels: Sequence[Kernel], dimensions: Sequence[list[Letters]], tensor: Tensor
) -> tuple[int | None, ...]:
    at = next(k for k, kernel in enumerate(kernels) if tensor in kernel.made)
    return tuple(_axis(kernels[at], letters[at], tensor) for letters in dimensions)


def _sizes(kernels: Sequence[Kernel], dimensions: Sequence[list[Letters]]) -> list[Size]:
    s = kernels[0].statements[0]
    return [s.sizes[letters[0][0]] for letters in dimensions]


def _small(tensor: Tensor, axes: Collection[int | None]) -> float:
    """The bytes of a tensor in one iteration; infinite where they are not known."""
    rest = [n for a, n in enumerate(tensor.shape) if a not in axes]
    if not all(isinstance(n, int) and n > 0 for n in rest):
        return math.inf
    return BYTES[tensor.dtype] * math.prod(rest)


def _pays(group: Group, passed: Sequence[Tensor], machine: Machine) -> bool:
    """Whether the kernels are about as quick in pieces, and pass more than they read again."""
    trips = [typical(n) for _, n in group.outer]
    made = {t for k in group.kernels for t in k.made}
    again = 0.0
    for kernel, letters in zip(group.kernels, group.letters, strict=True):
        for at, s in enumerate(kernel.statements):
            for a in s.reads:
                loops = zip((d[at] for d in letters), trips, strict=True)
                times = math.prod(_fetches(a, i, n) for i, n in loops)
                piece = _bytes(a.tensor) / math.prod(trips) * times
                if a.tensor not in made and piece > machine.l2 / 2:
                    again += _bytes(a.tensor) * (times - 1)
    if again > sum(map(_bytes, passed)):
        return False
    whole_too = zip(group.kernels, group.inner, strict=True)
    if any(k.stages[0].complete and not inner.stages[0].complete for k, inner in whole_too):
        return False  # it would fill what other iterations write
    whole = sum(_work(s, machine) for k in group.kernels for s in collapse(k.statements))
    inner = sum(_work(s, machine) for k in group.inner for s in collapse(k.statements))
    return inner * math.prod(trips) <= SLOWER * whole


def _fetches(access: Access, index: Index, trips: int) -> float:
    """How often so many iterations along an index fetch the same cache line."""
    if not any(index in m.free_symbols for m in access.maps):
        return trips
    step = split(access.maps[-1])[1].get(index, 0)
    if not step or not step.is_Integer:
        return 1
    return max(1, min(LINE // (BYTES[access.tensor.dtype] * abs(int(step))), trips))


def _work(s: Statement, machine: Machine) -> float:
    tile = tile_of(s, machine)
    if tile:
        return tile.work
    return math.prod(map(typical, s.sizes.values()))


def _bytes(tensor: Tensor) -> float:
    return BYTES[tensor.dtype] * math.prod(map(typical, tensor.shape))


# -- one iteration ----------------------------------------------------------------------------


def _inner(kernel: Kernel, group: Group, letters: tuple[Letters, ...]) -> Kernel:
    """Give a kernel as it is within one iteration: the loops' indices are sizes to it."""
    found = iter(range(len(kernel.statements)))
    dims = [d for d, _ in group.outer]
    stages = []
    for stage in kernel.stages:
        own = []
        for s, n in zip(stage.statements, found, strict=False):
            tensors = dict.fromkeys((s.target, *(a.tensor for a in s.reads)))
            taken = tuple((t, group.local[t]) for t in tensors if t in group.local)
            letter = (d[n] for d in letters)
            own.append(_within(s, tuple(zip(letter, dims, strict=True)), taken))
        stages.append(Stage(own[0].target, tuple(own)))
    return Kernel(tuple(stages))


@lru_cache(maxsize=4096)  # a group grows kernel by kernel, and asks for all of them each time
def _within(
    s: Statement,
    loops: tuple[tuple[Index, Dim], ...],
    taken: tuple[tuple[Tensor, tuple[int, ...]], ...],
) -> Statement:
    """Give a statement within one iteration of loops, which have `taken` some axes of tensors."""
    rules: dict[Any, Any] = dict(loops)
    local = dict(taken)
    granted = []

    def placed(tensor: Tensor, maps: tuple[Any, ...]) -> Access:
        axes = local.get(tensor, ())
        rest = [k for k in range(tensor.rank) if k not in axes]
        small = Tensor(tensor.name, tuple(tensor.shape[k] for k in rest), tensor.dtype)
        there = small[tuple(maps[k].xreplace(rules) for k in rest)]
        for k, m in zip(rest, there.maps, strict=True):
            if inside(maps[k], tensor.shape[k], s.sizes):
                granted.append(Guard(m, tensor.shape[k]))
        return there

    left = placed(s.target, s.maps)
    swaps = {a: placed(a.tensor, a.maps) for a in accesses(s.body)}
    return replace(
        s,
        target=left.tensor,
        maps=left.maps,
        body=expanded(s.body.xreplace(swaps | rules)),
        box=tuple((i, n) for i, n in s.box if i not in rules),
        extra=rewritten(
            (g for g in s.extra if not inside(g.expr, g.size, s.sizes)),
            lambda e: e.xreplace(rules),
        ),
        granted=tuple(granted),
        support=rewritten(s.support, lambda e: e.xreplace(rules)),
    )
