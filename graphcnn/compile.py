"""Compile a graph into a function: forward, backward and updates in one C call."""

from __future__ import annotations

import difflib
import os
import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.build import find_toolchain
from codegen.compile import Executable, Options, Plan, aligned_bytes, load, make_plan
from codegen.interpret import interpret
from codegen.sizes import SizeError, bind_dims, evaluate
from graphcnn.errors import CallError, DTypeError, GraphError, ShapeError, described, user_origin
from graphcnn.graph import Graph, Node, Parameter
from graphcnn.program import Lowered, to_program

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
    options: Options | None = None,
) -> Step:
    """Give a function of the graph's inputs that computes the outputs and applies the updates.

    Called with one array for each input, by name, it returns what `outputs` is: one array for a
    node, a list for a list, a dict for a dict. `updates` are pairs (parameter, node of its next
    value), as the optimisers give them; all next values are computed from the old ones.

    `backend` is "c", "numpy", or None: C where a compiler is found, else NumPy with a notice (the
    environment variable GRAPHCNN_BACKEND decides for all). `options` switch optimisations off.

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
    named = dict(outputs) if isinstance(outputs, Mapping) else {}
    nodes = [outputs] if isinstance(outputs, Node) else [*(named.values() or outputs)]
    changes = tuple(updates)
    try:
        _check(nodes, changes)
        lowered = to_program(nodes, changes, name)
    except GraphError as error:
        raise error if error.who else error.at(f"compile {name!r}", origin) from None
    made = make_plan(lowered.program, options)
    return Step(lowered, made, outputs, nodes, _backend(backend, made))


def _check(nodes: Sequence[Any], updates: Sequence[Any]) -> None:
    for node in nodes:
        if not isinstance(node, Node):
            raise DTypeError(
                f"{node!r} is not a node",
                rule="outputs are nodes of a graph",
                fix="compile(loss), compile([loss, scores]) or compile({'loss': loss})",
            )
    seen: set[Node] = set()
    for pair in updates:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Node)):
            raise DTypeError(
                f"update {pair!r}",
                rule="an update is a pair (parameter, node of its next value)",
                fix="updates=rmsprop(loss)",
            )
        old, new = pair
        if not isinstance(old, Parameter):
            raise DTypeError(
                f"{old!r} is updated but is no parameter",
                rule="only parameters change",
                fix='make it with parameter("w", ...)',
            )
        if old in seen:
            raise GraphError(
                f"{old!r} is updated twice",
                rule="a parameter has one next value",
                fix="add the two steps into one node",
            )
        seen.add(old)
        if old.shape != new.shape or old.dtype != new.dtype:
            raise ShapeError(
                f"parameter {old.name!r} is {old.dtype} {described(old.shape)}, its next value "
                f"{new.dtype} {described(new.shape)}",
                rule="an update keeps shape and dtype",
                fix="reduce or convert the next value",
            )


_NOTICE = (
    "no C compiler found: running on the NumPy interpreter, which gives the same results slowly. "
    "Install one with: pip install 'graphcnn[compiler]'"
)


def _backend(asked: str | None, made: Plan) -> Executable | None:
    """Give the compiled program, or None to interpret it."""
    chosen = asked or os.environ.get("GRAPHCNN_BACKEND") or "auto"
    match chosen:
        case "numpy":
            return None
        case "c":
            return load(made)
        case "auto":
            if find_toolchain() is None:
                warnings.warn(_NOTICE, RuntimeWarning, stacklevel=3)
                return None
            return load(made)
    raise DTypeError(
        f"backend={chosen!r}", rule='a backend is "c" or "numpy"', fix="leave it out to choose"
    ).at("compile", user_origin())


class Step:
    """A compiled function. Call it with arrays by name; `stages` shows how it came about."""

    def __init__(
        self,
        lowered: Lowered,
        made: Plan,
        structure: Any,
        nodes: Sequence[Node],
        executable: Executable | None,
    ) -> None:
        self.plan = made
        self.graph: Graph = lowered.graph
        self._structure = structure
        self._executable = executable
        self._lock = threading.Lock()
        program = made.program
        of = {t: n for n, t in lowered.tensors.items()}
        self._inputs = [(of[t], t, np.dtype(t.dtype)) for t in program.inputs]
        self._names = {n.name for n, _, _ in self._inputs}
        self._held = {t.name: of[t].value for t in program.parameters}  # type: ignore[attr-defined]
        self._order = [program.outputs.index(lowered.results[n]) for n in nodes]
        self._choices = _choices(lowered)
        self._bound: dict[tuple[tuple[int, ...], ...], _Binding] = {}
        self._scratch = aligned_bytes(64)
        slots = {t: k for k, t in enumerate(made.unit.arrays)}
        self._input_slots = [slots[t] for t in program.inputs]
        self._output_slots = [slots[t] for t in program.outputs]
        self._pointers = self._prepare(executable) if executable else None

    # -- calling ----------------------------------------------------------------------------

    def __call__(self, **inputs: Any) -> Any:
        """Run once. Raises `CallError` where an input is missing, unknown or does not fit."""
        if inputs.keys() != self._names:
            raise self._wrong_names(inputs)
        arrays = [
            self._array(inputs[node.name], node, dtype) for node, _, dtype in self._inputs
        ]
        for k, classes in self._choices:
            self._check_choice(k, arrays[k], classes)
        bound = self._bind(arrays)
        outputs = [np.empty(shape, dtype) for shape, dtype in bound.outputs]
        with self._lock:
            if self._executable is None:
                self._interpret(arrays, outputs, bound)
            else:
                self._run(arrays, outputs, bound)
        return self._shaped([outputs[k] for k in self._order])

    def _shaped(self, values: list[Array]) -> Any:
        if isinstance(self._structure, Node):
            return values[0]
        if isinstance(self._structure, Mapping):
            return dict(zip(self._structure, values, strict=True))
        return values

    def _array(self, value: Any, node: Node, dtype: np.dtype[Any]) -> Array:
        """Give a contiguous array of the input's dtype, the caller's own where it is one."""
        if type(value) is np.ndarray and value.dtype == dtype:
            flags = value.flags
            return value if flags.c_contiguous and flags.aligned else _contiguous(value)
        return _contiguous(_converted(value, node, dtype))

    def _bind(self, arrays: Sequence[Array]) -> _Binding:
        """Give what follows from the shapes: sizes, output shapes, scratch memory."""
        key = tuple([a.shape for a in arrays])
        found = self._bound.get(key)
        if found is None:
            try:
                dims = bind_dims(
                    (t, a.shape) for (_, t, _), a in zip(self._inputs, arrays, strict=True)
                )
            except SizeError as error:
                raise self._wrong_shape(str(error), arrays) from None
            found = _Binding(dims, self)
            if len(self._bound) > 256:
                self._bound.clear()
            self._bound[key] = found
        return found

    def _prepare(self, executable: Executable) -> Any:
        """Give the C array of pointers, those of the parameters already in place."""
        ffi = executable.library.ffi
        order = self.plan.unit.arrays
        pointers = ffi.new("void *[]", max(1, len(order)))
        for k, t in enumerate(order):
            if t.name in self._held:
                pointers[k] = ffi.from_buffer(self._held[t.name])
        return pointers

    def _run(self, arrays: list[Array], outputs: list[Array], bound: _Binding) -> None:
        assert self._executable is not None
        from_buffer, pointers = self._executable.library.ffi.from_buffer, self._pointers
        for k, array in zip(self._input_slots, arrays, strict=True):
            pointers[k] = from_buffer(array)
        for k, array in zip(self._output_slots, outputs, strict=True):
            pointers[k] = from_buffer(array)
        if bound.bytes > self._scratch.size:
            self._scratch = aligned_bytes(bound.bytes)
        self._executable.entry(pointers, from_buffer(self._scratch), bound.dims)

    def _interpret(self, arrays: list[Array], outputs: list[Array], bound: _Binding) -> None:
        program = self.plan.rewritten
        given = {t.name: a for (_, t, _), a in zip(self._inputs, arrays, strict=True)}
        values = interpret(program, given | self._held, bound.sizes)
        for k, tensor in enumerate(program.outputs):
            outputs[k][...] = values[tensor.name]
        following = [(old, values[new.name].copy()) for old, new in program.updates]
        for old, new in following:
            self._held[old.name][...] = new

    # -- errors -----------------------------------------------------------------------------

    def _wrong_names(self, inputs: Mapping[str, Any]) -> CallError:
        unknown = sorted(inputs.keys() - self._names)
        missing = [n for n, _, _ in self._inputs if n.name not in inputs]
        if unknown:
            near = difflib.get_close_matches(unknown[0], self._names, 1)
            hint = f"did you mean {near[0]!r}?" if near else "leave it out"
            problem = f"there is no input {unknown[0]!r}"
        else:
            where = ", ".join(f"{n.name!r} ({n.origin})" for n in missing)
            problem, hint = f"missing input {where}", f"call it with {missing[0].name}=..."
        expected = ", ".join(
            f"{n.name}: {n.dtype} {described(n.shape)}" for n, _, _ in self._inputs
        )
        return CallError(
            problem, rule=f"the inputs are {expected or 'none'}", fix=hint
        ).at(f"call of {self.plan.program.name!r}", user_origin())

    def _wrong_shape(self, problem: str, arrays: Sequence[Array]) -> CallError:
        node = next((n for n, _, _ in self._inputs if problem.startswith(n.name)), None)
        made = f" ({node.origin})" if node else ""
        given = ", ".join(
            f"{n.name} {described(a.shape)} for {described(n.shape)}"
            for (n, _, _), a in zip(self._inputs, arrays, strict=True)
        )
        return CallError(
            f"{problem}{made}",
            rule="ranks and sizes match the graph's, and one dim has one size in a call",
            fix=f"given: {given}",
        ).at(f"call of {self.plan.program.name!r}", user_origin())

    def _check_choice(self, k: int, array: Array, classes: int) -> None:
        """Refuse labels that name no class; C would ignore them, which nobody wants."""
        if array.size and (array.min() < 0 or array.max() >= classes):
            node = self._inputs[k][0]
            wrong = np.flatnonzero((array < 0) | (array >= classes))[0]
            raise CallError(
                f"{node.name!r} ({node.origin}) holds {array.flat[wrong]} at position {wrong}",
                rule=f"with {classes} classes, labels are whole numbers from 0 to {classes - 1}",
                fix="renumber the labels, or widen the scores",
            ).at(f"call of {self.plan.program.name!r}", user_origin())

    # -- looking inside ---------------------------------------------------------------------

    @property
    def stages(self) -> Stages:
        """Every stage of the compilation as text, from the graph to the C."""
        stages = Stages(graph=str(self.graph))
        names = self.graph.names
        stages["adjoints"] = "\n".join(
            f"∂{names[n.partner]}/∂{names[n.wrt]} = {n.formula}"
            for n in self.graph.nodes
            if n.partner in names and n.wrt in names
        )
        stages.update(self.plan.stages)
        return stages

    @property
    def backend(self) -> str:
        """Which backend runs: "c" or "numpy"."""
        return "numpy" if self._executable is None else "c"

    def __repr__(self) -> str:
        inputs = ", ".join(n.name for n, _, _ in self._inputs)
        return f"<Step {self.plan.program.name}({inputs}) on {self.backend}>"


class _Binding:
    """What a set of input shapes implies, computed once for each."""

    def __init__(self, sizes: Mapping[Any, int], step: Step) -> None:
        program = step.plan.program
        self.sizes = sizes
        self.outputs = [
            (tuple(evaluate(n, sizes) for n in t.shape), np.dtype(t.dtype)) for t in program.outputs
        ]
        ordered = [sizes[d] for d in program.dims]
        self.dims: Any = None
        self.bytes = 0
        if step._executable is not None:
            self.dims = step._executable.dims(ordered)
            self.bytes = step._executable.workspace_bytes(ordered)


def _choices(lowered: Lowered) -> list[tuple[int, int]]:
    """The inputs that pick one of so many classes, by position."""
    inputs = lowered.graph.of_kind("input")
    found: dict[int, int] = {}
    for node in lowered.graph.nodes:
        if node.fragment is None:
            continue
        of = dict(zip(node.fragment.inputs, node.inputs, strict=True))
        for tensor, classes in node.fragment.choices:
            if of[tensor] in inputs and isinstance(classes, int):
                k = inputs.index(of[tensor])
                found[k] = min(classes, found.get(k, classes))
    return sorted(found.items())


def _contiguous(array: Array) -> Array:
    return np.require(array, requirements=("C", "A"))


def _converted(value: Any, node: Node, dtype: np.dtype[Any]) -> Array:
    """Give any array-like as the input's dtype where no information is lost."""
    weak = not hasattr(value, "dtype")  # Python numbers and lists take the input's dtype
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            value = np.from_dlpack(value)
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise _wrong_dtype(node, f"{type(value).__name__} ({error})", dtype) from None
    if weak and array.dtype.kind in "fiub" and dtype.kind == "f":
        return array.astype(dtype)
    if array.dtype.kind in "iu" and dtype.kind == "i":
        low, high = (array.min(), array.max()) if array.size else (0, 0)
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return array.astype(dtype)
        raise _wrong_dtype(node, f"{array.dtype} with values from {low} to {high}", dtype)
    if array.dtype.kind in "fiub" and np.can_cast(array.dtype, dtype, "safe"):
        return array.astype(dtype)
    raise _wrong_dtype(node, str(array.dtype), dtype)


def _wrong_dtype(node: Node, given: str, dtype: np.dtype[Any]) -> GraphError:
    return DTypeError(
        f"{node.name!r} ({node.origin}) was given {given}, but is {dtype}",
        rule="inputs are converted only where nothing is lost",
        fix=f"convert it: {node.name}.astype(np.{dtype})",
    ).at(f"input {node.name!r}", user_origin())
