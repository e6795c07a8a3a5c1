"""What a peer costs besides time: import, first call, memory, disk; each in a fresh process."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.crew import ROOT, Member
from benchmarks.peers import PEERS
from benchmarks.rows import Row

# Where compilers keep what they made: a first call must not find it.
CACHES = ("GRAPHCNN_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")


def trial(name: str, row: Row, threads: int, log: Path, **member: Any) -> dict[str, Any]:
    """Give the seconds to the first result, with nothing compiled before, and the peak memory."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environment = {**dict.fromkeys(CACHES, folder), **member.pop("environment", {})}
        worker = Member(name, threads, log, environment=environment, **member)
        try:
            return worker.ask("trial", row=row.to_json())
        finally:
            worker.end()


def import_seconds(name: str, repetitions: int = 3) -> float:
    """Give how long a new Python takes to import the peer's first module."""
    module = PEERS[name].modules[0]
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    # The first import may make bytecode, with which an installed package comes: it is left out.
    outputs = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(repetitions + 1)
    ]
    return statistics.median(float(text.split()[-1]) for text in outputs[1:])


def installed_bytes(name: str) -> int:
    """Give the bytes on disk of the peer and all that it depends on."""
    module = PEERS[name].modules[0]
    if (ROOT / module).is_dir():
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        sources = [f for p in ("graphcnn", "codegen") for f in (ROOT / p).rglob("*.[pch]*")]
        own = sum(f.stat().st_size for f in sources if "__pycache__" not in f.parts)
        return own + _bytes(project["project"]["dependencies"])
    return _bytes(set(metadata.packages_distributions()[module]))


def _bytes(requirements: Iterable[str]) -> int:
    return sum(map(_own_bytes, _closure(requirements)))


def _closure(requirements: Iterable[str]) -> Iterator[metadata.Distribution]:
    """Give each installed distribution that these need, themselves included, once."""
    seen: set[str] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        (name,) = re.findall(r"^[\w.-]+", requirement)
        plain = re.sub(r"[-_.]+", "-", name).lower()
        if plain in seen or "extra ==" in requirement:
            continue
        seen.add(plain)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # not needed on this platform
        waiting += found.requires or []
        yield found


def _own_bytes(distribution: metadata.Distribution) -> int:
    """Count its files, but no bytecode, which is there or not."""
    paths = [Path(str(file.locate())) for file in distribution.files or []]
    return sum(p.stat().st_size for p in paths if p.is_file() and p.suffix != ".pyc")
