"""The main example does what the README says of it, and does it the same way every time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, str]]:
    """Two runs of examples/digits.py side by side, each in its own folder, on 1 and 2 threads."""
    folders = [tmp_path_factory.mktemp("digits") for _ in range(2)]
    command = [sys.executable, str(ROOT / "examples" / "digits.py")]
    started = [
        subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "GRAPHCNN_NUM_THREADS": threads},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for folder, threads in zip(folders, ("1", "2"), strict=True)
    ]
    done = [process.communicate() for process in started]
    for process, (_, errors) in zip(started, done, strict=True):
        assert process.returncode == 0, errors.decode()
    return [(folder, out.decode()) for folder, (out, _) in zip(folders, done, strict=True)]


def test_digits_names_98_of_100_unseen_digits_rightly(runs: list[tuple[Path, str]]) -> None:
    accuracy, count = re.findall(r"test accuracy ([\d.]+) on (\d+) digits never", runs[0][1])[0]
    assert float(accuracy) >= 0.98
    assert int(count) >= 300


def test_digits_reports_train_and_test_accuracy_of_every_epoch(
    runs: list[tuple[Path, str]],
) -> None:
    rows = re.findall(r"epoch +(\d+)  loss [\d.]+  train [\d.]+  test [\d.]+", runs[0][1])
    assert [int(row) for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) > 1


def test_digits_leaves_pictures_c_memory_report_and_loss_curve(
    runs: list[tuple[Path, str]],
) -> None:
    out = runs[0][0] / "out"
    heads = {
        "forward.svg": b"<?xml",
        "gradients.svg": b"<?xml",
        "loss.png": b"\x89PNG",
        "digits.c": b"/* digits_step */",
    }
    for name, head in heads.items():
        assert (out / name).read_bytes().startswith(head), name
    assert "workspace" in (out / "memory.txt").read_text()


def test_two_runs_of_digits_agree_to_the_last_digit(runs: list[tuple[Path, str]]) -> None:
    assert runs[0][1] == runs[1][1]
    for name in ("digits.c", "forward.svg", "gradients.svg", "memory.txt"):
        first, second = ((folder / "out" / name).read_bytes() for folder, _ in runs)
        assert first == second, name


def test_every_picture_of_the_index_is_there_and_made_by_a_script() -> None:
    examples = ROOT / "examples"
    linked = re.findall(r"!\[[^\]]+\]\(pictures/([^)]+)\)", (examples / "README.md").read_text())
    scripts = "".join(path.read_text() for path in examples.glob("*.py"))
    assert sorted(linked) == sorted(path.name for path in (examples / "pictures").iterdir())
    assert [name for name in linked if f'"{name}"' not in scripts] == []
