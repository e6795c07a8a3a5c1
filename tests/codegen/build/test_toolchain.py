"""Finding a compiler that works."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from codegen.build import (
    Cache,
    CompilerNotFound,
    build,
    compiler_calls,
    find_toolchain,
    forget_toolchains,
    require_toolchain,
)


@pytest.fixture(autouse=True)
def _nothing_is_known(cache: Cache) -> None:
    """Each of these tests finds a compiler for the first time."""
    forget_toolchains()


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_a_compiler_is_known_by_its_name(name: str) -> None:
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    toolchain = require_toolchain(name)
    assert toolchain.name == name
    assert toolchain.command == (shutil.which(name),)
    assert name in toolchain.version


def test_cc_is_obeyed_with_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "gcc -DNAME='a b'")
    assert require_toolchain().command == (shutil.which("gcc"), "-DNAME=a b")


def test_gcc_is_preferred() -> None:
    assert require_toolchain().name == "gcc"


def test_a_compiler_that_does_not_work_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gcc").write_text("#!/bin/sh\necho no headers >&2\nexit 1\n")
    (folder / "gcc").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    assert require_toolchain().command != (str(folder / "gcc"),)


def test_a_compiler_whose_libraries_do_not_load_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    # Succeeds at everything and leaves text where a library should be.
    (folder / "gcc").write_text(
        '#!/bin/sh\nwhile [ $# -gt 0 ]; do [ "$1" = -o ] && echo text > "$2"; shift; done\n'
    )
    (folder / "gcc").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    assert require_toolchain().command != (str(folder / "gcc"),)
    with pytest.raises(CompilerNotFound, match="cannot be loaded"):
        require_toolchain("gcc")


def test_a_machine_without_a_compiler_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert find_toolchain() is None


@pytest.mark.long  # its first run on a machine compiles zig's own runtime
def test_the_compiler_of_the_wheel_serves_a_machine_without_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("ziglang")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert require_toolchain().name == "zig"
    library = build({"one": "int one(void) { return 1; }\n"}, "int one(void);")
    assert library.lib.one() == 1


def test_a_compiler_installed_after_a_failure_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as bare:
        bare.setenv("PATH", "/nonexistent")
        bare.setattr("importlib.util.find_spec", lambda name: None)
        assert find_toolchain() is None
    assert find_toolchain() is not None


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("/nonexistent/gcc", "not found"),
        ("gcc -include /nonexistent.h", "nonexistent.h"),
        ("false", "exit status 1"),
    ],
)
def test_a_cc_that_does_not_work_is_said_and_not_replaced(
    command: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", command)
    with pytest.raises(CompilerNotFound) as caught:
        find_toolchain()
    message = str(caught.value)
    assert f"CC={command} does not work" in message
    assert reason in message
    assert "unset" in message


@pytest.mark.parametrize("name", ["CC", "CFLAGS", "LDFLAGS"])
def test_a_variable_that_cannot_be_split_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "gcc 'unfinished")
    with pytest.raises(ValueError, match=f"{name}=.*unfinished"):
        find_toolchain()


def test_what_is_remembered_on_disk_takes_no_compiler() -> None:
    first = find_toolchain()
    forget_toolchains()
    before = compiler_calls()
    assert find_toolchain() == first
    assert compiler_calls() == before


@pytest.mark.parametrize("record", [b"", b"garbage", b"[]", b'{"name": "gcc"}', b'{"command'])
def test_a_damaged_record_is_made_again(record: bytes, cache: Cache) -> None:
    first = find_toolchain()
    (path,) = cache.root.glob("records/*.json")
    path.write_bytes(record)
    forget_toolchains()
    assert find_toolchain() == first
    assert json.loads(path.read_bytes())["name"] == "gcc"


def test_a_compiler_that_was_replaced_is_tried_again(
    write_compiler: Callable[[str, str], str],
) -> None:
    command = write_compiler("mine", "")
    first = require_toolchain(command)
    write_compiler("mine", 'case "$*" in *--version*) echo mine 2.0; exit;; esac')
    second = require_toolchain(command)
    assert second.version == "mine 2.0"
    assert second.identity != first.identity


def test_another_processor_needs_other_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    here = require_toolchain()
    monkeypatch.setattr("codegen.build.toolchain.identify_cpu", lambda: "another processor")
    there = require_toolchain()
    assert here.identity != there.identity
