"""Neighbours in memory become one index, whatever else the nest holds."""

from codegen.compile import Options
from codegen.machine import Machine
from codegen.notation import Statement, Tensor, indices, statement
from codegen.program import Program
from codegen.schedule.collapse import collapse
from codegen.schedule.tile import tile_of
from tests.codegen.running import assert_agree, integers

b, c, i, j, k, n, p, u, v = indices("b c i j k n p u v")
w, x = Tensor("w", (9, 5, 3, 3)), Tensor("x", (2, 5, 3, 3))
y, bias = Tensor("y", (2, 9, 1, 1)), Tensor("bias", (9,))
START = statement(y[n, k, 0, 0], "=", bias[k], {n: 2, k: 9})
SUM = statement(y[n, k, 0, 0], "+=", w[k, c, u, v] * x[n, c, u, v])


def extents(statements: tuple[Statement, ...]) -> list[list[object]]:
    return [list(s.sizes.values()) for s in statements]


def test_what_a_sum_alone_counts_is_merged_beside_what_it_starts_from() -> None:
    """A kernel as large as its image reads one long row, and a row of 45 fills vectors."""
    start, total = collapse((START, SUM))
    assert extents((start, total)) == [[2, 9], [2, 9, 45]]
    assert tile_of(SUM, Machine()) is None and tile_of(total, Machine()) is not None
    program = Program((w, x, bias), (y,), (START, SUM))
    assert_agree([integers(program)], Options(machine=Machine()))


def test_what_several_count_is_merged_in_all_of_them_or_not() -> None:
    image, pixel = Tensor("image", (5, 3, 3)), Tensor("pixel", (5, 3, 3))
    one = statement(image[c, u, v], "=", x[0, c, u, v], {c: 5, u: 3, v: 3})
    other = statement(pixel[c, u, v], "=", x[1, c, v, u], {c: 5, u: 3, v: 3})
    assert extents(collapse((one, other))) == [[5, 3, 3], [5, 3, 3]]
    assert extents(collapse((one, one))) == [[45], [45]]


def test_an_index_that_ends_early_stays_and_others_merge() -> None:
    blocks = Tensor("blocks", (1, 5, 3, 3, 16))
    body, sizes = w[16 * b + p, c, u, v], {b: 1, c: 5, u: 3, v: 3, p: 16}
    (packed,) = collapse((statement(blocks[b, c, u, v, p], "=", body, sizes),))
    assert extents((packed,)) == [[1, 45, 16]]
    assert [str(g) for g in packed.guards] == ["0 ≤ 16·b + p < 9"]


def test_indices_of_a_guard_stay() -> None:
    late = statement(y[n, k, 0, 0], "+=", w[k, c, u, v - 1] * x[n, c, u, v], {v: 3, k: 9})
    assert extents(collapse((late,))) == [[2, 9, 15, 3]]
