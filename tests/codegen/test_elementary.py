"""The runtime's elementary functions: how exact they are, and that loops of them are vector code.

The reference is the C library's function in double precision. One unit in the last place (ulp) is
the distance of neighbouring floats at the exact result.
"""

import platform
import re
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from codegen.build import Library, Toolchain, build, require_toolchain
from codegen.build.flags import REQUIRED, STRICT, profile_flags
from codegen.emit.unit import prelude

from .running import COMPILERS

Floats = npt.NDArray[np.float32]

HEADER = resources.files("codegen.runtime").joinpath("elementary.h").read_text()
FUSED_AND_PLAIN = {
    name: (float(fused), float(plain))
    for name, fused, plain in re.findall(r"^ \* +(\w+)_f32 +([\d.]+) +([\d.]+)$", HEADER, re.M)
}
"""The errors that the header's table states, with and without fused multiply-add."""
UNARY = [name for name in FUSED_AND_PLAIN if name != "pow"]
EXPRESSIONS = {"sigmoid": "1.0f / (1.0f + exp_f32(-x[i]))", "softplus": "log1p_f32(exp_f32(x[i]))"}

# Where the formulas change, or the result does something remarkable.
CRITICAL = {
    "exp": (0, 0.34657359, -0.34657359, 88.72283, 88.37626, -87.33654, -103.97208, 104),
    "log": (1, 0.70710678, 1.41421356, 2),
    "expm1": (0, 2.98e-8, -2.98e-8, 0.34657359, -0.34657359, -1.0397208, -17.32868, -18, 88.72283),
    "log1p": (0, -1, -0.29289322, 0.41421356, 1, 1.7014118e38),
    "tanh": (0, 0.625, -0.625, 9.010913, 10),
    "erf": (0, 0.9, -0.9, 3.9192059, 4),
    "sin": (0, 0.78539816, 1.57079633, 3.14159265, 16367173 * 2.0**72, 2.0**50, 2.0**76, 2.0**102),
    "cos": (0, 0.78539816, 1.57079633, 3.14159265, 16367173 * 2.0**72, 2.0**50, 2.0**76, 2.0**102),
}
ALL_BITS = 2**32
ALWAYS = (0.0, -0.0, float("inf"), float("-inf"), 2.0**-126, -(2.0**-126), float("nan"))
NEIGHBOURS = 300
BLOCK = 64 + 7  # vectors, and what is left over

LOOPS_H = "".join(
    f"void loop_{name}(float *restrict y, const float *restrict x, int64_t n);\n"
    for name in (*UNARY, *EXPRESSIONS)
) + (
    "void loop_pow(float *restrict z, const float *restrict x, const float *restrict y,\n"
    "    int64_t n);\n"
)


def loops_text() -> str:
    """Give C with one plain loop a function."""
    bodies = {name: f"{name}_f32(x[i])" for name in UNARY} | EXPRESSIONS
    unary = (
        f"void loop_{name}(float *restrict y, const float *restrict x, int64_t n) {{\n"
        f"    for (int64_t i = 0; i < n; ++i) y[i] = {body};\n}}\n"
        for name, body in bodies.items()
    )
    power = (
        "void loop_pow(float *restrict z, const float *restrict x, const float *restrict y, "
        "int64_t n) {\n    for (int64_t i = 0; i < n; ++i) z[i] = pow_f32(x[i], y[i]);\n}\n"
    )
    return "".join([prelude(), HEADER, LOOPS_H, *unary, power])


REFERENCE_H = """
typedef void unary_loop(float *, const float *, int64_t);
typedef void binary_loop(float *, const float *, const float *, int64_t);
/* The largest error with denormals kept and with denormals flushed, and where it is. */
typedef struct { double error[2]; float x[2], y[2]; } worst;
void search(const char *name, const uintptr_t *loops, int count, uint64_t first, uint64_t step,
    uint64_t past, worst *found);
void search_pairs(const uintptr_t *loops, int count, const float *x, const float *y, int64_t n,
    worst *found);
"""

REFERENCE = """
#include <string.h>

enum { MANY = 4096 };

/* The power of two at or below the size of a normal number, times 2^-23. */
static double ulp_of(double exact) {
    uint64_t bits;
    memcpy(&bits, &exact, sizeof bits);
    bits &= UINT64_C(0x7ff0000000000000);
    memcpy(&exact, &bits, sizeof bits);
    return exact * 0x1p-23;
}

static double distance(float got, double exact, double ulp) {
    const double size = fabs(exact), y = got;
    if (size >= 0x1p-126 && size < 0x1.ffffffp127 && fabs(y) <= 0x1p127) {
        return fabs(y - exact) / ulp;
    }
    if (isnan(exact) || isnan(got)) {
        return isnan(exact) && isnan(got) ? 0 : INFINITY;
    }
    if (!signbit(got) != !signbit(exact)) {
        return INFINITY;
    }
    if (size < 0x1p-126) { /* may be flushed to zero */
        return fabs(y) <= 0x1p-126 ? 0 : INFINITY;
    }
    if (size >= 0x1.ffffffp127) { /* rounds to infinity */
        return isinf(got) ? 0 : INFINITY;
    }
    return fabs((isinf(got) ? copysign(0x1p128, y) : y) - exact) / ulp;
}

/* An argument that is a denormal number may count as zero. */
static double zero_for_denormal(float x) { return fabsf(x) < 0x1p-126f ? copysign(0, x) : x; }

static float_mode set_mode(int flushed) {
    const float_mode before = flush_denormals();
    if (!flushed) {
        restore_mode(before);
    }
    return before;
}

static const struct { const char *name; double (*of)(double); } REFERENCES[] = {
    {"exp", exp}, {"log", log}, {"expm1", expm1}, {"log1p", log1p}, {"tanh", tanh}, {"erf", erf},
    {"sin", sin}, {"cos", cos},
};

void search(const char *name, const uintptr_t *loops, int count, uint64_t first, uint64_t step,
    uint64_t past, worst *found) {
    static float x[MANY], y[MANY];
    static double exact[MANY], ulp[MANY];
    int row = 0;
    while (strcmp(REFERENCES[row].name, name)) {
        ++row;
    }
    while (first < past) {
        int n = 0;
        for (; n < MANY && first < past; ++n, first += step) {
            const uint32_t bits = (uint32_t)first;
            memcpy(&x[n], &bits, sizeof bits);
            exact[n] = REFERENCES[row].of(x[n]);
            ulp[n] = ulp_of(exact[n]);
        }
        for (int k = 0; k < 2 * count; ++k) {
            const int flushed = k % 2;
            worst *const w = &found[k / 2];
            const float_mode before = set_mode(flushed);
            ((unary_loop *)loops[k / 2])(y, x, n);
            restore_mode(before);
            for (int i = 0; i < n; ++i) {
                double error = distance(y[i], exact[i], ulp[i]);
                if (error > w->error[flushed]) {
                    const double z = zero_for_denormal(x[i]);
                    if (z != x[i]) {
                        const double zeroth = REFERENCES[row].of(z);
                        error = fmin(error, distance(y[i], zeroth, ulp_of(zeroth)));
                    }
                }
                if (error > w->error[flushed]) {
                    w->error[flushed] = error;
                    w->x[flushed] = x[i];
                }
            }
        }
    }
}

void search_pairs(const uintptr_t *loops, int count, const float *x, const float *y, int64_t n,
    worst *found) {
    static float z[MANY];
    static double exact[MANY];
    for (int64_t start = 0; start < n; start += MANY) {
        const int64_t some = imin(MANY, n - start);
        for (int64_t i = 0; i < some; ++i) {
            exact[i] = pow(zero_for_denormal(x[start + i]), zero_for_denormal(y[start + i]));
        }
        for (int k = 0; k < 2 * count; ++k) {
            const int flushed = k % 2;
            worst *const w = &found[k / 2];
            const float_mode before = set_mode(flushed);
            ((binary_loop *)loops[k / 2])(z, x + start, y + start, some);
            restore_mode(before);
            for (int64_t i = 0; i < some; ++i) {
                const double error = distance(z[i], exact[i], ulp_of(exact[i]));
                if (error > w->error[flushed]) {
                    w->error[flushed] = error;
                    w->x[flushed] = x[start + i];
                    w->y[flushed] = y[start + i];
                }
            }
        }
    }
}
"""

# x86 alone has machines both with and without fused multiply-add.
WITHOUT_FUSED = ("-mno-fma", "-mno-avx512f") if platform.machine() in ("x86_64", "AMD64") else None
VARIANTS = ("fused", "plain") if WITHOUT_FUSED else ("fused",)


@cache
def toolchain_of(compiler: str, variant: str) -> Toolchain:
    found = require_toolchain(compiler)
    if variant == "plain":
        assert WITHOUT_FUSED is not None
        return replace(found, compile_flags=(*found.compile_flags, *WITHOUT_FUSED))
    return found


@cache
def loops(compiler: str, variant: str, profile: str = "release") -> Library:
    toolchain = toolchain_of(compiler, variant)
    return build({"loops": loops_text()}, LOOPS_H, profile=profile, toolchain=toolchain)


@cache
def reference() -> Library:
    text = prelude() + REFERENCE_H + REFERENCE
    return build({"reference": text}, REFERENCE_H, toolchain=require_toolchain(COMPILERS[0]))


def address(library: Library, name: str) -> int:
    return int(library.ffi.cast("uintptr_t", library.ffi.addressof(library.lib, f"loop_{name}")))


class Worst:
    """The largest errors of one function so far, in every variant."""

    def __init__(self, name: str) -> None:
        ffi = reference().ffi
        addresses = [address(loops(COMPILERS[0], variant), name) for variant in VARIANTS]
        self.name = name
        self._loops = ffi.new("uintptr_t[]", addresses)
        self._found = ffi.new("worst[]", len(VARIANTS))

    def search(self, first: int, step: int, past: int) -> None:
        where = (first, step, past)
        lib = reference().lib
        lib.search(self.name.encode(), self._loops, len(VARIANTS), *where, self._found)

    def search_pairs(self, x: Floats, y: Floats) -> None:
        ffi, lib = reference().ffi, reference().lib
        both = (ffi.from_buffer("float[]", a) for a in (x, y))
        lib.search_pairs(self._loops, len(VARIANTS), *both, len(x), self._found)

    def check(self) -> None:
        table = FUSED_AND_PLAIN[self.name][: len(VARIANTS)]
        said, right = [], True
        for variant, stated, w in zip(VARIANTS, table, self._found, strict=True):
            right &= max(w.error) <= stated
            for mode, error, x, y in zip(("kept", "flushed"), w.error, w.x, w.y, strict=True):
                at = f"{x!r}, {y!r}" if self.name == "pow" else repr(x)
                head = f"{self.name}, {variant}, denormals {mode}"
                said.append(f"{head}: {error:.4f} ulp at {at}; stated {stated}")
        print("\n".join(said))
        assert right, "\n".join(said)


def bits_of(x: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", x))[0])


def pairs(n: int, seed: int) -> tuple[Floats, Floats]:
    """Give pairs for pow: all of the numbers that matter, bits of any kind, results of any size."""
    rng = np.random.default_rng(seed)
    near = (0.5, 1.5, 2, 3, 127, 128, 126, 2.0**22 - 0.5, 2.0**23 - 0.5, 2.0**23, 2.0**23 + 1)
    far = (2.0**24 - 1, 2.0**24, 1 + 2.0**-23, 1 - 2.0**-24, 1e30, 1e-30, 3.4028235e38, 1e-40, 1)
    special = np.array([*ALWAYS, *near, *far, *(-v for v in (*near, *far))], np.float32)
    every = np.meshgrid(special, special)
    x, y = (rng.integers(0, ALL_BITS, n, dtype=np.uint32).view(np.float32) for _ in range(2))
    small = rng.integers(-40, 40, n).astype(np.float32)
    base = np.abs(x)
    base[n // 2 :] = 1 + rng.uniform(-1, 1, n - n // 2) * 2.0 ** -rng.uniform(1, 22, n - n // 2)
    with np.errstate(all="ignore"):
        any_size = (rng.uniform(-130, 130, n) / np.log2(base.astype(float))).astype(np.float32)
    return (
        np.concatenate([every[0].ravel(), x, x, base]).astype(np.float32),
        np.concatenate([every[1].ravel(), y, small, any_size]).astype(np.float32),
    )


def test_the_table_has_a_row_for_every_function() -> None:
    defined = re.findall(r"^static inline UNUSED float (\w+)_f32\(", HEADER, re.M)
    assert sorted(defined) == sorted(FUSED_AND_PLAIN)
    assert sorted(CRITICAL) == sorted(UNARY)


@pytest.mark.parametrize("name", UNARY)
def test_errors_stay_within_the_table(name: str) -> None:
    worst = Worst(name)
    worst.search(0, 1009, ALL_BITS)
    for x in (*ALWAYS, *CRITICAL[name]):
        at = bits_of(x)
        worst.search(max(at - NEIGHBOURS, 0), 1, min(at + NEIGHBOURS, ALL_BITS))
    worst.check()


def test_errors_of_powers_stay_within_the_table() -> None:
    worst = Worst("pow")
    worst.search_pairs(*pairs(100_000, seed=0))
    worst.check()


@pytest.mark.long
@pytest.mark.parametrize("name", UNARY)
def test_errors_stay_within_the_table_at_every_float(name: str) -> None:
    worst = Worst(name)
    worst.search(0, 1, ALL_BITS)
    worst.check()


@pytest.mark.long
def test_errors_of_many_powers_stay_within_the_table() -> None:
    worst = Worst("pow")
    for seed in range(100):
        worst.search_pairs(*pairs(1_000_000, seed))
    worst.check()


def run_in_blocks(library: Library, name: str, inputs: Sequence[Floats]) -> Floats:
    out = np.empty_like(inputs[0])
    arrays = [library.ffi.from_buffer("float[]", a) for a in (out, *inputs)]
    loop = getattr(library.lib, f"loop_{name}")
    for k in range(0, len(out), BLOCK):
        loop(*(a + k for a in arrays), min(BLOCK, len(out) - k))
    return out


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_vectors_remainders_and_unoptimized_scalars_have_the_same_bits(
    compiler: str, variant: str
) -> None:
    x = np.arange(0, ALL_BITS, 100_003, dtype=np.uint32).view(np.float32)
    critical = [np.float32(v) for values in CRITICAL.values() for v in (*values, *ALWAYS)]
    x = np.concatenate([x, np.array(critical, np.float32)])
    y = np.roll(x, len(x) // 3)
    for name in (*UNARY, *EXPRESSIONS, "pow"):
        inputs = (x, y) if name == "pow" else (x,)
        fast = run_in_blocks(loops(compiler, variant), name, inputs)
        slow = run_in_blocks(loops(compiler, variant, "debug"), name, inputs)
        differ = (fast.view(np.uint32) != slow.view(np.uint32)) & ~(np.isnan(fast) & np.isnan(slow))
        at = int(differ.argmax())
        assert not differ.any(), f"{name} of {[a[at] for a in inputs]}: {fast[at]} and {slow[at]}"


MACHINES = {
    "x86_64": ("-march=x86-64", "-march=x86-64-v3", "-march=x86-64-v4"),
    "aarch64": ("-march=armv8-a",),
}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_loops_become_vector_code_for_every_machine(compiler: str, tmp_path: Path) -> None:
    text = loops_text()
    (tmp_path / "loops.c").write_text(text, encoding="utf-8")
    toolchain = require_toolchain(compiler)
    report = "-fopt-info-vec" if toolchain.name == "gcc" else "-Rpass=loop-vectorize"
    expected = [k for k, line in enumerate(text.splitlines(), 1) if "    for (int64_t i" in line]
    assert len(expected) == len(UNARY) + len(EXPRESSIONS) + 1
    for machine in MACHINES.get(platform.machine(), ()):
        kept = (flag for flag in toolchain.compile_flags if not flag.startswith("-m"))
        flags = (*profile_flags("release"), *kept, machine, report)
        command = (*toolchain.command, *flags, "-c", "loops.c", "-o", "loops.o")
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        # gcc says "loop vectorized", clang "vectorized loop".
        vector = {int(k) for k in re.findall(r"loops\.c:(\d+):.*vectorized", done.stderr)}
        assert vector >= set(expected), f"{machine}\n{done.stderr}"


MAIN = """
#include <string.h>

int main(void) {
    static const uint32_t edges[] = {0, 0x7f800000, 0x7fc00000, 0x7f800001, 0x7f7fffff, 0x3f800000};
    enum { EDGES = sizeof edges / sizeof edges[0] };
    float x[64], y[64];
    for (uint64_t k = 0; k < (UINT64_C(1) << 32); k += 64 * UINT64_C(65521)) {
        for (int i = 0; i < 64; ++i) {
            uint32_t bits = (uint32_t)(k + (uint64_t)i * 65521);
            bits = i < EDGES ? edges[i] : i < 2 * EDGES ? edges[i - EDGES] | 0x80000000 : bits;
            memcpy(&x[i], &bits, sizeof bits);
        }
        CALLS
        for (int i = 0; i < 64; ++i) {
            float z;
            loop_pow(&z, &x[i], &x[63 - i], 1);
            loop_pow(&z, &x[i], &x[k / 64 % 12], 1);
        }
    }
    return 0;
}
"""


@pytest.mark.parametrize("compiler", COMPILERS)
def test_no_operation_is_undefined_and_no_warning_given(compiler: str, tmp_path: Path) -> None:
    calls = " ".join(f"loop_{name}(y, x, 64);" for name in (*UNARY, *EXPRESSIONS))
    text = loops_text() + MAIN.replace("CALLS", calls)
    (tmp_path / "main.c").write_text(text, encoding="utf-8")
    toolchain = require_toolchain(compiler)
    sanitize = ("-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all")
    flags = (*REQUIRED, *STRICT, "-pedantic", *toolchain.compile_flags, *sanitize)
    command = (*toolchain.command, *flags, "main.c", "-o", "main", *toolchain.link_flags)
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    ran = subprocess.run(tmp_path / "main", capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
