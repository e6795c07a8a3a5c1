"""Run the C compiler: argument lists, never a shell, and every run counted."""

import os
import re
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# The linkers' complaint of a missing function does not call itself an error.
_ERROR = re.compile(r"error|undefined", re.IGNORECASE)

_lock = threading.Lock()
_calls = 0


@dataclass(frozen=True)
class Outcome:
    """How one run of the compiler ended, and what it said."""

    succeeded: bool
    text: str

    def complaint(self, most: int) -> str:
        """The first error and what follows it, without the warnings before, in so many lines."""
        lines = self.text.splitlines()
        first = next((at for at, line in enumerate(lines) if _ERROR.search(line)), 0)
        return "\n".join(lines[first : first + most])


def compiler_calls() -> int:
    """How many compiler processes this process has started."""
    return _calls


def run_compiler(command: Sequence[str], folder: Path) -> Outcome:
    """What became of `command`, run inside `folder`; one that cannot start has failed."""
    global _calls
    with _lock:
        _calls += 1
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            # In English, so that a message can be searched for, and recognised here.
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        return Outcome(succeeded=False, text=str(error))
    return Outcome(done.returncode == 0, done.stdout or f"exit status {done.returncode}, no words")
