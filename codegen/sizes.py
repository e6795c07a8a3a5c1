"""Symbolic sizes meet real arrays: evaluate a size, find the dims that shapes imply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy

from codegen.affine import Dim, Size
from codegen.notation import Tensor


class SizeError(ValueError):
    """An array's shape contradicts what the program was built for."""


def evaluate(size: Size, dims: Mapping[Dim, int]) -> int:
    """Give a size as a number.

    >>> N = Dim("N")
    >>> evaluate(2 * N + 1, {N: 16})
    33
    """
    if isinstance(size, int):
        return size
    return int(size.xreplace({d: sympy.Integer(n) for d, n in dims.items()}))


def bind_dims(shapes: Iterable[tuple[Tensor, tuple[int, ...]]]) -> dict[Dim, int]:
    """Give the value of every dim from the shapes of real arrays.

    Raises `SizeError` naming the tensor and axis where a rank or size disagrees.

    >>> N = Dim("N")
    >>> bind_dims([(Tensor("x", (N, 3)), (8, 3))])
    {N: 8}
    """
    found: dict[Dim, int] = {}
    origin: dict[Dim, str] = {}
    later: list[tuple[Tensor, int, sympy.Expr, int]] = []
    for tensor, shape in shapes:
        if len(shape) != tensor.rank:
            raise SizeError(
                f"{tensor.name} has {tensor.rank} axes {_show(tensor.shape)}, "
                f"but the array given has {len(shape)}: {_show(shape)}"
            )
        for axis, (size, given) in enumerate(zip(tensor.shape, shape, strict=True)):
            if isinstance(size, int):
                if size != given:
                    raise SizeError(
                        f"{tensor.name}: axis {axis} is {size} in {_show(tensor.shape)}, "
                        f"but {given} in the array given, {_show(shape)}"
                    )
            elif isinstance(size, Dim):
                if found.setdefault(size, given) != given:
                    raise SizeError(
                        f"{tensor.name}: {size} is {given} here (shape {_show(shape)}), "
                        f"but {found[size]} in {origin[size]}"
                    )
                origin.setdefault(size, tensor.name)
            else:
                later.append((tensor, axis, size, given))
    for tensor, axis, size, given in later:
        unknown = [d for d in size.free_symbols if d not in found]
        if len(unknown) == 1:
            solved = sympy.solve(sympy.Eq(size, given), unknown[0])
            if len(solved) == 1 and solved[0].is_Integer and solved[0] >= 0:
                found[unknown[0]] = int(solved[0])
        if all(d in found for d in size.free_symbols) and evaluate(size, found) == given:
            continue
        raise SizeError(
            f"{tensor.name}: axis {axis} is {size}, which {given} in the array given does not fit"
        )
    return found


def _show(shape: Iterable[Size]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"
