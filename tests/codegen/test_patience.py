"""Threads that wait before they take work of others: their data comes home."""

import os
import statistics
import time
from importlib import resources
from typing import Any

import pytest

from codegen.build import build
from codegen.build.team import open_team

RUNTIME = resources.files("codegen.runtime")
CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()

PROBE = "".join(RUNTIME.joinpath(name).read_text() for name in ("prelude.h", "team.h"))
PROBE += """
#include <pthread.h>

/* Caches as they are told of: rows of data, and which of two threads has a copy of each. What no
 * other has is written at once, and what is here is read at once; all else takes several times as
 * long. */
enum { ROWS = 16 };
typedef struct {
    pthread_t caller;
    int32_t copies[ROWS], writer[ROWS], reader[ROWS];
} caches;

static int32_t me(const caches *c) { return pthread_equal(c->caller, pthread_self()) ? 1 : 2; }

static void spend(bool near) {
    for (volatile int32_t k = near ? 100 : 600; k > 0; --k) {
    }
}

static void write_rows(const void *call, int64_t first, int64_t last) {
    caches *c = *(caches *const *)call;
    const int32_t who = me(c);
    for (int64_t i = first; i < last; ++i) {
        for (int32_t part = 0; part < ROWS / 2; ++part) {
            spend(c->copies[i] == who);
        }
        c->copies[i] = who;
        c->writer[i] = who;
    }
}

/* A task reads all rows of its half. */
static void read_rows(const void *call, int64_t first, int64_t last) {
    caches *c = *(caches *const *)call;
    const int32_t who = me(c);
    for (int64_t i = first; i < last; ++i) {
        const int64_t half = i / (ROWS / 2) * (ROWS / 2);
        for (int64_t row = half; row < half + ROWS / 2; ++row) {
            spend(__atomic_fetch_or(&c->copies[row], who, __ATOMIC_RELAXED) & who);
        }
        c->reader[i] = who;
    }
}

/* Returns in how many of so many times both threads wrote and read their own halves, after all rows
 * were with one of them. */
int64_t settle(void *team, int64_t times) {
    caches c = {pthread_self(), {0}, {0}, {0}}, *call = &c;
    int64_t own = 0;
    for (int64_t i = 0; i < ROWS; ++i) {
        c.copies[i] = 1;
    }
    for (int64_t time = 0; time < times; ++time) {
        share(team, write_rows, &call, ROWS);
        share(team, read_rows, &call, ROWS);
        bool kept = true;
        for (int64_t i = 0; i < ROWS; ++i) {
            const int32_t owner = i < ROWS / 2 ? 1 : 2;
            kept = kept && c.writer[i] == owner && c.reader[i] == owner;
        }
        own += kept;
    }
    return own;
}
"""


@pytest.fixture(scope="module")
def probe() -> Any:
    declaration = "int64_t settle(void *team, int64_t times);"
    return build({"probe": PROBE}, declaration, profile="debug+strict")


@pytest.mark.skipif(len(CORES) < 2, reason="needs two cores")
def test_data_that_was_elsewhere_comes_home(probe: Any) -> None:
    """Who is late only because its data is elsewhere keeps its work: else it is late for ever."""
    often = 100  # of a thousand: mostly not once where nobody waits

    def comes_home() -> bool:
        own = [probe.lib.settle(open_team(2), 1000) for _ in range(5)]
        time.sleep(0.1)  # the next time the system may do with our cores as it should
        return statistics.median(own) > often

    assert any(comes_home() for _ in range(5))
