"""Whole training steps give the same bits for any number of threads, every time, after fork."""

import hashlib
import multiprocessing
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import graphcnn as g
from codegen.build.team import open_team
from codegen.compile import Executable, load, make_plan
from codegen.program import Program
from graphcnn.graph import Node
from graphcnn.program import to_program
from tests.codegen.running import (
    Arrays,
    Case,
    differences,
    expected,
    run_c,
    shape_of,
)

THREADS = (1, 2, 3, 7)
SIZES = (0, 1, 33)
FIXED = 16
# Relative to the largest value: sums of thousands of terms, and Winograd's tiles among them.
TOLERANCE = 1e-4

Batch = object  # a dim or a number


def weight(name: str, *shape: int) -> Node:
    rng = np.random.default_rng(sum(map(ord, name)))
    values = rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]) or 1)
    return g.parameter(name, values.astype("float32"))


def mlp(batch: Batch) -> Node:
    x = g.input("x", (batch, 784))
    hidden = g.relu(g.linear(x, weight("w1", 100, 784), weight("b1", 100)))
    return g.linear(hidden, weight("w2", 10, 100), weight("b2", 10))


def lenet(batch: Batch) -> Node:
    x = g.input("x", (batch, 1, 28, 28))
    y = g.conv2d(x, weight("w1", 6, 1, 5, 5), weight("b1", 6), padding=2)
    y = g.max_pool2d(g.relu(y), 2)
    y = g.max_pool2d(g.relu(g.conv2d(y, weight("w2", 16, 6, 5, 5), weight("b2", 16))), 2)
    y = g.relu(g.linear(g.flatten(y), weight("w3", 84, 400), weight("b3", 84)))
    return g.linear(y, weight("w4", 10, 84), weight("b4", 10))


def vgg(batch: Batch) -> Node:
    """Wide enough for Winograd's tiles in the second layer."""
    x = g.input("x", (batch, 3, 16, 16))
    y = g.relu(g.conv2d(x, weight("w1", 64, 3, 3, 3), weight("b1", 64), padding=1))
    y = g.relu(g.conv2d(y, weight("w2", 64, 64, 3, 3), weight("b2", 64), padding=1))
    y = g.flatten(g.avg_pool2d(g.max_pool2d(y, 2), 8))
    return g.linear(y, weight("w3", 10, 64), weight("b3", 10))


NETS: dict[str, Callable[[Batch], Node]] = {"mlp": mlp, "lenet": lenet, "vgg": vgg}


def step(net: str, batch: Batch) -> Program:
    """One step of training: the loss, the logits and new parameters."""
    logits = NETS[net](batch)
    label = g.input("label", (batch,), "int32")
    loss = g.mean(g.softmax_cross_entropy(logits, label))
    return to_program([loss, logits], g.sgd(loss, lr=0.1), name=net).program


def case(program: Program, size: int) -> Case:
    rng = np.random.default_rng(size)
    dims = dict.fromkeys(program.dims, size)
    arrays: Arrays = {}
    for t in (*program.inputs, *program.parameters):
        shape = shape_of(t, dims)
        if t.dtype == "int32":
            arrays[t.name] = rng.integers(0, 10, shape).astype("int32")
        else:
            scale = 1 / np.sqrt(np.prod(shape[1:]) or 1) if t in program.parameters else 1
            arrays[t.name] = (rng.normal(size=shape) * scale).astype(t.dtype)
    return Case(program, arrays, dims)


STEPS: dict[str, tuple[str, Batch]] = {
    "mlp": ("mlp", g.dim("N")),
    "lenet": ("lenet", g.dim("N")),
    f"lenet of {FIXED}": ("lenet", FIXED),
    f"vgg of {FIXED}": ("vgg", FIXED),
}


@cache
def compiled(what: str) -> Executable:
    """A step, compiled once; who shares the work does not hang on how well it is compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CFLAGS", "-O1")
        return load(make_plan(step(*STEPS[what])), threads=1)


def cases(what: str) -> Sequence[Case]:
    program = compiled(what).plan.program
    return [case(program, size) for size in (SIZES if program.dims else (FIXED,))]


def bits(made: Arrays) -> str:
    """All of a result as one short text."""
    found = hashlib.sha256()
    for name in sorted(made):
        found.update(name.encode() + made[name].tobytes())
    return found.hexdigest()


def with_threads(what: str, threads: int) -> Executable:
    return replace(compiled(what), team=open_team(threads))


@pytest.mark.parametrize("what", STEPS)
def test_a_step_is_the_same_for_any_number_of_threads(what: str) -> None:
    for some in cases(what):
        alone = bits(run_c(with_threads(what, 1), some))
        for threads in THREADS:
            for _ in range(2):
                assert bits(run_c(with_threads(what, threads), some)) == alone, (threads, some.dims)


@pytest.mark.parametrize("what", STEPS)
def test_a_step_on_three_threads_is_the_interpreter(what: str) -> None:
    some = cases(what)[-1]
    wanted = expected(some, fast=True)
    assert not [*differences(run_c(with_threads(what, 3), some), wanted, TOLERANCE)]


def test_the_steps_share_their_work() -> None:
    """Or the claims here would say little."""
    for what in STEPS:
        nests = compiled(what).plan.nests
        shared = [nest.function.name for nest in nests if nest.function.tasks]
        assert len(shared) >= 3, what
    assert "winograd" in str(compiled(f"vgg of {FIXED}").plan.rewritten)


def test_a_row_that_is_cut_anywhere_has_the_same_bits() -> None:
    """Of a sum of two products either may be fused: in vectors one, in what is left another."""
    x = g.input("x", (50021,))
    loss = g.mean(g.square(g.sigmoid(x) * g.tanh(x) + x / (2 + x * x)))
    row = np.random.default_rng(0).normal(size=50021).astype("float32")
    found = [g.compile(g.grad(loss, x), threads=threads)(x=row).tobytes() for threads in THREADS]
    assert set(found) == {found[0]}


def test_calls_from_several_threads_at_once_do_not_meet() -> None:
    what = "lenet"
    some = cases(what)[-1]
    executable = with_threads(what, 3)
    alone = bits(run_c(executable, some))
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda _: bits(run_c(executable, some)), range(24))]
    assert set(found) == {alone}


FORKED = """
import multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forks among threads, which are the point
from tests.codegen.test_threads import bits, cases, run_c, with_threads

def run(k):
    return [bits(run_c(with_threads({what!r}, 1 + k % 3), some)) for some in cases({what!r})]

before = run(2)
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(run, range(6)) == [before] * 6
assert run(1) == before
print("the same")
"""


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="the system has no fork"
)
def test_a_forked_child_computes_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED.format(what="lenet")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout == "the same\n", done.stderr[-4000:]


@pytest.mark.parametrize("exact", [False, True])
def test_compiled_steps_take_a_number_of_threads(exact: bool) -> None:
    """The public way: three steps of training by 1 and 3 threads."""
    found = []
    for threads in (1, 3):
        logits = lenet(FIXED)
        label = g.input("label", (FIXED,), "int32")
        loss = g.mean(g.softmax_cross_entropy(logits, label))
        made = g.compile(loss, updates=g.sgd(loss, lr=0.1), threads=threads, exact=exact)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(FIXED, 1, 28, 28)).astype("float32")
        y = rng.integers(0, 10, FIXED).astype("int32")
        found.append([np.asarray(made(x=x, label=y)).tobytes() for _ in range(3)])
    assert found[0] == found[1]
    assert len(set(found[0])) == 3
