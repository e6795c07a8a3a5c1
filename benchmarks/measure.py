"""Measure rows: each round asks the peers in turn for a short burst, in an order that changes."""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.crew import Member
from benchmarks.distance import FAR, Distance
from benchmarks.flops import row_flops
from benchmarks.load import DISTURBED, Load, wait_for_quiet
from benchmarks.peak import slowdown
from benchmarks.reference import reference
from benchmarks.rows import Row

ENOUGH = 3.0  # seconds of one peer in one row, after which two rounds must do
CROWDED = 1.4  # times as long that threads may take side by side
REST = 0.002  # seconds in which threads that look out for work fall asleep
CORES = Distance()


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int = 7
    seconds: float = 0.02  # of a burst
    patience: float = 60.0  # in which a row may wait until nobody disturbs it


def measure(row: Row, crew: Sequence[Member], effort: Effort, folder: Path) -> list[dict[str, Any]]:
    """Give everything about a row, for each count of threads that the crew has.

    Peers that cannot do it or do it wrongly say why.
    """
    expected = _expected(row, folder)
    records = {m: m.ask("prepare", row=row.to_json(), expected=str(expected)) for m in crew}
    running = [member for member in crew if "failed" not in records[member]]
    loads = rounds(running, records, effort)
    for member in crew:
        member.ask("release")
    return [
        {
            "row": row.to_json(),
            "section": row.section,
            "name": str(row),
            "threads": threads,
            "flops": row_flops(row),
            "foreign load": loads,
            "peers": {m.name: record for m, record in records.items() if m.threads == threads},
        }
        for threads in dict.fromkeys(member.threads for member in crew)
    ]


def _expected(row: Row, folder: Path) -> Path:
    """Give the file of the reference's results, which everybody reads."""
    file = folder / f"{hashlib.sha256(row.key.encode()).hexdigest()[:16]}.npz"
    if not file.exists():
        np.savez(file, **reference(row))
    return file


def rounds(
    crew: list[Member], records: dict[Member, dict[str, Any]], effort: Effort
) -> list[float]:
    """Add bursts to the crew's records; give others' share of the machine in each round.

    A round counts if others leave the machine alone, and a burst if the cores stay as many as the
    threads and near each other. All peers with all counts of threads take part in each: what a
    noisy machine does to one it does to the others.
    """
    shuffled = random.Random(0)
    for member in crew:
        records[member] |= {"seconds": [], "fastest": [], "repetitions": [], "distance": []}
    spent = dict.fromkeys(crew, 0.0)
    loads: list[float] = []
    spare = effort.rounds  # of the rounds, how many may be repeated
    patience = time.monotonic() + effort.patience
    while len(loads) < effort.rounds:
        turn = [m for m in crew if len(loads) < 2 or spent[m] < ENOUGH]
        if not turn:
            break
        shuffled.shuffle(turn)
        wait_for_quiet(crew, patience - time.monotonic())
        load = Load(crew)
        answers, seconds = {}, {}
        for member in turn:
            began = time.perf_counter()
            answers[member] = _burst(member, effort.seconds, patience)
            seconds[member] = time.perf_counter() - began
        foreign = load.foreign()
        if foreign > DISTURBED and spare:
            spare -= 1
            continue
        loads.append(round(foreign, 3))
        for member, answer in answers.items():
            spent[member] += seconds[member]
            if "failed" in answer:
                records[member]["failed"] = answer["failed"]
                continue
            for key, value in answer.items():
                records[member][key].append(value)
    return loads


def _burst(member: Member, seconds: float, until: float) -> dict[str, Any]:
    """Give a burst before and after which the cores are as threads need them, if that is in time.

    With it comes how far apart they were.
    """
    while True:
        while _distance(member.threads) > FAR and time.monotonic() < until:
            time.sleep(0.05)
        answer = member.ask("burst", seconds=seconds)
        time.sleep(REST)
        distance = _distance(member.threads)
        if "failed" in answer or time.monotonic() > until or distance <= FAR:
            return {**answer, "distance": round(min(distance, 99.0), 2)}


def _distance(threads: int) -> float:
    """Give how far apart the cores are; infinite where they are fewer than the threads."""
    return math.inf if slowdown(threads) > CROWDED else CORES.now(threads)
