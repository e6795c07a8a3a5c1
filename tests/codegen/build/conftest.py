"""What the tests of the build share: a cache and an environment of their own, other processes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from codegen.build import Cache, open_cache


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """An empty cache, which is the default one here and in processes started by the test."""
    for name in ("CC", "CFLAGS", "LDFLAGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GRAPHCNN_CACHE_DIR", str(tmp_path / "cache"))
    return open_cache()


Starter = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start_python() -> Starter:
    """A function that starts Python on a text, with variables added to the environment."""

    def start(text: str, **variables: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", text],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that a test can kill it with all that it started
        )

    return start


@pytest.fixture
def write_compiler(tmp_path: Path) -> Callable[[str, str], str]:
    """A function that makes a compiler: a shell script which acts, and then runs gcc."""

    def write(name: str, action: str) -> str:
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\n{action}\nexec gcc "$@"\n')
        script.chmod(0o755)
        return str(script)

    return write
