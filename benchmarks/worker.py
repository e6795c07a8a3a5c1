"""One process with one peer in it, which does what it is told and sleeps in between.

Commands come as lines of JSON and are answered by one line each:

    {"do": "prepare", "row": {...}, "expected": file}  set up, run once, verify
    {"do": "burst", "seconds": 0.02}                   run for so long, give the median time
    {"do": "trial", "row": {...}}                      set up, run five times, give the peak memory
    {"do": "release"}                                  forget the row
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from benchmarks.threads import pin

MIN_REPETITIONS = 3
LONGEST_BURST = 1.0  # seconds, after which fewer repetitions do
WARM_UP = 0.005  # seconds of untimed runs, at least one, before the timed ones
TRIAL_RUNS = 5
TOO_LONG = 0.3  # seconds that a run may take to be worth one more, untimed


class Worker:
    """A started peer and the row that it is set up for."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer
        self._run: Any = None
        self._seconds = 0.0  # of a run, the last time

    def prepare(self, row: dict[str, Any], expected: str) -> dict[str, Any]:
        """Set up a row, verify its first results, and run it once more."""
        import numpy as np

        from benchmarks.cases import make_case, weights_before
        from benchmarks.rows import Row
        from benchmarks.verify import verify

        began = time.perf_counter()
        asked = Row.from_json(row)
        case = make_case(self._peer, asked)
        found = case.run()
        first = time.perf_counter() - began
        results = case.results(found)
        with np.load(expected) as right:
            error = verify(results, dict(right), weights_before(asked))
        del found
        began = time.perf_counter()
        case.run()
        self._run, self._seconds = case.run, time.perf_counter() - began
        return {"first": first, "error": error, "digest": _digest(results)}

    def trial(self, row: dict[str, Any]) -> dict[str, Any]:
        """Set up a row and run it a few times; give the seconds to the first result, and memory."""
        from benchmarks.cases import make_case
        from benchmarks.rows import Row

        began = time.perf_counter()
        case = make_case(self._peer, Row.from_json(row))
        case.run()
        first = time.perf_counter() - began
        for _ in range(TRIAL_RUNS - 1):
            case.run()
        return {"first": first, "memory": peak_memory()}

    def burst(self, seconds: float) -> dict[str, Any]:
        """Run for so long; give the median time of a run and how many there were."""
        if self._seconds < TOO_LONG:
            until = time.perf_counter() + WARM_UP
            self._run()
            while time.perf_counter() < until:
                self._run()
        times = list(_timed(self._run, seconds))
        times.sort()
        self._seconds = times[len(times) // 2]
        return {"seconds": self._seconds, "fastest": times[0], "repetitions": len(times)}

    def release(self) -> dict[str, Any]:
        """Forget the row."""
        self._run = None
        self._peer.release()
        gc.collect()
        return {}


def _timed(run: Any, seconds: float) -> Iterator[float]:
    clock, count = time.perf_counter, 0
    gc.disable()
    began = ended = clock()
    while ended - began < LONGEST_BURST and (ended - began < seconds or count < MIN_REPETITIONS):
        start = clock()
        run()
        ended = clock()
        count += 1
        yield ended - start
    gc.enable()


def _digest(results: dict[str, Any]) -> str:
    """Give a name of these very bits."""
    import hashlib

    total = hashlib.sha256()
    for name in sorted(results):
        total.update(results[name].tobytes())
    return total.hexdigest()[:16]


def peak_memory() -> int:
    """Give the most bytes that were in memory: VmHWM, for ru_maxrss may be the parent's."""
    try:
        with Path("/proc/self/status").open(encoding="ascii") as status:
            (line,) = (line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except OSError:
        import resource

        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def serve(worker: Worker, commands: TextIO, replies: TextIO) -> None:
    """Answer commands until there are no more."""
    for line in commands:
        command = json.loads(line)
        try:
            answer = getattr(worker, command.pop("do"))(**command)
        except Exception as error:
            traceback.print_exc()
            name = type(error).__name__
            answer = {"failed": f"{name}: {str(error).strip()[:500]}"}
        print(json.dumps(answer), file=replies, flush=True)


def main() -> None:
    """Start the peer named in the arguments and serve."""
    name, threads, settings = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    # What frameworks print must not mix with the answers.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    pin(threads)
    from benchmarks.peers import PEERS

    began = time.perf_counter()
    worker = Worker(PEERS[name].start(threads, **settings))
    print(json.dumps({"started": time.perf_counter() - began}), file=replies, flush=True)
    serve(worker, sys.stdin, replies)


if __name__ == "__main__":
    main()
