"""Name the processor, because `-march=native` makes a library that only its like can run."""

import functools
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")

# The fields that decide which instructions exist (x86, then Arm); clock rates and the like vary
# from one reading to the next.
_FIELDS = (
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "stepping",
    "flags",
    "CPU implementer",
    "CPU architecture",
    "CPU variant",
    "CPU part",
    "Features",
)


@functools.cache
def identify_cpu() -> str:
    """The processor's model and instruction sets, as one line."""
    try:
        return "; ".join((platform.machine(), *_read_first_core(_CPUINFO)))
    except OSError:
        return "; ".join((platform.machine(), platform.processor()))


def _read_first_core(cpuinfo: Path) -> list[str]:
    values = []
    with cpuinfo.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.strip():
                # One block per core: on a large server the rest costs tens of milliseconds.
                break
            field, _, value = line.partition(":")
            if field.strip() in _FIELDS:
                values.append(value.strip())
    return values
