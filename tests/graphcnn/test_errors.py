"""Wrong programs: each gives one error that names node and line and says what to write instead.

The programs are in the folder errors, by theme; the texts of their errors are golden files.
"""

import functools
import inspect
import os
import pickle
import re
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphcnn as g
from graphcnn import op as declaring
from graphcnn.compile import compile
from graphcnn.errors import DTypeError, GraphError
from tests.graphcnn.errors.catalogue import N, Program, image, programs, scores

PROGRAMS = programs()
THEMES = "|".join(file.stem for file in (Path(__file__).parent / "errors").glob("*.py"))


def raised(program: Program) -> GraphError:
    with pytest.raises(GraphError) as caught:
        program()
    return caught.value


def marked(program: Program) -> int:
    lines, first = inspect.getsourcelines(program)
    (line,) = [first + k for k, text in enumerate(lines) if text.rstrip().endswith("# here")]
    return line


def without_places(text: str) -> str:
    """Golden texts outlive any move of a program, within its file or to another."""
    return re.sub(rf"\b({THEMES})\.py:\d+", "test_errors.py:LINE", text) + "\n"


@pytest.mark.parametrize("name", PROGRAMS)
def test_says_what_is_wrong_and_what_to_write(
    name: str, golden: Callable[[str, str], None]
) -> None:
    golden(f"{name}.txt", without_places(str(raised(PROGRAMS[name][0]))))


@pytest.mark.parametrize("name", PROGRAMS)
def test_names_the_line_in_the_users_file(name: str) -> None:
    program = PROGRAMS[name][0]
    error = raised(program)
    assert error.origin is not None
    file = inspect.getfile(program)
    assert (error.origin.file, error.origin.line) == (file, marked(program))
    assert f" at {Path(file).name}:{marked(program)}: " in str(error)


@pytest.mark.parametrize("name", PROGRAMS)
def test_is_one_exception_with_rule_and_fix(name: str) -> None:
    program, kind = PROGRAMS[name]
    error = raised(program)
    assert type(error) is kind
    assert isinstance(error, ValueError)
    assert isinstance(error, TypeError) == issubclass(kind, DTypeError)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    assert error.who and error.problem and error.rule and error.fix


def test_there_are_more_than_twenty_of_them() -> None:
    assert len(PROGRAMS) >= 28


def test_none_crashes_the_process() -> None:
    child = """
from tests.graphcnn.errors.catalogue import programs
refused = 0
for program, kind in programs().values():
    try:
        program()
    except kind:
        refused += 1
print(refused)
"""
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) == len(PROGRAMS)


# Whose line it is


WRONG = "import graphcnn as g\n\n\ng.add(g.input('x', (3,)), g.input('y', (4,)))\n"


def run_as(file: str, source: str, module: str = "__main__", **names: Any) -> dict[str, Any]:
    scope = {"__name__": module, **names}
    exec(__builtins__["compile"](source, file, "exec"), scope)
    return scope


@pytest.mark.parametrize(
    "file",
    ["graphcnn/train.py", "graphcnn/graphcnn/ops/mine.py", "graphcnn-old/a.py", "codegen/a b.py"],
)
def test_line_is_found_in_folders_called_like_the_package(file: str, tmp_path: Path) -> None:
    path = str(tmp_path / file)
    error = raised(lambda: run_as(path, WRONG))
    assert str(error.origin) == f"{Path(file).name}:4"
    assert error.origin is not None
    assert error.origin.file == path


def test_line_is_found_where_the_package_is_reached_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "linked"
    link.symlink_to(Path(g.__file__).parent.parent, target_is_directory=True)
    script = tmp_path / "train.py"
    script.write_text(WRONG)
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(link)},
    )
    assert "add at train.py:4: shapes 3 and 4" in done.stderr


@pytest.mark.parametrize("file", ["<stdin>", "<string>", "<ipython-input-3-0a1b2c>"])
def test_line_is_found_in_a_console_and_a_notebook(file: str) -> None:
    assert str(raised(lambda: run_as(file, WRONG)).origin) == f"{file}:4"


def test_cell_of_a_notebook_goes_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = {"/tmp/ipykernel_42/1234.py": ("Cell", "In[7]")}
    shell = types.SimpleNamespace(compile=types.SimpleNamespace(format_code_name=cells.get))
    monkeypatch.setitem(
        sys.modules,
        "IPython",
        types.SimpleNamespace(get_ipython=lambda: shell),  # type: ignore
    )
    error = raised(lambda: run_as("/tmp/ipykernel_42/1234.py", WRONG))
    assert str(error).startswith("add at In[7]:4: ")
    elsewhere = raised(lambda: run_as("/home/me/train.py", WRONG))
    assert str(elsewhere).startswith("add at train.py:4: ")


def test_line_is_the_callers_where_an_installed_library_calls_us(tmp_path: Path) -> None:
    library = str(tmp_path / "site-packages" / "layers.py")
    source = "import graphcnn as g\n\n\ndef layer(x, y):\n    return g.add(x, y)\n"
    layer = run_as(library, source, "layers")["layer"]
    user = "import graphcnn as g\n\nlayer(g.input('x', (3,)), g.input('y', (4,)))\n"
    assert str(raised(lambda: run_as("train.py", user, layer=layer)).origin) == "train.py:3"


def test_line_is_the_innermost_of_the_users_own_helpers(tmp_path: Path) -> None:
    source = "import graphcnn as g\n\n\ndef layer(x, y):\n    return g.add(x, y)\n"
    layer = run_as(str(tmp_path / "layers.py"), source, "layers")["layer"]
    user = "import graphcnn as g\n\nlayer(g.input('x', (3,)), g.input('y', (4,)))\n"
    assert str(raised(lambda: run_as("train.py", user, layer=layer)).origin) == "layers.py:5"


def test_line_is_found_through_partial_map_and_decorators() -> None:
    x, y = g.input("x", (3,)), g.input("y", (4,))
    add_x = functools.partial(g.add, x)
    line = inspect.currentframe().f_lineno  # type: ignore[union-attr]
    errors = [
        raised(lambda: add_x(y)),
        raised(lambda: list(map(add_x, [y]))),
        raised(lambda: functools.singledispatch(add_x)(y)),
    ]
    assert [e.origin.line for e in errors if e.origin] == [line + 2, line + 3, line + 4]


def test_installed_program_without_a_users_line_gives_its_own(tmp_path: Path) -> None:
    script = tmp_path / "site-packages" / "app.py"
    script.parent.mkdir()
    script.write_text("from graphcnn.errors import user_origin\n\nprint(user_origin())\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.stdout == "app.py:3\n", done.stderr


@declaring.op
def outer(x: declaring.Tensor, y: declaring.Tensor) -> declaring.Definition:
    """z[i,j] = x[i] · y[j]"""
    declaring.require(
        len(x.shape) == 1,
        f"{{x}} has {len(x.shape)} axes",
        rule="x is a vector",
        fix="flatten {x}",
    )
    i, j = declaring.indices("i j")
    z = declaring.define("z", (x.shape[0], y.shape[0]), like=x)
    z[i, j] = x[i] * y[j]
    return z


def test_line_of_a_users_own_op_is_its_call() -> None:
    line = inspect.currentframe().f_lineno  # type: ignore[union-attr]
    error = raised(lambda: outer(scores(), scores(), name="pairs"))
    assert error.origin is not None
    assert error.origin.line == line + 1
    assert str(error).splitlines()[0].endswith("scores has 2 axes")
    assert "fix:   flatten scores" in str(error)


def test_wrong_declaration_is_named_with_its_place() -> None:
    line = inspect.currentframe().f_lineno  # type: ignore[union-attr]
    error = raised(lambda: outer(g.input("x", (3,)), scores()))
    assert error.origin is not None
    assert error.origin.line == line + 1
    assert "y has 2 axes but is read with 1 coordinates" in str(error)
    code = outer.__wrapped__.__code__  # type: ignore[attr-defined]
    assert f"correct the declaration at test_errors.py:{code.co_firstlineno}" in str(error)


# What is right is not refused


def test_numpy_on_the_left_and_its_functions_make_nodes() -> None:
    x = g.input("x", (3,))
    assert (np.ones(3, "float32") * x).op == "multiply"
    assert (np.float32(2) ** x).op == "power"
    assert (np.ones(3, "float32") <= x).op == "less_equal"
    assert np.exp(x).op == "exp"
    assert np.abs(x).op == "abs"
    assert np.maximum(x, 0).op == "maximum"


def test_and_or_not_join_comparisons() -> None:
    x = g.input("x", (3,))
    inside = compile((x > 0) & ~(x > 1) | (x < -5), backend="numpy")
    assert inside(x=[-6, 0.5, 2]).tolist() == [True, True, False]


def test_nodes_are_keys_and_members() -> None:
    x, y = g.input("x", (3,)), g.input("y", (3,))
    assert {x: 1, y: 2}[y] == 2
    assert y in [x, y]
    assert x not in [y]


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    x = image(N, 1, 8, 8)
    assert g.sum(x, axis=np.int64(1)).shape == (N, 8, 8)
    assert g.max_pool2d(x, np.int32(2)).shape == (N, 1, 4, 4)


def test_list_is_an_array_where_one_tensor_is_wanted() -> None:
    x = g.input("x", (2,))
    assert compile(x * [1.0, 2.0], backend="numpy")(x=[1, 1]).tolist() == [1.0, 2.0]


def test_errors_travel_between_processes() -> None:
    error = raised(PROGRAMS["convolution_of_other_channels"][0])
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
