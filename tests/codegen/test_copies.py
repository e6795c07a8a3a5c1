"""Results that would be scattered are made in blocks first."""

import pytest

from codegen.compile import Options, make_plan
from codegen.machine import Machine
from codegen.notation import Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import assert_agree, integers

n, k, c, i, j = indices("n k c i j")
OPTIONS = Options(machine=Machine())


def phases(side: int, step: int = 2, written: int = 2) -> Program:
    """The gradient to data of a layer whose kernel is as long as its stride, phase by phase."""
    rows = -(-side // step)
    dy, w = Tensor("dy", (2, 24, rows, rows)), Tensor("w", (24, 40, step, step))
    dx = Tensor("dx", (2, 40, side, side))
    sums = [
        statement(
            dx[n, c, step * i + u, step * j + v],
            "+=",
            w[k, c, u, v] * dy[n, k, i, j],
            {n: 2, k: 24, c: 40, i: -(-(side - u) // step), j: -(-(side - v) // step)},
        )
        for u in range(written)
        for v in range(step)
    ]
    return Program((dy, w), (dx,), tuple(sums))


def copied(program: Program) -> bool:
    return any(s.target.name == "dx_copy" for s in make_plan(program, OPTIONS).laid_out.statements)


def test_results_of_phases_whose_planes_collide_are_made_in_blocks() -> None:
    """Planes of 32 × 32 floats are 4 KB: one place of the first cache for all channels."""
    program = phases(32)
    made = make_plan(program, OPTIONS).laid_out.statements
    shapes = {s.target.shape for s in made if s.target.name == "dx_copy"}
    assert shapes == {(2, 3, 32, 32, 16)}
    assert_agree([integers(program)], OPTIONS)


@pytest.mark.parametrize(
    "program",
    [phases(33), phases(32, step=1, written=1), phases(32, written=1)],
    ids=["planes that do not collide", "no phases", "half of the results"],
)
def test_others_are_stored_where_they_belong(program: Program) -> None:
    assert not copied(program)
    assert_agree([integers(program)], OPTIONS)


def test_what_others_read_of_the_results_is_the_same() -> None:
    total = Tensor("total", ())
    made = phases(32)
    (dx,) = made.outputs
    read = statement(total[()], "+=", dx[n, c, i, j] * dx[n, c, i, j])
    program = Program(made.inputs, (dx, total), (*made.statements, read))
    assert copied(program)
    assert_agree([integers(program)], OPTIONS)
