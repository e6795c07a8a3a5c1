"""How far apart two cores are: the time in which they hand a number to each other and back.

Where cores are lent by another machine, two of them may share a cache now and not a moment later:
what one thread wrote then takes several times as long to reach the other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from codegen.build import build

FAR = 2.0  # times as long as when they were nearest
TRIPS = 2000  # a fraction of a millisecond

_PROBE = """\
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

static _Alignas(128) _Atomic int64_t turn;

void begin(void) { atomic_store(&turn, 0); }

/* Take every other turn, the even ones or the odd; give the seconds that each of them took. */
double hand_over(int64_t side, int64_t trips) {
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int64_t trip = 0; trip < trips; trip++) {
        for (int spins = 0; atomic_load(&turn) != 2 * trip + side; spins++)
            if (spins > 5000) sched_yield(); /* there may be one core only */
        atomic_store(&turn, 2 * trip + side + 1);
        if (trip == trips / 4) clock_gettime(CLOCK_MONOTONIC, &began); /* both are there by now */
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    double seconds = (ended.tv_sec - began.tv_sec) + 1e-9 * (ended.tv_nsec - began.tv_nsec);
    return seconds / (trips - 1 - trips / 4);
}
"""


class Distance:
    """The distance of the cores that this process runs on, in units of the least ever seen."""

    def __init__(self, measure: Callable[[], float] | None = None) -> None:
        self._measure = measure or round_trip
        self._nearest = float("inf")

    def now(self, threads: int) -> float:
        """Give how many times as long a number takes to the other core and back as at best."""
        if threads == 1:
            return 1.0
        seconds = min(self._measure() for _ in range(3))
        self._nearest = min(self._nearest, seconds)
        return seconds / self._nearest


def round_trip() -> float:
    """Give the seconds in which two threads hand a number to each other and back."""
    lib = _library().lib
    lib.begin()
    with ThreadPoolExecutor(2) as pool:
        return max(pool.map(lambda side: lib.hand_over(side, TRIPS), (0, 1)))


@functools.cache
def _library() -> Any:
    return build({"distance": _PROBE}, "void begin(void); double hand_over(int64_t, int64_t);")
