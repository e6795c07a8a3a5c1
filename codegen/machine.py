"""What the machine has, as far as schedules depend on it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from codegen.build import find_toolchain
from codegen.build.cpu import identify_cpu
from codegen.notation import BYTES

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


@dataclass(frozen=True)
class Machine:
    """Sizes in bytes; the defaults are those of a recent server core.

    `vector` is the widest vector register and `full` the narrowest one at which multiply-adds
    still run at the full rate: some cores execute wide vectors as two halves. For fewer operations
    than `wake` it does not pay to wake another thread up. `ranks` says for some sums of products
    which of the tiles that the cost model ranks was measured to be the best.
    """

    vector: int = 64
    registers: int = 32
    full: int = 64
    l1: int = 32 << 10
    l2: int = 1 << 20
    l3: int = 32 << 20
    wake: int = 20_000
    ranks: tuple[tuple[str, int], ...] = ()

    def lanes(self, dtype: str) -> int:
        """Give how many numbers of a float type the widest vector register holds.

        >>> Machine().lanes("float32"), Machine().lanes("float64")
        (16, 8)
        """
        return self.vector // BYTES[dtype]

    @property
    def rate(self) -> int:
        """How many multiply-adds of its widest vectors a core starts in one cycle.

        >>> Machine(vector=64, full=32).rate, Machine(vector=32, full=32).rate
        (1, 2)
        """
        return 2 * self.full // self.vector

    @property
    def spreads(self) -> bool:
        """Whether a multiply-add can take a number from memory and spread it over the lanes."""
        return self.vector == 64


@cache
def this_machine() -> Machine:
    """Give the machine that the compiler compiles for, and that this process runs on."""
    toolchain = find_toolchain()
    vector = toolchain.vector_bytes if toolchain else Machine.vector
    return Machine(
        vector=vector,
        registers=32 if vector == 64 or platform.machine() in ("aarch64", "arm64") else 16,
        full=min(vector, 32) if _halves_vectors(identify_cpu()) else vector,
        l1=_cache_bytes(1) or Machine.l1,
        l2=_cache_bytes(2) or Machine.l2,
        l3=_cache_bytes(3) or Machine.l3,
    )


def _halves_vectors(cpu: str) -> bool:
    """Whether the core runs 512-bit operations through pipes of 256 bits: Zen 4 does."""
    parts = cpu.split("; ")
    return "AuthenticAMD" in parts and "25" in parts


def _cache_bytes(level: int) -> int:
    for folder in sorted(_CACHES.glob("index*")):
        try:
            kind = (folder / "type").read_text().strip()
            if int((folder / "level").read_text()) == level and kind != "Instruction":
                size = (folder / "size").read_text().strip()
                return int(size.removesuffix("K")) << 10
        except (OSError, ValueError):
            continue
    return 0
