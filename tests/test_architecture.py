"""The shape of the house, read from its sources: who may import whom, and what nobody may write.

A check is a function from sources to complaints. Every check runs on the project, where it must
find nothing, and on the small examples at the end of this file, where it must find what they say.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("codegen", "graphcnn")
LONGEST_FILE = 600
UNSAFE_MODULES = {"cloudpickle", "dill", "marshal", "pickle", "shelve"}
UNSAFE_FUNCTIONS = {
    "builtins.eval",
    "builtins.exec",
    "os.popen",
    "os.system",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
}
UNSAFE_OPTIONS = {"allow_pickle", "shell"}
GRADIENT_NAME = re.compile(
    r"backward|vjp|jvp|grad|adjoint|derivative|local_gradient", re.IGNORECASE
)
NO_GRADIENT_AT_ALL = {"stop_gradient"}  # the op that declares that none passes
UPSTREAM_NAMES = {"dy", "grad_output", "upstream"}

Sources = Mapping[str, str]  # the text of each file, by its path from the root
Check = Callable[[Sources], list[str]]


# ── Reading the sources ───────────────────────────────────────────────────────────────────────────


@cache
def project_sources() -> Sources:
    """Read every Python and C file of the packages."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*"))
        if path.suffix in {".py", ".c", ".h"}
    }


def trees(sources: Sources) -> dict[str, ast.Module]:
    return {path: parsed(text) for path, text in sources.items() if path.endswith(".py")}


@cache
def parsed(text: str) -> ast.Module:
    """Parse a file once for all checks, none of which changes it."""
    return ast.parse(text)


def module_name(path: str) -> str:
    """``codegen/build/__init__.py`` is ``codegen.build``."""
    return ".".join(PurePosixPath(path).with_suffix("").parts).removesuffix(".__init__")


class Import(NamedTuple):
    place: str  # file:line
    importer: str
    imported: str
    in_function: bool

    @property
    def package(self) -> str:
        return self.imported.partition(".")[0]


def imports(sources: Sources) -> list[Import]:
    """List what each module imports, relative names resolved.

    ``from a import b`` imports the module a.b where there is one, and a otherwise. Imports under
    TYPE_CHECKING count: they too say who knows whom. That importing a.b first runs a's __init__
    does not: packages offer their public names there.
    """
    modules = {module_name(path) for path in sources if path.endswith(".py")}
    return [
        Import(f"{path}:{node.lineno}", module_name(path), target, in_function)
        for path, tree in trees(sources).items()
        for node, in_function in nodes_with_scope(tree)
        for target in import_targets(node, path, modules)
    ]


def nodes_with_scope(
    node: ast.AST, in_function: bool = False
) -> Iterator[tuple[ast.stmt | ast.expr, bool]]:
    """Walk a tree, telling of each node whether it runs only when a function is called."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.expr):
            yield child, in_function
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from nodes_with_scope(child, in_function or is_function)


def import_targets(node: ast.AST, path: str, modules: set[str]) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            folders = PurePosixPath(path).parent.parts
            above = folders[: len(folders) + 1 - level] if level else ()
            base = ".".join([*above, *([module] if module else [])])
            inner = [f"{base}.{alias.name}" for alias in names]
            return sorted({name if name in modules else base for name in inner})
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__")
            | ast.Attribute(attr="import_module" | "__import__"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []


def import_graph(edges: list[Import]) -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for edge in edges:
        if edge.package in PACKAGES:
            graph.setdefault(edge.importer, set()).add(edge.imported)
    return graph


def reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    found, waiting = {start}, [start]
    while waiting:
        new = graph.get(waiting.pop(), set()) - found
        found |= new
        waiting.extend(new)
    return found


def qualified_names(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for, and the built-in functions."""
    names = {name.partition(".")[2]: name for name in UNSAFE_FUNCTIONS if "builtins" in name}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                names |= {alias.asname or alias.name: alias.name for alias in aliases}
            case ast.ImportFrom(module=str(module), names=aliases, level=0):
                names |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in aliases}
    return names


def op_trees(sources: Sources) -> dict[str, ast.Module]:
    return {path: tree for path, tree in trees(sources).items() if path.startswith("graphcnn/ops")}


# ── The checks ────────────────────────────────────────────────────────────────────────────────────


def codegen_has_never_heard_of_graphcnn(sources: Sources) -> list[str]:
    return [
        f"{edge.place} imports {edge.imported}"
        for edge in imports(sources)
        if edge.importer.partition(".")[0] == "codegen" and edge.package == "graphcnn"
    ]


def packages_stand_without_examples_and_tests(sources: Sources) -> list[str]:
    return [
        f"{edge.place} imports {edge.imported}"
        for edge in imports(sources)
        if edge.package in {"benchmarks", "examples", "tests"}
    ]


def modules_import_without_cycles(sources: Sources) -> list[str]:
    graph = import_graph([edge for edge in imports(sources) if not edge.in_function])
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib lists the cycle from the imported to the importer.
        return [" imports ".join(reversed(error.args[1]))]
    return []


def functions_hide_no_import_cycle(sources: Sources) -> list[str]:
    """An import in a function may spare start-up time; it may not lead back to its own file."""
    edges = imports(sources)
    graph = import_graph(edges)
    return [
        f"{edge.place} imports {edge.imported} in a function, which leads back to {edge.importer}"
        for edge in edges
        if edge.in_function
        and edge.package in PACKAGES
        and edge.importer in reachable(graph, edge.imported)
    ]


def files_are_short(sources: Sources) -> list[str]:
    lengths = {path: len(text.splitlines()) for path, text in sources.items()}
    return [
        f"{path} has {length} lines; split it by idea (at most {LONGEST_FILE})"
        for path, length in lengths.items()
        if length > LONGEST_FILE
    ]


def modules_say_what_they_are(sources: Sources) -> list[str]:
    return [
        f"{path} has no docstring"
        for path, tree in trees(sources).items()
        if not ast.get_docstring(tree)
    ]


def nothing_runs_text_or_a_shell(sources: Sources) -> list[str]:
    """Data is never executed: no eval or exec, no pickles, no shell."""

    def unsafe_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
        names = qualified_names(tree)
        for node in ast.walk(tree):
            match node:
                case ast.Import(names=aliases) | ast.ImportFrom(module=None, names=aliases):
                    yield from ((node.lineno, alias.name) for alias in aliases)
                case ast.ImportFrom(module=str(module), names=aliases):
                    yield node.lineno, module
                    yield from ((node.lineno, f"{module}.{alias.name}") for alias in aliases)
                case ast.Name(id=name, ctx=ast.Load()):
                    yield node.lineno, names.get(name, "")
                case ast.Attribute(value=ast.Name(id=module), attr=name):
                    yield node.lineno, f"{names.get(module, '')}.{name}"
                case ast.keyword(arg=str(name), value=value):
                    is_off = isinstance(value, ast.Constant) and not value.value
                    yield node.lineno, "" if is_off else f"{name}="

    unsafe = UNSAFE_MODULES | UNSAFE_FUNCTIONS | {f"{name}=" for name in UNSAFE_OPTIONS}
    return [
        f"{path}:{line} uses {name}"
        for path, tree in trees(sources).items()
        for line, name in sorted(set(unsafe_names(tree)))
        if name in unsafe
    ]


def ops_define_no_gradient(sources: Sources) -> list[str]:
    """Gradients are derived: an op defines, assigns and hands over nothing named like one."""

    def bindings(tree: ast.Module) -> Iterator[tuple[int, str]]:
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    yield node.lineno, node.name
                case ast.keyword(arg=str(name)):
                    yield node.lineno, name
                case ast.Name(id=name, ctx=ast.Store()):
                    yield node.lineno, name
                case ast.Attribute(attr=name, ctx=ast.Store()):
                    yield node.lineno, name

    return [
        f"{path}:{line} defines {name}"
        for path, tree in op_trees(sources).items()
        for line, name in bindings(tree)
        if GRADIENT_NAME.search(name) and name not in NO_GRADIENT_AT_ALL
    ]


def ops_take_no_upstream_gradient(sources: Sources) -> list[str]:
    return [
        f"{path}:{node.lineno} takes {node.arg}"
        for path, tree in op_trees(sources).items()
        for node in ast.walk(tree)
        if isinstance(node, ast.arg) and node.arg in UPSTREAM_NAMES
    ]


# ── The checks, checked ───────────────────────────────────────────────────────────────────────────


class Example(NamedTuple):
    check: Check
    sources: Sources
    complaints: list[str]


EXAMPLES = [
    Example(
        codegen_has_never_heard_of_graphcnn,
        {"graphcnn/op.py": "import codegen", "codegen/a.py": "from . import b\nimport numpy"},
        [],
    ),
    Example(
        codegen_has_never_heard_of_graphcnn,
        {
            "codegen/a.py": "import graphcnn.op",
            "codegen/build/b.py": "def f():\n    from graphcnn import op",
            "codegen/c.py": "import importlib\nimportlib.import_module('graphcnn')",
        },
        [
            "codegen/a.py:1 imports graphcnn.op",
            "codegen/build/b.py:2 imports graphcnn",
            "codegen/c.py:2 imports graphcnn",
        ],
    ),
    Example(
        packages_stand_without_examples_and_tests,
        {"graphcnn/a.py": "from graphcnn import testing\nfrom .examples import digits"},
        [],
    ),
    Example(
        packages_stand_without_examples_and_tests,
        {
            "graphcnn/a.py": "from examples import digits\nimport tests.conftest",
            "codegen/b.py": "def f():\n    import benchmarks",
        },
        [
            "graphcnn/a.py:1 imports examples",
            "graphcnn/a.py:2 imports tests.conftest",
            "codegen/b.py:2 imports benchmarks",
        ],
    ),
    Example(
        modules_import_without_cycles,
        {
            "codegen/__init__.py": "from codegen.a import f\nfrom .b import c",
            "codegen/a.py": "from codegen import b",
            "codegen/b/__init__.py": "",
            "codegen/b/c.py": "from ..d import g",
            "codegen/d.py": "def f():\n    import codegen.a",
        },
        [],
    ),
    Example(
        modules_import_without_cycles,
        {"codegen/a.py": "import codegen.b", "codegen/b.py": "import codegen.a"},
        ["codegen.a imports codegen.b imports codegen.a"],
    ),
    Example(
        modules_import_without_cycles,
        {
            "codegen/a/__init__.py": "from .b import f",
            "codegen/a/b.py": "if TYPE_CHECKING:\n    from ..c import f",
            "codegen/c.py": "from . import a",
        },
        ["codegen.a imports codegen.a.b imports codegen.c imports codegen.a"],
    ),
    Example(
        modules_import_without_cycles,
        {"codegen/__init__.py": "from .a import f", "codegen/a.py": "from codegen import f"},
        ["codegen imports codegen.a imports codegen"],
    ),
    Example(
        functions_hide_no_import_cycle,
        {
            "graphcnn/a.py": "def f():\n    from . import b\n    import matplotlib",
            "graphcnn/b.py": "import codegen",
            "graphcnn/c.py": "import graphcnn.a",
        },
        [],
    ),
    Example(
        functions_hide_no_import_cycle,
        {
            "graphcnn/a.py": "class A:\n    def f(self):\n        from . import b",
            "graphcnn/b.py": "from graphcnn import c",
            "graphcnn/c.py": "def f():\n    import graphcnn.a",
        },
        [
            "graphcnn/a.py:3 imports graphcnn.b in a function, which leads back to graphcnn.a",
            "graphcnn/c.py:2 imports graphcnn.a in a function, which leads back to graphcnn.c",
        ],
    ),
    Example(files_are_short, {"codegen/a.py": "x\n" * 600, "codegen/runtime/b.c": ";\n" * 600}, []),
    Example(
        files_are_short,
        {"codegen/a.py": "x\n" * 601, "codegen/runtime/b.c": ";\n" * 700},
        [
            "codegen/a.py has 601 lines; split it by idea (at most 600)",
            "codegen/runtime/b.c has 700 lines; split it by idea (at most 600)",
        ],
    ),
    Example(
        modules_say_what_they_are, {"codegen/a.py": '"""Loops."""', "codegen/b.h": "int b;"}, []
    ),
    Example(
        modules_say_what_they_are,
        {"codegen/a.py": "", "codegen/b.py": '"""  """', "codegen/c.py": "# Loops.\nx = 1"},
        [f"codegen/{letter}.py has no docstring" for letter in "abc"],
    ),
    Example(
        nothing_runs_text_or_a_shell,
        {
            "codegen/a.py": "\n".join(
                [
                    "import os, subprocess, numpy as np",
                    "class relu(Function):",
                    "    def eval(cls, x): ...",
                    "subprocess.run(['cc'], shell=False)",
                    "np.load('x.npy', allow_pickle=False)",
                    "graph.eval(); os.replace(a, b); system = 1",
                ]
            )
        },
        [],
    ),
    Example(
        nothing_runs_text_or_a_shell,
        {
            "codegen/a.py": "eval('1')\nrun = exec",
            "codegen/b.py": "import pickle\nfrom pickle import loads",
            "codegen/c.py": "import os as system\nsystem.system('ls')\nfrom os import popen",
            "codegen/d.py": "import subprocess\nsubprocess.run('ls', shell=True)",
            "codegen/e.py": "import builtins\nbuiltins.eval('1')\nnp.load(x, allow_pickle=y)",
        },
        [
            "codegen/a.py:1 uses builtins.eval",
            "codegen/a.py:2 uses builtins.exec",
            "codegen/b.py:1 uses pickle",
            "codegen/b.py:2 uses pickle",
            "codegen/c.py:2 uses os.system",
            "codegen/c.py:3 uses os.popen",
            "codegen/d.py:2 uses shell=",
            "codegen/e.py:2 uses builtins.eval",
            "codegen/e.py:3 uses allow_pickle=",
        ],
    ),
    Example(
        ops_define_no_gradient,
        {
            "graphcnn/ops/relu.py": '"""Its gradient is derived."""\n@op\ndef relu(x): ...',
            "graphcnn/ops/passing.py": "@op\ndef stop_gradient(x): ...",
            "graphcnn/backward.py": "def backward(loss): ...",
        },
        [],
    ),
    Example(
        ops_define_no_gradient,
        {
            "graphcnn/ops/relu.py": "@op\ndef relu(x): ...\ndef relu_backward(x): ...",
            "graphcnn/ops/exp.py": "class Exp:\n    async def VJP(self): ...",
            "graphcnn/ops/passing.py": "def stop_gradient_backward(x): ...",
            "graphcnn/ops/log.py": "log_grad = lambda x: 1 / x\nlog.derivative = log_grad",
            "graphcnn/ops/tanh.py": "@op(adjoint=lambda y: 1 - y**2)\ndef tanh(x): ...",
        },
        [
            "graphcnn/ops/relu.py:3 defines relu_backward",
            "graphcnn/ops/exp.py:2 defines VJP",
            "graphcnn/ops/passing.py:1 defines stop_gradient_backward",
            "graphcnn/ops/log.py:1 defines log_grad",
            "graphcnn/ops/log.py:2 defines derivative",
            "graphcnn/ops/tanh.py:1 defines adjoint",
        ],
    ),
    Example(
        ops_take_no_upstream_gradient,
        {"graphcnn/ops/relu.py": "def relu(x): ...", "graphcnn/adjoint.py": "lambda dy: dy"},
        [],
    ),
    Example(
        ops_take_no_upstream_gradient,
        {
            "graphcnn/ops/relu.py": "def second(dy): ...",
            "graphcnn/ops/exp.py": "def second(x, *, upstream): ...\nlambda grad_output: 1",
        },
        [
            "graphcnn/ops/relu.py:1 takes dy",
            "graphcnn/ops/exp.py:1 takes upstream",
            "graphcnn/ops/exp.py:2 takes grad_output",
        ],
    ),
]
CHECKS = list(dict.fromkeys(example.check for example in EXAMPLES))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_in_the_project(check: Check) -> None:
    complaints = check(project_sources())
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.check.__name__)
def test_in_a_small_example(example: Example) -> None:
    assert sorted(example.check(example.sources)) == sorted(example.complaints)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_examples_show_each_check_pass_and_fail(check: Check) -> None:
    examples = [example for example in EXAMPLES if example.check is check]
    assert {bool(example.complaints) for example in examples} == {False, True}


def test_the_project_is_found() -> None:
    assert {module_name(path) for path in project_sources()}.issuperset(PACKAGES)


def test_imports_of_our_own_modules_resolve() -> None:
    sources = project_sources()
    imported = set(chain.from_iterable(import_graph(imports(sources)).values()))
    assert imported - {module_name(path) for path in sources} == set()
