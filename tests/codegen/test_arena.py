"""The arena: blocks that live at the same time never overlap, for any sizes, and waste is small."""

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.affine import Dim, Size
from codegen.arena import Arena, Block, aligned, place
from codegen.notation import Tensor
from codegen.sizes import evaluate

N, M = Dim("N"), Dim("M")
SIZES: tuple[Size, ...] = (0, 4, 64, 100, 640, 4 * N, 64 * N, 100 * N + 8, 4 * N * M, 12 * (N - 1))
AT = ({N: 0, M: 0}, {N: 1, M: 1}, {N: 33, M: 2}, {N: 1000, M: 70})


def blocks_of(parts: Sequence[tuple[Size, int, int]]) -> list[Block]:
    """Blocks from their bytes, when they are born, and for how long they live."""
    return [
        Block(Tensor(f"t{k}"), size, born, born + life)
        for k, (size, born, life) in enumerate(parts)
    ]


def overlaps(arena: Arena, dims: dict[Dim, int]) -> list[str]:
    at = arena.offsets(dims)
    ends = {b: at[b.tensor] + max(0, evaluate(b.bytes, dims)) for b in arena.blocks}
    return [
        f"{a} over {b}"
        for a, b in itertools.combinations(arena.blocks, 2)
        if a.meets(b) and min(ends[a], ends[b]) > max(at[a.tensor], at[b.tensor])
    ]


drawn = st.lists(
    st.tuples(st.sampled_from(SIZES), st.integers(0, 12), st.integers(0, 8)), max_size=14
)


@given(drawn)
def test_blocks_that_meet_do_not_overlap_for_any_size(
    parts: list[tuple[Size, int, int]],
) -> None:
    arena = place(blocks_of(parts))
    for dims in AT:
        offsets = arena.offsets(dims)
        assert overlaps(arena, dims) == []
        assert all(offset % 64 == 0 for offset in offsets.values())
        top = max((offsets[b.tensor] + evaluate(b.bytes, dims) for b in arena.blocks), default=0)
        assert arena.live(dims) <= arena.bytes(dims)
        assert top <= arena.bytes(dims) == aligned(arena.bytes(dims))


def least(blocks: Sequence[Block]) -> int:
    """Try every order in which blocks can lie one above the other."""
    best = sum(aligned(b.bytes) for b in blocks)
    for order in itertools.permutations(blocks):
        ends: dict[Block, int] = {}
        for b in order:
            start = max((end for below, end in ends.items() if below.meets(b)), default=0)
            ends[b] = start + aligned(b.bytes)
        best = min(best, max(ends.values(), default=0))
    return best


small = st.lists(
    st.tuples(st.integers(1, 12).map(lambda n: 64 * n), st.integers(0, 6), st.integers(0, 4)),
    max_size=6,
)


@given(small)
def test_few_blocks_take_hardly_more_than_the_best_of_all_orders(
    parts: list[tuple[int, int, int]],
) -> None:
    blocks = blocks_of(parts)
    assert place(blocks).bytes({}) <= 1.02 * least(blocks)


@pytest.mark.parametrize("batch", [1, N], ids=["numbers", "symbolic"])
def test_many_blocks_take_hardly_more_than_what_lives_at_once(batch: Size) -> None:
    wasteful = []
    for seed in range(100):
        draw = random.Random(seed)
        parts = [
            (64 * draw.randint(1, 4000) * batch, draw.randint(0, 40), draw.randint(0, 15))
            for _ in range(draw.randint(1, 60))
        ]
        arena = place(blocks_of(parts))
        for dims in ({N: 1}, {N: 33}):
            waste = arena.bytes(dims) / arena.live(dims)
            assert waste < 1.2, f"seed {seed}: {waste}\n{arena}"
            wasteful += [seed] if waste > 1.1 else []
    assert len({*wasteful}) <= 1, wasteful


def test_a_start_is_the_greatest_end_where_no_size_is_known_to_be_greater() -> None:
    low, high, above = blocks_of([(640, 0, 1), (64 * N, 3, 1), (64, 0, 4)])
    arena = place([low, high, above])
    if arena.starts[-1] != 0:
        assert arena.offsets({N: 1})[arena.blocks[-1].tensor] == 640
        assert arena.offsets({N: 100})[arena.blocks[-1].tensor] == 6400
    assert arena.bytes({N: 1}) == 704 and arena.bytes({N: 100}) == 6464


def test_sizes_of_one_kind_need_no_comparison_when_they_run() -> None:
    blocks = blocks_of([(64 * n * N, born, 2) for born, n in enumerate((5, 1, 3, 2, 8, 1))])
    arena = place(blocks)
    assert arena.lets == () and len(arena.ends) == 1


def test_the_check_notices_blocks_in_one_place() -> None:
    arena = place(blocks_of([(64, 0, 3), (64, 1, 3)]))
    wrong = Arena(arena.blocks, (0, 0), (), (64,))
    assert overlaps(wrong, {})
