"""How many threads a process may use, said to every library in its own words."""

from __future__ import annotations

import os

# Ours, then OpenMP's, BLAS's and TensorFlow's names for the same thing.
VARIABLES = (
    "GRAPHCNN_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def thread_environment(threads: int) -> dict[str, str]:
    """Give the variables to set before a library is loaded.

    Threads that wait for work between two parallel regions may spin for a moment, as they do by
    default: that is how the libraries are fast. They sleep long before the next process's turn.
    """
    return {**dict.fromkeys(VARIABLES, str(threads)), "KMP_BLOCKTIME": "1"}


def pin(threads: int) -> None:
    """Keep this process on so many cores, the last ones: interrupts tend to come to the first."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[-threads:])
