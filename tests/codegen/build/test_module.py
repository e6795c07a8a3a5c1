"""C text in, loaded library out."""

import logging
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from codegen.build import (
    CompileError,
    CompilerNotFound,
    build,
    compiler_calls,
    find_toolchain,
    open_cache,
    sanitizer_environment,
)
from codegen.build import cache as cache_module

ADD = {"add": "int add(int a, int b) { return a + b; }\n"}
ADD_DECLARATION = "int add(int a, int b);"

TWO_UNITS = {
    "twice": '#include "shared.h"\nint twice(int x) { return FACTOR * x; }\n',
    "four_times": "int twice(int x);\nint four_times(int x);\n"
    "int four_times(int x) { return twice(twice(x)); }\n",
}
UNITS_WITHOUT_HEADER = {
    "two": "int two(int x);\nint two(int x) { return 2 * x; }\n",
    "four": "int two(int x);\nint four(int x);\nint four(int x) { return two(two(x)); }\n",
}
SHARED = {"shared.h": "#define FACTOR 2\nint twice(int x);\n"}


def compilers() -> list[str]:
    return [name for name in ("gcc", "clang") if shutil.which(name)]


@pytest.mark.parametrize("compiler", compilers())
@pytest.mark.parametrize("profile", ["release", "debug", "release+strict", "debug+strict"])
def test_every_compiler_builds_every_profile(compiler: str, profile: str) -> None:
    toolchain = find_toolchain(compiler)
    library = build(
        TWO_UNITS, "int four_times(int x);", headers=SHARED, profile=profile, toolchain=toolchain
    )
    assert library.lib.four_times(3) == 12


def test_one_unit_takes_one_run_of_the_compiler() -> None:
    find_toolchain()
    before = compiler_calls()
    library = build(ADD, ADD_DECLARATION)
    assert library.lib.add(2, 3) == 5
    assert library.compiled
    assert compiler_calls() == before + 1


def test_units_compile_while_the_next_is_made() -> None:
    find_toolchain()
    before = compiler_calls()

    def units() -> Iterator[tuple[str, str]]:
        yield from UNITS_WITHOUT_HEADER.items()
        patience = time.monotonic() + 60
        while compiler_calls() == before and time.monotonic() < patience:
            time.sleep(0.001)
        assert compiler_calls() > before
        yield "seven", "int four(int x);\nint seven(void) { return four(1) + 3; }\n"

    library = build(units, "int seven(void);", origin="units that take their time")
    assert library.lib.seven() == 7


def test_units_that_cannot_be_made_leave_no_library(tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "cache")

    def units(*, broken: bool) -> Iterator[tuple[str, str]]:
        yield from UNITS_WITHOUT_HEADER.items()
        if broken:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(partial(units, broken=True), "int four(int x);", origin="interrupted", cache=cache)
    assert cache.report().entries == 0
    whole = partial(units, broken=False)
    library = build(whole, "int four(int x);", origin="interrupted", cache=cache)
    assert library.compiled
    assert library.lib.four(1) == 4


def test_arrays_and_structs_pass_through_the_binding() -> None:
    text = (
        "#include <stdint.h>\n"
        "typedef struct { const double *values; int64_t size; } row;\n"
        "double total(const row *r) {\n"
        "    double s = 0;\n"
        "    for (int64_t i = 0; i < r->size; i++) s += r->values[i];\n"
        "    return s;\n"
        "}\n"
    )
    declarations = (
        "typedef struct { const double *values; int64_t size; } row;\ndouble total(const row *r);\n"
    )
    library = build({"total": text}, declarations)
    values = library.ffi.new("double[]", [1.5, 2.5, 4.0])
    row = library.ffi.new("row *", {"values": values, "size": 3})
    assert library.lib.total(row) == 8.0


def test_equal_arguments_give_the_same_library() -> None:
    assert build(ADD, ADD_DECLARATION) is build(dict(ADD), ADD_DECLARATION)


@pytest.mark.parametrize(
    "change",
    [
        {"units": {"add": "int add(int a, int b) { return b + a; }\n"}},
        {"units": {"plus": ADD["add"]}},
        {"declarations": "int add(int, int);"},
        {"headers": {"unused.h": ""}},
        {"profile": "debug"},
        {"profile": "release+strict"},
    ],
    ids=str,
)
def test_any_other_argument_gives_another_library(change: dict[str, object]) -> None:
    arguments: dict[str, object] = {"units": ADD, "declarations": ADD_DECLARATION}
    changed = build(**(arguments | change))  # type: ignore[arg-type]
    assert changed.source != build(**arguments).source  # type: ignore[arg-type]


def test_the_environments_flags_reach_the_compiler_and_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = {"answer": "#ifndef ANSWER\n#define ANSWER 0\n#endif\nint f(void) { return ANSWER; }"}
    plain = build(answer, "int f(void);")
    monkeypatch.setenv("CFLAGS", "-DANSWER=42")
    flagged = build(answer, "int f(void);")
    monkeypatch.setenv("LDFLAGS", "-Wl,-O1")
    linked = build(answer, "int f(void);")
    assert (plain.lib.f(), flagged.lib.f(), linked.lib.f()) == (0, 42, 42)
    assert len({plain.source, flagged.source, linked.source}) == 3


@pytest.mark.parametrize("compiler", compilers())
@pytest.mark.parametrize(("units", "headers"), [(ADD, {}), (TWO_UNITS, SHARED)])
def test_equal_text_gives_equal_bytes_wherever_it_is_compiled(
    compiler: str, units: dict[str, str], headers: dict[str, str], tmp_path: Path
) -> None:
    toolchain = find_toolchain(compiler)
    here, there = (
        build(units, "", headers=headers, toolchain=toolchain, cache=open_cache(tmp_path / name))
        for name in ("here", "there")
    )
    assert here.compiled and there.compiled
    assert here.path != there.path
    assert here.path.read_bytes() == there.path.read_bytes()


def test_our_functions_shadow_those_of_libc() -> None:
    text = "int abs(int x);\nint f(int x);\nint abs(int x) { return 7; }\n"
    text += "int f(int x) { int (*volatile call)(int) = abs; return call(x); }\n"
    library = build({"shadow": text}, "int f(int x);", toolchain=find_toolchain("gcc -fno-builtin"))
    assert library.lib.f(-1) == 7


def test_the_text_is_kept_beside_the_library() -> None:
    library = build(TWO_UNITS, "", headers=SHARED)
    for name, text in {"twice.c": TWO_UNITS["twice"], **SHARED}.items():
        assert (library.source / name).read_text() == text
    assert library.path.parent == library.source


def test_an_error_shows_the_line_the_command_and_where_the_text_is() -> None:
    text = "int f(int x)\n{\n    return x + missing;\n}\n"
    with pytest.raises(CompileError) as caught:
        build({"broken": text}, "int f(int x);")
    message = str(caught.value)
    assert "broken.c:3:" in message
    assert "return x + missing;" in message
    toolchain = find_toolchain()
    assert toolchain is not None
    assert toolchain.command[0] in message
    kept = [word.rstrip(",") for word in message.split() if "/libraries/" in word]
    assert Path(kept[0], "broken.c").read_text() == text


def test_an_error_in_one_of_several_units_is_found() -> None:
    with pytest.raises(CompileError, match=r"broken\.c:1:"):
        build({**TWO_UNITS, "broken": "int f(void) { return }\n"}, "", headers=SHARED)


def test_an_error_is_not_hidden_by_the_warnings_before_it() -> None:
    warnings = "".join(f'#warning "number {i}"\n' for i in range(50))
    with pytest.raises(CompileError, match="missing"):
        build({"broken": f"{warnings}int f(void) {{ return missing; }}\n"}, "")


def test_a_missing_function_is_an_error_when_built_and_not_when_called() -> None:
    with pytest.raises(CompileError, match="absent"):
        build({"calls": "int absent(void);\nint f(void) { return absent(); }\n"}, "int f(void);")


def test_strict_makes_a_warning_an_error() -> None:
    unused = {"unused": "int f(int x);\nint f(int x) { return 1; }\n"}
    assert build(unused, "int f(int x);").lib.f(0) == 1
    with pytest.raises(CompileError, match="unused"):
        build(unused, "int f(int x);", profile="release+strict")


@pytest.mark.parametrize("name", ["../add", "/add", "a.b", "", "-o", "add ", "add\n", "ädd"])
def test_a_name_that_could_escape_its_folder_is_refused(name: str) -> None:
    before = compiler_calls()
    with pytest.raises(ValueError, match="cannot name a C file"):
        build({name: ADD["add"]}, ADD_DECLARATION)
    with pytest.raises(ValueError, match="cannot name a C file"):
        build(ADD, ADD_DECLARATION, headers={f"{name}.h": ""})
    assert compiler_calls() == before


def test_no_unit_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        build({}, "")


def test_an_unknown_profile_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'fast'.*release, debug, sanitize"):
        build(ADD, ADD_DECLARATION, profile="fast")


def test_without_a_compiler_the_error_teaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CompilerNotFound, match=r"(?s)gcc: not found.*graphcnn\[compiler\]"):
        build(ADD, ADD_DECLARATION)


def test_a_cache_that_cannot_be_written_to_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = open_cache(tmp_path / "blocked")
    (cache.root / "libraries").touch()  # a file where a folder must be made stops root, too
    with caplog.at_level(logging.WARNING, logger="graphcnn"):
        library = build(ADD, ADD_DECLARATION, cache=cache)
    assert library.lib.add(2, 3) == 5
    assert not library.path.is_relative_to(tmp_path)
    assert str(cache.root) in caplog.text


def test_a_full_disk_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full = open_cache(tmp_path / "full")
    write = cache_module._write

    def write_where_there_is_room(path: Path, content: bytes) -> None:
        if path.suffix == ".so" and path.is_relative_to(full.root):
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(cache_module, "_write", write_where_there_is_room)
    library = build(ADD, ADD_DECLARATION, cache=full)
    assert library.lib.add(2, 3) == 5
    assert "No space left" in caplog.text


SANITIZED = """
from codegen.build import build
library = build({"bad": "int at(int *p, int i) { return p[i]; } int next(int x) { return x + 1; }"},
                "int at(int *p, int i); int next(int x);", profile="sanitize")
values = library.ffi.new("int[]", [1, 2, 3])
assert library.lib.at(values, 2) == 3
print("sound", flush=True)
"""


@pytest.mark.parametrize("compiler", compilers())
@pytest.mark.parametrize(
    ("call", "report"),
    [
        ("library.lib.at(values, 1000)", "AddressSanitizer"),
        ("library.lib.next(2**31 - 1)", "signed integer overflow"),
    ],
)
def test_the_sanitizers_stop_what_is_wrong(
    compiler: str,
    call: str,
    report: str,
    start_python: Callable[..., "subprocess.Popen[str]"],
) -> None:
    toolchain = find_toolchain(compiler)
    assert toolchain is not None
    process = start_python(SANITIZED + call, CC=compiler, **sanitizer_environment(toolchain))
    out, err = process.communicate()
    assert out == "sound\n", err
    assert report in err
    assert process.returncode != 0


def test_a_sanitized_library_is_not_loaded_where_it_would_end_the_process() -> None:
    with pytest.raises(RuntimeError, match="LD_PRELOAD="):
        build(ADD, ADD_DECLARATION, profile="sanitize")
