"""Where arrays start."""

import math

import numpy as np
import pytest

import graphcnn as g
from codegen.aligned import HUGE, LINE, PAGE, aligned_bytes, aligned_copy, workspace


@pytest.mark.parametrize("shape", [(), (0,), (3,), (5, 7), (64, 64), (129, 257)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_a_copy_is_equal_starts_on_a_line_and_shares_nothing(
    shape: tuple[int, ...], dtype: str
) -> None:
    array = np.array(np.arange(math.prod(shape)).reshape(shape) % 7, order="F")
    copy = aligned_copy(array, dtype)
    assert (copy.dtype, copy.shape, copy.flags.c_contiguous) == (dtype, shape, True)
    assert copy.size == 0 or copy.ctypes.data % LINE == 0
    np.testing.assert_array_equal(copy, array.astype(dtype))
    assert not np.shares_memory(copy, array)


@pytest.mark.parametrize("count", [1, 100, 100_000])
def test_bytes_start_as_far_after_a_page_as_is_asked(count: int) -> None:
    memory = aligned_bytes(count, PAGE, 320)
    assert (memory.size, memory.ctypes.data % PAGE) == (count, 320)


def test_large_parameters_start_at_different_lines_of_their_pages() -> None:
    """Rows of 4096 bytes would meet in one line of the first cache otherwise."""
    weights = [g.parameter(f"w{k}", np.zeros((8, 1024))).value for k in range(5)]
    assert len({w.ctypes.data % PAGE for w in weights}) == 5
    assert all(w.ctypes.data % LINE == 0 for w in weights)


@pytest.mark.parametrize("count, start", [(0, LINE), (1, LINE), (HUGE, LINE), (3 * HUGE, HUGE)])
def test_much_room_to_work_in_starts_at_a_large_page(count: int, start: int) -> None:
    room = workspace(count)
    assert room.size == count
    assert count == 0 or room.ctypes.data % start == 0
