"""Tune what is compiled: measure on this machine, remember what was chosen, read it next time."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from codegen.affine import Dim
from codegen.build import default_threads, open_cache, require_toolchain
from codegen.build.cache import content_key
from codegen.compile import Options, Plan, freeze, make_plan
from codegen.fingerprint import fingerprint
from codegen.machine import this_machine
from codegen.measure import measure
from codegen.program import Program
from codegen.tune import Tuning, Watch, read_tuning, tune
from graphcnn.errors import DTypeError, GraphError, nearest

_BAR = "{desc} {bar} {n_fmt}/{total_fmt} after {elapsed}"


@dataclass(frozen=True)
class Subject:
    """A program as it was asked for, before anything is chosen."""

    program: Program
    options: Options
    frozen: bool
    threads: int | None

    def plan(self, options: Options) -> Plan:
        """Give the plan of what runs in each call."""
        made = make_plan(self.program, options)
        return freeze(made)[1] if self.frozen else made


def tuned(subject: Subject, sizes: Mapping[str, int]) -> Tuning:
    """Give what measuring with these sizes of the dims chose, now or in an earlier process.

    It is remembered for this program, these sizes, this machine, compiler and count of threads.
    Raises `CompilerNotFound`.
    """
    cache = open_cache()
    machine = subject.options.machine or this_machine()
    key = content_key(
        "tuning",
        fingerprint(subject.program, subject.options, machine, subject.frozen),
        require_toolchain(cache=cache).identity,
        subject.threads or default_threads(),
        sorted(sizes.items()),
    )
    found = read_tuning(cache.recall(key), subject.options)
    if found is None:
        timed = partial(measure, dims=sizes, threads=subject.threads)
        with _progress(subject.program.name) as watch:
            found = tune(subject.plan, subject.options, timed, watch)
        cache.remember(key, found.to_json())
    return found


def sizes_of(asked: object, dims: Sequence[Dim]) -> dict[str, int] | None:
    """Give the sizes to measure with, or None where nothing is to be tuned.

    `asked` is True or False, or the sizes of the program's dims by name.
    """
    names = [d.name for d in dims]
    if asked is False:
        return None
    example = "tune={" + ", ".join(f'"{n}": 32' for n in names) + "}" if names else "tune=True"
    if asked is True:
        asked = {}
    if not isinstance(asked, Mapping):
        raise DTypeError(
            f"tune={asked!r}",
            rule="tune is True or False, or says by name how long the dims are to be",
            fix=example,
        )
    for name, size in asked.items():
        if name not in names:
            near = nearest(str(name), names)
            raise GraphError(
                f"tune gives a size for {str(name)!r}",
                rule=f"the dims are {', '.join(names)}" if names else "this graph has no dims",
                fix=f"did you mean {near!r}?" if near else example,
            )
        if type(size) is not int or size < 1:
            raise DTypeError(
                f"tune measures with {name}={size!r}",
                rule="a dim is a whole number, and there is nothing to measure below 1",
                fix=example,
            )
    missing = [n for n in names if n not in asked]
    if missing:
        raise GraphError(
            f"tune gives no size for {' and '.join(missing)}",
            rule="what is measured has sizes; what is tuned for them serves all others too",
            fix=example,
        )
    return {n: asked[n] for n in names}


@contextmanager
def _progress(name: str) -> Iterator[Watch]:
    """Show a progress bar where someone watches and tqdm is installed."""
    bar: Any = None
    if sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ImportError:
            pass
        else:
            bar = tqdm(total=1, bar_format=_BAR, leave=False)

    def watch(what: str, at: int, count: int) -> None:
        if bar is not None:
            bar.total, bar.n = count, at
            bar.set_description_str(f"tuning {name}: {what}")

    try:
        yield watch
    finally:
        if bar is not None:
            bar.close()
