"""What a register tile holds stays in registers."""

import platform
import re
import subprocess
from pathlib import Path

import pytest

from codegen.build import find_toolchain
from codegen.build.flags import profile_flags
from codegen.compile import Options, make_plan
from codegen.machine import Machine
from codegen.notation import Tensor, indices, statement
from codegen.program import Program

n, b, k, c, u, v = indices("n b k c u v")
WIDE = ("-march=skylake-avx512", "-mtune=znver3")  # gcc 12 takes a Zen 5 for this
SPILLED = re.compile(r"vfmadd\w+\s+-?\d*\(%r[sb]p\)")


def tile(filters: int, side: int) -> str:
    """The C of filters that see the whole of 16 images, tiles of 8 images."""
    blocks = -(-filters // 16)
    x, bias = Tensor("x", (16, 18, side, side)), Tensor("bias", (filters,))
    w, y = Tensor("w", (blocks, 18, side, side, 16)), Tensor("y", (16, filters))
    left, box = y[n, 16 * b + k], {n: 16, b: blocks, k: 16}
    start = statement(left, "=", bias[16 * b + k], box)
    window = {c: 18, u: side, v: side}
    total = statement(left, "+=", x[n, c, u, v] * w[b, c, u, v, k], box | window)
    program = Program((x, w, bias), (y,), (start, total))
    return make_plan(program, Options(machine=Machine(), layouts=False)).stages["c"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86-64 assembly")
@pytest.mark.parametrize(("filters", "side"), [(58, 14), (58, 13), (102, 13)])
def test_multiply_adds_of_a_tile_read_no_vectors_from_the_stack(
    filters: int, side: int, tmp_path: Path
) -> None:
    toolchain = find_toolchain()
    if toolchain is None or toolchain.name != "gcc":
        pytest.skip("the flag that this is about is gcc's")
    source, result = tmp_path / "tile.c", tmp_path / "tile.s"
    source.write_text(tile(filters, side), encoding="utf-8")
    flags = [f for f in toolchain.compile_flags if f != "-march=native"]
    command = (*toolchain.command, *profile_flags("release"), *flags, *WIDE)
    subprocess.run([*command, "-S", str(source), "-o", str(result)], check=True)
    text = result.read_text(encoding="utf-8")
    assert text.count("vfmadd") >= 16
    assert not SPILLED.findall(text)
