"""Formulas in LaTeX say what pictures say, parse elsewhere, and hold no command of a user."""

import functools
import logging
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import sympy
from hypothesis import given, seed, settings
from hypothesis import strategies as st

import graphcnn as g
from codegen.notation import FLOATS
from graphcnn.draw import draw, latex_of
from graphcnn.draw.document import to_document
from graphcnn.draw.latex import to_latex
from graphcnn.errors import GraphError
from graphcnn.graph import Graph, Node
from graphcnn.op import REGISTRY
from graphcnn.testing import apply
from graphcnn.testing.strategies import arguments_of
from tests.graphcnn.draw.test_labels import NASTY, picture_of

KNOWN = {
    *("alpha", "argmax", "backslash", "begin", "beta", "cdot", "chi", "cos", "delta", "end", "eta"),
    *("exp", "frac", "gamma", "hookleftarrow", "int", "iota", "kappa", "lambda", "ldots", "left"),
    *(
        "leftarrow",
        "leq",
        "geq",
        "lfloor",
        "rfloor",
        "log",
        "mathbf",
        "mathcal",
        "mathrm",
        "mathtt",
    ),
    *("max", "min", "mu", "neq", "nu", "omega", "operatorname", "partial", "phi", "pi", "psi"),
    *("qquad", "quad", "rho", "right", "rightarrow", "sigma", "sim", "sin", "sqrt", "sum", "tanh"),
    *("tau", "text", "theta", "times", "upsilon", "varepsilon", "varphi", "wedge", "xi", "zeta"),
    *("Delta", "Gamma", "Lambda", "Omega", "Phi", "Pi", "Psi", "Sigma", "Theta", "Xi"),
}
IN_DOCUMENTS = KNOWN | {
    *("documentclass", "usepackage", "definecolor", "allowdisplaybreaks", "noindent", "textcolor"),
    *("section", "paragraph", "ifdefined", "DeclareUnicodeCharacter", "texttt", "fi"),
}
X, Y = g.input("x", (4,)), g.input("y", (4,))


def assert_safe(latex: str, known: set[str] = KNOWN) -> None:
    """Braces balance, comments do not start, and only our own commands occur."""
    bare = re.sub(r"\\[\\{}%$#&_,;]", "", latex)
    assert set(re.findall(r"\\([A-Za-z]*)", bare)) <= known, latex
    depth = 0
    for character in bare:
        depth += (character == "{") - (character == "}")
        assert depth >= 0, latex
    assert depth == 0, latex
    assert not set(bare) & set("#~"), latex
    assert latex.count(r"\left(") == latex.count(r"\right)")


@functools.cache
def assert_parses(latex: str) -> None:
    """Matplotlib reads it, which knows neither cases nor an escaped ampersand."""
    mathtext = pytest.importorskip("matplotlib.mathtext")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # of characters without a glyph
    text = latex.replace(r"\begin{cases}", r"\{").replace(r"\end{cases}", r"\}")
    text = text.replace(r"\&", r"\%").replace("&", r"\quad").replace(r" \\ ", r"\quad ")
    if text.strip():
        mathtext.MathTextParser("path").parse(f"${text}$")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("z = x · y", r"z = x \cdot y"),
        ("∂L/∂x", r"\frac{\partial L}{\partial x}"),
        ("∂L/∂(∂z/∂y)", r"\frac{\partial L}{\partial \left(\frac{\partial z}{\partial y}\right)}"),
        ("∂L/∂x (via z₃)", r"\frac{\partial L}{\partial x}\;(\text{via } z_{3})"),
        ("∂z/∂y = −x/y²", r"\frac{\partial z}{\partial y} = -\frac{x}{y^{2}}"),
        ("y[i] = Σ_{c} x[i,c]·w[c]", r"y_{i} = \sum_{c} x_{i,c} \cdot w_{c}"),
        ("max_{u,v} x[2i+u−1]", r"\max_{u,v} x_{2i+u-1}"),
        ("Σ_{j ≠ label[n]} s[j]", r"\sum_{j \neq \mathrm{label}_{n}} s_{j}"),
        ("log Σ_k exp(x[k])", r"\log \sum_{k} \exp(x_{k})"),
        ("s[n,label[n]]", r"s_{n,\mathrm{label}_{n}}"),
        ("1[x > 0]", r"\mathbf{1}[x > 0]"),
        ("−1[j = t[n]]", r"-\mathbf{1}[j = t_{n}]"),
        ("1[x ≤ 1/2 and x ≥ 0]", r"\mathbf{1}[x \leq \frac{1}{2} \text{ and } x \geq 0]"),
        ("softmax(s)[n,j]", r"\operatorname{softmax}(s)_{n,j}"),
        ("1 − tanh(x)²", r"1 - \tanh(x)^{2}"),
        ("1/(2·√(x))", r"\frac{1}{2 \cdot \sqrt{x}}"),
        ("√(a + b)·√x", r"\sqrt{a + b} \cdot \sqrt{x}"),
        ("(a − b)/8", r"\frac{a - b}{8}"),
        ("x⁻¹ + xᵖ + x^3", r"x^{-1} + x^{p} + x^{3}"),
        ("pow(x, p − 1)", r"x^{p - 1}"),
        ("z₃[i]", r"z_{3}[i]"),
        ("|x|", "|x|"),
        ("y = 0 if x ≤ 0 else x",
         r"y = \begin{cases} 0 & \text{if } x \leq 0 \\ x & \text{otherwise} \end{cases}"),
        ("2/√π · ∫ exp(−t²) dt from 0 to x",
         r"\frac{2}{\sqrt{\pi}} \cdot \int_{0}^{x} \exp(-t^{2}) \, dt"),
        ("1e-05 · 0.99", r"10^{-5} \cdot 0.99"),
        ("⟨next w⟩ = w.mean_square", r"\text{next w} = \mathrm{w.mean\_square}"),
        ("⟨café 1⟩ + λ", r"\text{café 1} + \lambda"),
        ("x[…,i,…]", r"x_{\ldots,i,\ldots}"),
        ("floor(x/2)", r"\lfloor \frac{x}{2} \rfloor"),
        ("y = x in another dtype", r"y = x \text{ in another dtype}"),
        ("w ←", r"w \leftarrow"),
        (r"⟨\input{/etc/passwd}⟩", r"\backslash \text{input}\{\text{/etc/passwd}\}"),
        ("⟨50% $x_1$ #&^~⟩",
         r"\text{50}\%\text{ }\$\text{x}\_\text{1}\$\text{ }\#\&\wedge \sim "),
    ],
)  # fmt: skip
def test_formula(text: str, expected: str) -> None:
    assert to_latex(text) == expected
    assert_safe(expected)
    assert_parses(expected)


def formulas_of(op: str) -> list[str]:
    """The formulas and the gradients of an op on arguments that its own tests draw."""
    found: list[str] = []

    @seed(1)
    @settings(max_examples=1, database=None, deadline=None)
    @given(arguments_of(op))
    def collect(arguments: dict[str, object]) -> None:
        node = apply(op, arguments).node
        found.append(latex_of(node))
        if node.dtype in FLOATS:
            floats = [i for i in dict.fromkeys(node.inputs) if i.dtype in FLOATS]
            found.extend(latex_of(node, wrt=i) for i in floats)

    collect()
    return found


@pytest.mark.parametrize("op", sorted(REGISTRY))
def test_formulas_of_every_op_are_latex(op: str) -> None:
    for latex in formulas_of(op):
        assert_safe(latex)
        assert_parses(latex)


def test_formulas_of_updates_are_latex() -> None:
    w = g.parameter("w", np.ones(4))
    loss = g.sum(w * X)
    for updates in (
        g.sgd(loss, 0.1, momentum=0.9, nesterov=True, weight_decay=1e-5),
        g.rmsprop(loss, 1e-3, momentum=0.9),
        g.adam(loss, 1e-3),
    ):
        for node in Graph(tuple(new for _, new in updates)).nodes:
            assert_safe(latex_of(node))
            assert_parses(latex_of(node))
        assert r"\section*{Updates}" in draw(updates).latex
    assert r"\sqrt{" in draw(g.adam(loss, 1e-3)).latex


# ── What a formula says ───────────────────────────────────────────────────────────────────────────


def value_of(latex: str) -> sympy.Expr:
    """Read LaTeX without indices and cases back."""
    text = latex.replace(r"\left", "").replace(r"\right", "").replace(r"\cdot", "*")
    text = re.sub(r"\\operatorname\{(\w+)\}", r"\1", text)
    while match := re.search(
        r"\\frac\{([^{}]*)\}\{([^{}]*)\}|\\sqrt\{([^{}]*)\}|\^\{([^{}]*)\}", text
    ):
        above, below, root, power = match.groups()
        swap = f"**({power})" if power else f"sqrt({root})" if root else f"(({above})/({below}))"
        text = text[: match.start()] + swap + text[match.end() :]
    return sympy.sympify(text.replace("\\", ""), {"e": sympy.E})


def branches(latex: str) -> list[str]:
    """The values among which a formula chooses, or the one that it gives."""
    right = latex.split(",\\qquad ")[0].partition(" = ")[2]
    found = re.fullmatch(r"\\begin\{cases\} (.*) \\end\{cases\}", right)
    return [row.partition(" & ")[0] for row in found[1].split(r" \\ ")] if found else [right]


@pytest.mark.parametrize(
    "node",
    [X * Y, X / Y, X - Y, g.tanh(X), g.exp(X), g.log(X), g.log1p(X), g.sin(X), g.cos(X), g.sqrt(X),
     g.square(X), g.reciprocal(X), g.negative(X), g.sigmoid(X)],
    ids=lambda node: node.op,
)  # fmt: skip
def test_the_gradient_is_the_derivative_of_the_formula(node: Node) -> None:
    (formula,) = branches(latex_of(node).partition(", ")[0])
    for source in node.inputs:
        slope = sympy.diff(value_of(formula), source.name)
        for shown in branches(latex_of(node, wrt=source)):
            said = value_of(shown)
            if not said.has(*value_of(formula).free_symbols):  # by the op's result
                said = said.subs("y", value_of(formula))
            difference = (said - slope).subs({"x": 0.7, "y": 1.3})
            assert abs(difference) < 1e-12, (shown, slope)


def test_a_gradient_is_the_local_one_and_what_is_passed_on() -> None:
    image, filters = g.input("x", (2, 3, 8, 8)), g.input("w", (5, 3, 3, 3))
    conv = g.conv2d(image, filters, stride=2, padding=1)
    assert latex_of(conv, wrt=filters) == (
        r"\frac{\partial y_{n,k,i,j}}{\partial w_{k,c,u,v}} = x_{n,c,2i+u-1,2j+v-1},\qquad "
        r"\frac{\partial L}{\partial w} = "
        r"\sum_{n,i,j} \frac{\partial y}{\partial w} \cdot \frac{\partial L}{\partial y}"
    )


def test_a_backward_node_shows_the_rule_that_it_applies() -> None:
    product = g.multiply(X, Y, name="z")
    gradient = g.grad(g.sum(product), X)
    assert latex_of(gradient) == latex_of(product, wrt=X)
    total = g.grad(g.sum(g.tanh(X) * X), X)
    assert r"\text{via } z) + \frac" in latex_of(total)


def test_where_no_gradient_passes_it_is_zero() -> None:
    node = g.stop_gradient(X)
    assert latex_of(node, wrt=X) == r"\frac{\partial y}{\partial x} = 0"


def test_a_gradient_is_asked_for_an_input_of_the_node() -> None:
    with pytest.raises(GraphError, match="is not an input of"):
        latex_of(g.tanh(X), wrt=Y)


def test_a_notebook_shows_the_formula_of_a_node() -> None:
    shown = g.tanh(X)._repr_latex_()
    assert shown is not None and shown.startswith(r"$\displaystyle y = \tanh(x)\qquad ")
    assert "float32" in shown
    assert X._repr_latex_() is None


# ── Hostile names ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [*NASTY, r"\input{/etc/passwd}", "%", "$x$", "^^5c", "a\n\nb"])
def test_hostile_names_stay_text(name: str) -> None:
    latex = latex_of(g.relu(g.input("x"), name=name))
    assert_safe(latex)
    assert_parses(latex)


def test_documents_of_hostile_names_are_safe() -> None:
    hostile = g.relu(g.input(r"\input{a}%"))
    assert_safe(draw(hostile, gradients=True).latex, IN_DOCUMENTS)
    latex = to_document(picture_of(NASTY))
    assert_safe(latex.replace("% pdfTeX", ""), IN_DOCUMENTS)


SYMBOLS = st.sampled_from(
    [*"xyΣ√∂∫/·−+=^_[](){}⟨⟩|;,:.'`\\%$#&~\"²₃ᵖ1… \n", "if ", "else ", "max_"]
)


TEXTS = st.lists(SYMBOLS, max_size=30).map("".join) | st.text(max_size=30)


@settings(max_examples=200)
@given(TEXTS)
def test_any_text_is_safe(text: str) -> None:
    assert_safe(to_latex(text))


@settings(max_examples=30)
@given(TEXTS)
def test_any_text_parses(text: str) -> None:
    assert_parses(to_latex(text))


@pytest.mark.parametrize(
    "piece", ["(", "a + ", "√", "Σ_{", "(a, ", "∂L/∂(", "x^", "f(g(", "pow(", "∫ "]
)
def test_nonsense_takes_no_time_and_no_stack(piece: str) -> None:
    assert_safe(to_latex(piece * 300))


# ── Documents ─────────────────────────────────────────────────────────────────────────────────────


def test_a_document_has_each_formula_in_its_colour(net: Node) -> None:
    latex = draw(net, gradients=True).latex
    assert latex == draw(net, gradients=True).latex
    assert_safe(latex.replace("% pdfTeX", ""), IN_DOCUMENTS)
    assert (
        r"\mathrm{conv}_{n,k,i,j} &= \mathrm{bias}_{k} + \sum_{c,u,v} "
        r"\mathrm{image}_{n,c,i+u-1,j+v-1} \cdot \mathrm{filters}_{k,c,u,v}"
    ) in latex
    assert (
        r"\textcolor{downstream}{\frac{\partial L}{\partial \mathrm{bias}}} &= "
        r"\textcolor{downstream}{\sum_{n,i,j}} "
        r"\textcolor{local}{\frac{\partial \mathrm{conv}}{\partial \mathrm{bias}}} \cdot "
        r"\textcolor{upstream}{\frac{\partial L}{\partial \mathrm{conv}}}"
    ) in latex
    assert latex.index(r"\section*{Forward}") < latex.index(r"\section*{Backward}")
    assert r"\definecolor{local}{HTML}{00704F}" in latex


@pytest.mark.parametrize("engine", ["tectonic", "lualatex", "xelatex", "pdflatex"])
def test_a_document_compiles(engine: str, net: Node, tmp_path: Path) -> None:
    if shutil.which(engine) is None:
        pytest.skip(f"compiles with {engine}")
    file = draw(net, gradients=True).save(tmp_path / "net.tex")
    options = [] if engine == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    subprocess.run([engine, *options, file.name], cwd=tmp_path, check=True, capture_output=True)
    assert file.with_suffix(".pdf").exists()
