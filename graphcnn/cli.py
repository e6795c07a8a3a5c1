"""The command line: `graphcnn tune FILE.py:NAME`."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codegen.build import CompilerNotFound
from graphcnn.compile import Step, compile
from graphcnn.errors import GraphError, nearest
from graphcnn.tuning import sizes_of, tuned

_TUNE = """\
Measure the best few schedules of a compiled graph on this machine, print the table, and remember
what was chosen, so that compile(..., tune=...) of the same graph need not measure.

NAME in FILE.py is one of
    a Step, as compile gives it: tuned as it was compiled, with its name, options and threads
    what compile takes: a node, a list or dict of nodes, or a pair (outputs, updates)
    a function without arguments that returns one of these
"""


_MODULE = "__graph__"  # what the user's file is imported as, lest it hide a module of its name


class CommandError(Exception):
    """What was given on the command line leads to nothing."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the arguments say, those of the process by default; exit with 2 where they err."""
    parser = argparse.ArgumentParser(prog="graphcnn", description="Graphs in files of yours.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    tune = commands.add_parser(
        "tune",
        help="measure schedules and remember the best",
        description=_TUNE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tune.add_argument("graph", metavar="FILE.py:NAME", help="where the graph is")
    tune.add_argument(
        "--size",
        metavar="DIM=SIZE",
        action="append",
        default=[],
        help="how long a dim is to be, as in --size N=32; once for each dim",
    )
    tune.set_defaults(command=_tune)
    given = parser.parse_args(arguments)
    try:
        given.command(given)
    except (CommandError, CompilerNotFound, GraphError) as error:
        sys.exit(_failed(error))


def _failed(error: Exception) -> int:
    print(f"graphcnn: {error}", file=sys.stderr)
    return 2


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
    pair = isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], (list, tuple))
    return compile(*value) if pair else compile(value)


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
