"""Kernels that run together for one iteration after the other."""

import numpy as np

from codegen.compile import Options, Plan, load, make_plan
from codegen.machine import Machine
from codegen.notation import Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import Case, assert_agree, expected, integers, run_c

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


def test_what_runs_together_keeps_the_most_from_passing_through_memory() -> None:
    """Three products in turn whose arrays do not fit all at once: the larger one is kept small."""
    x, m1 = Tensor("x", (COUNT, 256, 8)), Tensor("m1", (8, 400))
    m2, m3 = Tensor("m2", (400, 256)), Tensor("m3", (400, 16))
    p, q, r = (
        Tensor(name, (COUNT, *shape))
        for name, shape in (("p", (256, 400)), ("q", (400, 400)), ("r", (400, 16)))
    )
    program = Program(
        (x, m1, m2, m3),
        (r,),
        (
            statement(p[b, i, j], "+=", x[b, i, k] * m1[k, j]),
            statement(q[b, i, j], "+=", m2[i, k] * p[b, k, j]),
            statement(r[b, i, j], "+=", q[b, i, k] * m3[k, j]),
        ),
    )
    options = Options(layouts=False, off=frozenset({"winograd"}), machine=Machine())
    plan = make_plan(program, options)
    assert [[k.name for k in group.kernels] for group in plan.groups] == [["p"], ["q", "r"]]
    assert_agree([integers(program)], plan.options)


def test_loops_are_those_in_which_the_kernels_are_quickest() -> None:
    """Over rows of images, not over channels, which then could not share what they load."""
    e, c, t_, v, n = indices("e c t v n")
    images, channels, rows, columns, lanes = 16, 16, 12, 28, 16
    x, weights = (
        Tensor("x", (8, images, 6, rows, columns + 4, lanes)),
        Tensor("weights", (8, channels, 6, 5)),
    )
    p = Tensor("p", (8, images, channels, rows, columns, lanes))
    q, a = Tensor("q", (images, channels, 4, rows, columns, lanes)), Tensor("a", (8, 4))
    box = {e: 8, b: images, k: channels, t_: rows, j: columns, n: lanes}
    tap = weights[e, k, c, v] * x[e, b, c, t_, j + v, n]
    program = Program(
        (x, weights, a),
        (q,),
        (
            statement(p[e, b, k, t_, j, n], "+=", tap, box | {c: 6, v: 5}),
            statement(q[b, k, i, t_, j, n], "+=", a[e, i] * p[e, b, k, t_, j, n], box | {i: 4}),
        ),
    )
    (group,) = make_plan(program, Options(layouts=False, machine=Machine())).groups
    assert [str(d) for d, _ in group.outer] == ["this b", "this t"], str(group)
    assert_agree([integers(program)])


def products(count: int, more: int = 1, size: int = 128) -> Program:
    """Matrices times matrices times a matrix: p[e,b] = x[b]·y[e], then q[e,b] = p[e,b]·z."""
    e = indices("e")[0]
    x, y = Tensor("x", (count, size, 64)), Tensor("y", (more, 64, size))
    z = Tensor("z", (size, 16))
    p, q = Tensor("p", (more, count, size, size)), Tensor("q", (more, count, size, 16))
    return Program(
        (x, y, z),
        (q,),
        (
            statement(p[e, b, i, j], "+=", x[b, i, k] * y[e, k, j]),
            statement(q[e, b, i, j], "+=", p[e, b, i, k] * z[k, j]),
        ),
    )


def test_what_stands_between_comes_first() -> None:
    """A sum that follows from nothing in the group, though the last product reads it too."""
    x, y, z = Tensor("x", (COUNT, 128, 64)), Tensor("y", (64, 128)), Tensor("z", (128, 16, 32))
    p, o, q = Tensor("p", (COUNT, 128, 128)), Tensor("o", (128, 16)), Tensor("q", (COUNT, 128, 16))
    statements = (
        statement(p[b, i, j], "+=", x[b, i, k] * y[k, j]),
        statement(o[i, j], "+=", z[i, j, k]),
        statement(q[b, i, j], "+=", p[b, i, k] * o[k, j]),
    )
    plan = make_plan(Program((x, y, z), (q,), statements), Options(layouts=False))
    assert [[k.name for k in group.kernels] for group in plan.groups] == [["o"], ["p", "q"]]
    assert_agree([integers(plan.program)], plan.options)


def test_what_reads_from_a_group_comes_after_it() -> None:
    """And so does all that follows from it: no group runs around it."""
    x, y, z = Tensor("x", (COUNT, 128, 64)), Tensor("y", (64, 128)), Tensor("z", (128, 128))
    p, o, q = Tensor("p", (COUNT, 128, 128)), Tensor("o", (128, 16)), Tensor("q", (COUNT, 128, 16))
    statements = (
        statement(p[b, i, j], "+=", x[b, i, k] * y[k, j]),
        statement(o[i, j], "+=", p[b, i, j] * z[i, k], {i: 128, j: 16, b: COUNT, k: 128}),
        statement(q[b, i, j], "+=", p[b, i, k] * o[k, j]),
    )
    plan = make_plan(Program((x, y, z), (q,), statements), Options(layouts=False))
    assert [[k.name for k in group.kernels] for group in plan.groups] == [["p"], ["o"], ["q"]]
    assert_agree([integers(plan.program)], plan.options)


def test_no_update_goes_ahead_of_what_reads_the_old_value() -> None:
    """It would need memory of its own, and to be copied."""
    o, q, d = Tensor("o", (SIZE, 16)), Tensor("q", (COUNT, SIZE, 16)), Tensor("d", SHAPE)
    statements = (
        statement(s[b, i, j], "+=", w[b, i, k] * m[k, j]),
        statement(new[b, i, j], "=", w[b, i, j] - d[b, i, j]),
        statement(q[b, i, j], "+=", s[b, i, k] * o[k, j]),
    )
    program = Program((m, o, d), (q,), statements, parameters=(w,), updates=((w, new),))
    plan = make_plan(program, Options(layouts=False, reorder=False))
    assert plan.memory.base[new] == w
    right, found = expected(integers(program)), run_c(load(plan, threads=1), integers(program))
    assert all(np.array_equal(found[name], y) for name, y in right.items())


def test_few_iterations_pass_on_what_is_near_too() -> None:
    """With fewer tasks than threads like: each loop inside is no work of its own for all that."""
    program, options = products(8), Options(layouts=False)
    (group,) = make_plan(program, options).groups
    assert [str(n) for _, n in group.outer] == ["8"]
    assert_agree([integers(program)], options)


def test_the_loop_that_moves_the_most_runs_outermost() -> None:
    program, options = products(16, more=8, size=256), Options(layouts=False)
    (group,) = make_plan(program, options).groups
    assert [str(d) for d, _ in group.outer] == ["this b", "this e"]
    assert_agree([integers(program)], options)


def depthwise(images: int, machine: Machine) -> Plan:
    """Convolutions of each channel by itself, what they read framed first."""
    u, v = indices("u v")
    channels, size = 64, 32
    x, weight = Tensor("x", (images, channels, size, size)), Tensor("weight", (channels, 3, 3))
    y = Tensor("y", x.shape)
    tap = x[b, k, i + u - 1, j + v - 1] * weight[k, u, v]
    box = {b: images, k: channels, i: size, j: size, u: 3, v: 3}
    program = Program((x, weight), (y,), (statement(y[b, k, i, j], "+=", tap, box),))
    return make_plan(program, Options(layouts=False, machine=machine))


def test_small_arrays_that_crowd_the_first_cache_are_made_slice_by_slice() -> None:
    crowded, roomy = (depthwise(8, Machine(l1=size)) for size in (32 << 10, 1 << 20))
    assert [str(n) for g in roomy.groups for _, n in g.outer] == ["64"]
    assert [str(n) for g in crowded.groups for _, n in g.outer] == ["64", "8"]
    assert_agree([integers(crowded.program)], crowded.options)


def test_no_loop_runs_through_the_rows_of_what_is_read() -> None:
    """Each of its iterations would fetch lines of 16 elements for one of them: 16 times all."""
    n, c, u = indices("n c u")
    x, filters = Tensor("x", (16, 79, 21, 21)), Tensor("filters", (9, 79, 5))
    turned, y = Tensor("turned", (79, 21, 21, 16)), Tensor("y", (9, 21, 17, 16))
    sizes = {k: 9, j: 21, i: 17, n: 16, c: 79, u: 5}
    program = Program(
        (x, filters),
        (y,),
        (
            statement(turned[c, i, j, n], "=", x[n, c, i, j], {c: 79, i: 21, j: 21, n: 16}),
            statement(y[k, j, i, n], "+=", filters[k, c, u] * turned[c, i + u, j, n], sizes),
        ),
    )
    groups = make_plan(program).groups
    assert [group.outer for group in groups] == [(), ()]


def test_loops_are_those_that_leave_long_rows_whole() -> None:
    """Rows of 14 lie one behind the other, and fill vectors where no loop takes them apart."""
    e, f, n, c, o = indices("e f n c o")
    weight, x = Tensor("weight", (6, 6, 64, 64)), Tensor("x", (6, 6, 8, 64, 14, 14))
    mixed = Tensor("mixed", (4, 6))
    product, y = Tensor("product", x.shape), Tensor("y", (6, 8, 64, 14, 14, 4))
    box = {e: 6, n: 8, k: 64, i: 14, j: 14}
    program = Program(
        (weight, x, mixed),
        (y,),
        (
            statement(
                product[f, e, n, k, i, j],
                "+=",
                weight[f, e, k, c] * x[f, e, n, c, i, j],
                box | {f: 6, c: 64},
            ),
            statement(
                y[e, n, k, i, j, o],
                "+=",
                mixed[o, f] * product[f, e, n, k, i, j],
                box | {o: 4, f: 6},
            ),
        ),
    )
    (group,) = make_plan(program, Options(layouts=False, machine=Machine())).groups
    assert [str(d) for d, _ in group.outer] == ["this e", "this n"]
