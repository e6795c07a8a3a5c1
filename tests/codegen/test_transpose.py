"""The runtime's transposes of a few vectors, and copies that turn arrays by them."""

import itertools

import numpy as np
import pytest
import sympy

from codegen.build import build, require_toolchain
from codegen.compile import Options, make_plan
from codegen.emit.unit import prelude
from codegen.machine import Machine
from codegen.notation import Tensor, indices, statement
from codegen.program import Program
from tests.codegen.running import COMPILERS, assert_agree, assert_clean, integers, own_text

KINDS = {"float32x16": 16, "float32x8": 8, "float32x4": 4, "float64x8": 8, "float64x4": 4}
MACHINES = (Machine(), Machine(vector=32, registers=16, full=32))
SHUFFLES = "#if __has_builtin(__builtin_shufflevector)"


def declared(kind: str) -> str:
    number = "float" if kind.startswith("float32") else "double"
    given = f"{number} *to, int64_t pitch, const {number} *from, int64_t step, int64_t rows"
    return f"void turn_{kind}({given})"


@pytest.mark.parametrize("shuffled", [True, False])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_vectors_become_columns(compiler: str, shuffled: bool) -> None:
    text = prelude()
    assert SHUFFLES in text
    if not shuffled:
        text = text.replace(SHUFFLES, "#if 0")
    for kind in KINDS:
        text += f"{declared(kind)} {{ transpose_{kind}(to, pitch, from, step, rows); }}\n"
    library = build(
        {"turn": text},
        "".join(f"{declared(kind)};\n" for kind in KINDS),
        profile="release+strict",
        toolchain=require_toolchain(compiler),
    )
    pointer = library.ffi.from_buffer
    for (kind, width), rows in itertools.product(KINDS.items(), range(1, 17)):
        if rows > width:
            continue
        number = kind.partition("x")[0]
        given = np.arange(16 * 40, dtype=number).reshape(16, 40)
        found = np.ones((width, 48), number)
        turn = getattr(library.lib, f"turn_{kind}")
        kind_c = "float[]" if number == "float32" else "double[]"
        turn(pointer(kind_c, found), 48, pointer(kind_c, given), 40, rows)
        assert np.array_equal(found[:, :rows], given[:rows, :width].T), (kind, rows)
        assert not found[:, rows:width].any(), (kind, rows)
        assert found[:, width:].all(), (kind, rows)


# -- copies -----------------------------------------------------------------------------------

b, c, k, p, u, v = indices("b c k p u v")


def packed(
    filters: int, channels: int, taps: int, dtype: str = "float32", first: int = 0
) -> Program:
    """Weights in blocks of 16 filters, of which the last may not be full."""
    blocks = -(-filters // 16)
    w = Tensor("w", (filters, channels, taps, taps), dtype)  # type: ignore[arg-type]
    y = Tensor("y", (blocks, channels, taps, taps, 16), dtype)  # type: ignore[arg-type]
    body, sizes = w[16 * b + p - first, c, u, v], {b: blocks, p: 16, c: channels, u: taps, v: taps}
    return Program((w,), (y,), (statement(y[b, c, u, v, p], "=", body, sizes),))


def packed_back(filters: int, channels: int, taps: int) -> Program:
    """Weights in blocks of 16 channels."""
    blocks = -(-channels // 16)
    w, y = (
        Tensor("w", (filters, channels, taps, taps)),
        Tensor("y", (blocks, filters, taps, taps, 16)),
    )
    sizes = {b: blocks, p: 16, k: filters, u: taps, v: taps}
    return Program((w,), (y,), (statement(y[b, k, u, v, p], "=", w[k, 16 * b + p, u, v], sizes),))


def padded(images: int, side: int, fill: float = 0) -> Program:
    """Images in blocks of 16 of one pixel, with one more around them."""
    blocks = -(-images // 16)
    x, y = Tensor("x", (images, 3, side, side)), Tensor("y", (blocks, 3, side + 2, side + 2, 16))
    around = {b: blocks, c: 3, u: side + 2, v: side + 2, p: 16}
    sizes = {**around, u: side, v: side}
    start = statement(y[b, c, u, v, p], "=", sympy.Float(fill), around)
    copy = statement(y[b, c, u + 1, v + 1, p], "=", x[16 * b + p, c, u, v], sizes)
    return Program((x,), (y,), (start, copy))


def turned(program: Program, machine: Machine) -> bool:
    return "transpose_" in own_text(make_plan(program, Options(machine=machine, layouts=False)))


@pytest.mark.parametrize("machine", MACHINES)
def test_blocks_of_filters_are_turned_whole_or_not(machine: Machine) -> None:
    sizes = itertools.product((1, 15, 16, 17, 40), (1, 3, 16), (2, 3, 5))
    programs = [packed(*size, dtype) for size in sizes for dtype in ("float32", "float64")]
    programs += [packed_back(3, *size) for size in ((17, 3), (23, 2), (65, 3), (33, 5))]
    assert all(turned(program, machine) for program in programs)
    options = Options(machine=machine, layouts=False)
    assert_agree([integers(program, largest=99) for program in programs], options)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_last_block_reads_nothing_beyond_the_filters(compiler: str) -> None:
    programs = (packed(17, 3, 3), packed(1, 1, 5), packed(40, 5, 2), packed_back(3, 17, 3))
    programs = (*programs, padded(21, 9), padded(1, 4))
    options = Options(machine=Machine(), layouts=False)
    assert_clean([(integers(program), options) for program in programs], compiler)


def test_neighbours_merge_beside_an_index_that_ends_early() -> None:
    """Channels and taps follow each other in both arrays, whatever the last block lacks."""
    text = own_text(make_plan(packed(17, 3, 5), Options(machine=Machine(), layouts=False)))
    assert "const float (*restrict w)[75]" in text


@pytest.mark.parametrize("machine", MACHINES)
def test_images_are_turned_into_what_pads_them(machine: Machine) -> None:
    programs = [padded(images, side) for images in (1, 16, 21) for side in (4, 9, 17)]
    assert all(turned(program, machine) for program in programs)
    whole = [padded(16, 9, fill=7.0), padded(32, 4, fill=7.0)]
    assert all(turned(program, machine) for program in whole)
    options = Options(machine=machine, layouts=False)
    assert_agree([integers(program, largest=99) for program in (*programs, *whole)], options)


def test_what_is_padded_with_other_numbers_keeps_them_beyond_the_last_image() -> None:
    program = padded(21, 9, fill=7.0)
    assert not turned(program, Machine())
    assert_agree([integers(program, largest=99)], Options(machine=Machine(), layouts=False))


def test_copies_beside_each_other_write_no_zeros_where_the_other_has_been() -> None:
    """27 images, and 5 more that go on in the same block, with a row before and after each."""
    y, shape = Tensor("y", (2, 3, 11, 16)), {b: 2, c: 3, u: 9, p: 16}
    first, second = Tensor("first", (27, 3, 9)), Tensor("second", (5, 3, 9))
    fill = statement(y[b, c, u, p], "=", sympy.Integer(0), {**shape, u: 11})
    copies = [
        statement(y[b, c, u + 1, p], "=", second[16 * b + p - 27, c, u], shape),
        statement(y[b, c, u + 1, p], "=", first[16 * b + p, c, u], shape),
    ]
    for order in (copies, copies[::-1]):
        program = Program((first, second), (y,), (fill, *order))
        assert_agree([integers(program, largest=99)], Options(machine=Machine(), layouts=False))


def test_rows_that_begin_late_are_copied_one_by_one() -> None:
    """The first filters of the first block are missing, not the last ones of the last."""
    program = packed(17, 3, 3, first=2)
    assert not turned(program, Machine())
    assert_agree([integers(program, largest=99)], Options(machine=Machine(), layouts=False))
