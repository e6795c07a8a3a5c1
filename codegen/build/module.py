"""C text in, loaded library out: compiled only if no process has compiled it before."""

import os
import re
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

from .binding import BINDING_VERSION, read_binding, write_binding
from .cache import Built, Cache, content_key, logger, open_cache, temporary_cache
from .compiler import run_compiler
from .errors import CompileError
from .flags import profile_flags
from .sanitize import check_sanitizer, sanitizer_flags
from .toolchain import Toolchain, require_toolchain

_UNIT = re.compile(r"[A-Za-z0-9_]+")
_HEADER = re.compile(r"[A-Za-z0-9_]+\.h")

# Part of every key; to be raised when equal inputs come to mean another library.
_FORMAT = 1

_SHOWN_LINES = 20


@dataclass(frozen=True)
class Library:
    """A loaded library: call `lib.function(...)`, make its arguments with `ffi`.

    `source` is the folder of its C text; `compiled` tells whether a compiler had to run.
    """

    ffi: Any  # cffi's: the attributes of both are known when the declarations are, at run time
    lib: Any
    path: Path
    source: Path
    compiled: bool


Units = Mapping[str, str] | Callable[[], Iterable[tuple[str, str]]]

_loaded: dict[tuple[Path, str], Library] = {}


def build(
    units: Units,
    declarations: str,
    *,
    origin: str = "",
    headers: Mapping[str, str] = {},
    profile: str = "release",
    toolchain: Toolchain | None = None,
    cache: Cache | None = None,
) -> Library:
    """The library of some C units (by file stem), callable through cffi `declarations`.

    Headers, by file name, stand beside the units. Equal arguments give the same Library; another
    process, a library loaded from disk. Where `origin` says all that the units follow from, they
    may be a function, which is called only if a compiler has to run. It gives them one by one, and
    each is compiled while the next is made.

    Raises CompilerNotFound, CompileError, ValueError for names that are not plain or an unknown
    profile, and cffi's CDefError for declarations it cannot read.
    """
    for name in headers:
        _check_name(name, _HEADER)
    for name in () if callable(units) else units:
        _check_name(name, _UNIT)
    flags = profile_flags(profile)
    cache = cache or open_cache()
    toolchain = toolchain or require_toolchain(cache=cache)
    if "sanitize" in profile:
        check_sanitizer(toolchain)
        flags += sanitizer_flags(toolchain)
    if callable(units) and not origin:
        raise ValueError("units given as a function need an origin that tells them apart")
    job = _Job(units, origin, dict(headers), declarations, flags, toolchain)
    try:
        return _load(job, cache)
    except OSError as error:
        fallback = temporary_cache()
        if cache == fallback:
            raise
        # Unwritable, full, or mounted so that nothing in it may be executed.
        logger.warning(
            "cache %s cannot be used (%s); compiling for this process", cache.root, error
        )
        return _load(job, fallback)


@dataclass(frozen=True)
class _Job:
    """One library to make, as it was asked for."""

    given: Units
    origin: str
    headers: dict[str, str]
    declarations: str
    flags: tuple[str, ...]
    toolchain: Toolchain

    def units(self) -> Iterable[tuple[str, str]]:
        return self.given() if callable(self.given) else self.given.items()

    @cached_property
    def key(self) -> str:
        return content_key(
            _FORMAT,
            BINDING_VERSION,
            self.origin or list(self.units()),
            sorted(self.headers.items()),
            self.declarations,
            self.flags,
            self.toolchain.identity,
        )


def _load(job: _Job, cache: Cache) -> Library:
    key = job.key
    known = _loaded.get((cache.root, key))
    if known:
        return known
    found = cache.find(key)
    built = found or _compile(job, key, cache)
    ffi = read_binding(built.binding)
    lib = ffi.dlopen(str(built.path))
    library = Library(ffi, lib, built.path, cache.folder(key), compiled=found is None)
    return _loaded.setdefault((cache.root, key), library)


def _compile(job: _Job, key: str, cache: Cache) -> Built:
    binding = write_binding(job.declarations)
    for name, text in job.headers.items():
        cache.write_source(key, name, text)
    # The output waits outside the cache, which may have no room for it.
    with tempfile.TemporaryDirectory(prefix="graphcnn-") as scratch:
        library = Path(scratch, "library")
        _compile_units(job, _kept_units(job, key, cache), cache.folder(key), library)
        return cache.store(key, library.read_bytes(), binding)


def _kept_units(job: _Job, key: str, cache: Cache) -> Iterator[str]:
    """Keep the units beside the library as they come; give their names."""
    for stem, text in job.units():
        _check_name(stem, _UNIT)
        cache.write_source(key, f"{stem}.c", text)
        yield stem


def _check_name(name: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a C file here; it must match {pattern.pattern}")


def _compile_units(job: _Job, units: Iterator[str], source: Path, library: Path) -> None:
    """Compile the text in `source`, where the compiler runs and knows it by its bare names.

    So messages and debuggers lead to text that is kept, and equal text gives equal bytes.
    """
    compiler = (*job.toolchain.command, *job.flags, *job.toolchain.compile_flags)
    ahead = [*islice(units, 2)]
    if not ahead:
        raise ValueError("no C units given; a library needs at least one")
    files = [f"{ahead[0]}.c"]
    if len(ahead) > 1:
        files = _compile_apart(compiler, chain(ahead, units), source, library.parent)
    _run_or_raise(
        (*compiler, "-shared", *files, "-o", str(library), *job.toolchain.link_flags), source
    )


def _compile_apart(
    compiler: Sequence[str], units: Iterable[str], source: Path, scratch: Path
) -> list[str]:
    """Compile each unit into an object in `scratch`, the first while others are still to come."""
    objects: list[str] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = []
        try:
            for stem in units:
                objects.append(str(scratch / f"{stem}.o"))
                command = (*compiler, "-c", f"{stem}.c", "-o", objects[-1])
                runs.append(pool.submit(_run_or_raise, command, source))
            for run in runs:
                run.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # leaving waits for those that run
            raise
    return objects


def _run_or_raise(command: Sequence[str], source: Path) -> None:
    outcome = run_compiler(command, source)
    if outcome.succeeded:
        return
    raise CompileError(
        f"{outcome.complaint(_SHOWN_LINES)}\n\n"
        f"said {command[0]} in {source}, where the text is kept:\n    {shlex.join(command)}"
    )
