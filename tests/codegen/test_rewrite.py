"""Each rewrite by example: the statements before, and the text of those after."""

from dataclasses import replace

import numpy as np
import pytest

from codegen.affine import Dim
from codegen.compile import PLAIN, Options
from codegen.notation import Guard, Statement, Tensor, equal, indices, max_of, statement
from codegen.program import Program
from codegen.rewrite import PASSES, rewrite
from codegen.rewrite.ascend import ascend
from codegen.rewrite.choose import choose
from codegen.rewrite.gather import gather
from codegen.rewrite.inline import inline
from codegen.rewrite.merge import merge_equal
from codegen.rewrite.pad import pad_reads
from codegen.rewrite.prune import prune
from codegen.rewrite.reuse import reuse
from codegen.rewrite.settle import settle
from tests.codegen.running import Case, assert_agree, integers

import sympy  # isort: skip

N, M = Dim("N"), Dim("M")
n, i, j, k, u, v = indices("n i j k u v")


def program(*statements: Statement, outputs: tuple[Tensor, ...] = ()) -> Program:
    made = dict.fromkeys(s.target for s in statements)
    read = dict.fromkeys(a.tensor for s in statements for a in s.reads)
    given = tuple(t for t in read if t not in made)
    return Program(given, outputs or (statements[-1].target,), statements)


def shown(after: Program) -> list[str]:
    return [str(s) for s in after.statements]


def x(*shape: object, name: str = "x", dtype: str = "float32") -> Tensor:
    return Tensor(name, shape, dtype)  # type: ignore[arg-type]


def test_prune_drops_what_leads_nowhere() -> None:
    a, b = x(3, name="a"), x(3, name="b")
    before = program(statement(a[i], "=", x(3)[i]), statement(b[i], "=", 2 * x(3)[i]))
    assert shown(prune(before)) == ["b[i] = 2·x[i]"]


def test_merge_ignores_names_and_letters() -> None:
    a, b, y = x(3, name="a"), x(3, name="b"), x(3, name="y")
    before = program(
        statement(a[i], "+=", x(3, 4)[i, j]),
        statement(b[k], "+=", x(3, 4)[k, u]),
        statement(y[i], "=", a[i] - 2 * b[i]),
    )
    assert shown(merge_equal(before)) == ["a[i] += x[i,j]", "y[i] = -a[i]"]


def test_merge_keeps_what_differs_by_op_shape_or_dtype() -> None:
    targets = [
        statement(x(3, name="a")[i], "+=", x(3, 4)[i, j]),
        statement(x(3, name="b")[i], "max=", x(3, 4)[i, j]),
        statement(x(2, name="c")[i], "+=", x(3, 4)[i, j]),
        statement(x(3, name="d", dtype="float64")[i], "+=", x(3, 4)[i, j]),
    ]
    outputs = tuple(s.target for s in targets)
    assert len(merge_equal(program(*targets, outputs=outputs)).statements) == 4


def test_choose_turns_an_equality_into_a_read() -> None:
    label, loss = x(N, name="label", dtype="int32"), x(N, name="loss")
    before = program(statement(loss[n], "+=", equal(j, label[n]) * x(N, 10)[n, j]))
    assert shown(choose(before)) == ["loss[n] += x[n,j]   with j := label[n]"]


def test_choose_takes_a_number_apart_into_digits() -> None:
    at, dx, dy = x(4, name="at", dtype="int32"), x(6, 5, name="dx"), x(4, name="dy")
    scatter = equal(2 * u + v, at[i]) * dy[i]
    before = program(statement(dx[i + u, i + v], "+=", scatter, {i: 4, u: 3, v: 2}))
    assert shown(choose(before)) == [
        "dx[i + u,i + v] += dy[i]   with u := ⌊at[i]/2⌋, v := at[i] mod 2"
    ]


def test_choose_leaves_a_mask_over_the_target_alone() -> None:
    label, dy = x(N, name="label", dtype="int32"), x(N, name="dy")
    before = program(statement(x(N, 10, name="dx")[n, j], "+=", equal(j, label[n]) * dy[n]))
    assert choose(before) == before


def test_a_sum_and_a_maximum_of_the_same_are_two_things() -> None:
    total, top, y = x(3, name="total"), x(3, name="top"), x(3, name="y")
    before = program(
        statement(total[i], "+=", x(3, 4)[i, j]),
        statement(top[i], "max=", x(3, 4)[i, j]),
        statement(y[i], "=", total[i] * top[i]),
    )
    assert merge_equal(before) == before


def test_gather_inverts_a_convolution() -> None:
    before = program(
        statement(x(9, name="dx")[i + u], "+=", x(7, name="dy")[i] * x(3, name="w")[u])
    )
    assert shown(gather(before)) == ["dx[i] += dy[i - u]·w[u]   where 0 ≤ i - u < 7"]


def test_gather_gives_each_phase_of_a_stride_a_statement() -> None:
    before = program(
        statement(x(10, name="dx")[2 * i + u], "+=", x(4, name="dy")[i] * x(3, name="w")[u])
    )
    assert shown(gather(before)) == [
        "dx[2·i] += dy[i - u]·w[2·u]   where 0 ≤ i - u < 4",
        "dx[2·i + 1] += dy[i - u]·w[2·u + 1]   where 0 ≤ i - u < 4",
    ]


def test_gather_solves_for_what_reaches_furthest() -> None:
    few = program(
        statement(x(13, name="dx")[2 * i + u], "+=", x(4, name="dy")[i] * x(7, name="w")[u])
    )
    assert shown(gather(few)) == [
        "dx[2·i] += dy[i - u]·w[2·u]   where 0 ≤ i - u < 4",
        "dx[2·i + 1] += dy[i - u]·w[2·u + 1]   where 0 ≤ i - u < 4",
    ]
    agree(few, dy=np.arange(4), w=np.arange(7))


@pytest.mark.parametrize(
    "channels, padded", [(128, "dy"), (1, "w")], ids=["weights that are far", "all is near"]
)
def test_gather_does_not_pad_what_is_far_for_a_few_points_less(channels: int, padded: str) -> None:
    """A filter of 11 reaches further than 9 results, but may be more than stays near a core."""
    c = indices("c")[0]
    dx, dy = x(channels, 19, 19, name="dx"), x(128, 9, 9, name="dy")
    w = x(128, channels, 11, 11, name="w")
    sizes = {k: 128, c: channels, i: 9, j: 9, u: 11, v: 11}
    scattered = statement(dx[c, i + u, j + v], "+=", w[k, c, u, v] * dy[k, i, j], sizes)
    (found,) = gather(program(scattered)).statements
    beyond = {a.tensor.name for a in found.reads if any(len(m.free_symbols) > 1 for m in a.maps)}
    assert beyond == {padded}


def test_gather_solves_for_another_where_that_cannot_be_done() -> None:
    mirrored = program(
        statement(x(13, name="dx")[u - 2 * i + 6], "+=", x(4, name="dy")[i] * x(7, name="w")[u])
    )
    assert shown(gather(mirrored)) == ["dx[u] += dy[i]·w[2·i + u - 6]   where 0 ≤ 2·i + u - 6 < 7"]


def test_gathered_sums_end_where_the_index_did() -> None:
    """What is added need not say where it ends: nothing is read by the index that goes."""
    counted = program(statement(x(6, name="y")[i + u], "+=", x(3, name="w")[u], {i: 4, u: 3}))
    assert shown(gather(counted)) == ["y[i] += w[u]   where 0 ≤ i - u < 4"]
    agree(counted, w=np.arange(3) + 1)


def test_gather_turns_an_index_round() -> None:
    turned = program(
        statement(x(9, name="y")[u - i + 6], "+=", x(7)[i] * x(3, name="w")[u], {i: 7, u: 3})
    )
    assert shown(gather(turned)) == ["y[i] += w[u]·x[u - i + 6]   where 0 ≤ u - i + 6 < 7"]
    agree(turned, x=np.arange(7), w=np.arange(3) + 1)


def test_gather_keeps_the_guards_there_were() -> None:
    whole = statement(x(9, name="y")[i + u], "+=", x(7)[i] * x(3, name="w")[u])
    part = program(replace(whole, extra=(Guard(i - 1, 4),)))
    (found,) = gather(part).statements
    assert Guard(i - u - 1, 4) in found.guards
    agree(part, x=np.arange(7), w=np.arange(3) + 1)


def test_what_no_point_reaches_is_zero() -> None:
    """Steps of two from an odd place never come to the only element."""
    missed = statement(x(1, name="y")[2 * i + 2 * u - 1], "+=", x(3)[i] * x(2, name="w")[u])
    assert shown(gather(program(missed))) == ["y[a0] = 0"]
    agree(program(missed), x=np.arange(3) + 1, w=np.arange(2) + 1)


def test_gather_leaves_what_it_cannot_solve() -> None:
    diagonal = program(statement(x(9, 9, name="y")[i + u, i], "+=", x(7)[i] * x(3, name="w")[u]))
    assert gather(diagonal) == diagonal


def test_a_sum_stated_twice_counts_twice() -> None:
    once = statement(x(3, name="y")[i], "+=", x(3)[i])
    assert shown(gather(program(once, once))) == ["y[i] += x[i]", "y[i] += x[i]"]
    assert shown(settle(program(once, once))) == ["y[i] = 2·x[i]"]


def test_settle_makes_one_assignment_of_element_wise_sums() -> None:
    y = x(3, name="y")
    before = program(
        statement(y[i], "+=", 2 * x(3, name="a")[i]), statement(y[j], "+=", x(3, name="b")[j])
    )
    assert shown(settle(before)) == ["y[i] = 2·a[i] + b[i]"]


def test_settle_lets_a_first_assignment_with_a_guard_add() -> None:
    y = x(3, name="y")
    before = program(
        statement(y[i], "=", x(3, name="a")[i - 1]), statement(y[i], "+=", x(3, name="b")[i])
    )
    assert shown(settle(before)) == ["y[i] = b[i]", "y[i] += a[i - 1]   where 0 ≤ i - 1 < 3"]


def test_settle_forgets_indices_of_one_value() -> None:
    before = program(statement(x(3, name="y")[i], "+=", x(3, 1)[i, u]))
    assert shown(settle(before)) == ["y[i] = x[i,0]"]


def test_reuse_reads_a_function_where_it_is_kept() -> None:
    y, z = x(3, name="y"), x(3, name="z")
    tanh = sympy.tanh
    before = program(
        statement(y[i], "=", tanh(x(3)[i])),
        statement(z[j], "=", 1 - tanh(x(3)[j]) ** 2),
        outputs=(y, z),
    )
    assert shown(reuse(before)) == ["y[i] = tanh(x[i])", "z[j] = 1 - y[j]²"]


def test_reuse_asks_for_nothing_outside_what_is_kept() -> None:
    y, z = x(3, name="y"), x(5, name="z")
    before = program(
        statement(y[i], "=", sympy.tanh(x(5)[i]), {i: 3}),
        statement(z[j], "=", sympy.tanh(x(5)[j])),
        outputs=(y, z),
    )
    assert reuse(before) == before


def test_reuse_takes_no_value_of_lower_precision() -> None:
    y, z = x(3, name="y"), x(3, name="z", dtype="float64")
    before = program(
        statement(y[i], "=", sympy.tanh(x(3)[i])),
        statement(z[j], "=", sympy.tanh(x(3)[j])),
        outputs=(y, z),
    )
    assert reuse(before) == before


def test_inline_puts_a_value_used_once_where_it_is_used() -> None:
    a, y = x(3, name="a"), x(3, name="y")
    before = program(statement(a[i], "=", x(3)[i] + 1), statement(y[j], "=", 2 * a[2 - j]))
    assert shown(inline(before)) == ["y[j] = 2·x[2 - j] + 2"]


def test_inline_keeps_the_guard_of_what_it_replaces() -> None:
    a, y = x(3, name="a"), x(3, name="y")
    before = program(statement(a[i], "=", x(5)[i + 1] + 1), statement(y[j], "=", a[j - 1]))
    assert shown(inline(before)) == ["y[j] = x[j] + 1   where 0 ≤ j - 1 < 3"]


def test_inline_repeats_no_work() -> None:
    a, y = x(3, name="a"), x(3, 4, name="y")
    before = program(
        statement(a[i], "=", sympy.exp(x(3)[i])), statement(y[i, j], "=", a[i] * x(4, name="w")[j])
    )
    assert inline(before) == before


def test_inline_puts_no_choice_into_a_condition() -> None:
    a, y = x(name="a"), x(name="y")
    choice = sympy.Piecewise((x()[()], x()[()] > 0), (0, True))
    asks = sympy.Piecewise((1, (a[()] > 0) & (x(name="b")[()] > 0)), (0, True))
    before = program(statement(a[()], "=", choice), statement(y[()], "=", asks))
    assert inline(before) == before


def test_inline_leaves_what_several_statements_define() -> None:
    a = x(3, name="a")
    framed = (statement(a[i], "=", 7), statement(a[i + 1], "=", x(2)[i]))
    before = program(*framed, statement(x(3, name="y")[i], "=", 2 * a[i]))
    assert inline(before) == before
    agree(before, x=[1, 2])


def test_pad_copies_an_operand_of_a_contraction() -> None:
    before = program(
        statement(x(N, 7, name="y")[n, i], "+=", x(3, name="w")[u] * x(N, 7)[n, i + u - 1])
    )
    assert shown(pad_reads(before)) == [
        "x_padded[a0,a1] = 0",
        "x_padded[a0,a1 + 1] = x[a0,a1]",
        "y[n,i] += w[u]·x_padded[n,i + u]   zero but for 0 ≤ i + u - 1 < 7",
    ]


def spaced(stride: int, name: str = "y") -> Statement:
    """A sum over windows of two rows and columns, which stand `stride` apart."""
    taps = x(2, 2, name="w")[u, v] * x(N, 12, 12)[n, stride * i + u - 1, stride * j + v - 1]
    return statement(x(N, 4, 4, name=name)[n, i, j], "+=", taps)


def test_pad_leaves_out_rows_that_nobody_reads() -> None:
    before = program(spaced(3))
    copied = pad_reads(before)
    assert shown(copied) == [
        "x_padded[a0,a1,a2,a3] = 0",
        "x_padded[a0,a1,a2,a3 + 1] = x[a0,3·a1 + a2 - 1,a3]   where 0 ≤ 3·a1 + a2 - 1 < 12",
        "y[n,i,j] += w[u,v]·x_padded[n,i,u,3·j + v]"
        "   zero but for 0 ≤ 3·i + u - 1 < 12, 0 ≤ 3·j + v - 1 < 12",
    ]
    assert copied.statements[0].target.shape == (N, 4, 2, 13)
    assert_agree([integers(before, {N: 2})])


def test_pad_copies_all_rows_where_readers_need_different_ones() -> None:
    column = statement(x(N, name="s")[n], "+=", x(14, name="p")[i] * x(N, 12, 12)[n, i - 1, 3])
    for other in spaced(2, "z"), column:
        before = program(spaced(3), other)
        copy = pad_reads(before).statements[0].target
        assert (copy.name, copy.rank) == ("x_padded", 3)
        assert_agree([integers(before, {N: 2})])


def test_pad_copies_all_rows_where_few_would_be_left_out() -> None:
    before = program(
        statement(x(4, 5, name="y")[i, j], "+=", x(2, name="w")[u] * x(9, 5)[2 * i + u - 1, j])
    )
    assert pad_reads(before).statements[0].target.shape == (10, 5)


def test_reads_beyond_unknown_ends_stay_beside_copies() -> None:
    """What lies within margins is copied; a read that may lie farther out keeps its guards."""
    far = statement(x(name="s")[()], "+=", x(N, name="p")[i] * x(7)[i - 1])
    before = program(statement(x(7, name="y")[i], "+=", x(3, name="w")[u] * x(7)[i + u - 1]), far)
    assert pad_reads(before).statements[-1] == far
    assert_agree([integers(before, {N: 20})])


def test_taps_move_what_slides_forwards() -> None:
    before = program(
        statement(x(N, 7, name="dx")[n, i], "+=", x(3, name="w")[u] * x(N, 7)[n, i - u + 1])
    )
    assert shown(ascend(before)) == ["dx[n,i] += w[2 - u]·x[n,i + u - 1]   where 0 ≤ i + u - 1 < 7"]
    assert_agree([integers(before, {N: 2})])
    assert ascend(ascend(before)) == ascend(before)


def test_taps_that_do_not_move_backwards_alone_are_left() -> None:
    w, y = x(3, name="w"), x(7, name="y")
    both = statement(y[i], "+=", w[u] * x(9)[i - u + 2] * x(9, name="z")[i + u])
    forwards = statement(y[i], "+=", w[u] * x(9)[i + u])
    alone = statement(y[i], "+=", w[2 - u] * x(7, 3)[i, 2 - u], {u: 3})
    unknown = statement(y[i], "+=", x(N, name="w")[u] * x(9)[i - u])
    largest = statement(y[i], "max=", w[u] * x(9)[i - u + 2])
    for s in (both, forwards, alone, unknown, largest):
        assert ascend(program(s)) == program(s)


def test_pad_leaves_a_margin_of_unknown_width() -> None:
    before = program(statement(x(N, name="y")[i], "+=", x(3, name="w")[u] * x(M)[i + u]))
    assert pad_reads(before) == before


def test_an_unknown_pass_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no pass is called fast; there are: prune, merge equal"):
        rewrite(program(statement(x(3, name="y")[i], "=", x(3)[i])), ["fast"])


def test_every_pass_has_a_reason() -> None:
    assert all(p.reason for p in PASSES)


# ── Found by drawing: each of these was wrong once ────────────────────────────────────────────────


def agree(before: Program, dims: dict[Dim, int] | None = None, **arrays: object) -> None:
    given = {t.name: np.asarray(arrays[t.name], t.dtype) for t in before.inputs}
    for options in (Options(), PLAIN):
        assert_agree([Case(before, given, dims or {})], options, profile="debug+strict")


def test_an_assignment_over_a_whole_fill_replaces_it() -> None:
    y = x(3, name="y")
    agree(program(statement(y[i], "=", 7), statement(y[i], "=", x(3)[i])), x=[1, 2, 3])


def test_where_an_assignment_is_excluded_the_fill_stays() -> None:
    y = x(3, name="y")
    agree(program(statement(y[i], "=", 7), statement(y[i], "=", x(3)[i - 1])), x=[1, 2, 3])


def test_a_sum_may_start_from_a_padded_read() -> None:
    y = x(3, name="y")
    before = program(
        statement(y[i], "=", x(3)[i - 1]), statement(y[i], "+=", x(3, 4, name="a")[i, j])
    )
    agree(before, x=[1, 2, 3], a=np.ones((3, 4)))


def test_sums_over_different_lengths_share_a_target() -> None:
    y = x(1, name="y")
    a, b = x(8, name="a"), x(20, name="b")
    before = program(statement(y[0], "+=", a[j]), statement(y[0], "+=", b[j]))
    agree(before, a=np.ones(8), b=np.ones(20))


def test_a_tensor_may_stand_in_one_nest_whole_and_by_its_corner() -> None:
    before = program(statement(x(3, 4, name="y")[i, j], "=", x(3, 4)[i, j] - x(3, 4)[0, 0]))
    agree(before, x=np.arange(12).reshape(3, 4))


def test_places_are_counted_in_the_order_of_the_statement() -> None:
    before = program(
        statement(
            x(name="at", dtype="int32")[()], "argmax=", x(4, 3, name="w")[j, i] + 2 * x(3, 4)[i, j]
        )
    )
    agree(before, x=np.eye(3, 4, 2), w=np.zeros((4, 3)))


@pytest.mark.parametrize("shape", [(3, 1), (1, 1)])
def test_the_place_of_the_only_element_is_zero(shape: tuple[int, int]) -> None:
    at = x(shape[0], name="at", dtype="int32")
    agree(program(statement(at[i], "argmax=", x(*shape)[i, j])), x=np.full(shape, 5))


@pytest.mark.parametrize("op", ["max=", "min="])
def test_the_best_of_integers_starts_at_the_worst_integer(op: str) -> None:
    y, whole = x(3, name="y", dtype="int32"), x(3, 20, dtype="int32")
    agree(program(statement(y[i], op, whole[i, j])), x=-np.arange(60).reshape(3, 20))
    last = statement(y[i], op, whole[i, j + 19], {i: 3, j: 5})
    agree(program(last), x=np.arange(60).reshape(3, 20))


def test_a_strided_maximum_writes_where_it_should() -> None:
    agree(program(statement(x(7, name="y")[2 * i + 1], "max=", x(3, 1)[i, u])), x=[[1], [2], [3]])


def test_a_read_of_the_first_element_of_nothing_is_excluded() -> None:
    agree(program(statement(x(3, name="y")[i], "=", x(N)[0])), {N: 0}, x=[])


def test_a_coefficient_may_be_a_size() -> None:
    before = program(
        statement(x(name="y")[()], "+=", x(N)[M * i + u - 1], {i: 3, u: 3}), outputs=()
    )
    agree(Program(before.inputs, before.outputs, before.statements), {N: 5, M: 2}, x=np.arange(5))


def test_counts_by_label_add_up() -> None:
    label = x(N, name="label", dtype="int32")
    agree(
        program(statement(x(3, name="y")[j], "+=", equal(j, label[n]))),
        {N: 5},
        label=[0, 2, 2, 3, -1],
    )


def test_two_labels_may_agree() -> None:
    a, b = x(N, name="a", dtype="int32"), x(N, name="b", dtype="int32")
    body = equal(j, a[n]) + equal(j, b[n])
    agree(program(statement(x(N, 3, name="y")[n, j], "=", body)), {N: 2}, a=[0, 1], b=[0, 2])


def test_a_size_may_appear_in_a_range_alone() -> None:
    a, y = x(M, name="a"), x(N, name="y")
    before = program(statement(a[i], "=", x(name="w")[()]), statement(y[n], "+=", a[i] * x(N)[n]))
    agree(before, {M: 3, N: 2}, x=[1, 2], w=2)


def test_what_nobody_reads_is_computed_without_harm() -> None:
    y = x(3, name="y")
    dead = statement(x(9, name="dead")[3 * i], "=", x(3)[i])
    agree(program(dead, statement(y[i], "=", x(3)[i])), x=[1, 2, 3])


def test_padded_maxima_pass_nan_on() -> None:
    before = program(statement(x(5, name="y")[i], *_max(x(5)[i + u - 1]), {u: 3}))
    agree(before, x=[1, np.nan, -3, -np.inf, 2])


def _max(body: object) -> tuple[str, object]:
    made = max_of(body)
    return made.op.value, made.body
