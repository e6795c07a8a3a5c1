"""The graph a user writes: immutable nodes with name, op, inputs, shape, dtype and origin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import FrozenInstanceError, dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import sympy

from codegen.affine import Dim, Size
from codegen.aligned import aligned_copy
from codegen.notation import FLOATS, DType, Reduce, Tensor, indices
from codegen.notation import statement as state
from graphcnn.errors import DTypeError, GraphError, Origin, ShapeError, user_origin
from graphcnn.fragment import Fragment
from graphcnn.given import array_of, dtype_of, name_of, shape_of, whole_dtype
from graphcnn.scope import current_scope

Array = npt.NDArray[Any]
OPERATORS: dict[str, Callable[..., Node]] = {}
"""The declared ops by name; Python's operators on nodes look theirs up here."""
NOTEBOOK: dict[str, Callable[[Any], Any]] = {}
"""How notebooks show a "node" (LaTeX) and a "graph" (a mimebundle); `graphcnn.draw` enters it."""


@dataclass(frozen=True, eq=False, repr=False)
class Node:
    """One value of the graph. Nodes are equal only to themselves; `equal` compares values.

    `partner` is, for a node of a backward graph, the forward node whose gradient rule it applies,
    and `wrt` the forward node it is the gradient of. `scope` are the names of the layers that it
    was made in.
    """

    op: str
    shape: tuple[Size, ...]
    dtype: DType
    inputs: tuple[Node, ...] = ()
    fragment: Fragment | None = None
    static: tuple[tuple[str, Any], ...] = ()
    name: str = ""
    origin: Origin | None = None
    formula: str = ""
    partner: Node | None = None
    wrt: Node | None = None
    scope: tuple[str, ...] = field(default_factory=current_scope)

    def __add__(self, other: Any) -> Node:
        return OPERATORS["add"](self, other)

    def __radd__(self, other: Any) -> Node:
        return OPERATORS["add"](other, self)

    def __sub__(self, other: Any) -> Node:
        return OPERATORS["subtract"](self, other)

    def __rsub__(self, other: Any) -> Node:
        return OPERATORS["subtract"](other, self)

    def __mul__(self, other: Any) -> Node:
        return OPERATORS["multiply"](self, other)

    def __rmul__(self, other: Any) -> Node:
        return OPERATORS["multiply"](other, self)

    def __truediv__(self, other: Any) -> Node:
        return OPERATORS["divide"](self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return OPERATORS["divide"](other, self)

    def __pow__(self, other: Any) -> Node:
        return OPERATORS["power"](self, other)

    def __rpow__(self, other: Any) -> Node:
        return OPERATORS["power"](other, self)

    def __matmul__(self, other: Any) -> Node:
        return OPERATORS["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Node:
        return OPERATORS["matmul"](other, self)

    def __neg__(self) -> Node:
        return OPERATORS["negative"](self)

    def __abs__(self) -> Node:
        return OPERATORS["abs"](self)

    def __lt__(self, other: Any) -> Node:
        return OPERATORS["less"](self, other)

    def __le__(self, other: Any) -> Node:
        return OPERATORS["less_equal"](self, other)

    def __gt__(self, other: Any) -> Node:
        return OPERATORS["greater"](self, other)

    def __ge__(self, other: Any) -> Node:
        return OPERATORS["greater_equal"](self, other)

    def __getitem__(self, key: Any) -> Node:
        return OPERATORS["slice"](self, key)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Node:
        """Give the sum over axes, all by default."""
        return OPERATORS["sum"](self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Node:
        """Give the mean over axes, all by default."""
        return OPERATORS["mean"](self, axis, keepdims)

    def reshape(self, *shape: Any) -> Node:
        """Give the same elements in row order under another shape."""
        one = len(shape) == 1 and isinstance(shape[0], (tuple, list))
        return OPERATORS["reshape"](self, shape[0] if one else shape)

    def astype(self, dtype: npt.DTypeLike) -> Node:
        """Give the values in another dtype."""
        origin = user_origin()
        try:
            return OPERATORS["astype"](self, dtype_of(dtype))
        except GraphError as error:
            raise error.at("astype", origin, f"{self!r}") from None

    @property
    def T(self) -> Node:  # noqa: N802 (NumPy's name)
        """The axes in reverse order."""
        return OPERATORS["transpose"](self)

    @property
    def kind(self) -> str:
        """Dtype and shape as prints show them: `float32[N, 3]`."""
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    @property
    def called(self) -> str:
        """Op and name as errors give them: `conv2d 'conv1'`."""
        return f"{self.op} {self.name!r}" if self.name else self.op

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __and__(self, other: Any) -> Node:
        return OPERATORS["logical_and"](self, other)

    def __rand__(self, other: Any) -> Node:
        return OPERATORS["logical_and"](other, self)

    def __or__(self, other: Any) -> Node:
        return OPERATORS["logical_or"](self, other)

    def __ror__(self, other: Any) -> Node:
        return OPERATORS["logical_or"](other, self)

    def __invert__(self) -> Node:
        return OPERATORS["logical_not"](self)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Node:
        """Give the node that `array + node` and `np.exp(node)` mean: ops have NumPy's names."""
        name = {"absolute": "abs"}.get(ufunc.__name__, ufunc.__name__)
        # == between nodes asks for identity, so == with an array must not quietly mean `equal`
        known = name in OPERATORS and name not in ("equal", "not_equal")
        if known and method == "__call__" and not kwargs:
            return OPERATORS[name](*inputs)
        raise self._refusal(f"np.{ufunc.__name__} computes with arrays", _instead(name))

    def __array_function__(self, function: Any, *_: Any) -> Any:
        name = function.__name__
        raise self._refusal(f"np.{name} computes with arrays", _instead(name))

    def __array__(self, *_: Any, **__: Any) -> Array:
        raise self._refusal("a node is not an array", _RUN)

    def __float__(self) -> float:
        raise self._refusal("a node is not a Python number", _RUN)

    def __int__(self) -> int:
        raise self._refusal("a node is not a Python number", _RUN)

    def __bool__(self) -> bool:
        raise self._refusal(
            "a node is neither true nor false",
            "use where(condition, a, b), maximum, minimum, and & | ~ between comparisons",
        )

    def __iter__(self) -> Any:
        raise self._refusal("a node cannot be iterated over", "index it: x[0], x[:, 1]")

    def __contains__(self, item: Any) -> bool:
        raise self._refusal("a node cannot be searched", "compare: sum(equal(x, value)) > 0")

    def __setitem__(self, key: Any, value: Any) -> None:
        raise self._refusal(
            "a node cannot be changed",
            "make a new node: where(condition, a, b), concatenate((a, b), axis=0)",
        )

    def _refusal(self, problem: str, fix: str) -> DTypeError:
        made = f", made at {self.origin}" if self.origin else ""
        return DTypeError(
            problem, rule="a graph is static: its nodes have values only when it runs", fix=fix
        ).at(self.called, user_origin(), f"{self!r}{made}")

    def _repr_latex_(self) -> str | None:
        """Give Jupyter the formula of a node that has one."""
        return NOTEBOOK["node"](self) if self.inputs and "node" in NOTEBOOK else None

    def __repr__(self) -> str:
        args = ", ".join(i.name or i.op for i in self.inputs)
        called = f"{self.op}({args})" if self.inputs else self.op
        named = f"{self.name} = {called}" if self.name else called
        return f"<{named} {self.kind}>"


_RUN = "run the graph to get an array: compile(node)(x=...)"


def _instead(name: str) -> str:
    return f"graphcnn.{name} makes a node" if name in OPERATORS else _RUN


@dataclass(frozen=True, eq=False, repr=False)
class _Trained(Node):
    trainable: bool = True
    _held: list[Array] = field(default_factory=list)


class Parameter(_Trained):  # no dataclass itself: a frozen one could not be given a value
    """A node that holds a value which training changes; `value` may be read and assigned.

    >>> w = parameter("w", [1, 2, 3], dtype="float32")
    >>> w.value = [4, 5, 6]
    >>> w.value
    array([4., 5., 6.], dtype=float32)
    """

    @property
    def value(self) -> Array:
        """The current value; writing into it changes the parameter."""
        return self._held[0]

    @value.setter
    def value(self, new: Any) -> None:
        held, origin = self._held[0], user_origin()
        try:
            array = array_of(new)
            if array.shape != held.shape:
                raise ShapeError(
                    f"a value of shape {array.shape} for a parameter of shape {held.shape}",
                    rule="a parameter keeps its shape",
                    fix="reshape the value, or make a new parameter",
                )
            if not np.can_cast(array.dtype, held.dtype, "same_kind"):
                raise DTypeError(
                    f"a value of {array.dtype} for a parameter of {held.dtype}",
                    rule="a parameter keeps its dtype",
                    fix=f"convert it: value.astype(np.{held.dtype})",
                )
        except GraphError as error:
            made = f"made at {self.origin}"
            raise error.at(f"parameter {self.name!r}", origin, f"{self!r}, {made}") from None
        held[...] = array

    def __setattr__(self, name: str, new: Any) -> None:
        """Refuse to change anything but the value."""
        if name != "value":
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, new)


@dataclass(frozen=True, eq=False, repr=False)
class Constant(Node):
    """A node that holds an array which never changes."""

    value: Array = field(default_factory=lambda: np.zeros(()))


def dim(name: str) -> Dim:
    """Give a symbolic size, such as a batch size, bound when a compiled function is called.

    >>> dim("N") + 1
    N + 1
    """
    if not isinstance(name, str) or not name:
        raise DTypeError(f"a dim is named by a string, not {name!r}", fix='dim("N")')
    return Dim(name)


def input(name: str, shape: Sequence[Any] = (), dtype: DType = "float32") -> Node:
    """Give a value that each call of the compiled function brings.

    Integer inputs may be given as any integer dtype and are kept as int32; bools as bool.

    >>> input("image", (dim("N"), 3, 32, 32))
    <image = input float32[N, 3, 32, 32]>
    """
    origin = user_origin()
    try:
        return Node(
            "input", shape_of(shape), dtype_of(dtype), name=name_of(name, "input"), origin=origin
        )
    except GraphError as error:
        raise error.at(f"input {name!r}", origin) from None


def parameter(
    name: str, value: Any, *, dtype: DType | None = None, trainable: bool = True
) -> Parameter:
    """Give a value that lives in the compiled function's memory and that `updates` can change.

    float64 arrays become float32 unless `dtype` says otherwise. Its name begins with those of the
    scopes that are open.
    """
    origin = user_origin()
    try:
        name = ".".join((*current_scope(), name_of(name, "parameter")))
        array = array_of(value)
        chosen = dtype_of(dtype or ("float32" if array.dtype.kind == "f" else whole_dtype(array)))
        held = aligned_copy(array, chosen)
        shape = shape_of(held.shape)
    except GraphError as error:
        raise error.at(f"parameter {name!r}", origin) from None
    return Parameter(
        "parameter", shape, chosen, name=name, origin=origin, trainable=trainable, _held=[held]
    )


def constant(value: Any, dtype: DType | None = None, name: str = "") -> Node:
    """Give a node for a number or an array that never changes.

    A float64 array becomes float32 unless `dtype` says otherwise.
    """
    origin = user_origin()
    try:
        array = array_of(value)
        chosen = dtype_of(dtype or ("float32" if array.dtype.kind == "f" else whole_dtype(array)))
    except GraphError as error:
        raise error.at(f"constant {name!r}" if name else "constant", origin) from None
    if array.ndim == 0 and array == array:  # a NaN cannot be written in a formula
        return literal(array.item(), chosen, name)
    frozen = np.array(array, dtype=chosen, order="C")
    frozen.flags.writeable = False
    return Constant(
        "constant", shape_of(frozen.shape), chosen, name=name, origin=origin, value=frozen
    )


def literal(value: float | int | bool, dtype: DType, name: str = "") -> Node:
    """Give a scalar node whose value is part of the program."""
    y = Tensor("y", (), dtype)
    fragment = Fragment((), (state(y[()], Reduce.SET, _number(value)),), y)
    return Node("constant", (), dtype, fragment=fragment, name=name, formula=f"{value:g}")


def full(shape: Sequence[Size], value: float, dtype: DType, name: str = "") -> Node:
    """Give a node filled with one number, of any (symbolic) shape."""
    y = Tensor("y", shape, dtype)
    at = indices(" ".join("ijklmnopqrst"[: len(y.shape)]))
    fragment = Fragment((), (state(y[at], Reduce.SET, _number(value)),), y)
    return Node("full", y.shape, dtype, fragment=fragment, name=name, formula=f"{value:g}")


def _number(value: float | int | bool) -> Any:
    if isinstance(value, (bool, int)):
        return sympy.Integer(int(value))
    if value in (float("inf"), float("-inf")):
        return sympy.oo if value > 0 else -sympy.oo
    return sympy.Float(value, 17) if value != int(value) else sympy.Integer(int(value))


def as_operands(given: Sequence[tuple[str, Any]]) -> list[Node]:
    """Make every operand a node; numbers take the dtype of the nodes beside them.

    Raises `DTypeError` where float32 meets float64: nothing is promoted silently.
    """
    floats: dict[DType, str] = {}
    for name, value in given:
        if isinstance(value, Node) and value.dtype in FLOATS:
            floats.setdefault(value.dtype, value.name or name)
    if len(floats) > 1:
        raise DTypeError(
            " and ".join(f"{n} is {d}" for d, n in floats.items()),
            rule="float operands of one op share one dtype; nothing is promoted silently",
            fix=f'convert one of them: {floats["float64"]}.astype("float32")',
        )
    beside = next(iter(floats), None)
    whole = any(isinstance(v, Node) and v.dtype == "int32" for _, v in given)
    nodes = []
    for name, value in given:
        if isinstance(value, Node):
            nodes.append(value)
            continue
        if isinstance(value, bool):
            raise DTypeError(
                f"{name} is Python's {value}",
                rule="== and != between nodes ask whether they are one and the same node",
                fix="compare values with equal(x, y) or not_equal(x, y); "
                f"where {value} is meant, give constant({value})",
            )
        array = array_of(value)
        strong = isinstance(value, np.ndarray) and value.ndim and array.dtype.kind == "f"
        if strong and beside and array.dtype != beside:
            raise DTypeError(
                f"{name} is an array of {array.dtype} beside nodes of {beside}",
                rule="float operands of one op share one dtype; nothing is promoted silently",
                fix=f"convert it: {name}.astype(np.{beside})",
            )
        kind = array.dtype.kind
        chosen: DType | None = beside if kind == "f" else None
        if kind in "iu" and not (whole and beside is None):
            chosen = beside or "float32" if array.ndim == 0 else None
        nodes.append(constant(value, chosen))
    return nodes


@dataclass(frozen=True)
class Graph:
    """All nodes that some outputs need, in an order in which each follows its inputs.

    Raises `GraphError` where two inputs or parameters share a name.
    """

    outputs: tuple[Node, ...]

    @classmethod
    def of(cls, *outputs: Node) -> Self:
        """Give the graph that ends in these nodes."""
        return cls(outputs)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node, inputs first; no recursion, so depth does not matter."""
        done: dict[Node, None] = {}
        stack = [*reversed(self.outputs)]
        while stack:
            node = stack[-1]
            if node in done:
                stack.pop()
                continue
            waiting = [i for i in node.inputs if i not in done]
            if waiting:
                stack.extend(reversed(waiting))
            else:
                done[node] = None
                stack.pop()
        return tuple(done)

    @cached_property
    def names(self) -> dict[Node, str]:
        """A name for every node: the user's where there is one, else the op's and a number."""
        given: dict[str, Node] = {}
        names: dict[Node, str] = {}
        for node in self.nodes:
            if node.op in ("input", "parameter"):
                other = given.setdefault(node.name, node)
                if other is not node:
                    raise GraphError(
                        f"the {other.op} made at {other.origin} has the same name",
                        rule="inputs and parameters are addressed by name, so each has its own",
                        fix="give one of them another name, or use the one node in both places",
                    ).at(f"{node.op} {node.name!r}", node.origin)
                names[node] = node.name
        taken = set(given)
        counts: dict[str, int] = {}
        for node in self.nodes:
            if node in names:
                continue
            base = node.name or node.op
            name = base
            while name in taken:
                counts[base] = counts.get(base, 0) + 1
                name = f"{base}_{counts[base]}"
            taken.add(name)
            names[node] = name
        return {node: names[node] for node in self.nodes}

    @property
    def dims(self) -> frozenset[Dim]:
        """The symbolic sizes in the shapes of all nodes."""
        sizes = (n for node in self.nodes for n in node.shape if not isinstance(n, int))
        return frozenset(d for n in sizes for d in n.free_symbols)

    @cached_property
    def consumers(self) -> dict[Node, tuple[Node, ...]]:
        """The nodes that use each node, once per use."""
        found: dict[Node, list[Node]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for source in node.inputs:
                found[source].append(node)
        return {node: tuple(users) for node, users in found.items()}

    def of_kind(self, *ops: str) -> tuple[Node, ...]:
        """The nodes of these ops, in order."""
        return tuple(n for n in self.nodes if n.op in ops)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Give Jupyter the picture of the graph."""
        return NOTEBOOK["graph"](self) if "graph" in NOTEBOOK else {"text/plain": repr(self)}

    def __str__(self) -> str:
        rows = []
        for node in self.nodes:
            args = ", ".join(self.names[i] for i in node.inputs)
            static = ", ".join(f"{n}={v}" for n, v in node.static if v is not None)
            call = f"{node.op}({', '.join(p for p in (args, static) if p)})"
            rows.append(
                (
                    self.names[node],
                    node.kind,
                    call if node.fragment else node.op,
                    str(node.origin or ""),
                )
            )
        widths = [max((len(r[c]) for r in rows), default=0) for c in range(4)]
        return "\n".join(
            "  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows
        )


def listed(nodes: Node | Iterable[Node]) -> tuple[Node, ...]:
    """Give one node or several as a tuple."""
    return (nodes,) if isinstance(nodes, Node) else tuple(nodes)
