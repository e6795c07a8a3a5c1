"""The processes that are measured, all alive and at most one of them running.

There is one for each peer and count of threads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.threads import thread_environment

ROOT = Path(__file__).resolve().parent.parent


class Member:
    """A worker process, to which commands are given and which is then waited for."""

    def __init__(
        self,
        name: str,
        threads: int,
        log: Path,
        environment: dict[str, str] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.name, self.threads = name, threads
        command = [sys.executable, "-m", "benchmarks.worker", name, str(threads)]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        with log.open("a", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [*command, json.dumps(settings or {})],
                env={
                    **os.environ,
                    **thread_environment(threads),
                    "PYTHONPATH": path,
                    **(environment or {}),
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
            )
        self.started = self._answer()

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Give the answer; {"failed": why} where there is none."""
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(BrokenPipeError):
            print(json.dumps({"do": command, **arguments}), file=pipe, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            return {"failed": f"the process ended with code {self._process.wait()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def cpu_seconds(self) -> float:
        """Give the processor time that it has used so far, all its threads together."""
        try:
            text = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return 0.0
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Close the pipe, upon which it ends."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
