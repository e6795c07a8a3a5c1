"""The machine's peak: how many fused multiply-adds a second its cores do when nothing waits.

Each thread runs chains of FMAs in registers, more chains than latency × throughput needs.
"""

from __future__ import annotations

import functools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.load import wait_for_quiet
from benchmarks.summary import median
from codegen.build import build

# Vector bytes, and chains: fewer than the registers (32 and 16), which also hold two factors.
WIDTHS = {"AVX-512": (64, 24), "AVX2": (32, 12)}

ROUNDS = 7
GLANCE = 300_000  # steps of a chain: a part of a millisecond

_PROBE = """\
#include <stdint.h>
typedef float vector __attribute__((vector_size({bytes})));

/* x ← x·a + b in {chains} independent chains; the sum is given so that nothing is left out. */
float fma_{bytes}(int64_t count, float a_, float b_) {{
    vector a = a_ - (vector){{}}, b = b_ - (vector){{}};
    vector {starts};
    for (int64_t i = 0; i < count; i++) {{
        {steps}
    }}
    vector sum = {total};
    float result = 0;
    for (int lane = 0; lane < {bytes} / 4; lane++) result += sum[lane];
    return result;
}}
"""


def peaks(threads: int, patience: float) -> dict[str, float]:
    """Give GFLOP/s by vector width, the median of several measurements on so many threads.

    Patience is the seconds that a row may wait for a quiet machine; a measurement waits 10 at most.
    """
    return {name: _peak(*width, threads, min(patience, 10)) for name, width in WIDTHS.items()}


def slowdown(threads: int) -> float:
    """Give how many times as long the threads take side by side as one of them alone.

    Where cores are lent by another machine, two of them may be one for seconds, and it is 2.
    """
    if threads == 1:
        return 1.0
    width, chains = WIDTHS["AVX2"]
    probe = getattr(_library(width, chains).lib, f"fma_{width}")
    alone, beside = (
        min(_seconds(probe, GLANCE, count) for _ in range(3)) for count in (1, threads)
    )
    return beside / alone


def _peak(width: int, chains: int, threads: int, patience: float) -> float:
    probe = getattr(_library(width, chains).lib, f"fma_{width}")
    flops = 2 * chains * width // 4
    count = 1_000_000
    while _seconds(probe, count, 1) < 0.03:
        count *= 2
    rates = []
    for _ in range(ROUNDS):
        wait_for_quiet((), patience)
        rates.append(threads * flops * count / _seconds(probe, count, threads))
    return median(rates) / 1e9


def _seconds(probe: Any, count: int, threads: int) -> float:
    """Give the time in which all threads are done; a call through cffi frees Python's lock."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: probe(1, 1.0, 0.0), range(threads)))
        began = time.perf_counter()
        list(pool.map(lambda _: probe(count, 0.999, 0.001), range(threads)))
        return time.perf_counter() - began


@functools.cache
def _library(width: int, chains: int) -> Any:
    names = [f"x{k}" for k in range(chains)]
    text = _PROBE.format(
        bytes=width,
        chains=chains,
        starts=", ".join(f"{x} = a * {k}.0f" for k, x in enumerate(names)),
        steps=" ".join(f"{x} = {x} * a + b;" for x in names),
        total=" + ".join(names),
    )
    return build({"probe": text}, f"float fma_{width}(int64_t, float, float);")
