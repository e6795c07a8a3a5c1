"""Kernels that run together for one iteration after the other."""

import numpy as np

from codegen.compile import load, make_plan
from codegen.notation import Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import Case, expected, run_c

b, i, j, k = indices("b i j k")
COUNT, SIZE = 16, 64
SHAPE = (COUNT, SIZE, SIZE)
w, s, t, new = (Tensor(name, SHAPE) for name in ("w", "s", "t", "new"))
m = Tensor("m", (SIZE, SIZE))


def step(read: object) -> Program:
    """Two products of a parameter's matrices in turn, and its next value: w - (w'·m)·m."""
    box = {b: COUNT, i: SIZE, j: SIZE}
    return Program(
        (m,),
        (t,),
        (
            statement(s[b, i, j], "+=", w[read, i, k] * m[k, j], box | {k: SIZE}),
            statement(t[b, i, j], "+=", s[b, i, k] * m[k, j], box | {k: SIZE}),
            statement(new[b, i, j], "=", w[b, i, j] - t[b, i, j], box),
        ),
        parameters=(w,),
        updates=((w, new),),
    )


def case(program: Program) -> Case:
    rng = np.random.default_rng(0)
    arrays = {x.name: rng.integers(-2, 3, x.shape).astype("float32") for x in (m, w)}
    return Case(program, arrays, {})


def test_matrices_are_multiplied_one_after_the_other() -> None:
    """So that the test below is about programs that do run together where they may."""
    (group, *_) = make_plan(Program((m, w), (t,), step(b).statements[:2])).groups
    assert [str(n) for _, n in group.outer] == [str(COUNT)]


def test_no_iteration_overwrites_what_another_one_reads() -> None:
    program = step(COUNT - 1 - b)
    right = expected(case(program))
    found = run_c(load(make_plan(program), threads=1), case(program))
    for name, y in right.items():
        assert np.array_equal(found[name], y), name
