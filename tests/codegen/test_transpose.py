"""The runtime's transposes of a few vectors, in shuffles and in plain loops."""

import itertools

import numpy as np
import pytest

from codegen.build import build, require_toolchain
from codegen.emit.unit import prelude

from .running import COMPILERS

KINDS = {"float32x16": 16, "float32x8": 8, "float32x4": 4, "float64x8": 8, "float64x4": 4}
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
        found = np.zeros((width, 48), number)
        turn = getattr(library.lib, f"turn_{kind}")
        kind_c = "float[]" if number == "float32" else "double[]"
        turn(pointer(kind_c, found), 48, pointer(kind_c, given), 40, rows)
        assert np.array_equal(found[:, :rows], given[:rows, :width].T), (kind, rows)
