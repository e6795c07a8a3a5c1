"""Measure graphcnn beside every installed peer.

    python -m benchmarks                                  everything, 2 threads and 1
    python -m benchmarks --section training --rows lenet  some rows
    python -m benchmarks --random 40 --seed 7             layers that nobody tuned for
    python -m benchmarks --quick --output out/quick       a first look
    python -m benchmarks --section training --add         these rows again, beside those there are

It prints each row as it is measured and leaves results.json, results.md and results.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.acceptance import claims, peak_of
from benchmarks.crew import ROOT, Member
from benchmarks.facts import import_seconds, installed_bytes, trial
from benchmarks.measure import Effort, measure
from benchmarks.peak import peaks
from benchmarks.peers import PEERS
from benchmarks.plot import plot
from benchmarks.report import line, markdown
from benchmarks.rows import SECTIONS, Row, random_rows, select, table
from benchmarks.summary import OURS
from codegen.build import require_toolchain

AVX2_FLAG = "-mno-avx512f"


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, print."""
    asked = _parse(arguments)
    folder: Path = asked.output
    folder.mkdir(parents=True, exist_ok=True)
    if asked.report:
        _write(json.loads((folder / "results.json").read_text(encoding="utf-8")), folder)
        return 0
    rows, peers = _rows(asked), _peers(asked.peers)
    results = _start(asked, peers)
    if asked.add:
        _keep(results, folder)
    _measure_peaks(asked, results)
    _measure_all(rows, peers, asked, results)
    _measure_peaks(asked, results)  # once more: a disturbed one would flatter every share
    if "facts" in asked.section:
        results["facts"] = _facts(asked, peers)
    _write(results, folder)
    return 0


def _keep(results: dict[str, Any], folder: Path) -> None:
    """Take over what is in the folder already, if the same commit was measured in the same way."""
    before = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    for what in ("revision", "settings", "machine", "versions"):
        if before[what] != results[what]:
            raise SystemExit(f"{folder} holds another {what}: {before[what]}, not {results[what]}")
    results |= {what: before[what] for what in ("peak", "measurements")}
    if "facts" in before:
        results["facts"] = before["facts"]


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--section", nargs="+", choices=SECTIONS, help="default: all (with --random only that)")
    add("--rows", default="", metavar="REGEX", help="rows whose name has it; x and > for × and →")
    add("--threads", nargs="+", type=int, default=[2, 1])
    add("--peers", default="", metavar="REGEX", help="peers whose name has it; ours always runs")
    add("--rounds", type=int, default=7, help="bursts of each peer in each row")
    add("--seconds", type=float, default=0.02, help="length of a burst")
    add("--patience", type=float, default=60, help="seconds a row may wait for a quiet machine")
    add("--random", type=int, default=0, metavar="COUNT", help="measure so many random layers")
    add("--seed", type=int, default=0, help="of the random layers")
    add("--exact", action="store_true", help="ours without Winograd")
    add("--avx2", action="store_true", help=f"ours compiled with {AVX2_FLAG}")
    add("--quick", action="store_true", help="two short rounds")
    add("--add", action="store_true", help="keep what the folder has of rows not measured now")
    add("--report", action="store_true", help="only write the reports of results.json again")
    add("--output", type=Path, default=Path("out/benchmarks"), metavar="FOLDER")
    asked = parser.parse_args(arguments)
    if asked.section is None:
        asked.section = ["random"] if asked.random else [s for s in SECTIONS if s != "random"]
    if asked.quick:
        asked.rounds, asked.seconds, asked.patience = 2, 0.005, 0
    return asked


def _rows(asked: argparse.Namespace) -> list[Row]:
    rows = [*table(), *random_rows(asked.random, asked.seed)]
    return select(rows, asked.section, asked.rows)


def _peers(pattern: str) -> list[str]:
    return [
        name
        for name, entry in PEERS.items()
        if not entry.missing and (name == OURS or re.search(pattern, name))
    ]


def _start(asked: argparse.Namespace, peers: list[str]) -> dict[str, Any]:
    modules = dict.fromkeys(PEERS[name].modules[0] for name in peers if name != OURS)
    distributions = metadata.packages_distributions()
    return {
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "compiler": require_toolchain().version,
            "python": platform.python_version(),
        },
        "revision": _revision(),
        "versions": {name: metadata.version(distributions[name][0]) for name in modules},
        "missing": [name for name, entry in PEERS.items() if entry.missing],
        "settings": {"exact": asked.exact, "avx2": asked.avx2},
        "arguments": {key: str(value) for key, value in vars(asked).items()},
        "peak": {},
        "measurements": [],
    }


def _revision() -> str:
    """Give the commit that is measured, and whether the packages differ from it."""
    git = ["git", "-C", str(ROOT)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "graphcnn", "codegen"])
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit} with changes" if changed.returncode else commit


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"model name\s*: (.+)", text)
    return found[1] if found else platform.machine()


def _member(name: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Give what a worker is started with besides its threads."""
    if name != OURS:
        return {}
    flags = os.environ.get("CFLAGS", "")
    return {
        "environment": {"CFLAGS": f"{flags} {AVX2_FLAG}".strip()} if asked.avx2 else {},
        "settings": {"exact": True} if asked.exact else {},
    }


def _measure_peaks(asked: argparse.Namespace, results: dict[str, Any]) -> None:
    """Measure the machine's peaks and keep the highest ones."""
    for threads in asked.threads:
        found = peaks(threads, asked.patience)
        known = results["peak"].get(str(threads), found)
        results["peak"][str(threads)] = {name: max(known[name], found[name]) for name in found}
        print(f"FMA peak, threads {threads}: {found}", flush=True)


def _measure_all(
    rows: list[Row], peers: list[str], asked: argparse.Namespace, results: dict[str, Any]
) -> None:
    """Add the measurements of all rows; what there is so far is on disk after each."""
    effort = Effort(asked.rounds, asked.seconds, asked.patience)
    crew = []
    with tempfile.TemporaryDirectory() as scratch:
        try:
            for threads, name in product(asked.threads, peers) if rows else ():
                member = Member(name, threads, asked.output / f"{name}.log", **_member(name, asked))
                crew.append(member)
                if "failed" in member.started:
                    raise SystemExit(f"{name} does not start; see {asked.output}/{name}.log")
            for row in rows:
                for found in measure(row, crew, effort, Path(scratch)):
                    results["measurements"] = [
                        m
                        for m in results["measurements"]
                        if (m["row"], m["threads"]) != (found["row"], found["threads"])
                    ] + [found]
                    print(line(found, peak_of(results, found["threads"])), flush=True)
                _save(results, asked.output)
        finally:
            for member in crew:
                member.end()


def _facts(asked: argparse.Namespace, peers: list[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    training = select(table(), ["training"], asked.rows)
    threads = max(asked.threads)
    for name in peers:
        log = asked.output / f"{name}.log"
        print(f"facts of {name}", flush=True)
        facts[name] = {
            "import": import_seconds(name),
            "installed": installed_bytes(name),
            "training": {
                str(row): trial(name, row, threads, log, **_member(name, asked)) for row in training
            },
        }
    return facts


def _save(results: dict[str, Any], folder: Path) -> None:
    text = json.dumps(results, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(text, encoding="utf-8")


def _write(results: dict[str, Any], folder: Path) -> None:
    _save(results, folder)
    (folder / "results.md").write_text(markdown(results), encoding="utf-8")
    plotted = plot(results, folder / "results.png")
    print("\n".join(map(str, claims(results))))
    names = ["results.json", "results.md", *(["results.png"] if plotted else [])]
    print(f"wrote {', '.join(names)} to {folder}")


if __name__ == "__main__":
    sys.exit(main())
