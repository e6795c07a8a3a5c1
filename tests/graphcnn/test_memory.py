"""The workspace of the networks is hardly larger than what lives at the same time."""

from functools import cache

import pytest

import graphcnn as g
from benchmarks.architectures import ARCHITECTURES
from benchmarks.networks import network, updates
from codegen.arena import Block, place
from codegen.compile import Options
from codegen.memory import MemoryPlan
from codegen.notation import Tensor

MOST = 1.1  # times what lives at the same time
STEPS = [
    *(
        (name, batch, "training")
        for name in ("linear", "mlp", "lenet", "notes")
        for batch in (None, 32)
    ),
    *((name, None, "forward") for name in ("mlp", "lenet", "notes")),
    ("vgg", 32, "training"),
    pytest.param("vgg", None, "training", marks=pytest.mark.long),
    pytest.param("resnet18", None, "forward", marks=pytest.mark.long),
]


@cache
def planned(
    name: str, batch: int | None, direction: str, options: Options | None = None
) -> MemoryPlan:
    loss, scores = network(ARCHITECTURES[name], batch)
    changes = updates(loss) if direction == "training" else ()
    wanted = loss if direction == "training" else scores
    return g.compile(wanted, changes, backend="numpy", options=options).plan.memory


def wasteful(memory: MemoryPlan) -> list[str]:
    """Where the workspace is too large, lines of 64 bytes for the smallest tensors aside."""
    sizes = [dict.fromkeys(memory.program.dims, n) for n in (1, 2, 3, 7, 20, 33, 100, 128)]
    room = 64 * len(memory.arena.blocks)
    return [
        f"{memory.workspace(dims)} bytes for {memory.live(dims)} at {dims}"
        for dims in (sizes if memory.program.dims else [{}])
        if memory.workspace(dims) > MOST * memory.live(dims) + room
    ]


@pytest.mark.parametrize(("name", "batch", "direction"), STEPS)
def test_little_is_wasted(name: str, batch: int | None, direction: str) -> None:
    memory = planned(name, batch, direction)
    assert not wasteful(memory), memory


@pytest.mark.parametrize("name", ["mlp", "lenet", "notes"])
def test_little_is_wasted_where_numbers_are_twice_as_long(name: str) -> None:
    """A step in float64 has the blocks of that in float32, twice as large."""
    memory = planned(name, None, "training")
    blocks = [
        Block(Tensor(b.tensor.name, b.tensor.shape, "float64"), 2 * b.bytes, b.born, b.dies)
        for b in memory.arena.blocks
    ]
    arena = place(blocks)
    for n in (1, 7, 33, 128):
        dims = dict.fromkeys(memory.program.dims, n)
        assert arena.bytes(dims) <= MOST * arena.live(dims) + 64 * len(blocks)


def test_a_step_whose_groups_run_earlier_keeps_less() -> None:
    early = planned("lenet", None, "training")
    late = planned("lenet", None, "training", Options(reorder=False))
    for n in (16, 32, 128):
        dims = dict.fromkeys(early.program.dims, n)
        assert early.live(dims) < late.live(dims)


def test_a_step_that_reads_masks_from_results_keeps_less() -> None:
    without = planned("lenet", 32, "training", Options(off=frozenset({"read masks"})))
    assert planned("lenet", 32, "training").live({}) < without.live({})
