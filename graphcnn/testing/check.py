"""Is a gradient the slope? Differences say so, and say where they cannot tell.

For each element the derivative along it is compared with differences of several steps. Where the
slopes from both sides disagree and each is steady, the function has a kink there and any value
between them is a gradient. Where rounding hides the slope nothing can be said, and that is said.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.interpret import interpret
from codegen.notation import FLOATS, Tensor
from codegen.program import Program
from codegen.sizes import bind_dims
from graphcnn.backward import grad
from graphcnn.errors import GraphError, user_origin
from graphcnn.graph import Graph, Node, input
from graphcnn.program import to_program

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
Value = Callable[[Arrays], Array]
Gradient = Callable[[Arrays, Array], Mapping[str, Array]]

STEPS = 9  # each a quarter of the one before
DOUBLE, SINGLE = 1e-6, 1e-3  # tolerances, relative to the largest slope
OFF = 1e-2  # how far a value in float32 may be from that in float64, before it is worth a note
ROUNDED = 8.0  # times as far as one rounding that sums of rounded terms may be apart


class Verdict(Enum):
    """What the differences say about one element of a gradient."""

    RIGHT = "is the slope"
    KINK = "lies between the slopes from both sides: a kink or a tie"
    UNCLEAR = "cannot be told: rounding hides the slope"
    WRONG = "is not the slope"


@dataclass(frozen=True)
class Element:
    """One element: its derived gradient beside the slopes before, around and behind it."""

    name: str
    index: tuple[int, ...]
    derived: float
    central: float
    left: float
    right: float
    step: float
    error: float
    verdict: Verdict

    @property
    def apart(self) -> float:
        """How far the gradient is from the slope, in units of what differences can tell."""
        gap = abs(self.derived - self.central)
        return gap / self.error if np.isfinite(gap) else np.inf

    def __str__(self) -> str:
        place = f"{self.name}[{', '.join(map(str, self.index))}]"
        return (
            f"d{place} = {self.derived:.9g} {self.verdict.value}: {self.central:.9g} ± "
            f"{self.error:.2g} by differences of step {self.step:.2g} "
            f"(from the left {self.left:.9g}, from the right {self.right:.9g})"
        )


@dataclass(frozen=True)
class Check:
    """All elements that were looked at, and what else there is to say."""

    elements: tuple[Element, ...]
    notes: tuple[str, ...] = ()

    @property
    def wrong(self) -> tuple[Element, ...]:
        """The elements that are not the slope, the worst first."""
        found = [e for e in self.elements if e.verdict is Verdict.WRONG]
        return tuple(sorted(found, key=lambda e: e.apart, reverse=True))

    @property
    def ok(self) -> bool:
        """Whether nothing is known to be wrong."""
        return not self.wrong

    @property
    def kinks(self) -> tuple[Element, ...]:
        """The elements at which the function has a kink or a tie."""
        return tuple(e for e in self.elements if e.verdict is Verdict.KINK)

    @property
    def unclear(self) -> tuple[Element, ...]:
        """The elements about which rounding leaves nothing to say."""
        return tuple(e for e in self.elements if e.verdict is Verdict.UNCLEAR)

    def __str__(self) -> str:
        counts = {v: sum(e.verdict is v for e in self.elements) for v in Verdict}
        lines = [f"{n} of {len(self.elements)} {v.name.lower()}" for v, n in counts.items() if n]
        lines += [f"worst: {self.wrong[0]}"] if self.wrong else []
        lines += [f"kink:  {e}" for e in self.kinks[:3]]
        lines += [f"unclear: {e}" for e in self.unclear[:1]]
        return "\n".join([*lines, *self.notes])


class GradientMismatch(GraphError, AssertionError):  # noqa: N818 (says what is the case)
    """A derived gradient is not the slope of its function."""


def check_gradients(
    function: Node | Callable[..., Any],
    at: Mapping[str, Any] | Sequence[Any],
    *,
    gradient: Callable[..., Any] | None = None,
    wrt: Sequence[str] | None = None,
    tolerance: float | None = None,
    elements: int = 64,
    seed: int = 0,
    raises: bool = True,
) -> Check:
    """Hold a gradient equal to the slope, element by element.

    `function` is a node, whose derived gradient is checked in its own dtype, or any callable of
    arrays that gives an array; then `gradient` is called with the arrays and the upstream gradient,
    and gives one gradient for each (an array, or several in a list). `at` holds the arrays, by name
    or in order. `wrt` names those to look at, by default all of floats; of large ones, `elements`
    are drawn. `tolerance` is relative to the largest slope: 10⁻⁶ by default, 10⁻³ for float32,
    whose slopes are measured in float64 where the function can do that.

    >>> import numpy as np
    >>> check_gradients(np.sin, [np.array([0.1, 2.0])], gradient=lambda x, dy: dy * np.cos(x)).ok
    True
    >>> found = check_gradients(np.abs, [np.array([0.0])], gradient=lambda x, dy: dy * np.sign(x))
    >>> [str(e.verdict.value) for e in found.kinks]
    ['lies between the slopes from both sides: a kink or a tie']

    Raises `GradientMismatch`, unless `raises` is false, with the worst element, both values, its
    index and the step; and where an array is of integers or the function gives other values each
    time.
    """
    if isinstance(function, Node):
        value, derived = _of_node(function, at)
        arrays: Arrays = {n: np.asarray(a) for n, a in dict(at).items()}
    else:
        value, derived, arrays = _of_callable(function, gradient, at)
    wanted = _wanted(arrays, wrt)
    first, again = np.asarray(value(arrays)), np.asarray(value(arrays))
    if first.tobytes() != again.tobytes():
        raise GradientMismatch(
            f"two calls with the same arrays differ by up to {_apart(first, again):.3g}",
            rule="only a function that gives the same each time has a slope that can be measured",
            fix="fix its seed, or give what it draws as an input",
        ).at("check_gradients", user_origin())
    rng = np.random.default_rng(seed)
    upstream = rng.uniform(0.5, 1.5, first.shape).astype(first.dtype)
    gradients = derived(arrays, upstream)
    found: list[Element] = []
    notes: list[str] = []
    single = any(arrays[n].dtype != np.float64 for n in wanted)
    tolerance = tolerance or (SINGLE if single else DOUBLE)
    measured_at = arrays
    if single:
        double = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in arrays.items()}
        exact = np.asarray(value(double))
        if exact.dtype == np.float64:
            measured_at = double
            if _apart(first, exact) > OFF * float(np.max(np.abs(exact), initial=0.0)):
                notes.append(
                    f"float32 rounds the value away: it is off by up to {_apart(first, exact):.3g}"
                )
    for name in wanted:
        d = np.asarray(gradients[name], np.float64)
        x = arrays[name]
        if d.shape != x.shape:
            raise GradientMismatch(
                f"the gradient of {name} has shape {d.shape}, {name} has {x.shape}",
                rule="a gradient has the shape of what it is the gradient of",
                fix="sum over the axes that were broadcast",
            ).at("check_gradients", user_origin())
        chosen = np.arange(x.size)
        if x.size > elements:
            chosen = np.sort(rng.choice(x.size, elements, replace=False))
            notes.append(f"{name}: {elements} of {x.size} elements were looked at")
        scale = float(np.max(np.abs(d[np.isfinite(d)]), initial=0.0))
        for k in map(int, chosen):
            index = tuple(map(int, np.unravel_index(k, x.shape)))
            measured = _measure(value, measured_at, name, index, upstream)
            found.append(_judge(name, index, float(d[index]), measured, tolerance, scale))
    check = Check(tuple(found), tuple(notes))
    if raises and not check.ok:
        raise GradientMismatch(
            str(check.wrong[0]),
            rule="the gradient of a sum of the values is its slope along each element",
            fix=_likely(check.wrong),
        ).at("check_gradients", user_origin(), f"{len(check.wrong)} of {len(found)} are wrong")
    return check


def _wanted(arrays: Arrays, wrt: Sequence[str] | None) -> list[str]:
    names = [n for n, a in arrays.items() if a.dtype.kind == "f"] if wrt is None else list(wrt)
    for name in names:
        if name not in arrays or arrays[name].dtype.kind != "f":
            what = f"{arrays[name].dtype} values" if name in arrays else "nothing"
            raise GradientMismatch(
                f"{name} holds {what}",
                rule="a gradient says what a small change does, and only floats change by little",
                fix=f"leave {name} out of wrt, or give it as floats",
            ).at("check_gradients", user_origin())
    if not names:
        raise GradientMismatch(
            "no array holds floats",
            rule="a gradient says what a small change does, and only floats change by little",
            fix="give at least one float array",
        ).at("check_gradients", user_origin())
    return names


def _apart(a: Array, b: Array) -> float:
    return float(np.max(np.abs(a.astype(float) - b.astype(float)), initial=0.0))


# -- slopes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Measured:
    """The slopes along one element: by the best step, and how far off each of them may be."""

    central: float
    left: float
    right: float
    step: float
    error: float
    sides: float  # how far off those of one side may be
    flat: bool = False  # small steps make no difference where larger ones do


def _measure(
    value: Value, arrays: Arrays, name: str, index: tuple[int, ...], upstream: Array
) -> _Measured:
    """Take differences of ever smaller steps, and keep those that agree best."""
    x = arrays[name]
    rounding = float(np.finfo(x.dtype).eps)
    largest = rounding ** (1 / 5) * max(1.0, abs(float(x[index])))

    def along(t: float) -> tuple[float, float, float]:
        moved = x.copy()
        moved[index] += np.asarray(t, x.dtype)
        y = np.asarray(value({**arrays, name: moved}))
        eps = float(np.finfo(y.dtype).eps) if y.dtype.kind == "f" else rounding
        terms = y.astype(np.float64) * upstream.astype(np.float64)
        really = float(moved[index]) - float(x[index])
        return float(terms.sum()), really, eps * float(np.abs(terms).sum())

    here, _, noise = along(0.0)
    rows = []
    for k in range(STEPS):
        h = largest / 4**k
        (up, u, _), (down, v, _) = along(h), along(-h)
        if u == 0 or v == 0:
            break
        right, left = (up - here) / u, (down - here) / v
        rows.append((h, (up - down) / (u - v), left, right, ROUNDED * noise / h))
    if not rows:
        nan = float("nan")
        return _Measured(nan, nan, nan, 0.0, np.inf, np.inf)
    best: _Measured | None = None
    for (_, c1, l1, r1, _), (h2, c2, l2, r2, noise2) in itertools.pairwise(rows):
        # Central differences err by h², so that a quarter of the step errs by a sixteenth.
        exact = c2 + (c2 - c1) / 15
        error = abs(c2 - c1) / 15 + noise2
        sides = max(abs(l2 - l1), abs(r2 - r1)) + noise2
        made = _Measured(exact, l2 + (l2 - l1) / 3, r2 + (r2 - r1) / 3, h2, error, sides)
        if best is None or not np.isfinite(best.error) or made.error < best.error:
            best = made
    assert best is not None or len(rows) == 1
    best = best or _Measured(rows[0][1], rows[0][2], rows[0][3], rows[0][0], np.inf, np.inf)
    still = [row[1] == row[2] == row[3] == 0 for row in rows]
    coarse = rounding > np.finfo(np.float64).eps
    return replace(best, flat=bool(coarse and any(still) and not all(still)))


def _judge(
    name: str,
    index: tuple[int, ...],
    derived: float,
    m: _Measured,
    tolerance: float,
    scale: float,
) -> Element:
    """Say what the slopes say of one derived number."""
    size = max(scale, abs(m.central) if np.isfinite(m.central) else 0.0)
    allowed = tolerance * size
    error = max(allowed, m.error)
    kink = np.isfinite(m.sides) and abs(m.right - m.left) > 8 * max(m.sides, allowed)
    low, high = min(m.left, m.right), max(m.left, m.right)
    if not np.isfinite(derived) and np.isfinite(m.central):
        verdict = Verdict.WRONG
    elif kink and not m.flat:
        between = low - m.sides - allowed <= derived <= high + m.sides + allowed
        verdict = Verdict.KINK if between else Verdict.WRONG
    elif m.flat or not np.isfinite(m.central):
        verdict = Verdict.UNCLEAR
    elif abs(derived - m.central) <= allowed:
        verdict = Verdict.RIGHT
    elif abs(derived - m.central) > allowed + 4 * m.error:
        verdict = Verdict.WRONG
    else:
        verdict = Verdict.UNCLEAR
    return Element(
        name, index, derived, m.central, m.left, m.right, m.step, error or 1e-300, verdict
    )


def _likely(wrong: Sequence[Element]) -> str:
    """The likely fix, from the look of what is wrong."""
    worst = wrong[0]
    if np.isnan(worst.derived):
        return (
            "a branch that is not taken still counts: 0 · ∞ is NaN; choose an argument that is "
            "safe in both branches before the risky function"
        )
    ratio = worst.derived / worst.central if worst.central else np.inf
    if abs(ratio + 1) < 1e-3:
        return "the sign is the other way round"
    if all(e.derived == 0 for e in wrong):
        return "no gradient passes: look for stop_gradient, a comparison or an integer on the way"
    if np.isfinite(ratio) and abs(ratio - round(ratio)) < 1e-3 and round(ratio):
        return f"it is {round(ratio)} times the slope: something is counted more than once"
    return "look at the term that belongs to this element"


# -- functions --------------------------------------------------------------------------------


def _of_node(node: Node, at: Any) -> tuple[Value, Gradient]:
    """The value of a node and its derived gradients, by the interpreter of the notation."""
    leaves = [n for n in Graph((node,)).nodes if n.op in ("input", "parameter")]
    by_name = {n.name: n for n in leaves}
    missing = [n.name for n in leaves if n.op == "input" and n.name not in at]
    if missing or any(name not in by_name for name in at):
        unknown = [name for name in at if name not in by_name]
        raise GradientMismatch(
            f"nothing is given for {', '.join(missing)}"
            if missing
            else f"there is no {unknown[0]}",
            rule=f"the inputs are {', '.join(n.name for n in leaves if n.op == 'input')}",
            fix="at={name: array} for each of them, and for parameters whose gradient is wanted",
        ).at("check_gradients", user_origin())
    floats = [by_name[n] for n in at if by_name[n].dtype in FLOATS]
    seed = input("upstream of the check", node.shape, node.dtype)
    derived = grad(node, floats, seed=seed, allow_unused=True)

    def run(outputs: Sequence[Node], arrays: Arrays) -> list[Array]:
        lowered = to_program(outputs)
        program = lowered.program
        given = {}
        for n, tensor in lowered.tensors.items():
            if tensor in (*program.inputs, *program.parameters):
                own = arrays.get(n.name)
                given[tensor.name] = n.value if own is None else own  # type: ignore[attr-defined]
        if any(t.dtype == "float32" and given[t.name].dtype == np.float64 for t in program.inputs):
            program = _in_float64(program)
        shapes = [(t, np.shape(given[t.name])) for t in program.inputs]
        made = interpret(program, given, bind_dims(shapes))
        return [np.asarray(made[lowered.tensors[n].name]) for n in outputs]

    def value(arrays: Arrays) -> Array:
        return run([node], arrays)[0]

    def gradients(arrays: Arrays, upstream: Array) -> Mapping[str, Array]:
        found = run(derived, {**arrays, seed.name: upstream})
        return {n.name: d for n, d in zip(floats, found, strict=True)}

    return value, gradients


def _in_float64(program: Program) -> Program:
    """Give the same program with wider floats."""
    every = {*program.inputs, *program.parameters, *(s.target for s in program.statements)}
    rules = {t: Tensor(t.name, t.shape, "float64") for t in every if t.dtype == "float32"}

    def wide(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(rules.get(t, t) for t in tensors)

    return replace(
        program,
        inputs=wide(program.inputs),
        parameters=wide(program.parameters),
        outputs=wide(program.outputs),
        statements=tuple(s.substitute(rules) for s in program.statements),
    )


def _of_callable(
    function: Callable[..., Any], gradient: Callable[..., Any] | None, at: Any
) -> tuple[Value, Gradient, Arrays]:
    """The value and the gradients of any function of arrays."""
    if gradient is None:
        raise GradientMismatch(
            "there is no gradient to check",
            rule="a node has its derived gradient; that of any other function has to be given",
            fix="gradient=lambda x, dy: ...",
        ).at("check_gradients", user_origin())
    if isinstance(at, Mapping):
        names, keywords = list(at), True
        arrays = {n: np.asarray(a) for n, a in at.items()}
    else:
        keywords = False
        arrays = dict(zip(_names(function, len(at)), map(np.asarray, at), strict=True))
        names = list(arrays)

    def call(f: Callable[..., Any], given: Arrays, *more: Array) -> Any:
        return f(*more, **given) if keywords else f(*given.values(), *more)

    def gradients(given: Arrays, upstream: Array) -> Mapping[str, Array]:
        found = call(gradient, given, upstream)
        several = isinstance(found, (tuple, list))
        if isinstance(found, Mapping):
            return found
        return dict(zip(names, found if several else [found], strict=False))

    return (lambda given: np.asarray(call(function, given))), gradients, arrays


def _names(function: Callable[..., Any], count: int) -> list[str]:
    """The names of a function's parameters, or x0, x1, … where it does not tell."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        names = []
    return names[:count] if len(names) >= count else [f"x{k}" for k in range(count)]
