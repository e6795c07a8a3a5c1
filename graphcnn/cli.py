"""The command line: `graphcnn draw`, `graphcnn summary` and `graphcnn tune`, of FILE.py:NAME."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from codegen.build import CompilerNotFound
from graphcnn.compile import Step, compile
from graphcnn.draw import SUFFIXES, Drawing, draw
from graphcnn.draw.view import LEVELS
from graphcnn.errors import GraphError, nearest
from graphcnn.graph import Node
from graphcnn.summary import summary
from graphcnn.tuning import sizes_of, tuned

_NAME = """
NAME in FILE.py is one of
    a Step, as compile gives it
    what compile takes: a node, a list or dict of nodes, or a pair (outputs, updates)
    a function without arguments that returns one of these
"""

_TUNE = f"""\
Measure the best few schedules of a compiled graph on this machine, print the table, and remember
what was chosen, so that compile(..., tune=...) of the same graph need not measure. A Step is tuned
as it was compiled, with its name, options and threads.
{_NAME}"""

_DRAW = f"""\
Draw a graph into a file, whose suffix says what it becomes: {", ".join(SUFFIXES)}.
{_NAME}    or a Drawing, as draw gives it, which is saved as it is
"""

_SUMMARY = f"""\
Print what a graph costs: parameters, multiply-adds and bytes, forward, backward and update.
{_NAME}"""


_MODULE = "__graph__"  # what the user's file is imported as, lest it hide a module of its name


class CommandError(Exception):
    """What was given on the command line leads to nothing."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the arguments say, those of the process by default; exit with 2 where they err."""
    parser = argparse.ArgumentParser(prog="graphcnn", description="Graphs in files of yours.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    draw = _command(commands, "draw", "draw a graph into a file", _DRAW, _draw)
    draw.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="where the picture goes"
    )
    draw.add_argument(
        "-g", "--gradients", action="store_true", help="draw the backward graph of the loss too"
    )
    draw.add_argument("-l", "--level", choices=LEVELS, help="what a box stands for")
    _command(commands, "summary", "print what a graph costs", _SUMMARY, _summary)
    tune = _command(commands, "tune", "measure schedules and remember the best", _TUNE, _tune)
    tune.add_argument(
        "--size",
        metavar="DIM=SIZE",
        action="append",
        default=[],
        help="how long a dim is to be, as in --size N=32; once for each dim",
    )
    given = parser.parse_args(arguments)
    try:
        given.command(given)
    except (CommandError, CompilerNotFound, GraphError, OSError) as error:
        sys.exit(_failed(error))


def _command(
    commands: Any, name: str, summary: str, description: str, run: Callable[[Any], None]
) -> argparse.ArgumentParser:
    """Add a command about a graph in a file."""
    made: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("graph", metavar="FILE.py:NAME", help="where the graph is")
    made.set_defaults(command=run)
    return made


def _failed(error: Exception) -> int:
    print(f"graphcnn: {error}", file=sys.stderr)
    return 2


def _draw(given: argparse.Namespace) -> None:
    value = find(given.graph)
    if not isinstance(value, Drawing):
        outputs, updates = _parts(value)
        drawn = value if isinstance(value, Step) else [*outputs, *updates]
        value = draw(drawn, gradients=given.gradients, level=given.level)
    print(value.save(given.output))


def _summary(given: argparse.Namespace) -> None:
    outputs, updates = _parts(find(given.graph))
    print(summary(outputs, updates))


def _parts(value: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Give outputs and updates of a step, or of what compile takes."""
    if isinstance(value, Step):
        return value.outputs, value.updates
    outputs, updates = value if _is_pair(value) else (value, ())
    if isinstance(outputs, Node):
        return (outputs,), tuple(updates)
    nodes = outputs.values() if isinstance(outputs, Mapping) else outputs
    if not isinstance(nodes, Iterable):
        raise CommandError(
            f"a {type(value).__name__} is no graph; a node, a list of nodes or a Step is"
        )
    return tuple(nodes), tuple(updates)


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], (list, tuple))


def _tune(given: argparse.Namespace) -> None:
    step = _step(find(given.graph))
    dims = step.plan.program.dims
    sizes = _sizes(given.size)
    missing = [d.name for d in dims if d.name not in sizes]
    if missing:
        example = " ".join(f"--size {name}=32" for name in missing)
        raise CommandError(f"{given.graph} has the dims {', '.join(missing)}; add {example}")
    print(tuned(step.subject, sizes_of(sizes, dims) or {}))


def _sizes(given: Sequence[str]) -> dict[str, int]:
    found = {}
    for text in given:
        name, _, size = text.partition("=")
        if not size.isdecimal():
            raise CommandError(f"--size {text} is no size of a dim; write it like --size N=32")
        found[name] = int(size)
    return found


def _step(value: Any) -> Step:
    """Give a step as it is, and anything else compiled."""
    if isinstance(value, Step):
        return value
    return compile(*value) if _is_pair(value) else compile(value)


def find(place: str) -> Any:
    """Give what `FILE.py:NAME` names, called if it is a function. Raises `CommandError`."""
    file, _, name = place.rpartition(":")
    path = Path(file)
    if not file or not name.isidentifier():
        raise CommandError(f"{place} names no graph; write it like train.py:step")
    if not path.is_file():
        raise CommandError(f"there is no file {file} in {Path.cwd()}")
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        raise CommandError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    sys.path.insert(0, str(path.resolve().parent))  # the file imports its neighbours, as in a run
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        near = nearest(name, vars(module))
        raise CommandError(
            f"{file} has no {name}" + (f"; did you mean {near}?" if near else " at its top level")
        )
    value = getattr(module, name)
    return value() if callable(value) and not isinstance(value, Step) else value
