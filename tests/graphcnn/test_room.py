"""Results take the memory of earlier ones that are gone, and of no others."""

import threading

import numpy as np
import pytest

import graphcnn as g
from graphcnn.room import LARGE, Room

N = 128
X = np.arange(N * N, dtype=np.float32).reshape(N, N)
KIND = np.dtype("float32")


@pytest.fixture(scope="module")
def plus_one() -> g.Step:
    assert X.nbytes >= LARGE
    return g.compile(g.input("x", (N, N)) + 1)


def test_memory_of_results_that_are_gone_is_used_again(plus_one: g.Step) -> None:
    result = plus_one(x=X)
    place = result.ctypes.data
    del result
    assert plus_one(x=X).ctypes.data == place


@pytest.mark.parametrize(
    "keep",
    [
        lambda result: result,
        lambda result: result[3:5],
        lambda result: result.T,
        lambda result: result.reshape(-1).view(np.int32),
        memoryview,
        lambda result: np.from_dlpack(result),
    ],
    ids=["itself", "rows", "transposed", "bits", "memoryview", "dlpack"],
)
def test_results_that_are_held_stay_as_they_are(plus_one: g.Step, keep: object) -> None:
    held = keep(plus_one(x=X))  # type: ignore[operator]
    before = np.array(held)
    for _ in range(5):
        plus_one(x=-X)
    assert np.array_equal(np.array(held), before)


def test_many_results_may_be_held(plus_one: g.Step) -> None:
    results = [plus_one(x=X + k) for k in range(20)]
    assert all(np.array_equal(result, X + k + 1) for k, result in enumerate(results))


def test_several_results_of_a_size_each_have_their_place() -> None:
    x = g.input("x", (N, N))
    step = g.compile([x + 1, x + 2, x + 3])
    places = {r.ctypes.data for _ in range(6) for r in step(x=X)}
    assert len(places) <= 6
    assert [float(r[0, 0]) for r in step(x=X)] == [1, 2, 3]


def test_no_more_is_kept_than_two_of_a_size() -> None:
    empty = Room().maker((N, N), KIND)
    held = [empty() for _ in range(10)]
    places = [h.ctypes.data for h in held]
    del held
    again = [empty() for _ in range(2)]
    assert {a.ctypes.data for a in again} == {*places[-2:]}


def test_threads_do_not_share_results(plus_one: g.Step) -> None:
    wrong = []

    def work(k: int) -> None:
        for _ in range(50):
            if not np.array_equal(plus_one(x=X + k), X + (k + 1)):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
