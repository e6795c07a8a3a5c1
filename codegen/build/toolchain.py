"""Find a C compiler that demonstrably works, and remember it so that finding it again is free.

The order: the command in `CC`, then gcc, clang, cc, then the one in the `ziglang` wheel. The first
that compiles a small library which loads and answers is taken. `CC` is an order, not a hint: when
it does not work, nothing else is tried.
"""

import ctypes
import importlib.util
import os
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .cache import Cache, content_key, open_cache
from .compiler import Outcome, run_compiler
from .cpu import identify_cpu
from .errors import CompilerNotFound
from .flags import OPTIONAL, REQUIRED, choose_flags, is_link_flag

_ON_PATH = ("gcc", "clang", "cc")

# Compilers lack headers, link for other machines, make what cannot be loaded: so try it all.
_PROBE = """\
#include <math.h>
#include <stdint.h>
int32_t probe(int32_t x) { return (int32_t)sqrt((double)x); }
#if defined(__AVX512F__)
int32_t vector_bytes(void) { return 64; }
#elif defined(__AVX__)
int32_t vector_bytes(void) { return 32; }
#else
int32_t vector_bytes(void) { return 16; }
#endif
"""

# To be raised when the probing changes otherwise than by _PROBE and the tables of flags.
_PROBE_VERSION = 1

_REMEDY = """\
Install a C compiler:
    any system        pip install 'graphcnn[compiler]'
    Debian, Ubuntu    apt install gcc libc6-dev
    macOS             xcode-select --install
or set CC to the command of one, as in CC=/opt/gcc/bin/gcc; unset, CC leaves the choice to us."""


@dataclass(frozen=True)
class Toolchain:
    """A C compiler that works, the flags it takes in every profile, and the processor it is for.

    `vector_bytes` is the widest vector register that code compiled with these flags uses.
    """

    command: tuple[str, ...]
    name: str
    version: str
    cpu: str = field(repr=False)
    compile_flags: tuple[str, ...]
    link_flags: tuple[str, ...]
    vector_bytes: int

    @property
    def identity(self) -> str:
        """The name of all that compiled bytes depend on, other than the text and the profile."""
        return content_key(asdict(self))


def find_toolchain(command: str | None = None, cache: Cache | None = None) -> Toolchain | None:
    """The compiler to use, or None on a machine without one.

    `command` overrules the environment's `CC`. Raises CompilerNotFound when the one they name
    does not work.
    """
    found = _find(command, cache)
    if isinstance(found, str) and _ordered(command):
        raise CompilerNotFound(found)
    return found if isinstance(found, Toolchain) else None


def require_toolchain(command: str | None = None, cache: Cache | None = None) -> Toolchain:
    """The compiler to use. Raises CompilerNotFound, which says why each candidate failed."""
    found = _find(command, cache)
    if isinstance(found, str):
        raise CompilerNotFound(found)
    return found


def forget_toolchains() -> None:
    """Make this process look again as a new one would: on disk, then for itself."""
    _known.clear()


# What failed is not remembered, here or on disk: the user may be about to install it.
_known: dict[str, Toolchain] = {}


def _find(command: str | None, cache: Cache | None) -> Toolchain | str:
    """A working toolchain, or why there is none."""
    cache = cache or open_cache()
    order = _ordered(command)
    candidates = (_split("CC", order),) if order else _list_candidates()
    compile_flags, link_flags = (_split(v, os.environ.get(v, "")) for v in ("CFLAGS", "LDFLAGS"))
    key = content_key(
        (_PROBE_VERSION, _PROBE, REQUIRED, OPTIONAL),
        [[_fingerprint(word) for word in candidate] for candidate in candidates],
        (compile_flags, link_flags, identify_cpu()),
    )
    known = _known.get(key) or _revive(cache.recall(key))
    if known:
        return _known.setdefault(key, known)
    failures = []
    for candidate in candidates:
        match _probe(candidate, compile_flags, link_flags):
            case Toolchain() as found:
                cache.remember(key, asdict(found))
                return _known.setdefault(key, found)
            case failure:
                failures.append(f"    {shlex.join(candidate)}: {failure}")
    heading = f"CC={order} does not work:" if order else "no C compiler works here; tried:"
    return "\n".join((heading, *failures, _REMEDY))


def _ordered(command: str | None) -> str | None:
    return command or os.environ.get("CC") or None


def _split(source: str, text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"{source}={text!r} is not a list of shell words: {error}") from error


def _list_candidates() -> tuple[tuple[str, ...], ...]:
    wheel = importlib.util.find_spec("ziglang")
    folders = (wheel and wheel.submodule_search_locations) or ()
    # The program itself, sparing each compilation the Python of `python -m ziglang`.
    return (*((name,) for name in _ON_PATH), *((str(Path(at, "zig")), "cc") for at in folders))


def _fingerprint(word: str) -> tuple[str, str | None, int, int]:
    """What changes when the program called `word`, as in `ccache gcc`, is replaced."""
    program = shutil.which(word)
    if program is None:
        return word, None, 0, 0
    status = Path(program).stat()
    return word, program, status.st_size, status.st_mtime_ns


def _revive(record: object) -> Toolchain | None:
    if not isinstance(record, dict):
        return None
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in record.items()
    }
    try:
        return Toolchain(**fields)
    except TypeError:
        return None


def _probe(
    candidate: Sequence[str], compile_flags: Sequence[str], link_flags: Sequence[str]
) -> Toolchain | str:
    """The toolchain around one compiler, or why it is of no use."""
    program = shutil.which(candidate[0])
    if program is None:
        return "not found"
    command = (program, *candidate[1:])
    with tempfile.TemporaryDirectory(prefix="graphcnn-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "probe.c").write_text(_PROBE, encoding="utf-8")
        library = folder / "probe.so"

        def compile_with(flags: Sequence[str]) -> Outcome:
            ours, links = _part(flags)
            before = (*command, *REQUIRED, *ours, *compile_flags, "probe.c")
            after = ("-shared", "-o", str(library), *links, *link_flags)
            return run_compiler((*before, *after), folder)

        # First with -Werror, because some compilers take what they do not know with a warning;
        # without it where the user's own flags already give one.
        optional = choose_flags(
            lambda flags: compile_with(("-Werror", *flags)).succeeded
        ) or choose_flags(lambda flags: compile_with(flags).succeeded)
        outcome = compile_with(optional)
        if not outcome.succeeded:
            return outcome.complaint(most=3)
        vector_bytes = _load_probe(library)
        if isinstance(vector_bytes, str):
            return vector_bytes
        version = run_compiler((*command, "--version"), folder).text
    ours, links = _part(optional)
    return Toolchain(
        command,
        _name_compiler(program, version),
        version.splitlines()[0],
        identify_cpu(),
        (*ours, *compile_flags),
        (*links, *link_flags),
        vector_bytes,
    )


def _part(flags: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The flags that precede what is linked, and those that must follow it."""
    return (
        tuple(flag for flag in flags if not is_link_flag(flag)),
        tuple(flag for flag in flags if is_link_flag(flag)),
    )


def _load_probe(library: Path) -> int | str:
    """The bytes of the widest vector register, or what is wrong with the library."""
    try:
        probe = ctypes.CDLL(str(library))
        answer, vector_bytes = probe.probe(42 * 42), probe.vector_bytes()
    except (OSError, AttributeError) as error:
        return f"what it compiles cannot be loaded: {error}"
    if answer != 42:
        return f"what it compiles gives {answer} as the root of {42 * 42}"
    return int(vector_bytes)


def _name_compiler(program: str, version: str) -> str:
    if Path(program).stem == "zig":
        return "zig"  # which calls itself clang
    if "clang" in version.lower():
        return "clang"
    return "gcc" if "Free Software Foundation" in version else Path(program).stem
