"""tune=True: measured once, remembered, and nothing else changes."""

import os
import subprocess
import sys
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import graphcnn as g
import graphcnn.tuning
from codegen.build import find_toolchain, open_cache
from codegen.compile import LAYOUTS, Options, Plan
from graphcnn.compile import Step, compile

pytestmark = pytest.mark.skipif(find_toolchain() is None, reason="no compiler")
TOLERANCE = 1e-4
IMAGES = np.random.default_rng(0).standard_normal((4, 3, 12, 12), np.float32)


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(libraries: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which much may be compiled, but nothing was ever tuned."""
    monkeypatch.setenv("GRAPHCNN_CACHE_DIR", str(libraries))
    for record in records(libraries):
        record.unlink()
    return libraries


def records(cache: Path) -> list[Path]:
    """What is remembered of tuning."""
    return [p for p in cache.glob("records/*.json") if b"trials" in p.read_bytes()]


class Measured:
    """Stands in for measuring: every tile but the first of the model is twice as fast."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, plans: Sequence[Plan], **settings: Any) -> list[list[float]]:
        self.calls.append(settings)
        ranks = [{rank for key, rank in p.options.choices if key != LAYOUTS} for p in plans]
        return [[0.5 if any(r) else 1.0] * 8 for r in ranks]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Measured]:
    made = Measured()
    monkeypatch.setattr(graphcnn.tuning, "measure", made)
    yield made


def network(size: Any = 4) -> tuple[g.Node, g.Parameter]:
    image = g.input("image", (size, 3, 12, 12))
    weight = g.parameter("weight", g.init.he((8, 3, 3, 3), seed=0))
    return g.relu(g.conv2d(image, weight, padding=1), name="maps"), weight


def texts(step: Step) -> str:
    return step.plan.unit.text


def test_a_tuned_step_gives_what_an_untuned_one_gives() -> None:
    maps, _ = network()
    step = compile(maps, tune=True)
    assert step.tuning is not None
    assert np.allclose(step(image=IMAGES), compile(maps)(image=IMAGES), atol=TOLERANCE)


def test_what_measuring_chose_is_what_runs(measured: Measured) -> None:
    maps, _ = network()
    step = compile(maps, tune=True)
    assert measured.calls
    assert step.tuning is not None
    assert step.plan.options == step.tuning.options != Options()
    assert texts(step) != texts(compile(maps))
    assert "measured to be the best" in step.stages["schedules"]
    assert np.allclose(step(image=IMAGES), compile(maps)(image=IMAGES), atol=TOLERANCE)


def test_the_choice_can_be_given_as_options(measured: Measured) -> None:
    maps, _ = network()
    step = compile(maps, tune=True)
    assert step.tuning is not None
    assert texts(compile(maps, options=step.tuning.options)) == texts(step)


def test_the_table_is_a_stage(measured: Measured) -> None:
    maps, _ = network()
    step = compile(maps, tune=True)
    assert step.stages["tuning"] == str(step.tuning)
    assert "* " in step.stages["tuning"]
    assert "tuning" not in compile(maps).stages


def test_dims_have_the_sizes_that_are_said(measured: Measured) -> None:
    maps, _ = network(g.dim("N"))
    step = compile(maps, tune={"N": 4})
    assert all(settings["dims"] == {"N": 4} for settings in measured.calls)
    for count in (1, 4):
        found = step(image=IMAGES[:count])
        assert np.allclose(found, compile(maps)(image=IMAGES[:count]), atol=TOLERANCE)


def test_a_frozen_network_is_tuned(measured: Measured) -> None:
    maps, _ = network()
    step = compile(maps, tune=True, freeze=True)
    assert step.tuning is not None
    assert dict(step.plan.options.choices) == dict(step.tuning.options.choices)
    assert np.allclose(step(image=IMAGES), compile(maps)(image=IMAGES), atol=TOLERANCE)


def test_measuring_leaves_the_parameters_alone() -> None:
    maps, weight = network()
    before = weight.value.copy()
    compile(maps, g.sgd(g.mean(maps), lr=0.1), tune=True)
    assert weight.value.tobytes() == before.tobytes()


# Remembering


def test_what_is_known_is_not_measured(measured: Measured) -> None:
    maps, _ = network()
    first = compile(maps, tune=True)
    count = len(measured.calls)
    second = compile(maps, tune=True)
    assert len(measured.calls) == count
    assert second.tuning == first.tuning


@pytest.mark.parametrize(
    "other",
    [
        {"threads": 3},
        {"tune": {"N": 2}},
        {"freeze": True},
        {"exact": True},
        {"options": Options(group=False)},
        {"name": "other"},
    ],
    ids=str,
)
def test_what_is_known_is_known_for_the_same_only(
    measured: Measured, other: dict[str, Any]
) -> None:
    maps, _ = network(g.dim("N"))
    usual: dict[str, Any] = {"tune": {"N": 4}, "threads": 2}
    compile(maps, **usual)
    count = len(measured.calls)
    compile(maps, **{**usual, **other})
    assert len(measured.calls) > count


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"trials": []}', b"\xff\xfe", b"null"])
def test_a_damaged_record_is_made_again(cache: Path, measured: Measured, damage: bytes) -> None:
    maps, _ = network()
    first = compile(maps, tune=True)
    (record,) = records(cache)
    record.write_bytes(damage)
    count = len(measured.calls)
    assert compile(maps, tune=True).tuning == first.tuning
    assert len(measured.calls) > count
    assert records(cache) == [record]


def test_where_nothing_can_be_remembered_it_is_measured_each_time(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps, _ = network()
    monkeypatch.setattr(type(open_cache()), "remember", lambda *_: None)
    compile(maps, tune=True)
    count = len(measured.calls)
    compile(maps, tune=True)
    assert len(measured.calls) == 2 * count


CHILD = """
import sys
import graphcnn as g
import graphcnn.tuning
from codegen.build import compiler_calls
from graphcnn.compile import compile
if sys.argv[1] == "again":
    def refuse(*given, **settings):
        raise AssertionError("measured again")
    graphcnn.tuning.measure = refuse
image = g.input("image", (4, 3, 12, 12))
weight = g.parameter("weight", g.init.he((8, 3, 3, 3), seed=0))
step = compile(g.conv2d(image, weight), tune=True, threads=2)
print(compiler_calls() > 0)
print(step.tuning)
"""


def test_another_process_measures_nothing_and_compiles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHCNN_CACHE_DIR", str(tmp_path / "cache"))
    outputs = [
        subprocess.run(
            [sys.executable, "-c", CHILD, which],
            capture_output=True,
            text=True,
            check=True,
            env=dict(os.environ),
        )
        for which in ("first", "again")
    ]
    (first, table), (again, same) = (done.stdout.split("\n", 1) for done in outputs)
    assert (first, again) == ("True", "False")
    assert table == same
    assert [done.stderr for done in outputs] == ["", ""]  # no terminal, so no bar


# What is not tuned


def test_the_interpreter_is_not_tuned(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHCNN_BACKEND", "numpy")
    maps, _ = network()
    step = compile(maps, tune=True)
    assert (step.backend, step.tuning, measured.calls) == ("numpy", None, [])


# The bar


class Bar:
    """Stands in for tqdm."""

    made: ClassVar[list["Bar"]] = []

    def __init__(self, **settings: Any) -> None:
        self.closed = False
        self.said: list[tuple[str, int, int]] = []
        self.total = self.n = 0
        Bar.made.append(self)

    def set_description_str(self, text: str) -> None:
        self.said.append((text, self.n, self.total))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    Bar.made = []
    module = types.ModuleType("tqdm")
    module.tqdm = Bar  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tqdm", module)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    return Bar.made


def test_a_bar_shows_how_far_it_is(measured: Measured, bars: list[Bar]) -> None:
    maps, _ = network()
    compile(maps, tune=True)
    (bar,) = bars
    assert [at for _, at, _ in bar.said] == list(range(len(bar.said)))
    assert bar.said[0][0] == "tuning step: the program"
    assert bar.said[1][0].startswith("tuning step: compute_")
    assert bar.closed


def test_no_bar_without_tqdm(
    measured: Measured, bars: list[Bar], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    maps, _ = network()
    assert compile(maps, tune=True).tuning is not None
    assert bars == []


def test_no_bar_where_nobody_watches(
    measured: Measured, bars: list[Bar], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    maps, _ = network()
    compile(maps, tune=True)
    assert bars == []
