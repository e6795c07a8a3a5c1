"""What many measurements say: medians, spreads, geometric means, ratios."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

OURS = "graphcnn"


def median(seconds: Sequence[float]) -> float:
    """Give the middle value.

    >>> median([3.0, 1.0, 2.0, 10.0])
    2.5
    """
    return statistics.median(seconds)


def spread(seconds: Sequence[float]) -> float:
    """Give half the distance of the quartiles as a share of the median.

    >>> spread([1.0, 1.0, 1.0]), spread([0.9, 1.0, 1.1])
    (0.0, 0.05...)
    """
    if len(seconds) < 2:
        return 0.0
    low, _, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return (high - low) / 2 / median(seconds)


def geometric_mean(ratios: Iterable[float]) -> float:
    """Give the mean of what multiplies; NaN of nothing.

    >>> round(geometric_mean([1.0, 4.0]), 6)
    2.0
    """
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def times(measurement: Mapping[str, Any]) -> dict[str, float]:
    """Give the median of each peer that ran, the fastest first."""
    found = {
        name: median(peer["seconds"])
        for name, peer in measurement["peers"].items()
        if peer.get("seconds")
    }
    return dict(sorted(found.items(), key=lambda item: item[1]))


def best_peer(measurement: Mapping[str, Any]) -> tuple[str, float] | None:
    """Give the fastest of the others and its median."""
    others = [(name, time) for name, time in times(measurement).items() if name != OURS]
    return others[0] if others else None


def ratio(measurement: Mapping[str, Any]) -> float | None:
    """Give the best peer's time ÷ ours: above 1, we win."""
    ours, best = times(measurement).get(OURS), best_peer(measurement)
    return best[1] / ours if ours and best else None


def gflops(measurement: Mapping[str, Any], name: str = OURS) -> float | None:
    """Give a peer's 10⁹ operations a second."""
    time = times(measurement).get(name)
    return measurement["flops"] / time / 1e9 if time else None
