"""Programs in Winograd's tiles whatever they cost, and what they must agree with."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

from codegen.interpret import interpret
from codegen.notation import Statement
from codegen.program import Program
from codegen.rewrite import rewrite
from tests.codegen.calling import Arrays
from tests.codegen.running import Case, differences, expected, shape_of

winograd = importlib.import_module("codegen.rewrite.winograd")  # the package shows the function
EXACT = 1e-10  # float64, relative to the largest value: rounding grows at most a few hundred times


def normal(program: Program, seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    return {t.name: rng.normal(size=shape_of(t, {})).astype(t.dtype) for t in program.inputs}


def in_tiles(program: Program, tile: int, only: slice = slice(None)) -> Program:
    """The program with all that slides in tiles of a size, whatever it costs."""

    def forced(s: Statement, _: object) -> tuple[object, ...]:
        return tuple(replace(slide, tile=tile) for slide in winograd._slides(s))[only]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "_best", forced)
        changed: Program = winograd.winograd(program)
        return changed


def prepared(program: Program) -> Program:
    """The program as Winograd's rewrite finds it."""
    return rewrite(program, {"winograd", "ascend", "pad reads", "merge padded", "prune again"})[0]


def tables(program: Program) -> set[str]:
    return {t.name for t in program.tensors if t.name.startswith("winograd_")}


def tiled(program: Program) -> set[str]:
    """The outputs that are put together from tiles."""
    made = {t.name for t in program.definitions}
    return {t.name for t in program.outputs if f"{t.name}_tiles" in made}


def assert_same(program: Program, changed: Program, tolerance: float = EXACT) -> None:
    arrays = normal(program)
    made, wanted = interpret(changed, arrays, {}), expected(Case(program, arrays, {}), fast=True)
    found = {t.name: made[t.name] for t in program.outputs}
    assert not [*differences(found, wanted, tolerance)], changed
