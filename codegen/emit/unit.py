"""The translation unit: prelude, one function per nest, and the entry that calls them in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from sympy import sympify

from codegen.affine import Size
from codegen.arena import ALIGNMENT, Arena
from codegen.emit.printer import SINGLE, TYPES, Printer, commented, function_text, signature
from codegen.freeze import size_of
from codegen.lower import Lowered
from codegen.memory import BYTES, MemoryPlan
from codegen.names import Names
from codegen.nest import Function, Number
from codegen.notation import Tensor
from codegen.program import Program, describe

PART = 400  # lines of functions in one part: parts compile side by side


@dataclass(frozen=True)
class Unit:
    """The C of a program and how to call it.

    `text` is one file that stands alone; `parts` is the same in several files by name, so that
    they compile in parallel. `arrays` is the order in which `entry` takes its arrays.
    """

    text: str
    parts: Mapping[str, str]
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
    program: Program, lowered: Sequence[Lowered], memory: MemoryPlan, names: Names, entry: str
) -> Unit:
    """Give the C of a program.

    `entry(arrays, workspace, dims, team)` runs it: `arrays` are the inputs, parameters and outputs
    in order, `workspace` has the bytes that `entry_workspace(dims)` asks for, and `team` are the
    threads that share the work.
    """
    given = given_arrays(program)
    title = f"/* {commented(program.name)} */"
    functions = [low.function for low in lowered]
    tail = [
        *(_part(f, names) for f in functions if f.tasks),
        _workspace(memory, names, entry),
        _entry(program, lowered, memory, names, entry, given),
    ]
    body = "\n".join([*(function_text(f) + "\n" for f in functions), *tail])
    text = "\n".join([title, *_head(body), body])
    parts = _parts(functions, tail, text, entry)
    return Unit(text, parts, declarations(entry), given, entry)


def given_arrays(program: Program) -> tuple[Tensor, ...]:
    """Give the tensors that the entry takes: inputs, parameters, outputs."""
    return tuple(dict.fromkeys((*program.inputs, *program.parameters, *program.outputs)))


def declarations(entry: str) -> str:
    """Declare the two functions that a unit shows to the outside."""
    return (
        f"int64_t {entry}_workspace(const int64_t *dims);\n"
        f"void {entry}(void *const *arrays, unsigned char *workspace, const int64_t *dims,"
        " const void *team);\n"
    )


def _parts(
    functions: Sequence[Function], tail: Sequence[str], text: str, entry: str
) -> dict[str, str]:
    """Share the functions among files of about equal length; the entry has a file of its own."""
    bodies = [function_text(f, "") + "\n" for f in functions]
    total = sum(b.count("\n") for b in bodies)
    count = max(1, round(total / PART))
    if count == 1:
        return {entry: text}
    shared: list[list[str]] = [[] for _ in range(count)]
    before = 0
    for f, body in zip(functions, bodies, strict=True):
        share = shared[min(count - 1, before * count // total)]
        share += ["\n".join(signature(f, ";")), body]
        before += body.count("\n")
    heads = ["\n".join(signature(f, ";")) for f in functions]
    texts = ["\n".join(s) for s in shared if s]
    parts = {f"{entry}_{k}": "\n".join([*_head(s), s]) for k, s in enumerate(texts)}
    return parts | {entry: "\n".join([prelude(), *heads, "", *tail])}


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
    for low in lowered:
        lines += _called(low, memory, places, names)
    for old, new in memory.copies:
        lines += _copied(places[old], places[memory.home(new)], old, names)
    return "\n".join([*lines, "    restore_mode(before);", "}", ""])


def _part(function: Function, names: Names) -> str:
    """A body for the team: some of the tasks of one function, whose arguments come in a struct."""
    arguments = [f"c->dims[{names.dims.index(d)}]" for d in function.sizes]
    arguments += [f"c->arrays[{k}]" for k in range(len(function.arrays))]
    return "\n".join(
        [
            f"static void share_{function.name}(const void *given, int64_t first, int64_t last) {{",
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
    if not function.tasks:
        return [f"    {function.name}({', '.join([*function.sizes, *arguments])});"]
    count = Printer(Function("", (), (), (), ())).expression(function.tasks)
    fixed = isinstance(function.tasks, Number)
    team = "team" if fixed else f"{count} < {function.least} ? 0 : team"
    given = f"&(call){{(void *[]){{{', '.join(arguments)}}}, dims}}"
    return [f"    share({team}, share_{function.name}, {given}, {count});"]


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
