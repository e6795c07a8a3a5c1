"""How fast this machine is: limits in seconds are promises about a machine of a known pace."""

import time
from functools import cache


@cache
def pace() -> float:
    """How many times as long as on the machine of the promises something takes, but at least once.

    That machine adds up a million numbers in Python in 25 ms.
    """
    fastest = min(_counted(1_000_000) for _ in range(5))
    return max(1.0, fastest / 0.025)


def _counted(numbers: int) -> float:
    start = time.perf_counter()
    total = 0
    for number in range(numbers):
        total += number
    return time.perf_counter() - start
