"""What the derived gradients are where a function has none: at kinks, ties and corners.

One table, read by the tests. A declaration decides by the branch that holds at the kink: relu
writes `x ≤ 0` first, so its gradient at 0 is that of the left branch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kink:
    """An op applied to inputs at a kink, with the gradient of the sum of its values.

    `inputs` and `gradients` name tensors and hold nested tuples; `static` holds other arguments.
    """

    op: str
    inputs: tuple[tuple[str, Any], ...]
    gradients: tuple[tuple[str, Any], ...]
    rule: str
    static: tuple[tuple[str, Any], ...] = ()


def _of_x(op: str, x: Any, dx: Any, rule: str, **static: Any) -> Kink:
    return Kink(op, (("x", x),), (("x", dx),), rule, tuple(static.items()))


def _of_two(op: str, x: Any, y: Any, dx: Any, dy: Any, rule: str, second: str = "y") -> Kink:
    return Kink(op, (("x", x), (second, y)), (("x", dx), (second, dy)), rule)


LEFT = "the derivative from the left"
FIRST = "the first of equals, in row order, takes the gradient"
FLAT = "beyond a bound and on it the function is flat"

KINKS: tuple[Kink, ...] = (
    _of_x("relu", (0.0, -0.0), (0.0, 0.0), LEFT),
    _of_x("leaky_relu", (0.0,), (0.25,), LEFT, negative_slope=0.25),
    _of_x("elu", (0.0,), (0.5,), LEFT, alpha=0.5),
    _of_x("relu6", (0.0, 6.0), (0.0, 0.0), FLAT),
    _of_x("hardtanh", (-1.0, 1.0), (0.0, 0.0), FLAT),
    _of_x("clip", (-1.0, 1.0), (1.0, 1.0), "on a bound nothing is cut off yet", low=-1, high=1),
    _of_x("abs", (0.0, -0.0), (0.0, 0.0), "the middle of −1 and 1"),
    _of_x("std", (2.0, 2.0), (0.0, 0.0), "equal values have no direction to spread in"),
    _of_x("max", (1.0, 3.0, 3.0), (0.0, 1.0, 0.0), FIRST),
    _of_x("min", (1.0, 3.0, 1.0), (1.0, 0.0, 0.0), FIRST),
    _of_x(
        "max_pool2d",
        ((((1.0, 1.0), (1.0, 1.0)),),),
        ((((1.0, 0.0), (0.0, 0.0)),),),
        FIRST,
        kernel_size=2,
    ),
    _of_x(
        "global_max_pool2d", ((((0.0, 2.0), (2.0, 2.0)),),), ((((0.0, 1.0), (0.0, 0.0)),),), FIRST
    ),
    _of_two("maximum", (2.0,), (2.0,), (1.0,), (0.0,), FIRST),
    _of_two("minimum", (2.0,), (2.0,), (1.0,), (0.0,), FIRST),
    _of_two(
        "power",
        (0.0, 0.0, 0.0),
        (0.0, 1.0, 2.0),
        (0.0, 1.0, 0.0),
        (0.0, 0.0, 0.0),
        "0⁰ is 1 and flat in x; 0ᵖ is flat in p ≥ 0",
        "exponent",
    ),
    _of_x("power", (0.0,), (0.0,), "x⁰ is 1 everywhere", exponent=0),
    Kink(
        "multiclass_hinge",
        (("scores", ((1.0, 0.0, 0.5),)),),
        (("scores", ((-1.0, 0.0, 1.0),)),),
        "a margin just kept costs nothing",
        (("label", (0,)),),
    ),
)
