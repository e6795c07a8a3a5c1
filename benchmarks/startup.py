"""How long it takes to start: import, cold compile, warm start, one call of almost nothing.

    python -m benchmarks.startup

Each start is a process of its own; the cold one has an empty cache of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import timeit
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def start(cache: Path, network: str = "lenet") -> dict[str, float]:
    """Train one step of a network in a new process; give its times in seconds and its counts."""
    environment = {**os.environ, "GRAPHCNN_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package comes as bytecode
    command = [sys.executable, "-m", "benchmarks.startup", "--one", network]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def call_overhead() -> float:
    """Give the seconds that one call of a compiled `z = x·y` takes, at best."""
    import numpy as np

    import graphcnn as g

    x, y = g.input("x", (4,)), g.input("y", (4,))
    times = g.compile(x * y)
    a, b = np.ones(4, np.float32), np.ones(4, np.float32)
    calls = 10_000
    return min(timeit.repeat(lambda: times(x=a, y=b), number=calls, repeat=7)) / calls


def _one(network: str) -> dict[str, float]:
    began = time.perf_counter()
    import graphcnn  # noqa: F401 (its import is what is measured)

    imported = time.perf_counter()
    from benchmarks.networks import NETWORKS, batch, training_step
    from codegen.build import compiler_calls

    step = training_step(NETWORKS[network])
    compiled = time.perf_counter()
    step(**batch(step, 32))
    ended = time.perf_counter()
    return {
        "import": imported - began,
        "build": compiled - imported,
        "total": ended - began,
        "compiler calls": compiler_calls(),
    }


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        cold, warm = start(Path(folder)), start(Path(folder))
    for name, row in (("cold", cold), ("warm", warm)):
        print(
            f"{name} start of a LeNet training step: import {row['import']:.2f} s, "
            f"compile {row['build']:.2f} s, to the first result {row['total']:.2f} s, "
            f"{row['compiler calls']:.0f} compiler calls"
        )
    print(f"call of a compiled product: {call_overhead() * 1e6:.1f} µs")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(_one(sys.argv[2])))
    else:
        main()
