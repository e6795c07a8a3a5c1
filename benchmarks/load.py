"""How much of the machine others use: a measurement beside them says little."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

DISTURBED = 0.1  # the share of all cores in others' hands that is too much


class Process(Protocol):
    """Something of ours that uses the processor."""

    def cpu_seconds(self) -> float:
        """Give the processor time that it has used so far."""


class Load:
    """The use of the processor since now."""

    def __init__(self, crew: Sequence[Process]) -> None:
        self._crew = crew
        self._began, self._busy, self._own = self._now()

    def foreign(self) -> float:
        """Give the share of all cores that neither we nor the crew used since the start."""
        now, busy, own = self._now()
        cores = os.cpu_count() or 1
        return max(0.0, (busy - self._busy) - (own - self._own)) / ((now - self._began) * cores)

    def _now(self) -> tuple[float, float, float]:
        own = time.process_time() + sum(member.cpu_seconds() for member in self._crew)
        return time.perf_counter(), _busy_seconds(), own


def _busy_seconds() -> float:
    """Give the processor time that everybody has used so far."""
    try:
        with Path("/proc/stat").open(encoding="ascii") as lines:
            user, nice, system, _, _, irq, softirq, steal = map(int, next(lines).split()[1:9])
    except OSError:
        return 0.0
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet(crew: Sequence[Process], seconds: float) -> None:
    """Wait until others leave the machine alone, but no longer than so."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        load = Load(crew)
        time.sleep(0.05)
        if load.foreign() <= DISTURBED:
            return
