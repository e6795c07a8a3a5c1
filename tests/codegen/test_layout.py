"""Cut indices, blocks, packed operands, tiles: whatever the schedule, a program means the same.

All values are small integers, so every sum is exact in any order.
"""

import math
import random
from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
import sympy

from codegen.affine import Dim
from codegen.compile import Options, make_plan
from codegen.interpret import interpret
from codegen.machine import Machine
from codegen.notation import Access, Index, Statement, Tensor, indices
from codegen.notation import statement as state
from codegen.program import Program
from codegen.rewrite import rewrite
from codegen.schedule import fuse, lay_out
from codegen.schedule.contraction import contraction
from codegen.schedule.ends import ends
from codegen.schedule.search import Segment, apart
from codegen.schedule.tile import tile_of
from tests.codegen.running import (
    COMPILERS,
    Arrays,
    Case,
    assert_agree,
    assert_clean,
    differences,
    expected,
    integers,
    shape_of,
)

MACHINES = {
    "server": Machine(),
    "avx2": Machine(vector=32, registers=16, full=32),
    "sse": Machine(vector=16, registers=16, full=16),
    "halves": Machine(vector=64, registers=32, full=32),
}
SIZES = (1, 2, 3, 4, 5, 7, 8, 13, 15, 16, 17, 24, 31, 32, 33, 48)
LANES = (16, 17, 24, 31, 32, 33, 48, 64, 65)  # enough to fill vectors, often not evenly
MOST = 2_000_000  # products of one statement
EXACT = 2**23  # float32 holds all integers up to here, and twice that
n, k, c, i, j, u = indices("n k c i j u")


class Drawing:
    """A chain of sums of products, each reading the one before, and what else looks at them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rng = np.random.default_rng(seed)
        self.kind = self.random.choice(["float32", "float32", "float32", "float64"])
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.statements: list[Statement] = []

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def given(self, shape: Sequence[int]) -> Tensor:
        self.inputs.append(Tensor(f"x{len(self.inputs)}", shape, self.kind))
        return self.inputs[-1]

    def made(self, letter: str, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        return Tensor(f"{letter}{len(self.statements)}", shape, dtype or self.kind)

    def shuffled(self, items: Sequence[Index]) -> list[Index]:
        return self.random.sample(items, len(items))

    def operand(self, used: Sequence[Index], sizes: dict[Index, int]) -> Access:
        """A given tensor read by all of some indices, in any order, often in an odd way."""
        pick = self.random.choice
        maps = [*self.shuffled(used)]
        shape = [sizes[m] for m in maps]
        if len(maps) > 1 and self.chance(0.3):  # two slide along one axis
            a, b, steps = maps[0], maps[1], (pick([1, 1, 2, 3]), pick([1, 1, 2]))
            reach = steps[0] * (sizes[a] - 1) + steps[1] * (sizes[b] - 1) + 1
            maps[:2] = [steps[0] * a + steps[1] * b + pick([0, 0, -1, 1, -2])]
            shape[:2] = [max(1, reach + pick([0, 0, 0, -2, 1]))]
        match self.random.randrange(16):
            case 0 if shape[0] * math.prod(shape) <= MOST:  # the diagonal
                maps, shape = [*maps, maps[0]], [*shape, shape[0]]
            case 1:  # a part
                shape[0] += pick([1, 3])
            case 2:  # one further, the last one outside
                maps[0] = maps[0] + 1
            case 3 if isinstance(maps[0], Index):  # backwards
                maps[0] = shape[0] - 1 - maps[0]
            case 4:  # one of several
                maps, shape = [*maps, 0], [*shape, pick([1, 3])]
        order = self.random.sample(range(len(maps)), len(maps))
        return self.given([shape[a] for a in order])[tuple(maps[a] for a in order)]

    def letters(self, before: Tensor | None) -> tuple[list[Index], list[Index], dict[Index, int]]:
        """Parallel and reduced indices with their sizes, some of them of the tensor before."""
        while True:
            parallel = [Index(name) for name in "nkij"[: self.random.randint(1, 4)]]
            summed = [Index(name) for name in "cuv"[: self.random.randint(1, 3)]]
            sizes = {
                m: self.random.choice(SIZES if self.chance(0.4) else LANES)
                for m in (*parallel, summed[0])
            }
            sizes |= {m: self.random.choice((1, 2, 3, 5)) for m in summed[1:]}
            self.taken = self.shuffled([*parallel, *summed])[: before.rank if before else 0]
            if before and len(self.taken) < before.rank:
                continue
            sizes |= dict(zip(self.taken, before.shape if before else (), strict=True))
            if math.prod(sizes.values()) <= MOST:
                return parallel, summed, sizes

    def product(self, before: Tensor | None) -> Tensor:
        """A sum of up to three factors, its target in any order, sometimes larger than written."""
        parallel, summed, sizes = self.letters(before)
        every = [*parallel, *summed]
        factors = [before[tuple(self.taken)]] if before else []
        covered = set(self.taken)
        for _ in range(self.random.choice([1, 2, 2]) - (before is not None)):
            if used := [m for m in every if self.chance(0.6)]:
                factors.append(self.operand(used, sizes))
                covered |= set(used)
        if len(factors) < 2 or covered < set(every):
            rest = [m for m in every if m not in covered or self.chance(0.4)]
            factors.append(self.operand(rest or every, sizes))
        maps = self.shuffled(parallel)
        shape = [sizes[m] for m in maps]
        match self.random.randrange(16):
            case 0:
                shape[0] += 2
            case 1:
                maps[0], shape[0] = maps[0] + 1, shape[0] + 1
            case 2:
                maps, shape = [*maps, maps[-1]], [*shape, shape[-1]]
        y = self.made("y", shape)
        if self.chance(0.3):
            bias, at = self.given(shape[-1:]), indices(" ".join("pqrstm"[: y.rank]))
            self.statements.append(state(y[at], "=", bias[at[-1]]))
        self.statements.append(state(y[tuple(maps)], "+=", math.prod(factors), sizes))
        return y

    def passed_on(self, y: Tensor) -> Tensor:
        """What becomes of a result: another order, another shape, twice, one further."""
        at = indices(" ".join("pqrstm"[: y.rank]))
        ranges = dict(zip(at, y.shape, strict=True))
        match self.random.randrange(8):
            case 0:
                order = self.shuffled(at)
                z = self.made("z", [ranges[m] for m in order])
                self.statements.append(state(z[tuple(order)], "=", 3 * y[at] + 1))
            case 1 if y.rank > 1:
                z = self.made("z", (y.shape[0] * y.shape[1], *y.shape[2:]))
                flat = (y.shape[1] * at[0] + at[1], *at[2:])
                self.statements.append(state(z[flat], "=", y[at], ranges))
            case 2:
                z = self.made("z", (2 * y.shape[0], *y.shape[1:]))
                self.statements.append(state(z[at], "+=", y[at], ranges))
                below = (at[0] + y.shape[0], *at[1:])
                self.statements.append(state(z[below], "+=", 2 * y[at], ranges))
            case 3:
                z = self.made("z", y.shape)
                self.statements.append(state(z[at], "=", y[(at[0] - 1, *at[1:])], ranges))
            case _:
                return y
        return z

    def looked_at(self, y: Tensor) -> Tensor:
        """A reduction of a result along any axis."""
        at = indices(" ".join("pqrstm"[: y.rank]))
        axis = self.random.randrange(y.rank)
        op = self.random.choice(["max=", "argmax=", "min=", "+=", "weighted"])
        body = y[at] * at[axis] if op == "weighted" else y[at]
        rest = [a for a in range(y.rank) if a != axis]
        dtype = "int32" if op == "argmax=" else self.kind
        q = self.made("q", [y.shape[a] for a in rest], dtype)
        left = q[tuple(at[a] for a in rest)]
        self.statements.append(state(left, "+=" if op == "weighted" else op, body))
        return q

    def case(self) -> Case:
        y = None
        for _ in range(self.random.choice([1, 1, 2, 3])):
            y = self.product(y if y and math.prod(y.shape) < 20_000 and y.rank < 4 else None)
            if self.chance(0.3):
                self.outputs.append(self.looked_at(y))
            if self.chance(0.2):
                self.outputs.append(y)
            y = self.passed_on(y)
        outputs = dict.fromkeys((*self.outputs, y))
        read = {a.tensor for s in self.statements for a in s.reads}
        program = Program(
            tuple(t for t in self.inputs if t in read), tuple(outputs), tuple(self.statements)
        )
        return Case(program, {t.name: self.array(t) for t in program.inputs}, {})

    def array(self, tensor: Tensor) -> np.ndarray:
        return np.asarray(self.rng.integers(-1, 2, shape_of(tensor, {})), tensor.dtype)


@cache
def drawn(count: int, start: int = 0) -> list[Case]:
    """Programs whose every value is an integer that float32 holds."""
    found: list[Case] = []
    for seed in range(start, start + 10 * count):
        case = Drawing(seed).case()
        values = interpret(case.program, case.arrays, {}).values()
        if all(abs(v).max(initial=0, where=np.isfinite(v)) < EXACT for v in values):
            found.append(case)
        if len(found) == count:
            break
    return found


def laid_out(program: Program, machine: Machine) -> Program:
    return lay_out(rewrite(program, {"winograd"})[0], machine)


def results(program: Program, case: Case) -> Arrays:
    made = interpret(program, case.arrays, case.dims)
    outputs = {t.name: made[t.name] for t in program.outputs}
    return outputs | {old.name: made[new.name] for old, new in program.updates}


def complaints(cases: Sequence[Case], machine: Machine) -> list[str]:
    """What differs once cut, and where nothing was."""
    found = []
    for case in cases:
        changed, wanted = laid_out(case.program, machine), expected(case, fast=True)
        found += [f"{case}\n{changed}\n{d}" for d in differences(results(changed, case), wanted)]
    return found


@pytest.mark.parametrize("machine", MACHINES)
def test_blocks_and_packing_do_not_change_what_a_program_means(machine: str) -> None:
    assert not complaints(drawn(20), MACHINES[machine])


def test_most_drawn_programs_have_something_cut_or_packed() -> None:
    """Or the claims here would say little."""
    changed = Counter(
        name
        for case in drawn(20)
        for name, machine in MACHINES.items()
        if laid_out(case.program, machine) != rewrite(case.program, {"winograd"})[0]
    )
    assert all(changed[name] > 5 for name in MACHINES), changed


@pytest.mark.parametrize("machine", MACHINES)
def test_c_of_every_machine_is_the_interpreter(machine: str) -> None:
    options = Options(machine=MACHINES[machine], exact=True)
    start = 1000 * [*MACHINES].index(machine)
    assert_agree(drawn(6, start), options, profile="debug+strict")


@pytest.mark.parametrize(
    "options",
    [Options(layouts=False), Options(fuse=False, views=False, off=frozenset({"inline", "gather"}))],
    ids=["no layouts", "nothing fused"],
)
def test_c_with_less_switched_on_is_the_interpreter(options: Options) -> None:
    assert_agree(drawn(8, 5000), options, profile="debug+strict")


def test_symbolic_batches_are_cut_like_others() -> None:
    N = Dim("N")
    x, w, y = Tensor("x", (N, 40)), Tensor("w", (33, 40)), Tensor("y", (N, 33))
    program = Program((x, w), (y,), (state(y[n, k], "+=", w[k, c] * x[n, c]),))
    changed = lay_out(program, Machine())
    assert changed != program
    for size in (0, 1, 33):
        case = integers(program, {N: size})
        assert not [*differences(results(changed, case), expected(case))]


# -- tiles ------------------------------------------------------------------------------------


def points(segments: Sequence[Segment]) -> list[int]:
    """Every place that segments visit, in order."""
    blocks = [(at, at + s.block) for s in segments for at in range(s.start, s.stop, s.block)]
    return [place for block in blocks for place in range(*block)]


@cache
def sums(machine: Machine) -> list[Statement]:
    programs = [laid_out(case.program, machine) for case in drawn(20)]
    return [s for program in programs for s in program.statements]


@pytest.mark.parametrize("machine", MACHINES)
def test_tiles_visit_every_point_once(machine: str) -> None:
    tiles = 0
    for s in sums(MACHINES[machine]):
        if tile := tile_of(s, MACHINES[machine]):
            tiles += 1
            s = parts.longest if (parts := ends(s)) else s
            once = apart(tile.lanes, tile.width) if tile.lane in s.parallel else tile.lanes
            assert {*points(tile.lanes)} == {*points(once)}, f"{s}\n{tile}"
            for index, segments in ((tile.lane, once), *tile.rows):
                assert points(segments) == [*range(s.sizes[index])], f"{s}\n{tile}"
            loops = [*tile.order, *tile.reduced, tile.lane]
            assert Counter(loops) == Counter(m for m, _ in s.box), f"{s}\n{tile}"
            assert set(dict(tile.rows)) <= set(tile.order) & set(s.parallel)
            assert set(tile.reduced) <= set(s.reduced)
    assert tiles > 12


@pytest.mark.parametrize("machine", MACHINES)
def test_tiles_fit_the_registers(machine: str) -> None:
    """The sums of all rows and vectors are held at once, and at least one operand beside them."""
    there = MACHINES[machine]
    for s in sums(there):
        if tile := tile_of(s, there):
            rows = math.prod(segments[0].block for _, segments in tile.rows)
            vectors = tile.vectors if tile.lane in s.parallel else len(tile.lanes)
            assert rows * vectors + 1 <= there.registers, f"{s}\n{tile}"
            assert tile.width <= there.lanes(s.target.dtype)
            assert max(segment.block for segment in tile.lanes) <= tile.vectors * tile.width


def test_where_numbers_are_spread_by_themselves_a_register_stays_free() -> None:
    """Twelve sums, three vectors and a number fill sixteen: gcc then keeps no vector."""
    there = MACHINES["avx2"]
    x, w, y = Tensor("x", (64, 58)), Tensor("w", (64, 64)), Tensor("y", (64, 56))
    tile = tile_of(state(y[k, j], "+=", w[k, c] * x[c, j + 1]), there)
    assert tile is not None
    rows = math.prod(segments[0].block for _, segments in tile.rows)
    assert rows * tile.vectors + tile.vectors + 1 < there.registers or tile.vectors == 1


def test_schedules_are_chosen_alike_every_time() -> None:
    for case in drawn(6, 300):
        first, second = (make_plan(case.program).unit.text for _ in range(2))
        assert first == second


# -- what broke -------------------------------------------------------------------------------


def assert_same_meaning(program: Program, machine: Machine) -> None:
    case = integers(program)
    changed = lay_out(program, machine)
    assert changed != program
    assert not [*differences(results(changed, case), expected(case))]


def test_packed_operands_have_names_of_their_own() -> None:
    x, w, s = Tensor("x", (100, 64)), Tensor("w", (48, 64)), Tensor("w_packed0", (48,))
    y = Tensor("y", (100, 48))
    product = state(y[n, k], "+=", w[k, c] * x[n, c] * s[k])
    assert_same_meaning(Program((w, x, s), (y,), (product,)), Machine())


def test_one_tensor_is_packed_twice() -> None:
    a, w, y = Tensor("a", (16, 9, 3)), Tensor("w", (64, 9)), Tensor("y", (64, 16))
    product = state(y[j, i], "+=", a[i, c, u] * a[i, c, k] * w[j, c])
    assert_same_meaning(Program((a, w), (y,), (product,)), Machine())


@pytest.mark.parametrize(
    ("machine", "channels"), [("avx2", 5), ("sse", 3)], ids=["eights of 5", "fours of 3"]
)
def test_ragged_blocks_can_be_reshaped(machine: str, channels: int) -> None:
    x, w = Tensor("x", (64, 33)), Tensor("w", (channels, 33))
    y, z = Tensor("y", (64, channels)), Tensor("z", (64 * channels,))
    product = state(y[n, k], "+=", w[k, c] * x[n, c])
    flat = state(z[channels * n + k], "=", y[n, k], {n: 64, k: channels})
    assert_same_meaning(Program((x, w), (z,), (product, flat)), MACHINES[machine])


def test_an_axis_before_one_of_symbolic_length_is_not_contiguous() -> None:
    x, w, y = Tensor("x", (5, 64, Dim("N") - 63)), Tensor("w", (5, 3)), Tensor("y", (3, 64))
    program = Program((x, w), (y,), (state(y[k, i], "+=", x[n, i, c] * w[n, k]),))
    assert_agree([integers(program, {Dim("N"): 70})], profile="debug+strict")


def test_a_sum_starts_in_its_own_nest_though_it_counts_in_blocks_and_tiles() -> None:
    """Along one axis both count in the same digits, along the other only the sum does."""
    b, parts, A, y = (
        Tensor("b", (32,)),
        Tensor("parts", (6, 5, 2, 16)),
        Tensor("A", (6, 4)),
        Tensor("y", (32, 20)),
    )
    block, lane, tile, e = indices("block lane tile e")
    row, digits = 16 * block + lane, {block: 2, lane: 16}
    product = A[e, i] * parts[e, tile, block, lane]
    statements = (
        state(y[row, j], "=", b[row], digits | {j: 20}),
        state(y[row, i + 4 * tile], "+=", product, digits | {i: 4, tile: 5, e: 6}),
    )
    program = Program((b, parts, A), (y,), statements)
    (kernel,) = fuse(program, Machine())
    assert kernel.stages[0].whole
    assert_agree([integers(program)], profile="debug+strict")


v, e = indices("v e")


def in_tiles(along: Index) -> Program:
    """Filters in tiles, and a sum over one of their long indices, with images that have the other.

    Over k it shares an axis with the images, which are computed, and with what these are used for.
    """
    G, w, d = Tensor("G", (7, 3)), Tensor("w", (64, 64, 3, 3)), Tensor("d", (7, 64, 16))
    p, tiles = Tensor("p", (7, 64, 16)), Tensor("tiles", (7, 64, 64, 3))
    y, z, f = Tensor("y", (7, 64, 14)), Tensor("z", (7, 64, 6)), Tensor("f", (7, 6, 16))
    other = c if along == k else k
    statements = (
        state(p[e, k, i], "=", 2 * d[e, k, i]),
        state(tiles[e, k, c, v], "+=", G[e, u] * w[k, c, u, v]),
        state(y[e, other, i], "+=", tiles[e, k, c, v] * p[e, along, i + v], {i: 14}),
        state(z[e, k, j], "+=", f[e, j, i] * p[e, k, i]),
    )
    return Program((G, w, d, f), (y, z), statements)


def test_short_indices_are_copied_as_they_lie() -> None:
    """So that blocks of rows are turned, which of three taps alone would not be whole ones."""
    program = in_tiles(c)
    plan = make_plan(program, Options(machine=Machine(), off=frozenset({"winograd"})))
    (copy,) = (text for name, text in plan.functions.items() if "w_packed" in name)
    assert "transpose_float32x16(" in copy
    assert_agree([integers(program)], plan.options)


def test_what_a_sum_alone_reads_is_cut_as_that_sum_likes_it() -> None:
    """Along its result, though others share the axis that it sums over."""
    program = in_tiles(k)
    changed = lay_out(program, Machine())
    shapes = {t.name: t.shape for t in changed.definitions}
    assert shapes["p"] == (7, 4, 16, 16)
    assert shapes["tiles"] == (7, 64, 4, 3, 16)
    assert_same_meaning(program, Machine())


def beside_packed() -> Case:
    """Along the lanes a lies as it is, b is packed in blocks, and 17 is no multiple."""
    a, b, x = Tensor("a", (40, 17)), Tensor("b", (17, 40)), Tensor("x", (100, 40))
    y = Tensor("y", (100, 17))
    product = state(y[n, k], "+=", a[c, k] * b[k, c] * x[n, c])
    return integers(Program((a, b, x), (y,), (product,)))


@pytest.mark.parametrize("compiler", COMPILERS[:1])
def test_blocks_touch_nothing_beyond_their_arrays(compiler: str) -> None:
    """Neither where the last block of an operand is not full: it is read as a whole vector."""
    options = Options(exact=True, machine=Machine())
    assert_clean([(case, options) for case in (beside_packed(), *drawn(4, 7000))], compiler)


@pytest.mark.long
@pytest.mark.parametrize("start", range(10_000, 20_000, 500))
@pytest.mark.parametrize("machine", MACHINES)
def test_thousands_of_programs_mean_the_same_in_blocks_and_in_c(machine: str, start: int) -> None:
    cases = drawn(200, start)
    assert not complaints(cases, MACHINES[machine])
    options = Options(machine=MACHINES[machine], exact=True)
    for at in range(0, 60, 20):
        assert_agree(cases[at : at + 20], options, profile="debug+strict")


def test_phases_that_have_decided_otherwise_are_not_cut_for_each_other() -> None:
    k, c, i, j, u, v = indices("k c i j u v")
    dy, w, dx = (
        Tensor("dy", (36, 22, 22)),
        Tensor("w", (36, 132, 4, 4)),
        Tensor("dx", (132, 69, 69)),
    )
    s = state(dx[c, 3 * i + u, 3 * j + v], "+=", w[k, c, u, v] * dy[k, i, j])
    made = make_plan(Program((dy, w), (dx,), (s,)), Options(machine=Machine()))
    found = [s for s in made.laid_out.statements if contraction(s)]
    assert len(found) == 9
    assert all(tile_of(s, Machine()) for s in found)


def test_packed_filters_are_copied_forwards_and_read_backwards() -> None:
    k, c, i, u = indices("k c i u")
    dy, w, dx = Tensor("dy", (64, 29)), Tensor("w", (64, 64, 3)), Tensor("dx", (64, 27))
    s = state(dx[c, i], "+=", w[k, c, 2 - u] * dy[k, i + u], {u: 3})
    made = make_plan(Program((dy, w), (dx,), (s,)), Options(machine=Machine()))
    texts = [str(s).partition("   ")[0] for s in made.laid_out.statements]
    assert texts[0] == "w_packed1[cb,k,u,cl] = w[k,16·cb + cl,u]"
    assert texts[1].endswith("dy[k,i + u]·w_packed1[cb,k,2 - u,cl]")


def test_images_that_are_one_long_row_to_a_sum_are_left_as_they_are() -> None:
    """961 pixels fill vectors; 31 of a row do not, and to turn them is one more walk over all."""
    x, w, y = Tensor("x", (2, 145, 31, 31)), Tensor("w", (99, 145)), Tensor("y", (2, 99, 31, 31))
    sizes = {n: 2, k: 99, i: 31, j: 31, c: 145}
    one = state(y[n, k, i, j], "+=", w[k, c] * x[n, c, i, j], sizes)
    assert lay_out(Program((x, w), (y,), (one,)), Machine()).statements == (one,)


def gradient(filters: int, fill: int = 0) -> Program:
    """A gradient to 3 channels of 14 × 14, from filters whose last block is not full."""
    w, dy = Tensor("w", (filters, 3, 5, 5)), Tensor("dy", (2, filters, 10, 10))
    p, dx = Tensor("p", (filters, 3, 23, 23)), Tensor("dx", (2, 3, 14, 14))
    padded = (
        state(p[k, c, u, v], "=", sympy.Integer(fill), {k: filters, c: 3, u: 23, v: 23}),
        state(p[k, c, u + 9, v + 9], "=", w[k, c, u, v], {k: filters, c: 3, u: 5, v: 5}),
    )
    sizes = {n: 2, c: 3, i: 14, j: 14, k: filters, u: 10, v: 10}
    s = state(dx[n, c, i, j], "+=", p[k, c, i + u, j + v] * dy[n, k, u, v], sizes)
    return Program((w, dy), (dx,), (*padded, s))


def test_a_sum_over_blocks_that_end_in_zeros_runs_to_their_end() -> None:
    """Vectors run along filters: 40 of them are two blocks and half of a third."""
    program = gradient(40)
    made = make_plan(program, Options(machine=Machine()))
    last = made.laid_out.statements[-1]
    assert not last.guards and list(last.sizes.values())[-1] == 16
    assert next(s for s in made.laid_out.statements if s.target.name == "p").body == 0
    assert any(s.target.name.startswith("dy_packed") for s in made.laid_out.statements)
    assert_agree([integers(program), integers(gradient(37))], made.options)


def test_a_sum_over_blocks_that_end_in_anything_else_stops_where_there_is_no_more() -> None:
    program = gradient(40, fill=1)
    made = make_plan(program, Options(machine=Machine()))
    last = made.laid_out.statements[-1]
    assert last.guards or list(last.sizes.values())[-1] != 16
    assert_agree([integers(program)], made.options)


def test_a_copy_of_blocks_ends_in_whatever_they_do() -> None:
    """Beyond the third row, blocks of largest values hold −∞: no sum over copies may go there."""

    def tensor(name: str, *shape: int) -> Tensor:
        return Tensor(name, shape, "float64")

    o, zero = Index("o"), sympy.S.Zero
    x, first, last = tensor("x", 3, 2, 3), tensor("first", 1, 2), tensor("last", 2, 1)
    top, score = tensor("top", 3, 2), tensor("score", 3, 1)
    y, dy, dscore, dfirst = (
        tensor("y", 3, 2), tensor("dy", 3, 2), tensor("dscore", 3, 1), tensor("dfirst", 1, 2),
    )  # fmt: skip
    program = Program(
        (x, first, last),
        (dfirst,),
        (
            state(top[n, c], "max=", x[n, c, i]),
            state(score[n, zero], "+=", first[zero, c] * top[n, c]),
            state(y[n, o], "=", last[o, zero] * score[n, zero]),
            state(dy[n, o], "=", y[n, o] ** 2),
            state(dscore[n, zero], "+=", last[o, zero] * dy[n, o]),
            state(dfirst[zero, c], "+=", dscore[n, zero] * top[n, c]),
        ),
    )
    assert_agree([integers(program)])
