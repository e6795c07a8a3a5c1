"""The measurements measure what they say: counts, rows, references, statistics, reports."""

from __future__ import annotations

import json
import math
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.acceptance import claims
from benchmarks.architectures import ARCHITECTURES, initial_weights
from benchmarks.distance import Distance, round_trip
from benchmarks.flops import row_flops
from benchmarks.load import Load
from benchmarks.measure import Effort, rounds
from benchmarks.peers.channels_last import weights_first, weights_last
from benchmarks.plot import plot
from benchmarks.reference import convolve, convolve_backward, reference
from benchmarks.report import markdown
from benchmarks.rows import SECTIONS, Layer, Row, layer_flops, random_rows, select, table
from benchmarks.summary import best_peer, geometric_mean, ratio, spread, times
from benchmarks.verify import WrongResultError, verify

# ── Counts ────────────────────────────────────────────────────────────────────────────────────────

LENET = (6 * 28**2 * 25, 16 * 10**2 * 6 * 25, 400 * 120, 120 * 84, 84 * 10)  # multiply-adds


def test_a_layer_takes_two_operations_for_each_multiply_add() -> None:
    layer = Layer(4, 7, 6, 3, stride=2, padding=1, dilation=2, groups=2)
    starts = [i for i in range(0, 7 + 2 * 1, 2) if i + 2 * (3 - 1) < 7 + 2 * 1]
    counted = sum(2 for _ in product(range(5), range(6), starts, starts, range(4 // 2), range(9)))
    assert layer_flops(layer, 5, "forward") == counted
    assert layer_flops(layer, 5, "forward+backward") == 3 * counted
    assert layer_flops(layer, 5, "to weights") == counted


def test_lenet_takes_what_its_paper_shapes_say() -> None:
    assert row_flops(Row("inference", "lenet", 3, "inference")) == 3 * 2 * sum(LENET)


def test_training_has_no_gradient_to_the_images() -> None:
    forward, first = sum(LENET), LENET[0]
    assert row_flops(Row("training", "lenet", 1, "training")) == 2 * (3 * forward - first)


def test_resnet18_takes_1_8_billion_multiply_adds() -> None:
    counted = row_flops(Row("inference", "resnet18", 1, "inference"))
    classes = 2 * 512 * (1000 - 10)  # those of ImageNet, which the published count includes
    assert (counted + classes) / 2 == pytest.approx(1.814e9, rel=1e-3)


# ── Rows ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_table_has_every_row_once() -> None:
    rows = table()
    assert len({row.key for row in rows}) == len(rows)
    counts = {section: len(select(rows, [section], "")) for section in SECTIONS}
    assert counts == {
        "layers": 2 * 2 * 10,
        "training": 4 * 3 + 2,
        "inference": 5 * 2 + 1,
        "contractions": 4 * 3,
        "random": 0,
        "facts": 1,
    }


def test_rows_survive_json() -> None:
    for row in [*table(), *random_rows(7, seed=1)]:
        assert Row.from_json(json.loads(json.dumps(row.to_json()))) == row


def test_rows_are_found_by_their_plain_spelling() -> None:
    (row,) = select(table(), ["layers"], "^forward: 64x56>64 k3 p1 batch 8")
    assert row.subject == Layer(64, 56, 64, 3, padding=1)


def test_random_layers_follow_from_the_seed_and_are_of_every_kind() -> None:
    rows = random_rows(40, seed=3)
    assert rows == random_rows(40, seed=3) != random_rows(40, seed=4)
    layers = [row.subject for row in rows if isinstance(row.subject, Layer)]
    assert len(layers) == 80
    assert all(layer.outputs > 0 for layer in layers)
    for holds in (
        lambda layer: layer.height == 1,
        lambda layer: layer.height == layer.kernel > 1,
        lambda layer: layer.stride == 3,
        lambda layer: layer.kernel == 11,
        lambda layer: layer.groups > 1,
        lambda layer: layer.dilation > 1,
        lambda layer: layer.channels % 2 and layer.filters % 2,
    ):
        assert sum(map(holds, layers)) >= 10


# ── What is right ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("settings", [(1, 0, 1, 1), (2, 1, 1, 2), (3, 2, 2, 1)])
def test_the_reference_is_the_sum_in_the_formula(settings: tuple[int, int, int, int]) -> None:
    stride, padding, dilation, groups = settings
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 4, 9, 9)), rng.standard_normal((6, 4 // groups, 3, 3))
    y = convolve(x, weight, np.zeros(6), *settings)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    depth, maps = 4 // groups, 6 // groups
    expected = np.zeros_like(y)
    for n, k, i, j, c, u, v in np.ndindex(*y.shape, depth, 3, 3):
        row, column = stride * i + dilation * u, stride * j + dilation * v
        expected[n, k, i, j] += weight[k, c, u, v] * padded[n, k // maps * depth + c, row, column]
    np.testing.assert_allclose(y, expected, atol=1e-12)


def test_the_reference_gradients_are_its_adjoints() -> None:
    settings = (2, 1, 2, 2)
    rng = np.random.default_rng(1)
    x, weight = rng.standard_normal((2, 4, 9, 9)), rng.standard_normal((6, 2, 3, 3))
    y = convolve(x, weight, np.zeros(6), *settings)
    dy = rng.standard_normal(y.shape)
    dx, dweight, _ = convolve_backward(x, weight, dy, *settings)
    assert (dx * x).sum() == pytest.approx((dy * y).sum())
    assert (dweight * weight).sum() == pytest.approx((dy * y).sum())


def test_reference_training_follows_the_slope_of_the_loss() -> None:
    row = Row("training", "lenet", 2, "training")
    found = reference(row)
    before = initial_weights(ARCHITECTURES["lenet"])
    assert found.keys() == {"loss"} | before.keys() | {f"{name}.mean_square" for name in before}
    assert math.isclose(found["loss"], math.log(10), rel_tol=0.7)


def test_a_wrong_result_is_refused() -> None:
    right = {"y": np.arange(6.0)}
    assert verify({"y": np.arange(6, dtype=np.float32)}, right, {}) == 0
    with pytest.raises(WrongResultError, match="y is off by"):
        verify({"y": np.arange(6) + 0.01}, right, {})
    with pytest.raises(WrongResultError, match="shape"):
        verify({"y": np.arange(5)}, right, {})
    with pytest.raises(WrongResultError, match="results"):
        verify({}, right, {})
    with pytest.raises(WrongResultError, match="y is off by nan"):
        verify({"y": np.full(6, np.nan)}, right, {})


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_weights_for_channels_last_come_back(name: str) -> None:
    weights = initial_weights(ARCHITECTURES[name])
    back = weights_first(ARCHITECTURES[name], weights_last(ARCHITECTURES[name], weights))
    for key, value in weights.items():
        np.testing.assert_array_equal(back[key], value)


# ── Statistics and reports ────────────────────────────────────────────────────────────────────────


def measurement(
    section: str, name: str, peers: dict[str, list[float]], threads: int = 2
) -> dict[str, Any]:
    row = {"section": section, "subject": name.split()[0], "batch": int(name.split()[-1])}
    return {
        "row": {**row, "direction": section},
        "section": section,
        "name": name,
        "threads": threads,
        "flops": 10**9,
        "peers": {n: {"seconds": s, "digest": "same"} for n, s in peers.items()},
    }


def canned(*measurements: dict[str, Any]) -> dict[str, Any]:
    return {
        "machine": {"processor": "a processor", "cores": 2, "compiler": "a compiler"},
        "versions": {"torch": "2"},
        "missing": ["jax"],
        "settings": {"exact": False, "avx2": False},
        "peak": {"2": {"AVX-512": 200.0, "AVX2": 100.0}, "1": {"AVX-512": 100.0, "AVX2": 50.0}},
        "measurements": list(measurements),
        "facts": {
            "graphcnn": {
                "import": 0.5,
                "installed": 10**8,
                "training": {"lenet batch 1": {"first": 2.0, "memory": 10**8}},
            },
            "torch": {
                "import": 1.5,
                "installed": 10**9,
                "training": {"lenet batch 1": {"first": 1.0, "memory": 2 * 10**8}},
            },
        },
    }


LENET_ROW = measurement(
    "training", "lenet batch 32", {"graphcnn": [0.01, 0.011, 0.009], "torch": [0.05, 0.05, 9.0]}
)


def test_the_ratio_is_the_best_peers_median_by_ours() -> None:
    row = measurement("training", "mlp batch 1", {"graphcnn": [2, 1, 3], "a": [8, 6, 7], "b": [9]})
    assert times(row) == {"graphcnn": 2, "a": 7, "b": 9}
    assert best_peer(row) == ("a", 7)
    assert ratio(row) == 3.5


def test_a_peer_that_failed_is_no_competitor() -> None:
    row = measurement("training", "mlp batch 1", {"graphcnn": [2.0], "torch": [6.0]})
    row["peers"]["jax"] = {"failed": "WrongResultError: loss is off"}
    assert ratio(row) == 3
    assert "WrongResultError: loss is off" in markdown(canned(row))


def test_means_and_spreads() -> None:
    assert geometric_mean([2, 8]) == pytest.approx(4)
    assert math.isnan(geometric_mean([]))
    assert spread([1.0]) == 0
    assert spread([9, 10, 10, 10, 11]) == 0
    assert spread([8, 9, 10, 11, 12]) == pytest.approx(0.1)


def test_acceptance_names_the_row_that_decides() -> None:
    slow = measurement("training", "mlp batch 1", {"graphcnn": [1.0], "torch": [1.2]})
    lines = {claim.text: claim for claim in claims(canned(LENET_ROW, slow))}
    mean = lines["training, 2 threads: geometric mean of ratios"]
    assert mean.value == pytest.approx(math.sqrt(5 * 1.2))
    assert mean.passed is False
    least = lines["training, 2 threads: every ratio"]
    assert (least.worst, least.passed) == ("mlp batch 1", False)
    assert lines["notes and lenet at batch 32 and 128: every ratio"].passed
    assert lines["inference, 2 threads: every ratio"].passed is None
    memory = lines["peak memory of training ÷ the lowest peer's"]
    assert (memory.value, memory.passed) == (0.5, True)


def test_bits_that_depend_on_threads_are_noticed() -> None:
    two, one = (
        measurement("training", "mlp batch 1", {"graphcnn": [1.0]}, threads) for threads in (2, 1)
    )

    def same() -> bool | None:
        (claim,) = (c for c in claims(canned(two, one)) if "differ between thread" in c.text)
        return claim.passed

    assert same()
    one["peers"]["graphcnn"]["digest"] = "other"
    assert same() is False


def test_the_report_has_what_two_threads_gain_and_convolutions_decide() -> None:
    rows = {"vgg batch 32": (1.0, 1.9), "mlp batch 1": (1.0, 1.2)}
    found = [
        measurement("training", name, {"graphcnn": [seconds]}, threads)
        for name, both in rows.items()
        for threads, seconds in zip((2, 1), both, strict=True)
    ]
    assert "| training mlp batch 1 | 1.20 |" in markdown(canned(*found))
    (claim,) = (c for c in claims(canned(*found)) if "convolution-bound" in c.text)
    assert (claim.value, claim.worst) == (1.9, "training vgg batch 32")


def test_the_report_has_every_row_with_time_rate_share_and_ratio() -> None:
    text = markdown(canned(LENET_ROW))
    assert "| lenet batch 32 | 10.0 ms ±5% | 100.0 | 50% | 50.0 ms ±4475% | torch | 5.00 |" in text
    assert "Not installed: jax." in text
    assert "| lenet batch 1 | 2.00 | 1.00 |" in text
    assert "pass notes and lenet at batch 32 and 128" in text


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert plot(canned(LENET_ROW), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert not plot(canned(), tmp_path / "empty.png")


# ── Rounds ────────────────────────────────────────────────────────────────────────────────────────


class Pretended:
    """A member that answers bursts at once, or after a moment."""

    def __init__(self, name: str, delay: float = 0.0, threads: int = 1) -> None:
        self.name, self.delay, self.threads, self.bursts = name, delay, threads, 0

    def ask(self, command: str, **_: Any) -> dict[str, Any]:
        if command == "burst":
            self.bursts += 1
            time.sleep(self.delay)
        return {"seconds": float(self.bursts), "fastest": 1.0, "repetitions": 3}

    def cpu_seconds(self) -> float:
        return 0.0


def run_rounds(
    monkeypatch: pytest.MonkeyPatch, crew: list[Any], loads: list[float]
) -> tuple[dict[str, Any], list[float]]:
    """Five rounds, beside others who use these shares of the machine, and then none."""
    waiting = iter(loads)
    monkeypatch.setattr(Load, "foreign", lambda _: next(waiting, 0.0))
    records: dict[Any, Any] = {member: {} for member in crew}
    found = rounds(crew, records, Effort(rounds=5, seconds=0, patience=0))
    return {member.name: record for member, record in records.items()}, found


def test_disturbed_rounds_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    peers, loads = run_rounds(monkeypatch, [Pretended("a"), Pretended("b")], [0.5, 0.0, 0.9])
    assert loads == [0.0] * 5
    assert peers["a"]["seconds"] == peers["b"]["seconds"] == [2.0, 4.0, 5.0, 6.0, 7.0]


def test_bursts_on_fewer_cores_than_threads_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the machine is lent by another one, which lends two of the same core."""
    found = iter([1.0, 2.0, 2.0, 1.0])
    monkeypatch.setattr("benchmarks.measure.slowdown", lambda threads: next(found, 1.0))
    assert bursts_that_count(monkeypatch, [1e-7] * 99) == [2.0, 3.0]


def test_bursts_while_cores_are_far_apart_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the machine is lent by another one, which lends two that share no cache."""
    monkeypatch.setattr("benchmarks.measure.slowdown", lambda threads: 1.0)
    near, far = [1e-7] * 3, [4e-7] * 3  # the fastest of three counts
    assert bursts_that_count(monkeypatch, [*near, *far, *far, *near, *near]) == [2.0, 3.0]


def bursts_that_count(monkeypatch: pytest.MonkeyPatch, trips: list[float]) -> list[float]:
    """Two rounds of two threads, of which numbers come back after so many seconds."""
    seconds = iter(trips)
    cores = Distance(lambda: next(seconds, 1e-7))
    monkeypatch.setattr("benchmarks.measure.CORES", cores)
    monkeypatch.setattr(Load, "foreign", lambda _: 0.0)  # whatever else runs beside the tests
    member: Any = Pretended("a", threads=2)
    records: dict[Any, Any] = {member: {}}
    rounds([member], records, Effort(rounds=2, seconds=0, patience=9))
    assert records[member]["distance"] == [1.0, 1.0]
    bursts: list[float] = records[member]["seconds"]
    return bursts


def test_where_cores_stay_far_apart_it_is_said() -> None:
    row = measurement("training", "lenet batch 32", {"graphcnn": [1.0]})
    row["peers"]["graphcnn"]["distance"] = [4.0, 1.0, 5.0]
    assert "| lenet batch 32 ‡ |" in markdown(canned(row))


def test_two_threads_that_hand_over_a_number_both_come_to_an_end() -> None:
    """Neither does unless it sees every turn of the other."""
    assert 1e-9 < round_trip() < 1e-2


def test_where_others_never_stop_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    _, loads = run_rounds(monkeypatch, [Pretended("a")], [0.5] * 99)
    assert loads == [0.5] * 5
    row = {**LENET_ROW, "foreign load": loads}
    assert "| lenet batch 32 † |" in markdown(canned(row))


def test_slow_peers_have_two_rounds_and_no_empty_round_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.measure.ENOUGH", 0.01)
    slow, fast = Pretended("slow", 0.02), Pretended("fast")
    peers, loads = run_rounds(monkeypatch, [slow, fast], [0.5])
    assert (len(peers["slow"]["seconds"]), len(peers["fast"]["seconds"])) == (2, 5)
    _, loads = run_rounds(monkeypatch, [slow], [0.0, 0.0, 0.5])
    assert loads == [0.0, 0.0]


# ── One real run ──────────────────────────────────────────────────────────────────────────────────


def test_ours_alone_runs_is_right_and_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only = ["--rows", "(linear|3x32).*batch 1$", "--peers", "^$", "--threads", "1"]
    sections = ["--section", "layers", "training"]
    assert main([*only, *sections, "--quick", "--output", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [m["section"] for m in results["measurements"]] == [
        "forward",
        "forward+backward",
        "training",
    ]
    for m in results["measurements"]:
        peer = m["peers"]["graphcnn"]
        assert "failed" not in peer, peer
        assert peer["error"] < 1e-5
        assert len(peer["seconds"]) == 2
    assert "linear batch 1" in (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "GFLOP/s" in capsys.readouterr().out

    again = ["--section", "training", *only, "--quick", "--output", str(tmp_path), "--add"]
    assert main(again) == 0
    added = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["measurements"]
    assert [m["section"] for m in added] == [m["section"] for m in results["measurements"]]
    assert added[:2] == results["measurements"][:2]
    assert added[2] != results["measurements"][2]
    with pytest.raises(SystemExit, match="another settings"):
        main([*again, "--exact"])
