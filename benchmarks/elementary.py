"""The elementary functions of C programs: speed beside libm's, and how polynomials are found.

    python -m benchmarks.elementary              nanoseconds an element, for this processor
    python -m benchmarks.elementary -mno-avx512f the same with more compiler flags
    python -m benchmarks.elementary fit          the coefficients, found anew

Their errors are measured by tests/codegen/test_elementary.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from time import perf_counter
from typing import Any

import mpmath as mp
import numpy as np

from codegen.build import build, require_toolchain
from codegen.emit.unit import prelude

COUNT = 4096  # floats: both arrays stay in the first-level cache
RANGES = {
    "exp": (-10, 10), "log": (0.01, 100), "expm1": (-5, 5), "log1p": (-0.9, 10), "tanh": (-4, 4),
    "erf": (-3, 3), "sin": (-10, 10), "cos": (-10, 10), "pow": (0.01, 10),
}  # fmt: skip


# ── Speed ─────────────────────────────────────────────────────────────────────────────────────────


def speed(flags: Sequence[str] = ()) -> dict[str, tuple[float, float]]:
    """Give the nanoseconds that an element of a plain loop takes: ours, and libm's."""
    parameters = "float *restrict y, const float *restrict x, int64_t n"
    heads = {
        f"{kind}_{name}": f"void {kind}_{name}({parameters})"
        for name in RANGES
        for kind in ("ours", "libm")
    }
    bodies = [
        f"{head} {{ for (int64_t i = 0; i < n; ++i) y[i] = {_call(*loop.split('_'))}; }}\n"
        for loop, head in heads.items()
    ]
    header = resources.files("codegen.runtime").joinpath("elementary.h").read_text()
    toolchain = require_toolchain()
    toolchain = replace(toolchain, compile_flags=(*toolchain.compile_flags, *flags))
    declarations = "".join(f"{head};\n" for head in heads.values())
    library = build(
        {"speed": prelude() + header + "".join(bodies)}, declarations, toolchain=toolchain
    )
    rng = np.random.default_rng(0)
    times = {}
    for name, (low, high) in RANGES.items():
        x = rng.uniform(low, high, COUNT).astype(np.float32)
        y = np.empty_like(x)
        to, source = (library.ffi.from_buffer("float[]", a) for a in (y, x))
        ours, libm = (
            _fastest(getattr(library.lib, f"{kind}_{name}"), to, source)
            for kind in ("ours", "libm")
        )
        times[name] = (ours, libm)
    return times


def _call(kind: str, name: str) -> str:
    function = f"{name}_f32" if kind == "ours" else f"{name}f"
    return f"{function}(x[i], 5.0f - x[i])" if name == "pow" else f"{function}(x[i])"


def _fastest(loop: Callable[..., None], to: Any, source: Any) -> float:
    best = float("inf")
    for _ in range(500):
        began = perf_counter()
        loop(to, source, COUNT)
        best = min(best, perf_counter() - began)
    return best / COUNT * 1e9


# ── Polynomials ───────────────────────────────────────────────────────────────────────────────────

Real = Any  # mpmath ships no types
Curve = Callable[[Real], Real]


@dataclass(frozen=True)
class Fit:
    """The polynomial p of a degree with the least largest |weight·(curve − p)| on an interval."""

    name: str
    curve: Curve
    degree: int
    low: Real
    high: Real
    weight: Curve
    single: bool = True  # coefficients in float32


def fits() -> tuple[Fit, ...]:
    """Give the polynomials of elementary.h. Weights make errors relative to the result."""
    log2_half = mp.log(2) / 2 * mp.mpf("1.0001")  # the reduction rounds
    low, high = mp.sqrt(0.5) - 1 - mp.mpf("1e-6"), mp.sqrt(2) - 1 + mp.mpf("1e-6")
    eighth = (mp.pi / 4 * mp.mpf("1.00001")) ** 2
    root = mp.sqrt
    return (
        Fit("exp_tail", lambda r: (mp.expm1(r) - r) / r**2, 4, -log2_half, log2_half, abs),
        Fit(
            "log_near_one",
            lambda f: (mp.log1p(f) - f + f * f / 2) / f**3,
            *(7, low, high),
            lambda f: f**3 / mp.log1p(f),
        ),
        Fit(
            "tanh",
            lambda z: (mp.tanh(root(z)) - root(z)) / root(z) ** 3,
            *(4, 0, mp.mpf("0.625") ** 2),
            lambda z: z,
        ),
        Fit(
            "erf, small",
            lambda z: mp.erf(root(z)) / root(z) - 1,
            *(5, 0, mp.mpf("0.9") ** 2),
            lambda z: root(z) / mp.erf(root(z)),
        ),
        Fit("erf, large", lambda a: -mp.log(mp.erfc(a)), 6, mp.mpf("0.9"), 4, mp.erfc),
        Fit("sin", lambda z: (mp.sin(root(z)) - root(z)) / root(z) ** 3, 2, 0, eighth, lambda z: z),
        Fit(
            "cos",
            lambda z: (mp.cos(root(z)) - 1 + z / 2) / z**2,
            *(2, 0, eighth),
            lambda z: z * z / mp.cos(root(z)),
        ),
        Fit(
            "log2_slope",
            lambda f: mp.log1p(f) / f / mp.log(2),
            *(12, low, high),
            lambda f: f * mp.log(2) / mp.log1p(f),
            single=False,
        ),
    )


def minimax(fit: Fit, given: Sequence[Real] = ()) -> list[Real]:
    """Give the best coefficients, lowest first, the first of which may be given.

    Remez: the weighted error is made to alternate with equal size at one point more than there
    are free coefficients; the points move to the extrema it then has, until those are equal.
    """
    first, free = len(given), fit.degree + 1 - len(given)
    count = 60 * (free + 1)
    middle, half = (fit.low + fit.high) / mp.mpf(2), (fit.high - fit.low) / mp.mpf(2)
    grid = [middle - half * mp.cos(mp.pi * (k + mp.mpf(1) / 3) / count) for k in range(count)]
    weights = [fit.weight(x) for x in grid]
    wanted = [
        w * (fit.curve(x) - mp.polyval(list(given)[::-1], x))
        for x, w in zip(grid, weights, strict=True)
    ]
    points = [int((k + 0.5) / (free + 1) * count) for k in range(free + 1)]
    for _ in range(30):
        system = mp.matrix(free + 1, free + 1)
        for row, k in enumerate(points):
            for j in range(free):
                system[row, j] = weights[k] * grid[k] ** (first + j)
            system[row, free] = (-1) ** row
        solved = list(mp.lu_solve(system, mp.matrix([wanted[k] for k in points])))
        level, found = abs(solved[free]), solved[:free]
        errors = [
            v - w * x**first * mp.polyval(found[::-1], x)
            for x, w, v in zip(grid, weights, wanted, strict=True)
        ]
        extrema = _alternating(errors, free + 1)
        # With rounded coefficients given, the error may no longer alternate: good enough.
        if len(extrema) <= free or max(map(abs, errors)) < level * mp.mpf("1.001"):
            break
        points = extrema
    return [*given, *found]


def _alternating(errors: Sequence[Real], most: int) -> list[int]:
    """Give where each run of equal signs is largest, at most so many, smaller ends left out."""
    found: list[int] = []
    for k, error in enumerate(errors):
        if found and (error > 0) == (errors[found[-1]] > 0):
            if abs(error) > abs(errors[found[-1]]):
                found[-1] = k
        else:
            found.append(k)
    while len(found) > most:
        found.pop(0 if abs(errors[found[0]]) < abs(errors[found[-1]]) else -1)
    return found


def rounded(fit: Fit) -> tuple[list[float], float]:
    """Give the coefficients in the header's precision, and the largest weighted error they leave.

    The lowest few are rounded one by one, the others fitted again each time; how many, is tried.
    """
    candidates = []
    given: list[Real] = []
    for k in range(fit.degree + 2):
        best = [_round(fit, c) for c in minimax(fit, given)] if k <= fit.degree else given
        candidates.append((_largest_error(fit, best), list(map(float, best))))
        if k <= fit.degree:
            given = [*given, _round(fit, minimax(fit, given)[k])]
    error, coefficients = min(candidates)
    return coefficients, float(mp.log(error, 2))


def _round(fit: Fit, c: Real) -> Real:
    return mp.mpf(float(np.float32(float(c)) if fit.single else float(c)))


def _largest_error(fit: Fit, coefficients: Sequence[Real]) -> Real:
    width = (fit.high - fit.low) / mp.mpf(2000)
    grid = (fit.low + (k + mp.mpf(1) / 3) * width for k in range(2000))
    reverse = list(coefficients)[::-1]
    return max(abs(fit.weight(x) * (fit.curve(x) - mp.polyval(reverse, x))) for x in grid)


def two_over_pi() -> list[tuple[str, ...]]:
    """Give 2/π in three pieces for each window of x, which starts at 2^50, 2^76, 2^102.

    There x is a multiple of 2^(start − 23), so that bits of 2/π from 2^(25 − start) on give
    multiples of 4, and are left out.
    """
    rows = []
    with mp.workprec(400):
        for start in (25, 50, 76, 102):  # below 2^50, 2/π is whole
            unit = mp.mpf(2) ** (25 - start)
            left, row = mp.frac(2 / mp.pi / unit) * unit, []
            for _ in range(2):
                unit /= 2**29
                row.append(mp.floor(left / unit) * unit)
                left -= row[-1]
            rows.append(tuple(float(piece).hex() for piece in (*row, left)))
    return rows


def main() -> None:
    """Print one of the two tables."""
    if sys.argv[1:] == ["fit"]:
        mp.mp.dps = 40
        for fit in fits():
            coefficients, error = rounded(fit)
            shown = [str(np.float32(c)) if fit.single else repr(c) for c in coefficients]
            print(f"{fit.name}: error 2^{error:.2f}, {', '.join(shown)}")
        for row in two_over_pi():
            print("2/π:", ", ".join(row))
        return
    for name, (ours, libm) in speed(sys.argv[1:]).items():
        print(f"{name:6} {ours:6.3f} ns, libm {libm:6.3f} ns: {libm / ours:4.1f} times")


if __name__ == "__main__":
    main()
