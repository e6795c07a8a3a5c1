"""What may be given to a compiled function and what comes back, on both backends."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphcnn as g
from codegen.build import find_toolchain
from graphcnn.compile import Step, compile
from graphcnn.errors import CallError, DTypeError
from graphcnn.graph import Node
from graphcnn.optim import sgd

N = g.dim("N")
BACKENDS = ["numpy"] + ["c"] * (find_toolchain() is not None)

backends = pytest.mark.parametrize("backend", BACKENDS)


def doubled(backend: str, dtype: Any = "float32", shape: Any = (N, 3)) -> Step:
    x = g.input("x", shape, dtype)
    return compile(x + x, backend=backend)


# Outputs


@backends
def test_result_has_the_structure_of_the_outputs(backend: str) -> None:
    x = g.input("x", (2,))
    y = 2 * x
    one = compile(y, backend=backend)(x=[1, 2])
    assert (type(one), one.tolist()) == (np.ndarray, [2, 4])
    several = compile([y, x, y], backend=backend)(x=[1, 2])
    assert [v.tolist() for v in several] == [[2, 4], [1, 2], [2, 4]]
    named = compile({"double": y, "same": x}, backend=backend)(x=[1, 2])
    assert list(named) == ["double", "same"]
    assert named["double"].tolist() == [2, 4]


@backends
def test_outputs_are_fresh_arrays(backend: str) -> None:
    x = g.input("x", (2,))
    step = compile([2 * x, x], backend=backend)
    given = np.array([1, 2], "float32")
    first, same = step(x=given)
    second, _ = step(x=given + 1)
    assert first.tolist() == [2, 4]
    assert second.tolist() == [4, 6]
    assert not np.shares_memory(same, given)
    assert not np.shares_memory(first, second)
    same[...] = 9
    assert given.tolist() == [1, 2]


@backends
def test_one_compile_serves_every_batch_size(backend: str) -> None:
    image, label = g.input("image", (N, 1, 6, 6)), g.input("label", (N,), "int32")
    w = g.parameter("w", np.linspace(-1, 1, 18).reshape(2, 1, 3, 3))
    hidden = g.max_pool2d(g.relu(g.conv2d(image, w)), 2)
    losses = g.softmax_cross_entropy(g.flatten(hidden), label)
    step = compile([losses, g.grad(g.sum(losses), image)], backend=backend)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((33, 1, 6, 6)).astype("float32")
    labels = rng.integers(0, 8, 33)
    all_losses, all_slopes = step(image=images, label=labels)
    for count in (0, 1, 33, 2):
        found, slopes = step(image=images[:count], label=labels[:count])
        np.testing.assert_allclose(found, all_losses[:count], rtol=1e-5)
        np.testing.assert_allclose(slopes, all_slopes[:count], rtol=1e-4, atol=1e-6)


@pytest.mark.skipif("c" not in BACKENDS, reason="no compiler")
def test_backends_agree_on_values_and_on_parameters() -> None:
    rng = np.random.default_rng(1)
    images = rng.standard_normal((5, 2, 5, 5)).astype("float32")
    found = []
    for backend in ("numpy", "c"):
        w = g.parameter("w", np.linspace(-1, 1, 3 * 2 * 2 * 2).reshape(3, 2, 2, 2))
        y = g.tanh(g.conv2d(g.input("x", (N, 2, 5, 5)), w, stride=2, padding=(0, 1, 1, 0)))
        loss = g.mean(y * y)
        step = compile(loss, sgd(loss, 0.5, momentum=0.9), backend=backend)
        assert step.backend == backend
        losses = [step(x=images) for _ in range(3)]
        found.append((np.array(losses), w.value.copy()))
    assert found[0][0][2] < found[0][0][0]
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5, atol=1e-6)


# Inputs


class AsArray:
    """Something that is no array but can be made one."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.array


class AsDLPack:
    """Something that only speaks DLPack."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


VALUES = np.arange(6, dtype="float32").reshape(2, 3)


def read_only() -> Any:
    array = VALUES.copy()
    array.flags.writeable = False
    return array


def unaligned() -> Any:
    raw = np.zeros(VALUES.nbytes + 1, "uint8")[1:]
    array = raw.view("float32").reshape(VALUES.shape)
    array[...] = VALUES
    assert not array.flags.aligned
    return array


ARRAYS = {
    "nested list": VALUES.tolist(),
    "list of rows": list(VALUES),
    "tuple of whole numbers": ((0, 1, 2), (3, 4, 5)),
    "Fortran order": np.asfortranarray(VALUES),
    "every other row": np.repeat(VALUES, 2, axis=0)[::2],
    "reversed strides": VALUES[::-1, ::-1].copy()[::-1, ::-1],
    "broadcast axis": VALUES,
    "read-only": read_only(),
    "unaligned": unaligned(),
    "big-endian": VALUES.astype(">f4"),
    "uint8": VALUES.astype("uint8"),
    "int16": VALUES.astype("int16"),
    "float16": VALUES.astype("float16"),
    "__array__": AsArray(VALUES),
    "__dlpack__": AsDLPack(VALUES),
}


@backends
@pytest.mark.parametrize("how", ARRAYS)
def test_any_array_of_the_right_values_is_taken(how: str, backend: str) -> None:
    result = _DOUBLED[backend](x=ARRAYS[how])
    assert result.dtype == "float32"
    np.testing.assert_array_equal(result, 2 * VALUES)


_DOUBLED = {backend: doubled(backend) for backend in BACKENDS}

REFUSED = {
    "float64": VALUES.astype("float64"),
    "float64 of no axes": np.array(1.0),
    "int64": VALUES.astype("int64"),
    "int32": VALUES.astype("int32"),
    "complex": VALUES.astype("complex64"),
    "__array__ of float64": AsArray(VALUES.astype("float64")),
    "objects": VALUES.astype(object),
    "text": "a b c",
    "None": None,
    "set": {1.0, 2.0},
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_lose_digits_or_is_no_number_is_refused(what: str) -> None:
    with pytest.raises(DTypeError, match="'x' was given"):
        _DOUBLED["numpy"](x=REFUSED[what])


@backends
def test_scalars_are_given_and_returned_without_axes(backend: str) -> None:
    step = doubled(backend, shape=())
    for given in (3, 3.0, True + 2, np.float32(3), np.float64(3), np.array(3, "float32")):
        result = step(x=given)
        assert (type(result), result.shape, result) == (np.ndarray, (), 6)


@backends
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64", ">i8"])
def test_whole_numbers_are_taken_where_they_fit(dtype: str, backend: str) -> None:
    result = _WHOLE[backend](x=np.array([1, 100], dtype))
    assert (result.dtype, result.tolist()) == ("int32", [2, 200])


_WHOLE = {backend: doubled(backend, "int32", (N,)) for backend in BACKENDS}


@pytest.mark.parametrize("given", [[2**31], np.array([-(2**31) - 1]), np.array([2**63], "uint64")])
def test_whole_numbers_that_do_not_fit_are_refused(given: Any) -> None:
    with pytest.raises(DTypeError, match="position 0"):
        _WHOLE["numpy"](x=given)


@backends
def test_inputs_are_never_written(backend: str) -> None:
    x, w = g.input("x", (N, 3)), g.parameter("w", np.ones(3))
    loss = g.sum(g.relu(x * w))
    step = compile([loss, x], [(w, g.sum(x, axis=0))], backend=backend)
    given = -VALUES.copy()
    before = given.copy()
    step(x=given)
    step(x=given)
    np.testing.assert_array_equal(given, before)


@backends
def test_updates_are_computed_from_the_old_values(backend: str) -> None:
    a, b = g.parameter("a", 1.0), g.parameter("b", 2.0)
    step = compile([a, b], [(a, b + 0.0), (b, a + 0.0)], backend=backend)
    assert [float(v) for v in step()] == [1, 2]
    assert (float(a.value), float(b.value)) == (2, 1)
    a.value = 5
    assert [float(v) for v in step()] == [5, 1]


@backends
def test_refused_call_changes_nothing(backend: str) -> None:
    x, label = g.input("x", (N, 3)), g.input("label", (N,), "int32")
    w = g.parameter("w", np.ones((3, 3)))
    loss = g.mean(g.softmax_cross_entropy(x @ w, label))
    step = compile(loss, sgd(loss, 0.1), backend=backend)
    with pytest.raises(CallError, match="holds 3 at position 1"):
        step(x=VALUES, label=[0, 3])
    assert np.all(w.value == 1)
    step(x=VALUES, label=[0, 2])
    assert not np.all(w.value == 1)


@backends
def test_labels_are_checked_where_the_count_of_classes_is_known_at_the_call(backend: str) -> None:
    scores = g.input("scores", (N, g.dim("C")))
    step = compile(g.nll(scores, g.input("label", (N,), "int32")), backend=backend)
    assert step(scores=VALUES, label=[2, 0]).tolist() == [-2, -3]
    with pytest.raises(CallError, match="one of 2 classes"):
        step(scores=VALUES[:, :2], label=[2, 0])


@backends
def test_threads_that_share_a_step_get_their_own_results(backend: str) -> None:
    x = g.input("x", (N, 64))
    step = compile(g.sum(g.softmax(g.tanh(x) @ g.constant(np.eye(64))) * x), backend=backend)
    given = [np.random.default_rng(k).standard_normal((k + 1, 64), "float32") for k in range(8)]
    alone = [float(step(x=a)) for a in given]
    wrong: list[str] = []

    def call(k: int) -> None:
        for _ in range(20):
            if float(step(x=given[k])) != alone[k]:
                wrong.append(f"thread {k}")

    threads = [threading.Thread(target=call, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Names

HOSTILE = [
    '"); system("x',
    "int",
    "café 1",
    "self",
    "a\nb",
    "*/ #error",
    "x[0]",
    "\\",
    "%d%s%n",
    "run",
    "arrays",
    "N",
    "ñ",
    " ",
    "\0",
    "\u202etxet",
    "??/",
    "y0",
    "名",
]


@pytest.fixture(scope="module")
def hostile() -> dict[str, Any]:
    """Every hostile name as an input, a parameter, a node and an output of one program."""
    total: Node | float = 0.0
    for k, name in enumerate(HOSTILE):
        x, w = g.input(name, (N,)), g.parameter(f"{name}.w", float(k))
        total = total + g.multiply(x, w, name=name)
    return {name: g.add(total, k, name=name) for k, name in enumerate(HOSTILE)}


@backends
def test_any_name_compiles_and_computes(backend: str, hostile: dict[str, Any]) -> None:
    step = compile(hostile, backend=backend, name='"); system("x')
    found = step(**{name: np.full(2, k, "float32") for k, name in enumerate(HOSTILE)})
    squares = sum(k * k for k in range(len(HOSTILE)))
    assert {n: v.tolist() for n, v in found.items()} == {
        n: [squares + k] * 2 for k, n in enumerate(HOSTILE)
    }


def test_names_reach_no_code(hostile: dict[str, Any]) -> None:
    code = re.sub(r"/\*.*?\*/", "", compile(hostile, backend="numpy").stages["c"], flags=re.DOTALL)
    assert code.isascii()
    for name in ("system(", "#error", "%d%s%n", "x[0].w"):
        assert name not in code


@backends
def test_dims_and_programs_may_have_any_name(backend: str) -> None:
    rows = g.dim("int")
    x = g.input("x", (rows, g.dim("for (;;)")))
    assert compile(g.sum(x), name="main", backend=backend)(x=VALUES) == VALUES.sum()


# Choosing a backend


def child(source: str, **environment: str | None) -> "subprocess.CompletedProcess[str]":
    cleared = {k: v for k, v in os.environ.items() if k not in ("CC", "GRAPHCNN_BACKEND")}
    wanted = {k: v for k, v in environment.items() if v is not None}
    return subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, env={**cleared, **wanted}
    )


TWO_STEPS = """
import sys
sys.modules["ziglang"] = None  # a machine without any compiler
import graphcnn as g
from graphcnn.compile import compile
x = g.input("x", (3,))
for k in range(2):
    step = compile(k * x)
    print(step.backend, step(x=[1, 2, 3]).tolist())
print(compile(x + x).backend)
"""


def test_machine_without_a_compiler_runs_with_one_notice(tmp_path: Path) -> None:
    done = child(TWO_STEPS, PATH=str(tmp_path), GRAPHCNN_CACHE_DIR=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "numpy [0.0, 0.0, 0.0]",
        "numpy [1.0, 2.0, 3.0]",
        "numpy",
    ]
    assert done.stderr.count("no C compiler found") == 1
    assert "RuntimeWarning" in done.stderr
    assert "pip install 'graphcnn[compiler]'" in done.stderr
    assert "<string>:" in done.stderr.splitlines()[0]  # the user's line


def test_compiler_asked_for_and_missing_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    source = "import graphcnn as g\nfrom graphcnn.compile import compile\n"
    source += 'compile(g.input("x"), backend="c")\n'
    missing = str(tmp_path / "no-such-compiler")
    done = child(source, CC=missing, GRAPHCNN_CACHE_DIR=str(tmp_path / "cache"))
    assert done.returncode == 1
    assert "CompilerNotFound" in done.stderr
    assert "Install a C compiler" in done.stderr


def test_environment_chooses_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    x = g.input("x", (3,))
    monkeypatch.setenv("GRAPHCNN_BACKEND", "numpy")
    assert compile(2 * x).backend == "numpy"
    monkeypatch.setenv("GRAPHCNN_BACKEND", "")
    if "c" in BACKENDS:
        assert compile(2 * x).backend == "c"
        monkeypatch.setenv("GRAPHCNN_BACKEND", "numpy")
        assert compile(2 * x, backend="c").backend == "c"
    monkeypatch.setenv("GRAPHCNN_BACKEND", "nunpy")
    with pytest.raises(DTypeError, match="did you mean 'numpy'"):
        compile(2 * x)


# Looking inside


def test_stages_lead_from_the_graph_to_the_c() -> None:
    x = g.input("x", (N, 3))
    step = compile(g.grad(g.sum(x * x), x), backend="numpy")
    assert list(step.stages)[:3] == ["graph", "adjoints", "statements"]
    assert "kernels" in step.stages
    assert list(step.stages)[-1] == "c"
    assert "test_compile.py" in step.stages["graph"]
    assert repr(step) == "<Step step(x) on numpy>"
