"""The lines that the results must meet, each with what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.rows import LARGE_LAYERS, Row
from benchmarks.summary import OURS, geometric_mean, gflops, ratio, times

Results = Mapping[str, Any]
Measurements = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Claim:
    """A bound, and the value that was measured, None where nothing was."""

    text: str
    value: float | None
    bound: float
    at_least: bool = True
    worst: str = ""  # the row that decides

    @property
    def passed(self) -> bool | None:
        """Whether it holds; None where nothing was measured."""
        if self.value is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        if self.value is None:
            return f"  --   {self.text} {sign} {self.bound:g}: not measured"
        verdict = "pass" if self.passed else "FAIL"
        decides = f" ({self.worst})" if self.worst else ""
        return f"{verdict:>6} {self.text} {sign} {self.bound:g}: {self.value:.3g}{decides}"


def claims(results: Results) -> list[Claim]:
    """Give every line of the acceptance."""
    return [
        *_ratios(results),
        *_shares(results),
        *_scaling(results),
        *_same_bits(results),
        *_costs(results),
    ]


# (section, geometric mean at least, no row below)
BOUNDS = (
    ("training", 3.5, 1.3),
    ("forward+backward", 1.6, 1.1),
    ("forward", 1.4, 1.0),
    ("inference", 1.5, 1.0),
)
RANDOM_BOUND = 0.8


def _ratios(results: Results) -> Iterator[Claim]:
    threads = max((m["threads"] for m in results["measurements"]), default=0)
    for section, mean, least in BOUNDS:
        found = _by_row(results, section, threads, ratio)
        value = geometric_mean(found.values()) if found else None
        yield Claim(f"{section}, {threads} threads: geometric mean of ratios", value, mean)
        yield _least(f"{section}, {threads} threads: every ratio", found, least)
        if section == "training":
            small = {
                name: value
                for name, value in found.items()
                if name.split()[0] in ("notes", "lenet") and name.split()[-1] in ("32", "128")
            }
            yield _least("notes and lenet at batch 32 and 128: every ratio", small, 4)
    found = _by_row(results, "random", threads, ratio)
    yield _least("random layers: every ratio", found, RANDOM_BOUND)


def _shares(results: Results) -> Iterator[Claim]:
    """On one thread, how much of the FMA peak the contractions of large layers reach."""

    def share(measurement: Mapping[str, Any]) -> float | None:
        rate = gflops(measurement)
        return rate / peak_of(results, 1) if rate else None

    found = _by_row(results, "contractions", 1, share)
    if results["settings"].get("avx2"):
        layers: dict[str, list[float]] = {}
        for name, value in found.items():
            layers.setdefault(name.partition(" batch")[0], []).append(1 / value)
        together = {name: len(times_) / sum(times_) for name, times_ in layers.items()}
        yield _least(
            "AVX2, 1 thread: share of the AVX2 peak, all three contractions", together, 0.75
        )
        return
    for directions, bound in ((("forward", "to data"), 0.8), (("to weights",), 0.7)):
        some = {name: v for name, v in found.items() if name.endswith(directions)}
        how = "exact" if results["settings"].get("exact") else "not exact"
        text = f"{how}, 1 thread: share of the FMA peak {' and '.join(directions)}"
        yield _least(text, some, bound)


def peak_of(results: Results, threads: int) -> float:
    """Give the machine's GFLOP/s for the instructions that ours may use."""
    peak: Mapping[str, float] = results["peak"][str(threads)]
    return peak["AVX2"] if results["settings"].get("avx2") else max(peak.values())


def _scaling(results: Results) -> Iterator[Claim]:
    """How much faster two threads are where convolutions take the time."""
    layers = {str(layer) for layer in LARGE_LAYERS if layer.groups == 1}

    def bound_by_convolution(measurement: Mapping[str, Any]) -> bool:
        row = Row.from_json(measurement["row"])
        return str(row.subject) in layers | {"vgg"} and row.batch > 1

    found = {
        f"{m['section']} {m['name']}": value
        for m, value in scaling(results)
        if bound_by_convolution(m)
    }
    yield _least("2 threads ÷ 1 thread, convolution-bound rows", found, 1.8)


def scaling(results: Results) -> Iterator[tuple[Mapping[str, Any], float]]:
    """Give each of our measurements on two threads, and how many times one thread takes."""

    def ours(threads: int) -> dict[tuple[str, str], Mapping[str, Any]]:
        return {
            (m["section"], m["name"]): m
            for m in results["measurements"]
            if m["threads"] == threads and OURS in times(m)
        }

    two = ours(2)
    for key, alone in ours(1).items():
        if key in two:
            yield two[key], times(alone)[OURS] / times(two[key])[OURS]


def _same_bits(results: Results) -> Iterator[Claim]:
    digests: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for m in results["measurements"]:
        if digest := m["peers"].get(OURS, {}).get("digest"):
            key = f"{m['section']} {m['name']}"
            digests.setdefault(key, set()).add(digest)
            counts[key] = counts.get(key, 0) + 1
    several = {key: float(len(digests[key])) for key, count in counts.items() if count > 1}
    yield _most("results that differ between thread counts, and one", several, 1)


def _costs(results: Results) -> Iterator[Claim]:
    facts = results.get("facts", {})
    trials = {name: peer.get("training", {}) for name, peer in facts.items()}
    ours = {row: t for row, t in trials.get(OURS, {}).items() if "failed" not in t}
    for network, seconds in (("lenet", 3.0), ("vgg", 6.0)):
        found = {row: t["first"] for row, t in ours.items() if row.startswith(network)}
        yield _most(f"cold compile and first step of {network}, seconds", found, seconds)
    memory = {}
    for row, mine in ours.items():
        others = [
            t[row]["memory"]
            for name, t in trials.items()
            if name != OURS and "memory" in t.get(row, {})
        ]
        if others:
            memory[row] = mine["memory"] / min(others)
    yield _most("peak memory of training ÷ the lowest peer's", memory, 1)


def _by_row(
    results: Results,
    section: str,
    threads: int,
    value: Callable[[Mapping[str, Any]], float | None],
) -> dict[str, float]:
    found = {}
    for m in results["measurements"]:
        if m["section"] == section and m["threads"] == threads:
            measured = value(m)
            if measured is not None:
                found[m["name"]] = measured
    return found


def _least(text: str, found: Mapping[str, float], bound: float) -> Claim:
    worst = min(found, key=found.__getitem__, default="")
    return Claim(text, found.get(worst), bound, worst=worst)


def _most(text: str, found: Mapping[str, float], bound: float) -> Claim:
    worst = max(found, key=found.__getitem__, default="")
    return Claim(text, found.get(worst), bound, at_least=False, worst=worst)
