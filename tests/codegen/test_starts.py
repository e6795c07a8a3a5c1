"""What a sum starts from goes with it, wherever both write the same elements."""

from dataclasses import replace
from typing import Any

import pytest

from codegen.affine import Index, Size
from codegen.compile import Options, Plan, make_plan
from codegen.nest import Store
from codegen.notation import Guard, Statement, Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import assert_agree, integers

n, k, i, j, t, c, g = indices("n k i j t c g")
AS_GIVEN = Options(layouts=False)


def tiled(length: int, tiles: int) -> Program:
    """Rows that are put together from tiles of four, the last of which may end beyond them."""
    a, b, bias = Tensor("a", (6, 4)), Tensor("b", (6, 8, tiles, 16)), Tensor("bias", (8,))
    y = Tensor("y", (8, length, 16))
    e = Index("e")
    start = statement(y[k, i, j], "=", bias[k])
    box = {k: 8, i: 4, t: tiles, j: 16, e: 6}
    return program(start, statement(y[k, i + 4 * t, j], "+=", a[e, i] * b[e, k, t, j], box))


def grouped(each: int) -> Program:
    """Three groups of channels, each in blocks of 16 of which the last ends early."""
    blocks = -(-each // 16)
    x, w = Tensor("x", (3, 5, 24)), Tensor("w", (3, blocks, 5, 16))
    bias, y = Tensor("bias", (3 * each,)), Tensor("y", (3 * each, 24))
    block, place = indices("b p")
    start = statement(y[each * g + k, j], "=", bias[each * g + k], {g: 3, k: each, j: 24})
    here = 16 * block + place
    box: dict[Index, Size] = {g: 3, block: blocks, place: 16, j: 24, c: 5}
    body = x[g, c, j] * w[g, block, c, place]
    total = statement(y[each * g + here, j], "+=", body, box)
    return program(start, replace(total, extra=(Guard(here, each),)))


def program(*statements: Statement) -> Program:
    target = statements[0].target
    read = dict.fromkeys(a.tensor for s in statements for a in s.reads)
    return Program(tuple(read), (target,), statements)


def stores(plan: Plan) -> list[Store]:
    """What writes into the result, but for sums in registers."""

    def of(nodes: Any) -> list[Store]:
        found: list[Store] = []
        for node in nodes:
            match node:
                case Store(place) if place.array == "y":
                    found.append(node)
                case _ if body := getattr(node, "body", ()):
                    found += of(body)
        return found

    return [store for nest in plan.nests for store in of(nest.function.body)]


CASES = {
    "whole tiles": tiled(12, 3),
    "a tile that ends beyond": tiled(14, 4),
    "whole blocks": grouped(32),
    "blocks that end early": grouped(58),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_sums_start_from_what_is_given(case: Program) -> None:
    plan = make_plan(case, AS_GIVEN)
    (kernel,) = plan.kernels
    assert kernel.stages[0].complete
    assert {store.op for store in stores(plan)} == {"="}


def test_starts_of_sums_that_write_a_part_are_written_before() -> None:
    """Of 14 elements a row they write 12: two keep what they start from."""
    plan = make_plan(tiled(14, 3), AS_GIVEN)
    assert not plan.kernels[0].stages[0].complete


def test_they_add_up_to_the_same() -> None:
    programs = [*CASES.values(), tiled(14, 3), tiled(3, 1), grouped(5), grouped(17)]
    for options in (AS_GIVEN, Options(), Options(exact=True)):
        assert_agree([integers(p) for p in programs], options, profile="debug+strict")


def test_what_is_put_together_from_tiles_runs_with_what_makes_them() -> None:
    """Though the last tile ends beyond the rows: the tiles of all need not pass through memory."""
    count, channels, tiles = 16, 32, 24
    x, w = Tensor("x", (6, count, 32, tiles, 16)), Tensor("w", (6, channels, 32))
    a, bias = Tensor("a", (6, 4)), Tensor("bias", (channels,))
    made = Tensor("made", (6, count, channels, tiles, 16))
    y = Tensor("y", (count, channels, 4 * tiles - 1, 16))
    e = Index("e")
    box: dict[Index, Size] = {e: 6, n: count, k: channels, t: tiles, j: 16, i: 4}
    case = Program(
        (x, w, a, bias),
        (y,),
        (
            statement(made[e, n, k, t, j], "+=", w[e, k, c] * x[e, n, c, t, j]),
            statement(y[n, k, i, j], "=", bias[k]),
            statement(y[n, k, i + 4 * t, j], "+=", a[e, i] * made[e, n, k, t, j], box),
        ),
    )
    (group,) = make_plan(case).groups
    assert group.outer and len(group.kernels) == 2
    assert_agree([integers(case)], profile="debug+strict")
