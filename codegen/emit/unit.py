"""The translation unit: prelude, one function per nest, and the entry that calls them in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from sympy import sympify

from codegen.affine import Size
from codegen.arena import ALIGNMENT, Arena
from codegen.emit.printer import SINGLE, TYPES, Printer, commented, function_text, signature
from codegen.freeze import size_of
from codegen.lower import Lowered, distinct_functions
from codegen.memory import MemoryPlan
from codegen.names import Names
from codegen.nest import Function, Number
from codegen.notation import BYTES, Tensor
from codegen.program import Program, describe

PART = 600  # lines of functions, at least, in a part: parts compile side by side


@dataclass(frozen=True)
class Unit:
    """The C of a program and how to call it.

    `text` is one file that stands alone. `arrays` is the order in which `entry` takes its arrays.
    """

    text: str
    declarations: str
    arrays: tuple[Tensor, ...]
    entry: str


@cache
def prelude() -> str:
    """The head of every unit: what the generated functions lean on."""
    runtime = resources.files("codegen.runtime")
    return "\n".join(runtime.joinpath(name).read_text() for name in ("prelude.h", "team.h"))


@cache
def elementary() -> str:
    """The elementary functions of float32, which vectors need; for units that call one."""
    return resources.files("codegen.runtime").joinpath("elementary.h").read_text()


def _head(text: str) -> list[str]:
    """The runtime that some functions lean on."""
    return [prelude(), *([elementary()] if f"{SINGLE}(" in text else [])]


def unit_text(
    program: Program,
    lowered: Sequence[Lowered],
    memory: MemoryPlan,
    names: Names,
    entry: str,
    timed: bool = False,
) -> Unit:
    """Give the C of a program.

    `entry(arrays, workspace, dims, team)` runs it: `arrays` are the inputs, parameters and outputs
    in order, `workspace` has the bytes that `entry_workspace(dims)` asks for, and `team` are the
    threads that share the work. If `timed`, `entry_seconds()` gives how long each nest took when
    it ran last.
    """
    title = f"/* {commented(program.name)} */"
    functions = (function_text(f) + "\n" for f in distinct_functions(lowered))
    body = "\n".join([*functions, *_tail(program, lowered, memory, names, entry, timed)])
    text = "\n".join([title, *_head(body), body])
    return Unit(text, declarations(entry, timed), given_arrays(program), entry)


def unit_parts(
    program: Program,
    lowered: Iterable[Lowered],
    memory: MemoryPlan,
    names: Names,
    entry: str,
    timed: bool = False,
) -> Iterator[tuple[str, str]]:
    """Give the same C in files by name, each as soon as the functions in it are lowered.

    So they compile in parallel, and the first of them while the others are still lowered. The
    entry comes last, in a file of its own; what is short is one file.
    """
    known: list[Lowered] = []
    heads: dict[str, str] = {}
    part: list[str] = []
    lines = count = 0

    def closed() -> tuple[str, str]:
        text = "\n".join(part)
        return f"{entry}_{count}", "\n".join([*_head(text), text])

    for low in lowered:
        known.append(low)
        f = low.function
        if f.name in heads:
            continue
        heads[f.name] = "\n".join(signature(f, ";"))
        part += [heads[f.name], function_text(f, "") + "\n"]
        lines += part[-1].count("\n")
        if lines >= PART:
            yield closed()
            part, lines, count = [], 0, count + 1
    if not count:
        yield entry, unit_text(program, known, memory, names, entry, timed).text
        return
    if part:
        yield closed()
    tail = _tail(program, known, memory, names, entry, timed)
    yield entry, "\n".join([prelude(), *heads.values(), "", *tail])


def _tail(
    program: Program,
    lowered: Sequence[Lowered],
    memory: MemoryPlan,
    names: Names,
    entry: str,
    timed: bool,
) -> list[str]:
    """What follows the functions: how the team shares them, and those that others call."""
    return [
        *(_part(f, names) for f in distinct_functions(lowered) if f.tasks),
        _workspace(memory, names, entry),
        *([_CLOCK.format(entry=entry, count=len(lowered))] if timed else []),
        _entry(program, lowered, memory, names, entry, given_arrays(program), timed),
    ]


_CLOCK = """\
#include <time.h>

static double {entry}_took[{count} + 1];

const double *{entry}_seconds(void) {{
    return {entry}_took;
}}

static double now(void) {{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}}
"""


def given_arrays(program: Program) -> tuple[Tensor, ...]:
    """Give the tensors that the entry takes: inputs, parameters, outputs."""
    return tuple(dict.fromkeys((*program.inputs, *program.parameters, *program.outputs)))


def declarations(entry: str, timed: bool = False) -> str:
    """Declare the functions that a unit shows to the outside."""
    clock = f"const double *{entry}_seconds(void);\n" if timed else ""
    return clock + (
        f"int64_t {entry}_workspace(const int64_t *dims);\n"
        f"void {entry}(void *const *arrays, unsigned char *workspace, const int64_t *dims,"
        " const void *team);\n"
    )


def _dims(names: Names) -> list[str]:
    lines = [f"    const int64_t {d} = dims[{k}];" for k, d in enumerate(names.dims)]
    return [*lines, *(f"    (void){d};" for d in names.dims)] or ["    (void)dims;"]


def _spelled(size: Size, names: Names) -> str:
    return Printer(Function("", (), (), (), ())).expression(size_of(size, names.letter))


def _greatest(sizes: Sequence[Size], names: Names) -> str:
    text, *more = [_spelled(n, names) for n in sizes] or ["0"]
    for other in more:
        text = f"imax({text}, {other})"
    return text


def _lets(arena: Arena, wanted: Sequence[Size], names: Names) -> list[str]:
    """Declare what these sizes are made of."""
    used = {d for n in wanted for d in sympify(n).free_symbols}
    lines = []
    for let in reversed(arena.lets):
        if let.name in used:
            used |= {d for n in let.sizes for d in sympify(n).free_symbols}
            lines.append(
                f"    const int64_t {names.letter(let.name)} ="
                f" ({_greatest(let.sizes, names)} + {ALIGNMENT - 1}) / {ALIGNMENT} * {ALIGNMENT};"
            )
    return lines[::-1]


def _workspace(memory: MemoryPlan, names: Names, entry: str) -> str:
    return "\n".join(
        [
            f"int64_t {entry}_workspace(const int64_t *dims) {{",
            *_dims(names),
            *_lets(memory.arena, memory.arena.ends, names),
            f"    return {_greatest(memory.arena.ends, names)};",
            "}",
            "",
        ]
    )


def _entry(
    program: Program,
    lowered: Sequence[Lowered],
    memory: MemoryPlan,
    names: Names,
    entry: str,
    given: tuple[Tensor, ...],
    timed: bool,
) -> str:
    lines = [
        f"void {entry}(void *const *arrays, unsigned char *workspace, const int64_t *dims,",
        f"{' ' * len(f'void {entry}(')}const void *team) {{",
        *_dims(names),
    ]
    used = {memory.home(t) for low in lowered for t in low.tensors}
    used |= {memory.home(t) for pair in memory.copies for t in pair}
    places: dict[Tensor, str] = {}
    for k, tensor in enumerate(given):
        if tensor not in used:
            continue
        const = "const " if tensor in program.inputs else ""
        kind = TYPES[tensor.dtype]
        lines.append(
            f"    {const}{kind} *{names.tensor(tensor)} = arrays[{k}];"
            f" /* {commented(describe(tensor))} */"
        )
        places[tensor] = names.tensor(tensor)
    if not given:
        lines.append("    (void)arrays;")
    arena = memory.arena
    lines += _lets(arena, arena.starts, names)
    for block, start in zip(arena.blocks, arena.starts, strict=True):
        place = places[block.tensor] = names.tensor(block.tensor)
        shown = commented(describe(block.tensor))
        lines.append(f"    void *{place} = workspace + {_spelled(start, names)}; /* {shown} */")
    lines += ["    (void)workspace;", "    (void)team;"]
    lines.append("    const float_mode before = flush_denormals();")
    if timed:
        lines.append("    double start;")
    for k, low in enumerate(lowered):
        call = _called(low, memory, places, names)
        took = f"    {entry}_took[{k}] = now() - start;"
        lines += ["    start = now();", *call, took] if timed else call
    for old, new in memory.copies:
        lines += _copied(places[old], places[memory.home(new)], old, names)
    return "\n".join([*lines, "    restore_mode(before);", "}", ""])


def _part(function: Function, names: Names) -> str:
    """A body for the team: some of the tasks of one function, whose arguments come in a struct."""
    arguments = [f"c->dims[{names.dims.index(d)}]" for d in function.sizes]
    arguments += [f"c->arrays[{k}]" for k in range(len(function.arrays))]
    return "\n".join(
        [
            f"SAME static void share_{function.name}(",
            "    const void *given, int64_t first, int64_t last) {",
            "    const call *c = given;",
            f"    {function.name}({', '.join([*arguments, 'first', 'last'])});",
            "}",
            "",
        ]
    )


def _called(
    low: Lowered, memory: MemoryPlan, places: Mapping[Tensor, str], names: Names
) -> list[str]:
    """Call a function, or share its tasks where there are enough of them."""
    function, arguments = low.function, _arguments(low, memory, places)
    lines = [f"    /* {commented(line)} */" for line in low.doc if function.doc != low.doc]
    if not function.tasks:
        return [*lines, f"    {function.name}({', '.join([*function.sizes, *arguments])});"]
    count = Printer(Function("", (), (), (), ())).expression(function.tasks)
    fixed = isinstance(function.tasks, Number)
    team = "team" if fixed else f"{count} < {function.least} ? 0 : team"
    given = f"&(call){{(void *[]){{{', '.join(arguments)}}}, dims}}"
    return [*lines, f"    share({team}, share_{function.name}, {given}, {count});"]


def _arguments(low: Lowered, memory: MemoryPlan, places: Mapping[Tensor, str]) -> list[str]:
    """Cast each array to the type that the function sees it as."""
    return [f"(void *){places[memory.home(t)]}" for t in low.tensors]


def _copied(to: str, source: str, tensor: Tensor, names: Names) -> list[str]:
    count = _count(tensor, names)
    kind = TYPES[tensor.dtype]
    return [
        f"    for (int64_t at = 0; at < {count}; ++at) {{",
        f"        ((char *){to})[at] = ((const char *){source})[at];",
        f"    }} /* the next {commented(tensor.name)}, {kind} */",
    ]


def _count(tensor: Tensor, names: Names) -> str:
    blank = Printer(Function("", (), (), (), ()))
    text = str(BYTES[tensor.dtype])
    for n in tensor.shape:
        text += f" * ({blank.expression(size_of(n, names.letter))})"
    return text
