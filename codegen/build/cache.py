"""A private, content-addressed folder of built libraries that no lock and no crash can spoil.

    <root>/libraries/<key>/*.c, *.h          the text, for reading and for debuggers
                           <digest>.so       the library, named by what it contains
                           library.json      its digest and its cffi binding; written last
    <root>/records/<key>.json                small facts worth remembering, such as the toolchain

A file appears under its name only when whole, by an atomic rename, and a library is found only
through `library.json`; so readers and writers need not wait for each other, and a process that
dies half-way leaves nothing that is ever read.
"""

import atexit
import functools
import hashlib
import json
import logging
import os
import shutil
import stat
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger("graphcnn")

DIRECTORY_VARIABLE = "GRAPHCNN_CACHE_DIR"

_LIBRARIES = "libraries"
_RECORDS = "records"
_INDEX = "library.json"
_SUFFIX = ".dll" if sys.platform == "win32" else ".so"
_UNFINISHED = ".unfinished-"
_UNFINISHED_SECONDS = 24 * 60 * 60


@dataclass(frozen=True)
class Built:
    """A compiled library in the cache: the shared object, and the cffi module that describes it."""

    path: Path
    binding: str


@dataclass(frozen=True)
class CacheReport:
    """Where a cache is, how many libraries it holds, and the bytes of everything in it."""

    path: Path
    entries: int
    bytes: int


@dataclass(frozen=True)
class Cache:
    """A folder of built libraries; `open_cache` gives one that is safe to load from."""

    root: Path

    def folder(self, key: str) -> Path:
        """Where the library called `key` and its text live, whether or not they exist."""
        return self.root / _LIBRARIES / key

    def find(self, key: str) -> Built | None:
        """The library stored under `key`; None where it is missing or not as it was written."""
        try:
            index = json.loads((self.folder(key) / _INDEX).read_bytes())
            digest, binding = index["digest"], index["binding"]
            path = self.folder(key) / f"{digest}{_SUFFIX}"
            whole = digest == _digest(path.read_bytes(), binding)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return Built(path, binding) if whole else None

    def store(self, key: str, content: bytes, binding: str) -> Built:
        """The library just stored under `key`. Raises OSError where the disk refuses."""
        digest = _digest(content, binding)
        path = self.folder(key) / f"{digest}{_SUFFIX}"
        _write(path, content)
        index = json.dumps({"digest": digest, "binding": binding})
        _write(self.folder(key) / _INDEX, index.encode())
        self._sweep()
        return Built(path, binding)

    def write_source(self, key: str, name: str, text: str) -> None:
        """Keep a C file beside the library called `key`. Raises OSError where the disk refuses."""
        _write(self.folder(key) / name, text.encode())

    def recall(self, key: str) -> object:
        """The value remembered under `key`, or None where there is none that can be read."""
        try:
            return json.loads(self._record(key).read_bytes())
        except (OSError, ValueError):
            return None

    def remember(self, key: str, value: object) -> None:
        """Keep a JSON value for the next process; forgotten at once where the disk refuses."""
        with suppress(OSError):
            _write(self._record(key), json.dumps(value).encode())

    def report(self) -> CacheReport:
        """What the cache holds now."""
        files = [file for file in self.root.rglob("*") if file.is_file()]
        entries = sum(file.name == _INDEX for file in files)
        return CacheReport(self.root, entries, sum(file.stat().st_size for file in files))

    def clear(self) -> None:
        """Forget every library and record, and nothing else that someone may keep in the folder."""
        for name in (_LIBRARIES, _RECORDS):
            shutil.rmtree(self.root / name, ignore_errors=True)

    def _record(self, key: str) -> Path:
        return self.root / _RECORDS / f"{key}.json"

    def _sweep(self) -> None:
        oldest = time.time() - _UNFINISHED_SECONDS
        with suppress(OSError):
            for file in self.root.rglob(f"{_UNFINISHED}*"):
                if file.stat().st_mtime < oldest:
                    file.unlink()


def content_key(*parts: object) -> str:
    """The sha256 name of some JSON values: equal values, equal name, on any machine."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def open_cache(root: Path | None = None) -> Cache:
    """The cache in `root`, in `$GRAPHCNN_CACHE_DIR`, or in the user's cache folder.

    What can be written by others is not loaded from: such a folder gives a warning and a private
    temporary cache instead, as does one that cannot be made.
    """
    return _open(root or _default_root())


@functools.cache
def temporary_cache() -> Cache:
    """The cache that lasts as long as this process."""
    root = Path(tempfile.mkdtemp(prefix="graphcnn-"))
    owner = os.getpid()

    def remove() -> None:
        # A forked child inherits this function, but its parent still uses the folder.
        if os.getpid() == owner:
            shutil.rmtree(root, ignore_errors=True)

    atexit.register(remove)
    return Cache(root)


def _default_root() -> Path:
    chosen = os.environ.get(DIRECTORY_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs  # here, because it costs 10 ms and a chosen folder needs none of it

    return platformdirs.user_cache_path("graphcnn")


# Remembered, so that a folder is judged, and warned about, once.
@functools.cache
def _open(root: Path) -> Cache:
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        fault = _find_fault(root)
    except OSError as error:
        fault = str(error)
    if fault is None:
        return Cache(root)
    logger.warning(
        "cache %s is not used: %s. Libraries go to a temporary folder and are compiled again by "
        "each process; `chmod 700` the folder, or set %s to one of your own",
        root,
        fault,
        DIRECTORY_VARIABLE,
    )
    return temporary_cache()


def _find_fault(root: Path) -> str | None:
    if sys.platform == "win32":
        return None  # user folders are private there, and mode bits say nothing
    status = root.stat()
    if status.st_uid != os.geteuid():
        return f"it belongs to user {status.st_uid}, and this is user {os.geteuid()}"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write to it (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def _digest(content: bytes, binding: str) -> str:
    digest = hashlib.sha256(content)
    digest.update(binding.encode())
    return digest.hexdigest()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=path.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
