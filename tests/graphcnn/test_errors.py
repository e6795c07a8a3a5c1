"""Wrong programs: each gives one error that names node and line and says what to write instead.

The texts are golden files; a line that ends in `# here` is the line that its error must name.
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
from graphcnn.compile import Step, compile
from graphcnn.errors import (
    CallError,
    DTypeError,
    GradientError,
    GraphError,
    ShapeError,
)
from graphcnn.graph import Node, Parameter
from graphcnn.optim import adam, rmsprop, sgd

Program = Callable[[], Any]
PROGRAMS: dict[str, tuple[Program, type[GraphError]]] = {}
N = g.dim("N")


def wrong(kind: type[GraphError]) -> Callable[[Program], Program]:
    def register(program: Program) -> Program:
        PROGRAMS[program.__name__] = (program, kind)
        return program

    return register


def image(*shape: Any, dtype: Any = "float32") -> Node:
    return g.input("image", shape, dtype)


def weight(*shape: int, name: str = "W") -> Parameter:
    return g.parameter(name, np.zeros(shape))


def scores() -> Node:
    return g.input("scores", (N, 10))


# Shapes


@wrong(ShapeError)
def shapes_that_do_not_broadcast() -> None:
    g.add(g.input("x", (8, 3)), g.input("y", (8, 4)), name="total")  # here


@wrong(ShapeError)
def operator_on_shapes_that_do_not_broadcast() -> None:
    hidden = g.relu(g.input("x", (8, 3)))
    hidden += g.input("y", (8, 4))  # here


@wrong(ShapeError)
def matrix_that_should_be_transposed() -> None:
    image(N, 784) @ weight(10, 784)  # here


@wrong(ShapeError)
def matrices_that_do_not_meet() -> None:
    image(N, 784) @ weight(10, 70)  # here


@wrong(ShapeError)
def linear_with_transposed_weight() -> None:
    g.linear(image(N, 784), weight(784, 10), name="scores")  # here


@wrong(ShapeError)
def linear_after_a_change_of_image_size() -> None:
    g.linear(image(N, 400), weight(10, 256))  # here


@wrong(ShapeError)
def linear_with_wrong_bias() -> None:
    g.linear(image(N, 784), weight(10, 784), weight(784, name="b"))  # here


@wrong(ShapeError)
def convolution_of_other_channels() -> None:
    g.conv2d(image(N, 3, 32, 32), weight(16, 1, 3, 3), name="conv1")  # here


@wrong(ShapeError)
def groups_that_do_not_divide_the_channels() -> None:
    g.conv2d(image(N, 5, 32, 32), weight(4, 2, 3, 3), groups=2)  # here


@wrong(ShapeError)
def groups_that_do_not_divide_the_filters() -> None:
    g.conv2d(image(N, 4, 32, 32), weight(5, 2, 3, 3), groups=2)  # here


@wrong(ShapeError)
def kernel_larger_than_the_image() -> None:
    g.conv2d(image(N, 1, 4, 4), weight(6, 1, 5, 5))  # here


@wrong(ShapeError)
def pooling_window_larger_than_the_image() -> None:
    g.max_pool2d(image(N, 6, 3, 3), 4, name="pool1")  # here


@wrong(ShapeError)
def even_kernel_with_same_padding() -> None:
    g.conv2d(image(N, 1, 8, 8), weight(6, 1, 4, 4), padding="same")  # here


@wrong(ShapeError)
def same_padding_with_stride_on_a_symbolic_size() -> None:
    g.conv2d(image(N, 1, g.dim("H"), 8), weight(6, 1, 3, 3), padding="same", stride=2)  # here


@wrong(ShapeError)
def image_without_channels() -> None:
    g.conv2d(image(N, 28, 28), weight(6, 1, 3, 3))  # here


@wrong(ShapeError)
def axis_that_is_not_there() -> None:
    g.softmax(scores(), axis=2)  # here


@wrong(ShapeError)
def axis_named_twice() -> None:
    g.sum(scores(), axis=(1, -1))  # here


@wrong(ShapeError)
def reshape_to_another_count() -> None:
    image(N, 3, 4).reshape(N, 13)  # here


@wrong(ShapeError)
def negative_size() -> None:
    g.input("image", (-1, 784))  # here


@wrong(ShapeError)
def size_that_is_a_text() -> None:
    g.input("image", ("N", 784))  # here


@wrong(ShapeError)
def stride_of_zero() -> None:
    g.conv2d(image(N, 1, 8, 8), weight(6, 1, 3, 3), stride=0)  # here


@wrong(ShapeError)
def negative_padding() -> None:
    g.conv2d(image(N, 1, 8, 8), weight(6, 1, 3, 3), padding=-1)  # here


@wrong(DTypeError)
def half_a_cell_of_padding() -> None:
    g.conv2d(image(N, 1, 8, 8), weight(6, 1, 3, 3), padding=1.5)  # here


@wrong(ShapeError)
def padding_beyond_half_a_pooling_window() -> None:
    g.max_pool2d(image(N, 1, 8, 8), 2, padding=2)  # here


@wrong(ShapeError)
def joined_maps_of_different_sizes() -> None:
    early, late = g.input("early", (N, 3, 8, 8)), g.input("late", (N, 3, 4, 4))
    g.concatenate((early, late), axis=1)  # here


@wrong(ShapeError)
def index_beyond_the_end() -> None:
    scores()[:, 10]  # here


@wrong(ShapeError)
def more_indices_than_axes() -> None:
    scores()[0, 0, 0]  # here


@wrong(ShapeError)
def labels_as_one_hot_rows() -> None:
    label = g.input("label", (N, 10), "int32")
    g.softmax_cross_entropy(scores(), label, name="losses")  # here


# Types


@wrong(DTypeError)
def float_labels() -> None:
    g.softmax_cross_entropy(scores(), g.input("label", (N,)))  # here


@wrong(DTypeError)
def whole_numbers_into_a_convolution() -> None:
    g.conv2d(image(N, 1, 8, 8, dtype="int32"), weight(6, 1, 3, 3))  # here


@wrong(DTypeError)
def float32_with_float64() -> None:
    g.input("x", (3,)) * g.input("target", (3,), "float64")  # here


@wrong(DTypeError)
def float32_with_an_array_of_float64() -> None:
    g.input("x", (3,)) * np.ones(3)  # here


@wrong(DTypeError)
def dtype_that_does_not_exist() -> None:
    scores().astype("float16")  # here


@wrong(DTypeError)
def unknown_argument() -> None:
    g.conv2d(image(N, 1, 8, 8), weight(6, 1, 3, 3), strides=2)  # type: ignore[call-arg]  # here


@wrong(DTypeError)
def layer_that_returns_nothing() -> None:
    def layer(x: Node) -> Any:
        g.relu(x)

    g.relu(layer(scores()))  # here


@wrong(DTypeError)
def input_without_a_name() -> None:
    g.input("", (N, 3))  # here


@wrong(DTypeError)
def text_as_an_operand() -> None:
    scores() + "1"  # here


@wrong(DTypeError)
def rows_of_unequal_length() -> None:
    g.parameter("w", [[1.0, 2.0], [3.0]])  # here


@wrong(DTypeError)
def text_where_a_number_is_wanted() -> None:
    g.softplus(scores(), beta="1")  # type: ignore[call-arg]  # here


@wrong(ShapeError)
def broadcast_to_a_negative_size() -> None:
    g.broadcast_to(g.input("x", (1,)), (-3,))  # here


@wrong(ShapeError)
def more_axes_than_letters() -> None:
    g.input("x", (1,) * 13)  # here


# Nodes are no values


@wrong(DTypeError)
def node_as_a_condition() -> None:
    x = g.input("x", (3,))
    if x > 0:  # here
        g.relu(x)


@wrong(DTypeError)
def loop_over_a_node() -> None:
    for _ in g.input("x", (4, 3)):  # here
        pass


@wrong(DTypeError)
def search_in_a_node() -> None:
    _ = 3 in g.input("x", (4, 3))  # here


@wrong(DTypeError)
def choice_by_identity() -> None:
    x, y = g.input("x", (3,)), g.input("y", (3,))
    g.where(x == y, x, 0.0)  # here


@wrong(DTypeError)
def node_as_a_python_number() -> None:
    float(g.sum(scores(), name="total"))  # here


@wrong(DTypeError)
def node_as_an_array() -> None:
    np.asarray(scores())  # here


@wrong(DTypeError)
def nodes_in_an_array() -> None:
    np.array([g.input("x"), g.input("y")])  # here


@wrong(DTypeError)
def numpy_function_of_a_node() -> None:
    np.mean(scores())  # here


@wrong(DTypeError)
def array_compared_with_a_node() -> None:
    _ = np.zeros(3, "float32") == g.input("x", (3,))  # here


@wrong(DTypeError)
def assignment_into_a_node() -> None:
    scores()[0] = 1.0  # type: ignore[assignment]  # here


# Gradients


@wrong(GradientError)
def loss_that_is_not_a_scalar() -> None:
    x = scores()
    g.grad(x * x, x)  # here


@wrong(GradientError)
def input_that_does_not_lead_to_the_loss() -> None:
    x, y = g.input("x", (3,)), g.input("y", (3,))
    g.grad(g.sum(x * x, name="loss"), y)  # here


@wrong(GradientError)
def gradient_of_labels() -> None:
    x, label = scores(), g.input("label", (N,), "int32")
    loss = g.mean(g.softmax_cross_entropy(x, label))
    g.grad(loss, label)  # here


@wrong(GradientError)
def gradient_of_a_count() -> None:
    x = scores()
    g.grad(g.sum(x > 0, name="count"), x)  # here


@wrong(DTypeError)
def gradient_by_name() -> None:
    g.grad(g.sum(scores()), "scores")  # type: ignore[arg-type]  # here


@wrong(DTypeError)
def loss_that_is_a_number() -> None:
    g.grad(0.5, scores())  # type: ignore[arg-type]  # here


@wrong(ShapeError)
def seed_of_another_shape() -> None:
    x = scores()
    g.grad(x * x, x, seed=g.input("seed", (10,)))  # here


# Compiling


@wrong(GraphError)
def two_inputs_of_one_name() -> None:
    compile(g.input("x", (3,)) + g.input("x", (3,)))  # here


@wrong(DTypeError)
def compiled_text() -> None:
    compile("loss")  # type: ignore[arg-type]  # here


@wrong(DTypeError)
def update_of_an_input() -> None:
    x = g.input("x", (3,))
    compile(g.sum(x), [(x, 2 * x)])  # here


@wrong(ShapeError)
def update_of_another_shape() -> None:
    w = weight(3)
    compile(g.sum(w), [(w, g.sum(w))])  # here


@wrong(GraphError)
def parameter_updated_twice() -> None:
    loss = g.sum(weight(3) ** 2)
    compile(loss, [*sgd(loss, 0.1), *sgd(loss, 0.01)])  # here


@wrong(DTypeError)
def unknown_backend() -> None:
    compile(g.sum(scores()), backend="cuda")  # here


@wrong(GradientError)
def optimiser_without_parameters() -> None:
    sgd(g.mean(scores(), name="loss"), 0.1)  # here


@wrong(DTypeError)
def optimiser_of_an_input() -> None:
    x = g.input("x", (3,))
    sgd(g.sum(x * x), 0.1, parameters=[x])  # type: ignore[list-item]  # here


@wrong(DTypeError)
def unknown_eps_mode() -> None:
    rmsprop(g.sum(weight(3) ** 2), eps_mode="under")  # type: ignore[arg-type]  # here


@wrong(DTypeError)
def beta_that_keeps_everything() -> None:
    adam(g.sum(weight(3) ** 2), betas=(0.9, 1.0))  # here


@wrong(DTypeError)
def outputs_without_an_order() -> None:
    compile({scores()})  # type: ignore[arg-type]  # here


@wrong(ShapeError)
def value_of_another_shape() -> None:
    weight(3).value = np.zeros(4)  # here


@wrong(CallError)
def constant_label_out_of_range() -> None:
    label = g.constant([0, 3, 10])
    loss = g.softmax_cross_entropy(g.input("scores", (3, 10)), label, name="loss")  # here
    compile(loss)


# Calling


@functools.cache
def training() -> Step:
    label = g.input("label", (N,), "int32")
    hidden = g.flatten(image(N, 1, 4, 4))
    loss = g.mean(g.softmax_cross_entropy(g.linear(hidden, weight(10, 16)), label))
    return compile(loss, sgd(loss, 0.1), name="train", backend="numpy")


def images(*shape: int) -> np.ndarray[Any, Any]:
    return np.zeros(shape or (5, 1, 4, 4), "float32")


LABELS = np.arange(5)


@wrong(CallError)
def label_out_of_range() -> None:
    training()(image=images(), label=[0, 1, 10, -3, 2])  # here


@wrong(CallError)
def labels_counted_from_one() -> None:
    training()(image=images(10, 1, 4, 4), label=np.arange(1, 11))  # here


@wrong(DTypeError)
def label_missing_in_the_data() -> None:
    training()(image=images(), label=[0, 1, float("nan"), 3, 2])  # here


@wrong(DTypeError)
def labels_given_as_floats() -> None:
    training()(image=images(), label=LABELS.astype("float32"))  # here


@wrong(DTypeError)
def label_beyond_int32() -> None:
    training()(image=images(), label=np.array([0, 1, 2, 2**40, 3]))  # here


@wrong(DTypeError)
def image_given_as_float64() -> None:
    training()(image=images().astype("float64"), label=LABELS)  # here


@wrong(DTypeError)
def file_name_given_as_image() -> None:
    training()(image="cat.png", label=LABELS)  # here


@wrong(DTypeError)
def node_given_as_image() -> None:
    training()(image=image(N, 1, 4, 4), label=LABELS)  # here


@wrong(CallError)
def misspelt_input() -> None:
    training()(images=images(), label=LABELS)  # here


@wrong(CallError)
def missing_input() -> None:
    training()(image=images())  # here


@wrong(CallError)
def inputs_without_names() -> None:
    training()(images(), LABELS)  # here


@wrong(CallError)
def image_without_the_channel_axis() -> None:
    training()(image=images(5, 4, 4), label=LABELS)  # here


@wrong(CallError)
def image_in_one_row() -> None:
    training()(image=images(5, 16), label=LABELS)  # here


@wrong(CallError)
def image_with_channels_last() -> None:
    training()(image=images(5, 4, 4, 1), label=LABELS)  # here


@wrong(CallError)
def image_of_another_size() -> None:
    training()(image=images(5, 1, 4, 5), label=LABELS)  # here


@wrong(CallError)
def batches_of_two_sizes() -> None:
    training()(image=images(), label=LABELS[:4])  # here


@wrong(CallError)
def batch_shorter_than_what_is_cut_off() -> None:
    x = g.input("x", (N, 3))
    step = compile(g.exp(x[5:], name="late"), backend="numpy")
    step(x=np.zeros((4, 3), "float32"))  # here


# What is claimed of all of them


def raised(program: Program) -> GraphError:
    with pytest.raises(GraphError) as caught:
        program()
    return caught.value


def marked(program: Program) -> int:
    lines, first = inspect.getsourcelines(program)
    (line,) = [first + k for k, text in enumerate(lines) if text.rstrip().endswith("# here")]
    return line


def without_lines(text: str) -> str:
    return re.sub(r"(test_errors\.py):\d+", r"\1:LINE", text) + "\n"


@pytest.mark.parametrize("name", PROGRAMS)
def test_says_what_is_wrong_and_what_to_write(
    name: str, golden: Callable[[str, str], None]
) -> None:
    golden(f"{name}.txt", without_lines(str(raised(PROGRAMS[name][0]))))


@pytest.mark.parametrize("name", PROGRAMS)
def test_names_the_line_in_the_users_file(name: str) -> None:
    program = PROGRAMS[name][0]
    error = raised(program)
    assert error.origin is not None
    assert (error.origin.file, error.origin.line) == (__file__, marked(program))
    assert f" at test_errors.py:{marked(program)}: " in str(error)


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
import importlib.util, sys
spec = importlib.util.spec_from_file_location("wrong_programs", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
refused = 0
for program, kind in module.PROGRAMS.values():
    try:
        program()
    except kind:
        refused += 1
print(refused)
"""
    done = subprocess.run([sys.executable, "-c", child, __file__], capture_output=True, text=True)
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
