"""Several processes, one cache, no locks."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from codegen.build import Cache

Starter = Callable[..., "subprocess.Popen[str]"]

BUILD = """
from codegen.build import build, compiler_calls
text = "float dot(const float *x, const float *y, int n)" \\
       "{ float s = 0; for (int i = 0; i < n; i++) s += x[i] * y[i]; return s; }"
library = build({"dot": text}, "float dot(const float *x, const float *y, int n);")
x = library.ffi.new("float[]", [1, 2, 3])
print(library.lib.dot(x, x, 3), compiler_calls(), library.compiled)
"""


def finish(process: "subprocess.Popen[str]") -> list[str]:
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert err == ""
    return out.split()


def test_a_second_process_compiles_nothing(start_python: Starter) -> None:
    answer, calls, compiled = finish(start_python(BUILD))
    assert (answer, compiled) == ("14.0", "True")
    assert int(calls) > 0
    assert finish(start_python(BUILD)) == ["14.0", "0", "False"]


def test_a_second_process_does_not_even_load_the_c_parser(start_python: Starter) -> None:
    finish(start_python(BUILD))
    out = finish(start_python(BUILD + "import sys; print('pycparser' in sys.modules)"))
    assert out == ["14.0", "0", "False", "False"]


def test_sixteen_processes_at_once_all_get_the_answer(start_python: Starter, cache: Cache) -> None:
    answers = [finish(process)[0] for process in [start_python(BUILD) for _ in range(16)]]
    assert answers == ["14.0"] * 16
    assert cache.report().entries == 1
    assert not list(cache.root.rglob(".unfinished-*"))
    assert finish(start_python(BUILD)) == ["14.0", "0", "False"]


def test_a_process_killed_while_compiling_harms_no_other(
    start_python: Starter,
    cache: Cache,
    tmp_path: Path,
    write_compiler: Callable[[str, str], str],
) -> None:
    slow, begun = tmp_path / "slow", tmp_path / "begun"
    # The script, and so the toolchain, stays the same when it turns quick again.
    compiler = write_compiler(
        "sleepy", f'case "$*" in *dot.c*) [ -e {slow} ] && touch {begun} && sleep 60;; esac'
    )
    slow.touch()
    # What the killed process leaves behind goes where the test's own files go.
    process = start_python(BUILD, CC=compiler, TMPDIR=str(tmp_path))
    while not begun.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    slow.unlink()

    assert cache.report().entries == 0
    assert list(cache.root.rglob("dot.c"))  # it did get as far as the compiler
    assert finish(start_python(BUILD, CC=compiler)) == ["14.0", "1", "True"]
    assert finish(start_python(BUILD, CC=compiler)) == ["14.0", "0", "False"]
