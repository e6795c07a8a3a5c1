"""Windows that slide over an image: pairs, padding and output sizes, with errors that teach."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import sympy

from codegen.affine import Size
from graphcnn.errors import DTypeError, ShapeError, nearest


def pair(value: Any, what: str, least: int) -> tuple[int, int]:
    """Give (vertical, horizontal) from one whole number or two, each at least `least`.

    >>> pair(3, "stride", 1), pair((2, 1), "stride", 1)
    ((3, 3), (2, 1))
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2 or not all(_whole(v) for v in values):
        raise DTypeError(
            f"{what}={value!r}",
            rule=f"{what} is a whole number or a pair (vertical, horizontal)",
            fix=f"{what}=2 or {what}=(2, 1)",
        )
    if min(values) < least:
        raise ShapeError(
            f"{what}={value!r}", rule=f"{what} is at least {least}", fix=f"{what}={least}"
        )
    return int(values[0]), int(values[1])


def padding_for(
    padding: Any,
    size: tuple[Size, Size],
    kernel: tuple[Size, Size],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int, int]:
    """Give padding as (top, bottom, left, right).

    "same" makes the output ⌈size/stride⌉ long. With stride 1 an even window is refused: it has no
    middle, so libraries differ on where the odd cell goes, and a silent choice shifts the image.
    With a stride the odd cell comes from the size and goes to the bottom and right, as in
    TensorFlow.

    >>> padding_for("same", (32, 32), (5, 5), (1, 1), (1, 1))
    (2, 2, 2, 2)
    >>> padding_for("same", (32, 32), (3, 3), (2, 2), (1, 1))
    (0, 1, 0, 1)
    """
    if isinstance(padding, str):
        vertical, horizontal = (
            _named(padding, *axis) for axis in zip(size, kernel, stride, dilation, strict=True)
        )
        if padding == "same":
            _require_middle(vertical, horizontal, kernel, stride, dilation)
        return (*vertical, *horizontal)
    sides = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * 2
    rule = (
        "padding is a whole number ≥ 0, a pair (vertical, horizontal), (top, bottom, left, right), "
        '"same", "valid" or "full"'
    )
    if len(sides) not in (2, 4) or not all(_whole(p) for p in sides):
        raise DTypeError(
            f"padding={padding!r}", rule=rule, fix="padding=1, or padding=(0, 1, 0, 1)"
        )
    if min(sides) < 0:
        raise ShapeError(
            f"padding={padding!r}", rule=rule, fix="to cut cells off, slice: x[:, :, 1:-1, 1:-1]"
        )
    top, bottom, left, right = (int(p) for p in sides for _ in range(4 // len(sides)))
    return top, bottom, left, right


def _require_middle(
    vertical: tuple[int, int],
    horizontal: tuple[int, int],
    kernel: tuple[Size, Size],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    """Refuse "same" where a window of stride 1 has as many cells left as right of no middle."""
    sides = (vertical, horizontal)
    even = [a for a in (0, 1) if stride[a] == 1 and sides[a][0] != sides[a][1]]
    if even:
        dilated = f" with dilation {dilation[0]}×{dilation[1]}" if max(dilation) > 1 else ""
        before = tuple(n for low, high in sides for n in (high, low))
        raise ShapeError(
            f'padding="same" with a {kernel[0]}×{kernel[1]} window{dilated}: the '
            f"{('height', 'width')[even[0]]} needs {sum(sides[even[0]])} cells of padding, and an "
            "odd number has no middle",
            rule='with stride 1, "same" keeps the image in place, which takes an odd window',
            fix=f"say where the odd cell goes: padding={(*vertical, *horizontal)} is TensorFlow's "
            f"way, {before} the other; or take an odd window",
        )


def _named(padding: str, size: Size, kernel: Size, stride: int, dilation: int) -> tuple[int, int]:
    if not isinstance(kernel, int):
        raise ShapeError(
            f"padding={padding!r} with a window of symbolic size {kernel}",
            rule="padding by name needs a window of known size",
            fix="give the weight a fixed height and width",
        )
    reach = dilation * (kernel - 1)
    match padding:
        case "valid":
            return 0, 0
        case "full":
            return reach, reach
        case "same" if stride == 1:
            total = reach
        case "same":
            if not isinstance(size, int):
                raise ShapeError(
                    f'padding="same" with stride {stride} on a symbolic size {size}',
                    rule="with a stride, same padding depends on the size",
                    fix="give the image a fixed height and width; keep the batch symbolic",
                )
            total = max(0, (-(-size // stride) - 1) * stride + reach + 1 - size)
        case _:
            near = nearest(padding.lower(), ("same", "valid", "full")) or "same"
            raise DTypeError(
                f"padding={padding!r}",
                rule='a padding by name is "same", "valid" or "full"',
                fix=f'padding="{near}"',
            )
    return total // 2, total - total // 2


def window_size(
    what: str,
    size: Size,
    kernel: Size,
    stride: int,
    padding: tuple[int, int],
    dilation: int,
    ceil: bool = False,
) -> Size:
    """Give the number of places a window takes: ⌊(size + before + after − d·(K − 1) − 1)/s⌋ + 1.

    With `ceil` a last window may hang over the end, if it starts inside the image or before it.
    Raises `ShapeError` where the window does not fit even once.

    >>> window_size("width", 32, 5, 1, (0, 0), 1), window_size("width", 32, 5, 2, (2, 2), 1)
    (28, 16)
    """
    before, after = padding
    slack = sympy.sympify(size) + before + after - dilation * (sympy.sympify(kernel) - 1) - 1
    if not slack.is_Integer:
        if stride == 1:
            return sympy.expand(slack + 1)
        raise ShapeError(
            f"{what} {size} is symbolic and the stride is {stride}",
            rule="only stride 1 keeps a symbolic size affine",
            fix="give the image a fixed height and width; keep the batch symbolic",
        )
    if slack < 0:
        reach = dilation * (int(kernel) - 1) + 1
        raise ShapeError(
            f"the window is {reach} long but the {what} is {size} with padding "
            f"{before} and {after}: ⌊({size} + {before} + {after} − {reach})/{stride}⌋ + 1 < 1",
            rule="a window, dilation included, fits into the padded image at least once",
            fix=f"use a smaller kernel or at least {-int(slack)} more padding",
        )
    places = int(slack) // stride + 1
    if ceil and slack % stride and places * stride < int(size) + before:
        places += 1
    return places


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
