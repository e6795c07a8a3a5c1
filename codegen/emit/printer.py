"""The one printer from loop nests to C."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from codegen.nest import (
    Apply,
    Array,
    Element,
    Expression,
    Fetch,
    Function,
    Hold,
    Let,
    Loop,
    Name,
    Node,
    Number,
    Scalar,
    Scratch,
    Store,
    Transpose,
    When,
    names_in,
    nested,
    spell,
    streams,
)
from codegen.notation import FLOATS

TYPES = {
    "float32": "float",
    "float64": "double",
    "int32": "int32_t",
    "int64": "int64_t",
    "bool": "bool",
}
WIDTH = 100

# Operator: how it is written and how tightly it binds (larger binds tighter).
_BINARY = {
    "*": ("*", 12), "/": ("/", 12), "mod": ("%", 12), "+": ("+", 11), "-": ("-", 11),
    "<": ("<", 9), "<=": ("<=", 9), ">": (">", 9), ">=": (">=", 9),
    "==": ("==", 8), "!=": ("!=", 8), "and": ("&&", 4), "or": ("||", 3),
}  # fmt: skip
_HELPERS = {"floor_div", "ceil_div"}
_ELEMENTARY = {"exp", "log", "expm1", "log1p", "tanh", "erf", "sin", "cos", "pow"}
SINGLE = "_f32"  # what the runtime's own functions of float32 end in
_ATOM, _UNARY, _TERNARY = 20, 13, 2
_COMPARISONS = (8, 9)


class Printer:
    """Prints one function; knows the shapes of its arrays."""

    def __init__(self, function: Function) -> None:
        shown = (array for array, _ in function.shown)
        self.arrays = {a.name: a for a in (*function.arrays, *function.local, *shown)}

    def expression(self, e: Expression) -> str:
        """Give an expression as C."""
        return self._print(e)[0]

    def _print(self, e: Expression) -> tuple[str, int]:
        match e:
            case Number(value, dtype):
                text = literal(value, str(dtype))
                return text, _UNARY if text.startswith("-") else _ATOM
            case Name(name):
                return name, _ATOM
            case Element(_, _, dtype):
                return self.element(e), _UNARY if str(dtype).endswith("@") else _ATOM
            case Apply("neg", (a,)):
                return f"-{self._inside(a, _UNARY + 1)}", _UNARY
            case Apply("not", (a,)):
                return f"!{self._inside(a, _UNARY)}", _UNARY
            case Apply("cast", (a,), "int32") if a.dtype == "bool":
                # Compilers know the range of a cast bool, and warn where it decides `x >= 0`.
                return f"{self._inside(a, 3)} ? 1 : 0", _TERNARY
            case Apply("cast", (a,), dtype):
                return f"({c_type(dtype)}){self._inside(a, _UNARY)}", _UNARY
            case Apply("isnan", (a,)) if a.dtype not in FLOATS:
                return "false", _ATOM
            case Apply("isnan", (a,)):
                x = self._inside(a, 9)
                return f"{x} != {x}", 8
            case Apply("select", (c, a, b)):
                shown = f"{self._inside(c, 3)} ? {self._inside(a, 3)} : {self._inside(b, _TERNARY)}"
                return shown, _TERNARY
            case Apply(op, (a, b)) if op in _BINARY:
                symbol, level = _BINARY[op]
                # `a - (b - c)` keeps its parentheses, and so does `a + (b + c)`: rounding.
                left, right = self._inside(a, level), self._inside(b, level + 1)
                if level in _COMPARISONS:  # compilers warn of `a < b == c`
                    left, right = self._inside(a, 10), self._inside(b, 10)
                if op == "or":  # compilers warn of `a && b || c`
                    left, right = self._inside(a, 5) if _is(a, "and") else left, self._inside(b, 5)
                return f"{left} {symbol} {right}", level
            case Apply(op, args, dtype):
                suffix = "f" if dtype == "float32" and op not in _HELPERS else ""
                suffix = SINGLE if suffix and op in _ELEMENTARY else suffix
                return f"{op}{suffix}({', '.join(map(self.expression, args))})", _ATOM
        raise AssertionError(e)

    def _inside(self, e: Expression, level: int) -> str:
        text, own = self._print(e)
        return text if own >= level else f"({text})"

    def element(self, e: Element) -> str:
        """Give an array element: `x[n][c][i + u]`, or one flat subscript where C needs it."""
        if str(e.dtype).endswith("@"):  # a vector that starts at an element
            kind = str(e.dtype).removesuffix("@")
            return f"*({kind} *)&{self.element(replace(e, dtype=kind.partition('x')[0]))}"
        array = self.arrays.get(e.array)
        if array is None:  # a local array
            return f"{e.array}[{self.expression(e.at[0])}]"
        if not e.at:
            return f"{e.array}[0]"
        if nested(array):
            return e.array + "".join(f"[{self.expression(a)}]" for a in e.at)
        text = self.expression(e.at[0])
        for a, size in zip(e.at[1:], array.shape[1:], strict=True):
            text = f"({text})*{self._inside(size, 12)} + {self._inside(a, 11)}"
        return f"{e.array}[{text}]"

    def lines(self, node: Node, depth: int) -> Iterator[str]:
        """Give a node as lines of C."""
        pad = "    " * depth
        match node:
            case Loop(index, start, stop, body, step):
                low = self._bound(start, "imax")
                high = self._bound(stop, "imin")
                move = f"++{index}" if step == 1 else f"{index} += {step}"
                if node.lanes:
                    yield f"{pad}LANES"
                elif node.unrolled:
                    yield f"{pad}UNROLL"
                elif node.rolled or self._must_stay(node):
                    yield f"{pad}#pragma GCC unroll 1"
                yield f"{pad}for (int64_t {index} = {low}; {index} < {high}; {move}) {{"
                if node.apart:
                    yield f"{pad}    APART;"
                for inner in body:
                    yield from self.lines(inner, depth + 1)
                yield f"{pad}}}"
            case When(condition, body):
                yield f"{pad}if ({self.expression(condition)}) {{"
                for inner in body:
                    yield from self.lines(inner, depth + 1)
                yield f"{pad}}}"
            case Let(name, dtype, value, fixed):
                const = "const " if fixed else ""
                yield f"{pad}{const}{c_type(dtype)} {name} = {self.expression(value)};"
            case Scratch(name, dtype, size):
                # gcc 12 may store whole vectors into it without aligning the stack by itself.
                aligned = " ALIGNED" if str(dtype) in TYPES else ""
                yield f"{pad}{c_type(dtype)} {name}[{size}]{aligned};"
            case Store(Element() as place, value, streamed=True):
                kind = str(place.dtype).removesuffix("@")
                first = self.element(replace(place, dtype=kind.partition("x")[0]))
                yield f"{pad}STREAM({kind}, &{first}, {self.expression(value)});"
            case Store(place, value, op):
                yield f"{pad}{self.expression(place)} {op} {self.expression(value)};"
            case Transpose(place, pitch, value, step, rows):
                kind = str(value.dtype).removesuffix("@")
                to, first = (
                    self.element(replace(e, dtype=kind.partition("x")[0])) for e in (place, value)
                )
                count = self.expression(rows)
                yield f"{pad}transpose_{kind}(&{to}, {pitch}, &{first}, {step}, {count});"
            case Fetch(place, 0):
                yield f"{pad}FETCH(&{self.expression(place)});"
            case Fetch(place, ahead):
                yield f"{pad}AHEAD(&{self.expression(place)}, {ahead});"
            case Hold(place):
                yield f"{pad}HOLD({self.expression(place)});"

    def _must_stay(self, loop: Loop) -> bool:
        """Whether a loop that holds no other reads arrays on a condition.

        Where it is short, gcc 12 unrolls it at -O3, vectorizes the loop around it instead, and
        reads wrong elements under a mask. Found by tests/graphcnn/ops/test_tiles.
        """
        return _is_innermost(loop.body) and any(map(self._reads_if, loop.body))

    def _reads_if(self, node: Node) -> bool:
        match node:
            case When(_, body):
                return bool(names_in(body, ()) & self.arrays.keys())
            case Let(_, _, value) | Store(_, value):
                return self._chooses_read(value)
        return False

    def _chooses_read(self, e: Expression) -> bool:
        match e:
            case Apply("select", (_, a, b)):
                branches = (Let("", a.dtype, a), Let("", b.dtype, b))
                return bool(names_in(branches, ()) & self.arrays.keys())
            case Apply(_, args):
                return any(map(self._chooses_read, args))
        return False

    def _bound(self, parts: tuple[Expression, ...], pick: str) -> str:
        text = self.expression(parts[0])
        for part in parts[1:]:
            text = f"{pick}({text}, {self.expression(part)})"
        return text


def _is_innermost(body: tuple[Node, ...]) -> bool:
    return not any(
        isinstance(n, Loop) or (isinstance(n, When) and not _is_innermost(n.body)) for n in body
    )


def _is(e: Expression, op: str) -> bool:
    return isinstance(e, Apply) and e.op == op


def c_type(dtype: Scalar) -> str:
    """Give the C type of a dtype; vector types go by their own names."""
    return TYPES.get(str(dtype), str(dtype))


def literal(value: float, dtype: str) -> str:
    """Give a number as C, the shortest text that reads back as the same value.

    >>> literal(0.1, "float32"), literal(3, "float64"), literal(-2, "int64")
    ('0.1f', '3.0', '-2')
    """
    if dtype in ("int32", "int64", "bool"):
        return str(int(value))
    if "x" in dtype:  # a vector: only zero is ever needed
        return f"({dtype}){{0}}"
    if value != value:
        return "NAN"
    if value in (float("inf"), float("-inf")):
        return "INFINITY" if value > 0 else "-INFINITY"
    single = dtype == "float32"
    with np.errstate(over="ignore"):
        text = str(np.float32(value)) if single else repr(float(value))
    if text.strip("-") == "inf":
        return f"{text.strip('inf')}INFINITY"
    if "." not in text and "e" not in text:
        text += ".0"
    return text + ("f" if single else "")


def commented(text: str) -> str:
    """Give text that cannot end a comment or start a trigraph."""
    safe = "".join(c if c.isprintable() else " " for c in text).replace("\\", "|")
    return re.sub(r"(?<=\*)(?=/)|(?<=/)(?=\*)|(?<=\?)(?=\?)", " ", safe)


def parameter_text(array: Array) -> str:
    """Declare an array parameter: `const float (*restrict x)[3][32]`."""
    const = "" if array.written else "const "
    restrict = "" if array.shared else "restrict "
    kind = TYPES[array.dtype]
    if nested(array) and len(array.shape) > 1:
        inner = "".join(f"[{spell(n)}]" for n in array.shape[1:])
        return f"{const}{kind} (*{restrict}{array.name}){inner}"
    return f"{const}{kind} *{restrict}{array.name}"


def local_text(array: Array) -> str:
    """Declare an array of a function's own: `float x[3][32] ALIGNED;`."""
    sizes = "".join(f"[{spell(n)}]" for n in array.shape) or "[1]"
    return f"{TYPES[array.dtype]} {array.name}{sizes} ALIGNED;"


def shown_text(array: Array, of: str) -> str:
    """Declare an array that shows another one: `float (*x_flat)[9] = (float (*)[9])x;`."""
    kind = ("" if array.written else "const ") + TYPES[array.dtype]
    if nested(array) and len(array.shape) > 1:
        inner = "".join(f"[{spell(n)}]" for n in array.shape[1:])
        return f"{kind} (*{array.name}){inner} = ({kind} (*){inner}){of};"
    return f"{kind} *{array.name} = ({kind} *){of};"


def signature(function: Function, ending: str, storage: str = "") -> list[str]:
    """Give the head of a function as lines that end in ` {` or `;`."""
    sizes = [f"int64_t {d}" for d in function.sizes]
    tasks = ["int64_t first", "int64_t last"] if function.tasks else []
    parameters = [*sizes, *(parameter_text(a) for a in function.arrays), *tasks]
    head = f"{storage}void {function.name}("
    one = f"{head}{', '.join(parameters) or 'void'}){ending}"
    if len(one) <= WIDTH:
        return [one]
    return [head, *(f"    {p}," for p in parameters[:-1]), f"    {parameters[-1]}){ending}"]


def function_text(function: Function, storage: str = "static ") -> str:
    """Give a whole function, headed by its formulas, shapes and schedules."""
    printer = Printer(function)
    notes = [note for note in function.notes if note]
    doc = [*function.doc, *([""] if function.doc and notes else []), *notes]
    head = [f" * {commented(line)}".rstrip() for line in doc]
    lines = ["/*", *head, " */", *signature(function, " {", storage)]
    lines += [f"    {local_text(array)}" for array in function.local]
    lines += [f"    {shown_text(array, of)}" for array, of in function.shown]
    for node in function.body:
        lines += printer.lines(node, 1)
    lines += ["    END_OF_STREAM;"] if streams(function.body) else []
    lines.append("}")
    return "\n".join(lines)
