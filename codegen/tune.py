"""Search by measuring: of the schedules that the cost model likes, keep those clearly faster.

    1  the program as a whole: the other layout, kernels apart, without Winograd's algorithms
    2  each sum of products that takes a noticeable share of the time, by itself: its best tiles
    3  the program with all these tiles, against the program without

What looks best is measured again, in more rounds, and wins only if it is clearly faster in these:
the best of many is best by luck as well.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from codegen.affine import TYPICAL
from codegen.compile import INEXACT, LAYOUTS, Choices, Options, Plan
from codegen.program import Program
from codegen.rewrite import PASSES
from codegen.schedule import Group
from codegen.schedule.tile import SEVERAL, Tile
from codegen.sizes import evaluate

CLEARLY = 0.98  # the part of the time that a better schedule must not exceed
MOSTLY = 0.67  # the part of the rounds in which it must be faster
CONFIRMED = 2  # times that the best is measured again
NOTICEABLE = 0.03  # the part of the cycles from which on a sum of products is looked at

WHOLE = "the program"
UNTUNED = "as the cost model has it"

Measure = Callable[[Sequence[Plan]], Sequence[Sequence[float]]]
"""Gives the seconds that each plan takes in each round; compared are those of one round."""

Watch = Callable[[str, int, int], None]
"""Is told what is measured next, as which of how many."""


@dataclass(frozen=True)
class Trial:
    """One candidate: its median, also as part of the time of what it was compared with."""

    what: str
    candidate: str
    seconds: float
    ratio: float
    chosen: bool


@dataclass(frozen=True)
class Tuning:
    """What measuring chose, and the table of all that was measured."""

    options: Options
    trials: tuple[Trial, ...] = ()

    @property
    def ratio(self) -> float:
        """The time of the tuned program as part of that of the untuned one."""
        return math.prod(t.ratio for t in self.trials if t.what == WHOLE and t.chosen)

    def __str__(self) -> str:
        lines = []
        width = max((len(t.candidate) for t in self.trials), default=0)
        what = None
        for t in self.trials:
            if t.what != what or t.candidate == UNTUNED:
                lines.append(t.what)
            what = t.what
            mark = "*" if t.chosen else " "
            time = f"{t.seconds * 1e6:>12.1f} µs {t.ratio:>6.1%}"
            lines.append(f"{mark} {t.candidate:<{width}} {time}")
        lines.append(f"tuned, it takes {self.ratio:.1%} of the time that it takes untuned")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Give what `read_tuning` reads."""
        return {
            "off": sorted(self.options.off),
            "group": self.options.group,
            "choices": [list(pair) for pair in self.options.choices],
            "trials": [asdict(t) for t in self.trials],
        }


def read_tuning(value: Any, options: Options) -> Tuning | None:
    """Give the tuning of a program with these options, as it was written; None for anything else.

    >>> found = Tuning(Options(group=False, choices=(("layouts", 1),)))
    >>> read_tuning(found.to_json(), Options()) == found
    True
    >>> read_tuning(found.to_json() | {"choices": [["layouts", "one"]]}, Options())
    """
    try:
        off, group, choices = frozenset(value["off"]), value["group"], value["choices"]
        pairs = tuple((key, rank) for key, rank in choices)
        trials = tuple(Trial(**t) for t in value["trials"])
    except (KeyError, TypeError, ValueError):
        return None
    fits = (
        off - options.off <= INEXACT
        and off >= options.off
        and type(group) is bool
        and (options.group or not group)
        and all(type(key) is str and type(rank) is int and rank >= 0 for key, rank in pairs)
        and all(_whole(t) for t in trials)
    )
    return Tuning(replace(options, off=off, group=group, choices=pairs), trials) if fits else None


def _whole(t: Trial) -> bool:
    texts = type(t.what) is type(t.candidate) is str
    return texts and type(t.seconds) is type(t.ratio) is float and type(t.chosen) is bool


def _unwatched(what: str, at: int, count: int) -> None:
    pass


def tune(
    plan_of: Callable[[Options], Plan],
    options: Options,
    measure: Measure,
    watch: Watch = _unwatched,
) -> Tuning:
    """Give the options under which the program is clearly faster, or the same ones.

    `plan_of` gives the program's plan under some options.
    """
    watch(WHOLE, 0, 3)
    variants = dict(_variants(plan_of, options))
    plans = {name: plan_of(o) for name, o in variants.items()}
    best, trials = _contest(WHOLE, plans, measure)
    options, plan = variants[best], plans[best]
    sums = list(_sums(plan))
    choices: dict[str, int] = {}
    for at, (what, tile, group) in enumerate(sums):
        watch(what, at + 1, len(sums) + 2)
        ranks = dict(_ranks(plan, tile.key, group))
        best, more = _contest(what, {name: p for name, (_, p) in ranks.items()}, measure)
        trials += more
        if rank := ranks[best][0]:
            choices[tile.key] = rank
    if choices:
        watch("all tiles together", len(sums) + 1, len(sums) + 2)
        chosen = _with(options, choices)
        together = {UNTUNED: plan, "with the tiles above": plan_of(chosen)}
        best, more = _contest(WHOLE, together, measure)
        trials += more
        options = options if best == UNTUNED else chosen
    return Tuning(options, tuple(trials))


def _with(options: Options, choices: Mapping[str, int]) -> Options:
    merged: Choices = tuple(sorted({**dict(options.choices), **choices}.items()))
    return replace(options, choices=merged)


# -- deciding ---------------------------------------------------------------------------------


def _contest(what: str, plans: Mapping[str, Plan], measure: Measure) -> tuple[str, list[Trial]]:
    """Give the name of the best plan, which is the first unless another is clearly faster."""
    names = list(plans)
    if len(names) == 1:
        return names[0], []
    times = dict(zip(names, measure(list(plans.values())), strict=True))
    first = names[0]
    medians = {name: statistics.median(_ratios(times[first], times[name])) for name in names}
    best = min(names, key=lambda name: medians[name])
    if medians[best] >= CLEARLY:
        best = first
    if best != first:
        pair = [plans[first], plans[best]]
        again = [r for _ in range(CONFIRMED) for r in _ratios(*measure(pair))]
        medians[best] = statistics.median(again)
        best = best if _clear(again) else first
    trials = [
        Trial(what, name, statistics.median(times[name]), medians[name], name == best)
        for name in names
        if math.isfinite(medians[name])
    ]
    return best, trials


def _ratios(base: Sequence[float], other: Sequence[float]) -> list[float]:
    return [b / a for a, b in zip(base, other, strict=True)]


def _clear(ratios: Sequence[float]) -> bool:
    """Whether something is faster by more than noise."""
    faster = sum(r < 1 for r in ratios)
    return statistics.median(ratios) < CLEARLY and faster >= MOSTLY * len(ratios)


# -- candidates -------------------------------------------------------------------------------


def _variants(plan_of: Callable[[Options], Plan], given: Options) -> Iterator[tuple[str, Options]]:
    """The program as a whole in every way that makes a difference to its C, by name."""
    without = given.off | INEXACT
    switches: list[list[tuple[str, Callable[[Options], Options]]]] = [
        [("the other layout", lambda o: _with(o, {LAYOUTS: 1}))] if given.layouts else [],
        [("kernels apart", lambda o: replace(o, group=False))] if given.group else [],
        [("without Winograd", lambda o: replace(o, off=without))]
        if not given.exact and not given.off >= INEXACT
        else [],
    ]
    texts: set[str] = set()
    for several in product(*([None, *choice] for choice in switches)):
        options, names = given, []
        for switch in several:
            if switch is not None:
                names.append(switch[0])
                options = switch[1](options)
        text = plan_of(options).unit.text
        if text not in texts:
            texts.add(text)
            yield ", ".join(names) or UNTUNED, options


def _sums(plan: Plan) -> Iterator[tuple[str, Tile, Group]]:
    """Sums of products that take a noticeable share of the cycles: name, tile, kernels around."""
    found: dict[str, tuple[str, Tile, Group]] = {}
    cycles: dict[str, float] = {}
    for low in plan.nests:
        times = math.prod(_length(n) for _, n in low.group.outer)
        for tile in low.schedules:
            if isinstance(tile, Tile):
                found.setdefault(tile.key, (low.function.name, tile, low.group))
                cycles[tile.key] = cycles.get(tile.key, 0.0) + times * tile.cycles
    total = sum(cycles.values())
    for key in sorted(found, key=lambda key: -cycles[key]):
        if cycles[key] >= NOTICEABLE * total:
            yield found[key]


def _length(size: Any) -> int:
    if isinstance(size, int):
        return size
    return evaluate(size, dict.fromkeys(size.free_symbols, TYPICAL))


def _ranks(plan: Plan, key: str, group: Group) -> Iterator[tuple[str, tuple[int, Plan]]]:
    """Plans of some kernels by themselves with each tile for one of their sums, by its shape."""
    by_itself = alone(plan, group)
    texts: set[str] = set()
    for rank in range(SEVERAL):
        made = replace(by_itself, options=_with(by_itself.options, {key: rank}))
        tiles = (t for low in made.nests for t in low.schedules if isinstance(t, Tile))
        found = next((t for t in tiles if t.key == key), None)
        if rank == 0:
            yield UNTUNED, (rank, made)
        elif found and made.unit.text not in texts:
            yield f"{rank + 1}: {found.shape}", (rank, made)
        texts.add(made.unit.text)


def alone(plan: Plan, group: Group) -> Plan:
    """Give the plan of some kernels as a program of their own, on the same layouts."""
    program = plan.laid_out
    made = {t for kernel in group.kernels for t in kernel.made}
    own = tuple(s for s in program.statements if s.target in made)
    read = dict.fromkeys(a.tensor for s in own for a in s.reads if a.tensor not in made)
    seen = {*program.outputs, *(new for _, new in program.updates)}
    seen |= {a.tensor for s in program.statements if s.target not in made for a in s.reads}
    outputs = tuple(t for t in program.definitions if t in made and t in seen)
    name = f"{program.name}: {group.kernels[-1].name}"
    every = frozenset(p.name for p in PASSES)
    return Plan(
        Program(tuple(read), outputs, own, name=name),
        replace(plan.options, off=every, layouts=False),
        plan.entry,
    )
