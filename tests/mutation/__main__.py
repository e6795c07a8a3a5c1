"""Break the sources in small ways, one at a time and in a copy, and say which the tests catch.

    python -m tests.mutation            all of them
    python -m tests.mutation 0:5        the first five

A mutation is caught where a test fails that does not fail without it. Copies are in a temporary
folder; the checkout stays as it is, and so do caches.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tests.mutation.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).parent.parent.parent
COPIED = ("codegen", "graphcnn", "tests", "pyproject.toml", "README.md")
NEEDED = 0.9  # of the mutations: some change nothing that can be seen


def fails(tests: Iterable[str], mutation: Mutation | None = None) -> bool:
    """Whether one of the tests fails in a copy that is broken this way."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for copied in COPIED:
            copy = shutil.copytree if (ROOT / copied).is_dir() else shutil.copy
            copy(ROOT / copied, folder / copied)
        if mutation is not None:
            file = folder / mutation.file
            file.write_text(mutated(file.read_text(encoding="utf-8"), mutation), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
            cwd=folder,
            env={**os.environ, "GRAPHCNN_CACHE_DIR": str(folder / "cache")},
            capture_output=True,
            check=False,
        )
    if done.returncode not in (0, 1):  # neither passed nor failed: nothing was tested
        raise RuntimeError(done.stdout.decode()[-2000:])
    return done.returncode == 1


def mutated(text: str, mutation: Mutation) -> str:
    """Put the new text in the place of the old one."""
    if text.count(mutation.old) != 1:
        raise ValueError(f"{mutation.file} has {mutation.old!r} {text.count(mutation.old)} times")
    return text.replace(mutation.old, mutation.new)


def main(wanted: str = ":") -> int:
    """Try those wanted; give 0 if enough are caught."""
    start, _, stop = wanted.partition(":")
    tried = MUTATIONS[int(start) if start else None : int(stop) if stop else None]
    if fails(dict.fromkeys(test for mutation in tried for test in mutation.tests)):
        print("a test fails without any mutation")
        return 1
    count = 0
    for mutation in tried:
        began = time.monotonic()
        found = fails(mutation.tests, mutation)
        count += found
        seconds = time.monotonic() - began
        print(f"{'caught' if found else 'MISSED'}  {seconds:4.0f} s  {mutation.what}", flush=True)
    print(f"{count} of {len(tried)} caught")
    return 0 if count >= NEEDED * len(tried) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
