"""The command line: a graph in a file of the user's is tuned; what is wrong is said in one line."""

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import graphcnn.tuning
from codegen.build import find_toolchain
from graphcnn import cli

needs_compiler = pytest.mark.skipif(find_toolchain() is None, reason="no compiler")

EXAMPLE = """
import graphcnn as g
from neighbour import CHANNELS

if __name__ == "__main__":
    raise SystemExit("this is no run of the script")

N = g.dim("N")
image = g.input("image", (N, CHANNELS, 12, 12))
weight = g.parameter("weight", g.init.he((8, CHANNELS, 3, 3), seed=0))
maps = g.conv2d(image, weight, padding=1)
loss = g.mean(maps ** 2)
parts = [loss, maps]
step = g.compile(loss, updates=g.sgd(loss, lr=0.1), name="train", threads=1)
fixed = g.parameter("fixed", [1.0, 2.0]) * 2
broken = 3


def training():
    return loss, g.sgd(loss, lr=0.1)


def wrong():
    return g.conv2d(image, weight, stride=0)
"""


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPHCNN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "neighbour", raising=False)
    (tmp_path / "neighbour.py").write_text("CHANNELS = 3\n")
    file = tmp_path / "json.py"  # a name that must not hide the library's
    file.write_text(EXAMPLE)
    return file


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def ran(*arguments: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "graphcnn", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env)


@needs_compiler
@pytest.mark.parametrize("name", ["step", "maps", "parts", "training"])
def test_a_graph_of_a_file_is_tuned(
    example: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphcnn.tuning, "measure", lambda plans, **_: [[1.0] * 8 for _ in plans])
    cli.main(["tune", f"{example}:{name}", "--size", "N=2"])
    table, quiet = capsys.readouterr()
    assert "as the cost model has it" in table
    assert table.splitlines()[-1].startswith("tuned, it takes ")
    assert quiet == ""


@needs_compiler
def test_what_it_remembers_is_what_compile_finds(example: Path) -> None:
    first = ran("tune", f"{example}:step", "--size", "N=2")
    with example.open("a") as file:
        file.write("""
import graphcnn.tuning
graphcnn.tuning.measure = None
tuned = g.compile(
    loss, updates=g.sgd(loss, lr=0.1), name="train", threads=1, tune={"N": 2}
)
""")
    again = ran("tune", f"{example}:tuned", "--size", "N=2")
    assert (first.returncode, again.returncode) == (0, 0), again.stderr
    assert first.stdout == again.stdout


@needs_compiler
def test_a_graph_without_dims_needs_no_size(
    example: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["tune", f"{example}:fixed"])
    assert "tuned, it takes 100.0%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "sizes", "said"),
    [
        ("{}", [], "names no graph; write it like train.py:step"),
        ("{}:", [], "names no graph"),
        ("nowhere.py:step", [], "there is no file nowhere.py in"),
        ("{}:stp", [], "has no stp; did you mean step?"),
        ("{}:zzz", [], "has no zzz at its top level"),
        ("{}:maps", [], "has the dims N; add --size N=32"),
        ("{}:maps", ["N"], "--size N is no size of a dim; write it like --size N=32"),
        ("{}:maps", ["N=-1"], "--size N=-1 is no size of a dim"),
        ("{}:maps", ["N=0"], "tune measures with N=0"),
        ("{}:maps", ["N=2", "M=2"], "tune gives a size for 'M'"),
        ("{}:broken", [], "3 is not a node"),
        ("{}:wrong", [], "stride"),
    ],
)
def test_errors_are_one_line_and_say_what_to_write(
    example: Path, place: str, sizes: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [part for size in sizes for part in ("--size", size)]
    error = failed(capsys, "tune", place.format(example), *given)
    assert error.startswith("graphcnn: ")
    assert said in error


def test_without_a_command_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert "COMMAND" in failed(capsys)


def test_help_says_what_a_name_may_be(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["tune", "--help"])
    text = capsys.readouterr().out
    assert "a Step, as compile gives it" in text
    assert "--size" in text


def test_the_script_that_is_installed_is_this_one() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    module, _, name = project["project"]["scripts"]["graphcnn"].partition(":")
    assert getattr(importlib.import_module(module), name) is cli.main


def test_a_machine_without_a_compiler_is_told_what_to_install(
    example: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "CC": str(tmp_path / "missing")}
    done = ran("tune", f"{example}:maps", "--size", "N=2", env=environment)
    assert done.returncode == 2
    assert "Install a C compiler" in done.stderr


@pytest.mark.parametrize("name", ["loss", "parts", "step", "training"])
def test_a_graph_is_drawn_into_a_file(name: str, example: Path, tmp_path: Path) -> None:
    cli.main(["draw", f"{example}:{name}", "-o", str(tmp_path / "out.dot")])
    text = (tmp_path / "out.dot").read_text(encoding="utf-8")
    assert "conv2d" in text
    assert ("conv2d backward" in text) == (name in ("step", "training"))


def test_gradients_and_levels_are_options(example: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mmd"
    cli.main(["draw", f"{example}:loss", "-g", "--level", "statements", "-o", str(out)])
    assert "backward" in out.read_text(encoding="utf-8")


def test_a_drawing_is_saved_as_it_is(example: Path, tmp_path: Path) -> None:
    example.write_text(EXAMPLE + "drawing = g.draw(maps)\n")
    cli.main(["draw", f"{example}:drawing", "-o", str(tmp_path / "out.tex")])
    assert "documentclass" in (tmp_path / "out.tex").read_text(encoding="utf-8")


def test_what_cannot_be_drawn_is_said_in_one_line(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, suffix, said in (
        ("broken", "svg", "a int is no graph"),
        ("loss", "bmp", "cannot tell a format"),
        ("parts", "nowhere/out.dot", "No such file"),
    ):
        err = failed(capsys, "draw", f"{example}:{name}", "-o", str(tmp_path / f"x.{suffix}"))
        assert said in err


def test_a_summary_is_printed(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["summary", f"{example}:training"])
    assert "parameters                216" in capsys.readouterr().out
