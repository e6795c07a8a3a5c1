"""The meaning of a program, computed with NumPy: the oracle of every test, and the fallback.

Each statement is evaluated over its whole box at once (in chunks where the box is large). Sums of
products, the bulk of any network, take a shorter way through `einsum` on strided views.
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from numpy.lib.stride_tricks import as_strided

from codegen.affine import Dim, Index, Size, index_symbols, split
from codegen.notation import (
    Access,
    Equal,
    IsNaN,
    NotationError,
    Reduce,
    Statement,
    Tensor,
    accesses,
)
from codegen.program import Program
from codegen.scalar import BY_SYMBOL
from codegen.sizes import evaluate

Array = npt.NDArray[Any]
CHUNK = 1 << 22  # points of a box evaluated at once: 32 MB of float64 an operand


def interpret(
    program: Program,
    arrays: Mapping[str, Array],
    dims: Mapping[Dim, int] | None = None,
    *,
    fast: bool = True,
) -> dict[str, Array]:
    """Give every computed tensor of the program by name, parameters' next values included.

    `arrays` holds inputs and parameters by name and is not written. With `fast=False` every
    statement is evaluated point by point of its box, `einsum` is not used.

    >>> from codegen.notation import Tensor, indices, statement
    >>> x, y = Tensor("x", (3,), "float64"), Tensor("y", (3,), "float64")
    >>> (i,) = indices("i")
    >>> shift = statement(y[i], "=", 2 * x[i - 1])
    >>> interpret(Program((x,), (y,), (shift,)), {"x": np.array([1.0, 2.0, 3.0])})["y"]
    array([0., 2., 4.])
    """
    sizes = dict(dims or {})
    values: dict[str, Array] = {}
    for tensor in (*program.inputs, *program.parameters):
        values[tensor.name] = np.asarray(arrays[tensor.name], dtype=tensor.dtype)
    with np.errstate(all="ignore"):
        for statement in program.statements:
            target = statement.target
            if target.name not in values:
                shape = tuple(evaluate(s, sizes) for s in target.shape)
                values[target.name] = np.full(
                    shape, statement.op.identity(target.dtype), target.dtype
                )
            if not (fast and _by_einsum(statement, values, sizes)):
                _by_points(statement, values, sizes)
    return values


def _by_points(statement: Statement, values: dict[str, Array], dims: Mapping[Dim, int]) -> None:
    """Evaluate a statement over its box, a slab of the first index at a time."""
    order = (*statement.parallel, *statement.reduced)
    extents = {i: evaluate(statement.sizes[i], dims) for i in order}
    if math.prod(extents.values()) == 0:
        return
    if not order or not statement.parallel or statement.bindings:
        _points(statement, values, dims, {i: range(n) for i, n in extents.items()})
        return
    first, length = order[0], extents[order[0]]
    step = max(1, CHUNK // max(1, math.prod(extents.values()) // length))
    rest = {i: range(n) for i, n in extents.items() if i != first}
    for start in range(0, length, step):
        slab = range(start, min(length, start + step))
        _points(statement, values, dims, {first: slab, **rest})


def _points(
    statement: Statement,
    values: dict[str, Array],
    dims: Mapping[Dim, int],
    ranges: Mapping[Index, range],
) -> None:
    shape = tuple(len(r) for r in ranges.values())
    env: dict[Any, Any] = {d: np.asarray(n) for d, n in dims.items()}
    for axis, (symbol, run) in enumerate(ranges.items()):
        grid = np.arange(run.start, run.stop, dtype=np.int64)
        env[symbol] = grid.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    mask: Array = np.ones((1,) * len(shape), bool)

    def inside(guard_expr: Any, size: Size) -> Array:
        at = _coordinate(guard_expr, env)
        return np.asarray((at >= 0) & (at < evaluate(size, dims)))

    for binding in statement.bindings:
        raw = _read(binding.value, values, env)
        quotient = raw // evaluate(binding.divisor, dims)
        size = evaluate(binding.size, dims)
        mask = np.asarray(mask & (raw >= 0))
        if binding.leading:
            mask = np.asarray(mask & (quotient < size))
        env[binding.index] = quotient % size if size else quotient * 0
    for guard in statement.guards:
        mask = np.asarray(mask & inside(guard.expr, guard.size))
    target = values[statement.target.name]
    body = _evaluate(statement.body, values, env, np.dtype(statement.compute_dtype))
    body = np.broadcast_to(body, shape)
    mask = np.broadcast_to(mask, shape)
    where = [np.broadcast_to(_coordinate(m, env), shape) for m in statement.maps]
    reduced = tuple(range(len(statement.parallel), len(shape)))
    _combine(statement, target, where, body, mask, reduced)


def _combine(
    statement: Statement,
    target: Array,
    where: list[Array],
    body: Array,
    mask: Array,
    reduced: tuple[int, ...],
) -> None:
    """Write the values of all points to the target, under the statement's rule."""
    # One more axis of length one, so that a scalar target is indexed like any other.
    target, where = target[np.newaxis], [np.zeros(mask.shape, np.int64), *where]
    head = mask.shape[: mask.ndim - len(reduced)]
    rows = math.prod(head)

    def flat(array: Array) -> Array:
        return array.reshape(rows, -1)

    match statement.op:
        case Reduce.SET:
            target[tuple(w[mask] for w in where)] = body[mask]
        case Reduce.SUM:
            if reduced and not statement.bindings:
                body = np.where(mask, body, 0).sum(axis=reduced, dtype=body.dtype)
                drop = (slice(None),) * len(head) + (0,) * len(reduced)
                where = [w[drop] for w in where]
                mask = np.asarray(mask.any(axis=reduced))
            np.add.at(target, tuple(w[mask] for w in where), body[mask])
        case Reduce.MAX | Reduce.MIN:
            largest = statement.op is Reduce.MAX
            worst = np.asarray(statement.op.identity(statement.compute_dtype), body.dtype)
            best = (np.maximum if largest else np.minimum).reduce(
                flat(np.where(mask, body, worst)), axis=1, initial=worst
            )
            reached = flat(mask).any(axis=1)
            target[tuple(w.reshape(rows, -1)[reached, 0] for w in where)] = best[reached]
        case Reduce.ARGMAX | Reduce.ARGMIN:
            largest = statement.op is Reduce.ARGMAX
            wrong = -np.inf if largest else np.inf
            scores, inside = flat(body), flat(mask)
            key = np.where(np.isnan(scores), -wrong, scores)
            key = np.where(inside, key, wrong)
            nan_first = np.where(inside & np.isnan(scores), 0, 1)
            best = key.max(axis=1, keepdims=True) if largest else key.min(axis=1, keepdims=True)
            # The first NaN wins, then the first inside point of the best value.
            rank = np.where((key == best) & inside, nan_first, 2)
            first = rank.argmin(axis=1)
            reached = inside.any(axis=1)
            target[tuple(w.reshape(rows, -1)[reached, 0] for w in where)] = first[reached]


def _coordinate(expr: Any, env: Mapping[Any, Any]) -> Array:
    constant, coefficients = split(expr)
    total = np.asarray(_size(constant, env))
    for symbol, factor in coefficients.items():
        total = total + _size(factor, env) * env[symbol]
    return total


def _size(expr: Any, env: Mapping[Any, Any]) -> int:
    if expr.is_Integer:
        return int(expr)
    return int(expr.xreplace({s: sympy.Integer(int(env[s])) for s in expr.free_symbols}))


def _read(access: Access, values: Mapping[str, Array], env: Mapping[Any, Any]) -> Array:
    array = values[access.tensor.name]
    if array.size == 0:
        return np.zeros((1,) * np.ndim(next(iter(env.values()), 0)), array.dtype)
    at = [
        np.clip(_coordinate(m, env), 0, n - 1)
        for m, n in zip(access.maps, array.shape, strict=True)
    ]
    return np.asarray(array[tuple(at)])


def _evaluate(
    expr: Any, values: Mapping[str, Array], env: Mapping[Any, Any], dtype: np.dtype[Any]
) -> Any:
    """Evaluate a body over the grids in `env`, in the target's dtype throughout."""

    def go(e: Any) -> Any:
        match e:
            case Access():
                raw = _read(e, values, env)
                return raw if raw.dtype == dtype else raw.astype(dtype)
            case Equal():
                return (integer(e.args[0]) == integer(e.args[1])).astype(dtype)
            case IsNaN():
                return np.isnan(go(e.args[0]))
            case sympy.Symbol():
                return np.asarray(env[e], dtype)
            case sympy.Number() | sympy.NumberSymbol():
                return dtype.type(float(e))
            case sympy.Add():
                total = go(e.args[0])
                for arg in e.args[1:]:
                    total = total + go(arg)
                return total
            case sympy.Mul():
                chosen = [a for a in e.args if isinstance(a, Equal)]
                product = dtype.type(1)
                for arg in e.args:
                    if arg not in chosen:
                        product = product * go(arg)
                for arg in chosen:
                    product = np.where(go(arg) != 0, product, dtype.type(0))
                return product
            case sympy.Pow():
                return _power(go(e.base), e.exp, go)
            case sympy.Piecewise():
                result = go(e.args[-1][0])
                for value, condition in reversed(e.args[:-1]):
                    result = np.where(go(condition), go(value), result)
                if e.args[-1][1] != True:  # noqa: E712 (a SymPy boolean)
                    raise NotationError(f"{e}: the last branch of a choice must be 'otherwise'")
                return result
            case sympy.core.relational.Relational():
                compare = _COMPARE[e.rel_op]
                return compare(go(e.args[0]), go(e.args[1]))
            case sympy.Or() | sympy.And():
                combine = np.logical_or if isinstance(e, sympy.Or) else np.logical_and
                return combine.reduce(np.broadcast_arrays(*map(go, e.args)))
            case sympy.Not():
                return np.logical_not(go(e.args[0]))
            case sympy.logic.boolalg.BooleanAtom():
                return np.asarray(bool(e))
            case _ if type(e) in BY_SYMBOL:
                return np.asarray(BY_SYMBOL[type(e)].numpy(*map(go, e.args))).astype(dtype)
        if not e.free_symbols and not accesses(e):
            return dtype.type(float(e))
        raise NotationError(f"no meaning for {type(e).__name__} in {e}; add a row to scalar.py")

    def integer(e: Any) -> Array:
        return _read(e, values, env) if isinstance(e, Access) else _coordinate(e, env)

    return go(expr)


_COMPARE: dict[str, Any] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


def _power(base: Any, exponent: Any, go: Any) -> Any:
    if exponent.is_Integer and abs(int(exponent)) <= 8:
        power = np.ones_like(base)
        for _ in range(abs(int(exponent))):
            power = power * base
        return power if exponent > 0 else 1 / power
    if exponent == sympy.S.Half:
        return np.sqrt(base)
    if exponent == -sympy.S.Half:
        return 1 / np.sqrt(base)
    return np.power(base, go(exponent))


def _by_einsum(statement: Statement, values: dict[str, Array], dims: Mapping[Dim, int]) -> bool:
    """Evaluate a sum of products on strided views; False where the statement is not one."""
    factors = sympy.Mul.make_args(statement.body)
    reads = [f for f in factors if isinstance(f, Access)]
    scale = [f for f in factors if not isinstance(f, Access)]
    target = values[statement.target.name]
    if statement.op is not Reduce.SUM or statement.bindings or statement.extra or not reads:
        return False
    if not all(f.is_number for f in scale) or len(statement.box) > len(string.ascii_letters):
        return False
    if any(a.tensor.dtype != statement.target.dtype for a in reads):
        return False
    extents = {i: evaluate(n, dims) for i, n in statement.box}
    if math.prod(extents.values()) == 0:
        return True
    # Zero padding stands for "excluded" only as long as nothing multiplies it to NaN.
    finite = all(np.isfinite(values[a.tensor.name]).all() for a in reads)
    if len(reads) > 1 and statement.guards and not finite:
        return False
    written: set[Index] = set()
    for m in statement.maps:
        used = index_symbols(m)
        if len(used) > 1 or written & set(used):
            return False
        written |= set(used)
    if any(g.expr in statement.maps for g in statement.guards):
        return False
    letter = {i: string.ascii_letters[k] for k, i in enumerate(extents)}
    views, terms = [], []
    for access in reads:
        view, symbols = _view(access.maps, values[access.tensor.name], extents, dims, pad=True)
        views.append(view)
        terms.append("".join(letter[s] for s in symbols))
    out, written_by = _view(statement.maps, target, extents, dims, pad=False)
    # An index that no operand has repeats the sum as often as it is long.
    seen = {s for a in reads for m in a.maps for s in index_symbols(m)}
    repeat = math.prod(n for i, n in extents.items() if i not in seen and i not in written_by)
    kept = [s for s in written_by if s in seen]
    result = np.einsum(
        f"{','.join(terms)}->{''.join(letter[s] for s in kept)}", *views, optimize=len(views) > 1
    )
    grow = tuple(slice(None) if s in seen else np.newaxis for s in written_by)
    factor = math.prod(float(f) for f in scale) * repeat
    out += (result if factor == 1 else result * target.dtype.type(factor))[grow]
    return True


def _view(
    maps: tuple[Any, ...],
    array: Array,
    extents: Mapping[Index, int],
    dims: Mapping[Dim, int],
    *,
    pad: bool,
) -> tuple[Array, list[Index]]:
    """Give `array[maps]` as a strided view with one axis per index, zero-padded where needed."""
    env = {d: n for d, n in dims.items()}
    lows, widths, parts = [], [], []
    for m, size in zip(maps, array.shape, strict=True):
        constant, coefficients = split(m)
        numbers = {s: _size(c, env) for s, c in coefficients.items()}
        low = high = _size(constant, env)
        for s, c in numbers.items():
            low, high = low + min(0, c * (extents[s] - 1)), high + max(0, c * (extents[s] - 1))
        lows.append(_size(constant, env) + max(0, -low))
        widths.append((max(0, -low), max(0, high - size + 1)))
        parts.append(numbers)
    if pad and any(w != (0, 0) for w in widths):
        array = np.pad(array, widths)
    symbols = list(dict.fromkeys(s for numbers in parts for s in numbers))
    strides = [
        sum(numbers.get(s, 0) * step for numbers, step in zip(parts, array.strides, strict=True))
        for s in symbols
    ]
    where: tuple[Any, ...] = (..., *(slice(low, None) for low in lows))
    base = array[where]
    return as_strided(base, [extents[s] for s in symbols], strides, writeable=not pad), symbols


def zeros(tensor: Tensor, dims: Mapping[Dim, int]) -> Array:
    """Give an array of zeros of the tensor's shape and dtype."""
    return np.zeros([evaluate(s, dims) for s in tensor.shape], tensor.dtype)
