"""Load sanitized libraries: their runtime must be in the process before anything else is."""

import ctypes
import platform
from pathlib import Path

from .compiler import run_compiler
from .toolchain import Toolchain

_RUNTIMES = {
    "gcc": "libasan.so",
    "clang": f"libclang_rt.asan-{platform.machine()}.so",
}


def sanitizer_environment(toolchain: Toolchain) -> dict[str, str]:
    """The variables to start Python with, so that it can load what `toolchain` sanitizes.

    Raises ValueError for a compiler whose runtime is not known here.
    """
    if toolchain.name not in _RUNTIMES:
        known = " or ".join(_RUNTIMES)
        raise ValueError(f"{toolchain.name} has no sanitizer known to load in Python; use {known}")
    question = (*toolchain.command, f"-print-file-name={_RUNTIMES[toolchain.name]}")
    runtime = run_compiler(question, Path.cwd()).text.strip()
    # The interpreter frees little when it ends, and would be reported for it.
    return {"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}


def sanitizer_flags(toolchain: Toolchain) -> tuple[str, ...]:
    """The compiler's own flag for a runtime that is shared, as a library's must be."""
    return ("-shared-libasan",) if toolchain.name == "clang" else ()


def check_sanitizer(toolchain: Toolchain) -> None:
    """Raises RuntimeError in a process that loading a sanitized library would end at once."""
    if not hasattr(ctypes.CDLL(None), "__asan_init"):
        variables = sanitizer_environment(toolchain)
        start = " ".join(f"{name}={value}" for name, value in variables.items())
        raise RuntimeError(f"a sanitized library needs Python started as\n    {start} python ...")
