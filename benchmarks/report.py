"""The results as Markdown: what is claimed, then every row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.acceptance import claims, peak_of, scaling
from benchmarks.distance import FAR
from benchmarks.load import DISTURBED
from benchmarks.summary import (
    OURS,
    best_peer,
    geometric_mean,
    gflops,
    median,
    ratio,
    spread,
    times,
)

Results = Mapping[str, Any]


def line(measurement: Mapping[str, Any], peak: float) -> str:
    """Give one row in short, as it is printed while measuring."""
    best, mine = best_peer(measurement), times(measurement).get(OURS)
    words = [
        f"{measurement['section']:>16} {measurement['name']:<44}",
        _count(measurement["threads"]),
    ]
    if mine:
        rate = gflops(measurement) or 0
        words.append(f"{duration(mine):>9} {rate:7.1f} GFLOP/s {rate / peak:4.0%}")
    if best:
        words.append(f"best peer {duration(best[1]):>9} {best[0]}")
    won = ratio(measurement)
    if won is not None:
        words.append(f"ratio {won:.2f}")
    if disturbed(measurement):
        words.append("(others were busy)")
    if far_apart(measurement):
        words.append("(cores were far apart)")
    failed = [n for n, p in measurement["peers"].items() if _broken(p)]
    return "  ".join([*words, *(f"[{name} failed]" for name in failed)])


def markdown(results: Results) -> str:
    """Give the whole report."""
    parts = ["# Measurements", *_machine(results), "## Acceptance", "```"]
    parts[-1] += "".join(f"\n{claim}" for claim in claims(results)) + "\n```"
    parts += ["## Geometric means", _means(results)]
    for threads in _threads(results):
        for section in dict.fromkeys(m["section"] for m in results["measurements"]):
            chosen = [
                m
                for m in results["measurements"]
                if (m["section"], m["threads"]) == (section, threads)
            ]
            if chosen:
                title = f"## {section.capitalize()}, {_count(threads)}"
                parts += [title, _rows(results, chosen, threads), _everybody(chosen)]
    scaled = [[f"{m['section']} {m['name']}", f"{value:.2f}"] for m, value in scaling(results)]
    if scaled:
        parts += ["## One thread's time ÷ that of two", table(["row", "ours"], scaled)]
    if results.get("facts"):
        parts += ["## Besides time", _facts(results["facts"])]
    parts += _failures(results)
    return "\n\n".join(parts) + "\n"


def _machine(results: Results) -> Iterator[str]:
    machine, versions = results["machine"], results["versions"]
    yield f"{machine['processor']}, {machine['cores']} cores; {machine['compiler']}."
    yield f"graphcnn at commit {results.get('revision', 'unknown')}."
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    missing = ", ".join(results.get("missing", ()))
    yield f"{shown}." + (f" Not installed: {missing}." if missing else "")
    settings = [name for name, on in results["settings"].items() if on]
    if settings:
        yield f"Ours ran with: {', '.join(settings)}."
    peaks = [
        f"{rate:.0f} GFLOP/s ({name}, {_count(int(threads))})"
        for threads, by_width in results["peak"].items()
        for name, rate in by_width.items()
    ]
    yield f"FMA peak: {', '.join(peaks)}."
    yield (
        "Times are medians of bursts that took turns in one run. A burst waits, while patience "
        "lasts, until others leave the machine alone and its cores are near each other: while they "
        "are far apart all take longer, and ours may lose more. Ratio: the best peer's time ÷ "
        "ours, above 1 where ours is faster. Share: of the FMA peak, counted by the operations of "
        "the direct sums. ±: half the distance of the quartiles. †: in half of the rounds or more, "
        "others used the machine too. ‡: in half of our bursts or more, the cores were far apart."
    )


def _means(results: Results) -> str:
    found = []
    for section in dict.fromkeys(m["section"] for m in results["measurements"]):
        cells = [section]
        for threads in _threads(results):
            ratios = [
                won
                for m in results["measurements"]
                if (m["section"], m["threads"]) == (section, threads)
                and (won := ratio(m)) is not None
            ]
            worst = f", worst {min(ratios):.2f}" if ratios else ""
            cells.append(f"{geometric_mean(ratios):.2f}{worst}" if ratios else "–")
        found.append(cells)
    return table(["section", *map(_count, _threads(results))], found)


def _rows(results: Results, measurements: Sequence[Mapping[str, Any]], threads: int) -> str:
    found = []
    for m in measurements:
        best, mine, won = best_peer(m), times(m).get(OURS), ratio(m)
        rate = gflops(m)
        found.append(
            [
                m["name"] + _marks(m),
                _with_spread(m, OURS) if mine else "–",
                f"{rate:.1f}" if rate else "–",
                f"{rate / peak_of(results, threads):.0%}" if rate else "–",
                _with_spread(m, best[0]) if best else "–",
                best[0] if best else "–",
                f"{won:.2f}" if won else "–",
            ]
        )
    return table(["row", "ours", "GFLOP/s", "share", "best peer", "which", "ratio"], found)


def _everybody(measurements: Sequence[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(name for m in measurements for name in times(m)))
    found = [
        [m["name"], *(duration(t) if (t := times(m).get(n)) else "–" for n in names)]
        for m in measurements
    ]
    return table(["row", *names], found)


def _facts(facts: Mapping[str, Any]) -> str:
    rows = list(dict.fromkeys(row for peer in facts.values() for row in peer["training"]))
    general = [
        [name, f"{peer['import']:.2f} s", f"{peer['installed'] / 1e6:.0f} MB"]
        for name, peer in facts.items()
    ]
    parts = [table(["peer", "import", "installed with dependencies"], general)]
    for key, title, show in (
        ("first", "seconds from a network to the first step's result, nothing cached", _seconds),
        ("memory", "peak memory of five steps in a fresh process, MB", _megabytes),
    ):
        cells = [
            [row, *(show(peer["training"].get(row, {}).get(key)) for peer in facts.values())]
            for row in rows
        ]
        parts += [f"{title[0].upper()}{title[1:]}:", table(["row", *facts], cells)]
    return "\n\n".join(parts)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _megabytes(value: float | None) -> str:
    return "–" if value is None else f"{value / 1e6:.0f}"


def _failures(results: Results) -> list[str]:
    """Say once for each peer and reason what did not run or gave a wrong result."""
    found: dict[str, list[str]] = {}
    for m in results["measurements"]:
        for name, peer in m["peers"].items():
            if _broken(peer):
                why = f"{name}: {peer['failed'].splitlines()[0]}"
                found.setdefault(why, []).append(f"{m['section']} {m['name']}")
    lines = [f"- {why} ({len(rows)} rows, such as {rows[0]})" for why, rows in found.items()]
    return ["## What failed", "\n".join(lines)] if lines else []


def disturbed(measurement: Mapping[str, Any]) -> bool:
    """Whether others used the machine in half of the rounds."""
    loads = measurement.get("foreign load")
    return bool(loads) and median(loads) > DISTURBED


def far_apart(measurement: Mapping[str, Any]) -> bool:
    """Whether what one thread wrote took long to reach the other in half of our bursts."""
    found = measurement["peers"].get(OURS, {}).get("distance")
    return bool(found) and median(found) > FAR


def _marks(measurement: Mapping[str, Any]) -> str:
    marks = ((" †", disturbed), (" ‡", far_apart))
    return "".join(mark for mark, holds in marks if holds(measurement))


def _broken(peer: Mapping[str, Any]) -> bool:
    return "failed" in peer and not peer["failed"].startswith("UnsupportedError")


def _with_spread(measurement: Mapping[str, Any], name: str) -> str:
    seconds = measurement["peers"][name]["seconds"]
    return f"{duration(times(measurement)[name])} ±{spread(seconds):.0%}"


def _threads(results: Results) -> list[int]:
    return sorted({m["threads"] for m in results["measurements"]}, reverse=True)


def _count(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


def duration(seconds: float) -> str:
    """Give a time with three digits.

    >>> duration(1.2345e-5), duration(0.0123), duration(2)
    ('12.3 µs', '12.3 ms', '2.00 s')
    """
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale or unit == "µs":
            value = seconds / scale
            digits = 2 if value < 10 else 1 if value < 100 else 0
            return f"{value:.{digits}f} {unit}"
    raise AssertionError


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a Markdown table; the first column is text, the others are numbers.

    >>> print(table(["row", "time"], [["a", "1 s"]]))
    | row | time |
    |---|--:|
    | a | 1 s |
    """
    rule = "|".join(["---", *("--:" for _ in head[1:])])
    lines = [f"| {' | '.join(head)} |", f"|{rule}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
