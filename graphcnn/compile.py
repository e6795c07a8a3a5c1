"""Compile a graph into a function: forward, backward and updates in one C call."""

from __future__ import annotations

import functools
import operator
import os
import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.affine import Size
from codegen.aligned import aligned_copy, workspace
from codegen.build import find_toolchain
from codegen.compile import Executable, Options, Plan, load, make_plan
from codegen.compile import freeze as freeze_plan
from codegen.interpret import interpret
from codegen.pause import collector_paused
from codegen.sizes import SizeError, bind_dims, evaluate
from codegen.tune import Tuning
from graphcnn.arguments import (
    as_array,
    by_name,
    misfit,
    require_classes,
    require_sizes,
    shown,
    wrong_names,
)
from graphcnn.backward import adjoints
from graphcnn.errors import (
    CallError,
    DTypeError,
    GraphError,
    ShapeError,
    nearest,
    user_origin,
)
from graphcnn.graph import Constant, Graph, Node, Parameter
from graphcnn.kernels import Profile, profile
from graphcnn.program import Lowered, to_program
from graphcnn.room import Room
from graphcnn.tuning import Subject, sizes_of, tuned

Array = npt.NDArray[Any]
Updates = Iterable[tuple[Node, Node]]


class Stages(dict[str, str]):
    """The stages of a compilation by name; `print(step.stages["c"])` shows one."""

    def __str__(self) -> str:
        return "\n\n".join(f"── {name} ──\n{text}" for name, text in self.items())

    def __repr__(self) -> str:
        return f"Stages({', '.join(self)})"


def compile(
    outputs: Node | Sequence[Node] | Mapping[str, Node],
    updates: Updates = (),
    *,
    name: str = "step",
    backend: str | None = None,
    threads: int | None = None,
    exact: bool = False,
    freeze: bool = False,
    tune: bool | Mapping[str, int] = False,
    options: Options | None = None,
) -> Step:
    """Give a function of the graph's inputs that computes the outputs and applies the updates.

    Called with one array for each input, by name, it returns what `outputs` is: one array for a
    node, a list for a list, a dict for a dict. `updates` are pairs (parameter, node of its next
    value), as the optimisers give them; all next values are computed from the old ones.

    `backend` is "c", "numpy", or None: C where a compiler is found, else NumPy with a notice (the
    environment variable GRAPHCNN_BACKEND decides for all). `threads` share the work of the C, by
    default as many as GRAPHCNN_NUM_THREADS or OMP_NUM_THREADS say, else one for each core; results
    have the same bits for any number. `exact` leaves out what is quicker but rounds more coarsely
    (Winograd's algorithms for convolutions: about ten times the rounding of a plain sum).
    `freeze` takes the parameters as they are now for good: what follows from them alone, such as
    weights in the order that the C reads them in, is worked out once and not in each call.
    `tune` measures the best few schedules on this machine, on random numbers, and takes others than
    the cost model's only where they are clearly faster; graphs with dims say how long these are to
    be: `tune={"N": 32}`. It is done once: what was chosen is remembered for this graph, machine,
    compiler and count of threads, and `step.tuning` shows the table of what was measured. Other
    schedules add in another order, so the last bits of results may be others than untuned.
    `options` switch optimisations off one by one.

    Raises `GraphError` where the graph has no meaning, `CompilerNotFound` where backend is "c"
    and the machine has no compiler.

    >>> import numpy as np
    >>> import graphcnn as g
    >>> x, y = g.input("x"), g.input("y")
    >>> z = g.compile(x * y)
    >>> z(x=3, y=4)
    array(12., dtype=float32)
    """
    origin = user_origin()
    try:
        _require_settings(name, options, threads)
        chosen = _backend(backend)
        nodes = _outputs(outputs)
        changes = _changes(updates)
        if not nodes and not changes:
            raise GraphError("there is nothing to compute", fix="compile(loss)")
        if freeze and changes:
            raise GraphError(
                "freeze=True with updates",
                rule="a frozen parameter keeps its value",
                fix="compile the training step without freeze, and another one for inference",
            )
        lowered = to_program(nodes, changes, name)
        choices = _choices(lowered)
        sizes = _tuning_sizes(tune, lowered, backend)
    except GraphError as error:
        raise error if error.who else error.at(f"compile {name!r}", origin) from None
    settings = replace(options or Options(), exact=exact or (options or Options()).exact)
    subject = Subject(lowered.program, settings, freeze, threads)
    tuning = None
    if sizes is not None and _compiles(chosen):
        tuning = tuned(subject, sizes)
        settings = tuning.options
    made = make_plan(lowered.program, settings)
    prepared: dict[str, Array] | None = None
    with collector_paused():
        if freeze:
            once, made = freeze_plan(made)
            prepared = _prepared(once, lowered, chosen)
        executable = _executable(chosen, made, threads)
    return Step(
        lowered, made, outputs, nodes, changes, choices, executable, prepared, subject, tuning
    )


def _tuning_sizes(tune: Any, lowered: Lowered, backend: str | None) -> dict[str, int] | None:
    """Give the sizes to tune for; None to leave it."""
    sizes = sizes_of(tune, lowered.program.dims)
    if sizes is None:
        return None
    if backend == "numpy":
        raise GraphError(
            'tune with backend="numpy"',
            rule="what is tuned are the schedules of the C; the interpreter has none",
            fix='leave one of them out, or backend="c"',
        )
    require_sizes(lowered.graph.nodes, {d: sizes[d.name] for d in lowered.program.dims})
    return sizes


def _prepared(once: Plan, lowered: Lowered, backend: str) -> dict[str, Array]:
    """Run what follows from the parameters alone; give its results by name."""
    of = {t: n for n, t in lowered.tensors.items()}
    given = {t.name: of[t].value for t in once.program.inputs}  # type: ignore[attr-defined]
    executable = _executable(backend, once, None)
    if executable is None:
        values = interpret(once.program, given, {})
        return {t.name: np.ascontiguousarray(values[t.name]) for t in once.program.outputs}
    room = Room(len(once.program.outputs))
    results = {t.name: room.maker(t.shape, np.dtype(t.dtype))() for t in once.program.outputs}
    executable.run(given | results, {})
    return results


def _require_settings(name: Any, options: Any, threads: Any) -> None:
    if not isinstance(name, str):
        raise DTypeError(f"name={name!r}", rule="a name is a text", fix=f'name="{name}"')
    if threads is not None and (type(threads) is not int or threads < 1):
        raise DTypeError(
            f"threads={threads!r}",
            rule="work is shared by a whole number of threads, 1 or more",
            fix="threads=2, or leave it out for one thread a core",
        )
    if not isinstance(options, Options | None):
        raise DTypeError(
            f"options={options!r}",
            rule="options are an Options, of what to switch off",
            fix='options=Options(off=frozenset({"merge"})), or leave them out',
        )


def _outputs(outputs: Any) -> list[Node]:
    if isinstance(outputs, Node):
        return [outputs]
    several = [*outputs.values()] if isinstance(outputs, Mapping) else outputs
    listed = list(several) if isinstance(several, (list, tuple)) else [outputs]
    for node in listed:
        if not isinstance(node, Node):
            raise DTypeError(
                f"{node!r} is not a node",
                rule="outputs are a node, a list of nodes or a dict of them",
                fix="compile(loss), compile([loss, scores]) or compile({'loss': loss})",
            )
    return listed


def _changes(updates: Any) -> list[tuple[Node, Node]]:
    if isinstance(updates, Node) or not isinstance(updates, Iterable):
        updates = [updates]
    found: dict[Node, Node] = {}
    for pair in updates:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Node)):
            raise DTypeError(
                f"{pair!r} is not an update",
                rule="updates are pairs (parameter, node of its next value)",
                fix="updates=rmsprop(loss), or updates=[(w, w - 0.1 * dw)]",
            )
        old, new = pair
        if not isinstance(old, Parameter):
            raise DTypeError(
                f"{old!r} cannot be updated",
                rule="only parameters change; inputs are given anew in each call",
                fix=f"make it a parameter: parameter({getattr(old, 'name', '') or 'w'!r}, ...)",
            )
        if old in found:
            raise GraphError(
                f"parameter {old.name!r} ({old.origin}) is updated twice",
                rule="a parameter has one next value",
                fix="one optimiser for the sum of the losses, or parameters= for each optimiser",
            )
        if old.shape != new.shape:
            raise ShapeError(
                f"parameter {old.name!r} ({old.origin}) is {old.kind}, its next value {new.kind}",
                rule="a parameter keeps its shape",
                fix="reshape the next value, or reduce the axes that it has too many",
            )
        if old.dtype != new.dtype:
            raise DTypeError(
                f"parameter {old.name!r} ({old.origin}) is {old.dtype}, its next value {new.dtype}",
                rule="a parameter keeps its dtype",
                fix=f'convert the next value: .astype("{old.dtype}")',
            )
        found[old] = new
    return list(found.items())


def _backend(asked: str | None) -> str:
    chosen = asked or os.environ.get("GRAPHCNN_BACKEND") or "auto"
    if chosen not in ("c", "numpy", "auto"):
        near = nearest(str(chosen).lower(), ("c", "numpy"))
        raise DTypeError(
            f"backend={chosen!r}" if asked else f"GRAPHCNN_BACKEND={chosen}",
            rule='a backend is "c" or "numpy"',
            fix=f"did you mean {near!r}?" if near else "leave it out to have one chosen",
        )
    return chosen


def _executable(backend: str, made: Plan, threads: int | None) -> Executable | None:
    """Give the compiled program, or None to interpret it."""
    if not _compiles(backend):
        return None
    return load(made, threads=threads)


def _compiles(backend: str) -> bool:
    """Whether there is to be C; gives a notice where there would be if there were a compiler."""
    if backend == "auto" and find_toolchain() is None:
        _give_notice()
        return False
    return backend != "numpy"


@functools.cache
def _give_notice() -> None:
    """Say once in a process that it will be slow, and what to do."""
    place = user_origin()
    warnings.warn_explicit(
        "no C compiler found, so graphs run on the NumPy interpreter: the same results, slowly. "
        "To install one: pip install 'graphcnn[compiler]'",
        RuntimeWarning,
        place.file if place else "graphcnn",
        place.line if place else 1,
    )


_SHAPE = operator.attrgetter("shape")


class Step:
    """A compiled function. Call it with arrays by name; `stages` shows how it came about."""

    def __init__(
        self,
        lowered: Lowered,
        made: Plan,
        structure: Any,
        nodes: Sequence[Node],
        changes: Sequence[tuple[Node, Node]],
        choices: Sequence[tuple[int, Size]],
        executable: Executable | None,
        prepared: Mapping[str, Array] | None,
        subject: Subject,
        tuning: Tuning | None,
    ) -> None:
        self.plan = made
        self.subject = subject
        self.tuning = tuning
        self.graph: Graph = lowered.graph
        self.outputs: tuple[Node, ...] = tuple(nodes)
        self.updates: tuple[tuple[Node, Node], ...] = tuple(changes)
        self._structure = structure
        self._executable = executable
        self._lock = threading.Lock()
        program = made.program
        of = {t: n for n, t in lowered.tensors.items()}
        self._inputs = [(of[t], t, np.dtype(t.dtype)) for t in program.inputs]
        self._names = {n.name for n, _, _ in self._inputs}
        frozen = prepared is not None
        self._held = dict(prepared or {})
        for t in program.parameters:
            if t.name not in self._held:
                value = of[t].value  # type: ignore[attr-defined]
                self._held[t.name] = aligned_copy(value, t.dtype) if frozen else value
        self._order = [program.outputs.index(lowered.results[n]) for n in nodes]
        self._choices = choices
        self._bound: dict[tuple[tuple[int, ...], ...], _Binding] = {}
        self._room = Room(len(program.outputs))
        self._native = _Native(executable, self._held) if executable else None

    # -- calling ----------------------------------------------------------------------------

    def __call__(self, /, *positional: Any, **inputs: Any) -> Any:
        """Run once. Raises `CallError` where an input is missing, unknown or does not fit."""
        arrays, bound = self.arguments(inputs, positional)
        outputs = [empty() for empty in bound.outputs]
        with self._lock:
            if self._native is None:
                self._interpret(arrays, outputs, bound)
            else:
                self._native.run((*arrays, *outputs), bound)
        return self._shaped([outputs[k] for k in self._order])

    def arguments(
        self, inputs: Mapping[str, Any], positional: tuple[Any, ...] = ()
    ) -> tuple[list[Array], _Binding]:
        """Give the arrays of a call, and what their shapes imply. Raises `CallError`."""
        try:
            if positional or inputs.keys() != self._names:
                raise wrong_names(positional, inputs, [n for n, _, _ in self._inputs])
            arrays = [as_array(inputs[node.name], node, dtype) for node, _, dtype in self._inputs]
            bound = self._bound.get(tuple(map(_SHAPE, arrays))) or self._bind(arrays)
            for k, classes in bound.choices:
                require_classes(self._inputs[k][0], arrays[k], classes)
        except GraphError as error:
            who = f"call of {self.plan.program.name!r}"
            raise error.at(who, user_origin(), shown(inputs, positional)) from None
        return arrays, bound

    def _shaped(self, values: list[Array]) -> Any:
        if isinstance(self._structure, Node):
            return values[0]
        if isinstance(self._structure, Mapping):
            return dict(zip(self._structure, values, strict=True))
        return values

    def _bind(self, arrays: Sequence[Array]) -> _Binding:
        """Give what follows from the shapes: sizes, output shapes, scratch memory."""
        try:
            dims = bind_dims(
                (t, a.shape) for (_, t, _), a in zip(self._inputs, arrays, strict=True)
            )
        except SizeError as error:
            raise misfit([n for n, _, _ in self._inputs], arrays, str(error)) from None
        require_sizes(self.graph.nodes, dims)
        if len(self._bound) > 256:
            self._bound.clear()
        return self._bound.setdefault(tuple(map(_SHAPE, arrays)), _Binding(dims, self))

    def _interpret(self, arrays: list[Array], outputs: list[Array], bound: _Binding) -> None:
        program = self.plan.rewritten
        given = {t.name: a for (_, t, _), a in zip(self._inputs, arrays, strict=True)}
        values = interpret(program, given | self._held, bound.sizes)
        for k, tensor in enumerate(program.outputs):
            outputs[k][...] = values[tensor.name]
        following = [(old, values[new.name].copy()) for old, new in program.updates]
        for old, new in following:
            self._held[old.name][...] = new

    # -- looking inside ---------------------------------------------------------------------

    @property
    def stages(self) -> Stages:
        """Every stage of the compilation as text, from the graph to the C."""
        stages = Stages(graph=str(self.graph), adjoints=adjoints(self.graph))
        stages.update(self.plan.stages)
        if self.tuning:
            stages["tuning"] = str(self.tuning)
        return stages

    def profile(self, at: Mapping[Any, Any], rounds: int = 20) -> Profile:
        """Give how long each kernel takes on these inputs, by name or node; see `Profile`.

        It is the least time of so many rounds, with a clock around each kernel. The parameters
        keep their values. Raises `GraphError` where the step runs in NumPy.
        """
        if self._executable is None:
            raise GraphError(
                "a step that runs in NumPy has no kernels to time",
                rule="what is timed are the kernels of the C",
                fix='compile it where a C compiler is found, or with backend="c"',
            ).at(f"profile of {self.plan.program.name!r}", user_origin())
        arrays, bound = self.arguments(by_name(at))
        named = {t.name: a for (_, t, _), a in zip(self._inputs, arrays, strict=True)}
        named |= {n: aligned_copy(v, str(v.dtype)) for n, v in self._held.items()}
        threads = self.subject.threads
        return profile(self.graph, self.plan, named, bound.sizes, rounds, threads)

    @property
    def backend(self) -> str:
        """Which backend runs: "c" or "numpy"."""
        return "numpy" if self._executable is None else "c"

    def __repr__(self) -> str:
        inputs = ", ".join(n.name for n, _, _ in self._inputs)
        return f"<Step {self.plan.program.name}({inputs}) on {self.backend}>"


class _Native:
    """The compiled program as it is called; every call comes through here, so little is done."""

    def __init__(self, executable: Executable, held: Mapping[str, Array]) -> None:
        program, order = executable.plan.program, executable.plan.arrays
        ffi = executable.library.ffi
        self._entry, self._team = executable.entry, executable.team
        self._from_buffer = ffi.from_buffer
        # Those of the parameters are in place for good.
        self._pointers = ffi.new("void *[]", max(1, len(order)))
        for k, t in enumerate(order):
            if t.name in held:
                self._pointers[k] = ffi.from_buffer(held[t.name])
        slots = {t: k for k, t in enumerate(order)}
        self._slots = [slots[t] for t in (*program.inputs, *program.outputs)]
        self._size = 0
        self._scratch = ffi.from_buffer(workspace(1))

    def run(self, arrays: Iterable[Array], bound: _Binding) -> None:
        """Run once on the inputs and outputs, in the order of the program."""
        pointers, from_buffer = self._pointers, self._from_buffer
        for k, array in zip(self._slots, arrays):  # noqa: B905 (the check takes its time)
            pointers[k] = from_buffer(array)
        if bound.bytes > self._size:
            self._scratch, self._size = from_buffer(workspace(bound.bytes)), bound.bytes
        self._entry(pointers, self._scratch, bound.dims, self._team)


class _Binding:
    """What a set of input shapes implies, computed once for each."""

    def __init__(self, sizes: Mapping[Any, int], step: Step) -> None:
        program = step.plan.program
        self.sizes = sizes
        self.outputs = [
            step._room.maker(tuple(evaluate(n, sizes) for n in t.shape), np.dtype(t.dtype))
            for t in program.outputs
        ]
        self.choices = [(k, evaluate(n, sizes)) for k, n in step._choices]
        ordered = [sizes[d] for d in program.dims]
        self.dims: Any = None
        self.bytes = 0
        if step._executable is not None:
            self.dims = step._executable.dims(ordered)
            self.bytes = step._executable.workspace_bytes(ordered)


def _choices(lowered: Lowered) -> list[tuple[int, Size]]:
    """The inputs that pick one of so many classes, by position; constants are checked here."""
    inputs = lowered.graph.of_kind("input")
    found: dict[tuple[int, Size], None] = {}
    for node in lowered.graph.nodes:
        if node.fragment is None:
            continue
        of = dict(zip(node.fragment.inputs, node.inputs, strict=True))
        for tensor, classes in node.fragment.choices:
            label = of[tensor]
            if label in inputs:
                found[inputs.index(label), classes] = None
            elif isinstance(label, Constant) and isinstance(classes, int):
                try:
                    require_classes(label, label.value, classes)
                except CallError as error:
                    raise error.at(node.called, node.origin) from None
    return list(found)
