"""Small ways to break the derivation, the rewrites and the C, and the tests that should notice."""

from typing import NamedTuple


class Mutation(NamedTuple):
    """A text of a file, which occurs there once, what takes its place, and who should see it."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


LINEAR = ("tests/graphcnn/ops/test_linear.py",)
LOST = "tests/graphcnn/ops/test_gradients.py"
LOST += "::test_an_index_or_guard_that_the_derivative_lost_still_counts"
SLOPES = ("tests/graphcnn/ops/test_gradients.py", *LINEAR)
NETWORKS = ("tests/graphcnn/ops/test_networks.py", "tests/graphcnn/test_course.py")
GRAPHS = ("tests/codegen/test_graphs.py",)
REWRITES = ("tests/codegen/test_rewrite.py", "tests/codegen/test_programs.py")
COMPILED = ("tests/graphcnn/ops/test_compiled.py",)
PRINTED = ("tests/codegen/test_printer.py", "tests/codegen/test_programs.py")

ADJOINT, BACKWARD = "graphcnn/adjoint.py", "graphcnn/backward.py"
GATHER, INLINE = "codegen/rewrite/gather.py", "codegen/rewrite/inline.py"
TRIM, PAD = "codegen/rewrite/trim.py", "codegen/rewrite/pad.py"
MERGE, REUSE = "codegen/rewrite/merge.py", "codegen/rewrite/reuse.py"
PRINTER, SHARE = "codegen/emit/printer.py", "codegen/lower/share.py"

MUTATIONS = (
    # The derivation.
    Mutation(
        "an index that the derivative lost counts once",
        ADJOINT,
        "body * repeats, forward.sizes)",
        "body, forward.sizes)",
        (LOST, *SLOPES),
    ),
    Mutation(
        "a guard that the derivative lost is forgotten",
        ADJOINT,
        "extra=made.extra + guards)",
        "extra=made.extra)",
        (LOST, *SLOPES),
    ),
    Mutation(
        "a blocked branch is multiplied by zero",
        ADJOINT,
        "if isinstance(local, sympy.Piecewise):",
        "if False:",
        ("tests/graphcnn/ops/test_edges.py",),
    ),
    Mutation(
        "every largest value gets the gradient",
        ADJOINT,
        "chosen = Equal(_position(statement), winner[statement.maps])",
        "chosen = sympy.S.One",
        ("tests/graphcnn/ops/test_edges.py", *SLOPES),
    ),
    Mutation(
        "positions are counted column by column",
        ADJOINT,
        "for symbol in statement.reduced:",
        "for symbol in reversed(statement.reduced):",
        ("tests/graphcnn/ops/test_edges.py", *SLOPES),
    ),
    Mutation(
        "detached values pass gradients",
        ADJOINT,
        "if s.target in fragment.detached or s.target.dtype not in FLOATS:",
        "if s.target.dtype not in FLOATS:",
        ("tests/graphcnn/ops/test_gradients.py", *NETWORKS),
    ),
    Mutation(
        "an op is differentiated from its first statement on",
        ADJOINT,
        "b for s in reversed(fragment.statements) if s.target in active",
        "b for s in fragment.statements if s.target in active",
        SLOPES,
    ),
    Mutation(
        "of several consumers the first counts",
        BACKWARD,
        "    if len(parts) == 1:",
        "    if parts:",
        NETWORKS,
    ),
    Mutation(
        "gradients of several consumers are multiplied",
        BACKWARD,
        "sympy.Add(*(t[at] for t in tensors))",
        "sympy.Mul(*(t[at] for t in tensors))",
        NETWORKS,
    ),
    Mutation(
        "the gradient of another input is passed on",
        BACKWARD,
        "fragment = vjp(node.fragment, k)\n    if fragment is None:",
        "fragment = vjp(node.fragment, 0)\n    if fragment is None:",
        SLOPES,
    ),
    # The rewrites.
    Mutation(
        "gathered sums forget where the forward index ends",
        GATHER,
        "    extra += (Guard(back, statement.sizes[solved]),)\n",
        "",
        REWRITES,
    ),
    Mutation(
        "gathered rows are one too few",
        GATHER,
        "rows = -(-(size - phase) // stride)",
        "rows = (size - phase) // stride",
        REWRITES,
    ),
    Mutation(
        "a strided scatter is gathered without its phase",
        GATHER,
        "left = stride * solved + phase",
        "left = stride * solved",
        REWRITES,
    ),
    Mutation(
        "turning an index round loses its sign",
        GATHER,
        "back = stride * (solved - shift)",
        "back = solved - shift",
        REWRITES,
    ),
    Mutation(
        "equal sums are gathered without the guards they had",
        GATHER,
        "extra = rewritten(statement.extra, swap)\n",
        "extra: tuple[Guard, ...] = ()\n",
        REWRITES,
    ),
    Mutation(
        "what nothing reaches is one and not zero",
        GATHER,
        "return state(tensor[at], Reduce.SET, sympy.S.Zero)",
        "return state(tensor[at], Reduce.SET, sympy.S.One)",
        REWRITES,
    ),
    Mutation(
        "a body put in another one leaves its guards behind",
        INLINE,
        "extra = tuple(dict.fromkeys((*statement.extra, *guards)))",
        "extra = statement.extra",
        REWRITES,
    ),
    Mutation(
        "a body put in another one keeps its own letters",
        INLINE,
        "value = expanded(producer.body.xreplace(rules))",
        "value = producer.body",
        REWRITES,
    ),
    Mutation(
        "what is defined in two statements is put in by one",
        INLINE,
        "if len(owned) == 1 and statement.target",
        "if owned and statement.target",
        REWRITES,
    ),
    Mutation(
        "trimmed sums start one too late",
        TRIM,
        "first = max(first, -(int(high) // abs(int(step))))",
        "first = max(first, 1 - int(high) // abs(int(step)))",
        ("tests/codegen/test_trim.py", *REWRITES),
    ),
    Mutation(
        "trimmed sums are not moved back",
        TRIM,
        "rules = {index: index + first}",
        "rules = {index: index}",
        ("tests/codegen/test_trim.py", *REWRITES),
    ),
    Mutation(
        "padding is one and not zero",
        PAD,
        "state(padded[letters], Reduce.SET, sympy.S.Zero),",
        "state(padded[letters], Reduce.SET, sympy.S.One),",
        REWRITES,
    ),
    Mutation(
        "padded tensors are read where the bare one was",
        PAD,
        "return (sympy.expand(m + self.before),)",
        "return (sympy.expand(m),)",
        REWRITES,
    ),
    Mutation(
        "equal statements are those of equal bodies, whatever they do with them",
        MERGE,
        "return (plain.target, plain.maps, plain.op, plain.body,",
        "return (plain.target, plain.maps, plain.body,",
        (*REWRITES, *GRAPHS),
    ),
    Mutation(
        "a value is read again where it was never made",
        REUSE,
        "inside(m, n, statement.sizes) or Guard(m, n) in known",
        "True",
        (*REWRITES, *GRAPHS),
    ),
    # The C.
    Mutation(
        "a − (b − c) loses its parentheses",
        PRINTER,
        "self._inside(a, level), self._inside(b, level + 1)",
        "self._inside(a, level), self._inside(b, level)",
        PRINTED,
    ),
    Mutation(
        "the branches of a choice change places",
        PRINTER,
        '? {self._inside(a, 3)} : {self._inside(b, _TERNARY)}"',
        '? {self._inside(b, 3)} : {self._inside(a, _TERNARY)}"',
        PRINTED,
    ),
    Mutation(
        "loops end at the largest of their ends",
        PRINTER,
        'high = self._bound(stop, "imin")',
        'high = self._bound(stop, "imax")',
        (*PRINTED, *GRAPHS),
    ),
    Mutation(
        "flat subscripts count with the size of the axis before",
        PRINTER,
        "for a, size in zip(e.at[1:], array.shape[1:], strict=True):",
        "for a, size in zip(e.at[1:], array.shape[:-1], strict=True):",
        (*PRINTED, *COMPILED),
    ),
    Mutation(
        "NaN is a number",
        PRINTER,
        'return f"{x} != {x}", 8',
        'return f"{x} == {x}", 8',
        (*PRINTED, *COMPILED),
    ),
    Mutation(
        "threads do one task too few",
        SHARE,
        'return Number(-(-int(count.value) // size), "int64")',
        'return Number(int(count.value) // size, "int64")',
        ("tests/codegen/test_threads.py", *GRAPHS),
    ),
    Mutation(
        "shared loops are cut where compilers fuse otherwise",
        SHARE,
        "GRAIN = 64",
        "GRAIN = 1",
        ("tests/codegen/test_threads.py", *GRAPHS),
    ),
)
