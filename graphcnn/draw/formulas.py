"""Formulas in textbook form: what an op computes, and its local gradients, in the user's letters.

Everything here is read off the statements of the op or of its derived adjoint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, count
from typing import Any

import sympy

from codegen.affine import Index, split
from codegen.notation import Access, Equal, IsNaN, Reduce, Statement, Tensor, accesses, walk
from codegen.printing import render
from codegen.rewrite.maps import injective, mixed_radix
from graphcnn.adjoint import local_gradient, vjp
from graphcnn.draw.branches import by_result, merged
from graphcnn.fragment import Fragment
from graphcnn.simplify import ClosedFormError, Softmax, Total, textbook

_ARG = (Reduce.ARGMAX, Reduce.ARGMIN)
_BIG = {
    Reduce.SUM: "Σ",
    Reduce.MAX: "max",
    Reduce.MIN: "min",
    Reduce.ARGMAX: "argmax",
    Reduce.ARGMIN: "argmin",
}
_SHORT = 40  # characters
_RAISED = "²³¹⁰-ⁿᴬ-ᵪ"  # exponents, which are no part of the name that they stand behind
_ROOT = re.compile(r"sqrt\(([\w\ue000-\uf8ff]+)\)")
_BOUND = "klmpqrst"  # letters for the index of a sum inside a formula
_LONGEST = 100  # characters of a gradient as one formula; longer ones are told step by step
_FIRST_TOKEN = 0xE000  # letters are put in last, in place of private-use characters
_LAST = "\uf8ff"  # what begins with it stands behind all letters

Sources = Mapping[Tensor, Statement]


@dataclass(frozen=True)
class LocalGradient:
    """`left = value`, the derived local gradient, and how downstream follows from upstream.

    `reduction` is what stands before their product: nothing or `Σ_{n,i,j}`.
    """

    left: str
    value: str
    reduction: str = ""


def forward(fragment: Fragment, formula: str, letters: list[str], special: bool = False) -> str:
    """Give what an op computes, with a letter for each input and, last, for the output.

    Index equations are printed from the statements; element-wise and longer ops as the author of
    the op wrote them. In a `special` case of the op, with static arguments, short ones are printed
    from the statements too: these have the arguments' values.
    """
    template = _equation(fragment) or (special and _short_body(fragment))
    return (template or _from_docstring(fragment, formula)).translate(_table(letters))


def statements(fragment: Fragment, letters: list[str]) -> list[str]:
    """Give the statements of an op in index notation, one equation for each tensor they define."""
    return [equation.translate(_table(letters)) for equation in _statements(fragment)]


def local(fragment: Fragment, k: int, letters: list[str]) -> LocalGradient | None:
    """Give the local gradient with respect to the k-th input; None where it has no short form."""
    found = _local(fragment, k)
    if found is None:
        return None
    table = _table(letters)
    return LocalGradient(found.left.translate(table), found.value.translate(table), found.reduction)


def steps(fragment: Fragment, k: int, letters: list[str]) -> list[str]:
    """Give the derived equations where no single local gradient says it all, as in a softmax.

    The last two letters are those of the upstream and the downstream gradient.
    """
    table = _table(letters)
    return [equation.translate(table) for equation in _steps(fragment, k)]


def _table(letters: list[str]) -> dict[int, str]:
    return {_FIRST_TOKEN + k: letter for k, letter in enumerate(letters)}


def _tokens(fragment: Fragment) -> dict[Tensor, Tensor]:
    tensors = dict.fromkeys((*fragment.inputs, fragment.output))
    return {tensor: tensor.renamed(chr(_FIRST_TOKEN + k)) for k, tensor in enumerate(tensors)}


def _with_tokens(fragment: Fragment) -> Fragment:
    """Give the fragment with a token for the letter of each input and of the output.

    Formulas then are sorted by the place of an operand, whatever the user calls it.
    """
    tokens = _tokens(fragment)
    return replace(
        fragment,
        inputs=tuple(tokens[t] for t in fragment.inputs),
        statements=tuple(s.substitute(tokens) for s in fragment.statements),
        output=tokens[fragment.output],
        detached=frozenset(tokens.get(t, t) for t in fragment.detached),
        choices=(),
    )


# ── Forward ───────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1024)
def _from_docstring(fragment: Fragment, formula: str) -> str:
    names = {tensor.name: token.name for tensor, token in _tokens(fragment).items()}
    text = formula.partition(";")[0].strip()
    if "=" not in text:
        return text
    pattern = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    named = re.sub(rf"(?<!\w)({pattern})(?![^\W{_RAISED}])", lambda match: names[match[0]], text)
    return _without_spaces_in_brackets(named)


def _without_spaces_in_brackets(text: str) -> str:
    depth, kept = 0, []
    for character in text:
        depth += (character == "[") - (character == "]")
        if character != " " or depth < 1:
            kept.append(character)
    return "".join(kept)


@lru_cache(maxsize=1024)
def _equation(given: Fragment) -> str | None:
    """Print statements that are one index equation; None for element-wise and longer ops."""
    fragment = _with_tokens(given)
    if any(s.target != fragment.output or s.op in _ARG for s in fragment.statements):
        return None
    if len(fragment.statements) == 1 and _is_elementwise(fragment.statements[0]):
        return None
    return "; ".join(_equations(fragment.statements))


@lru_cache(maxsize=1024)
def _short_body(given: Fragment) -> str | None:
    """Print one element-wise statement without indices, if it is short."""
    fragment = _with_tokens(given)
    if len(fragment.statements) != 1 or not _is_elementwise(fragment.statements[0]):
        return None
    (statement,) = fragment.statements
    body = merged(statement.body)
    shown = _printed(body, bare=True)
    whole = isinstance(body, sympy.Piecewise)  # needs no brackets around it
    text = f"{fragment.output.name} = {shown[1:-1] if whole else shown}"
    return text if len(text) <= _SHORT else None


@lru_cache(maxsize=1024)
def _statements(given: Fragment) -> tuple[str, ...]:
    return tuple(_equations(_with_tokens(given).statements))


def _equations(statements: Iterable[Statement], sources: Sources | None = None) -> Iterator[str]:
    """Print statements, those that add to the same elements as one equation.

    Where several points add to one element no right side is all of it: `x[i+u] += …`.
    """
    sides: dict[str, list[str]] = {}
    for s in statements:
        sign = "=" if s.op is not Reduce.SUM or injective(s) else "+="
        left = f"{_access_text(Access(s.target, *s.maps))} {sign}"
        sides.setdefault(left, []).append(_term(s, sources))
    for left, terms in sides.items():
        yield f"{left} {' + '.join(terms)}".replace("+ −", "− ")


def _term(s: Statement, sources: Sources | None = None) -> str:
    body = _printed(s.body, sources)
    if not s.reduced:
        return body
    big = f"{_BIG[s.op]}_{{{','.join(map(str, s.reduced))}}}\u00a0"
    return f"{big}{_bracketed(body, s.body)}"


def _is_elementwise(s: Statement) -> bool:
    """Whether every operand is read where the result is written, axes of size one aside."""
    rank = len(s.maps)
    for access in accesses(s.body):
        own = s.maps[rank - len(access.maps) :] if len(access.maps) <= rank else None
        if own is None or any(m not in (o, 0) for m, o in zip(access.maps, own, strict=True)):
            return False
    return s.op is Reduce.SET and not s.reduced


# ── Backward ──────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1024)
def _local(given: Fragment, k: int) -> LocalGradient | None:
    fragment = _with_tokens(given)
    derived = vjp(fragment, k)
    if derived is None:
        return None
    upstream = derived.inputs[-1]
    written = [s for s in derived.statements if s.target == derived.output]
    bodies = [_inlined(s.body, derived) for s in written]
    passed = _gradients(derived)
    reads = {a for body in bodies for a in accesses(body) if a.tensor in passed}
    if len({(s.maps, s.reduced) for s in written}) != 1 or len(reads) != 1:
        return None
    read, first = reads.pop(), written[0]
    value = _textbook(fragment, sum(local_gradient(body, read) for body in bodies))
    if read.tensor != upstream or any(a.tensor in passed for a in accesses(value)):
        return None
    sources = {s.target: s for s in derived.statements}
    if not first.reduced and any(a.tensor in sources for a in accesses(value)):
        value = _without_temporaries(derived, read) or value
    single = {i: sympy.S.Zero for i, size in first.sizes.items() if size == 1}
    places = {tuple(m.xreplace(single) for m in a.maps) for a in (read, *accesses(value))}
    bare = places == {tuple(m.xreplace(single) for m in first.maps)} and not any(
        {*s.reduced} - {*single} for s in written
    )
    above = _access_text(Access(fragment.output, *read.maps), bare)
    below = _access_text(Access(fragment.inputs[k], *first.maps), bare)
    shown = _printed(value, sources, bare) + _explained(value, sources)
    return LocalGradient(f"∂{above}/∂{below}", shown, "" if bare else _reduction(first, read))


def _without_temporaries(derived: Fragment, read: Access) -> Any | None:
    """Give what a closed form multiplies the upstream gradient with; None if it does not."""
    try:
        value = textbook(derived) / read
    except ClosedFormError:
        return None
    inside = {a for part in walk(value) for a in accesses(part)}
    return None if any(a.tensor == read.tensor for a in inside) else value


def _textbook(fragment: Fragment, value: Any) -> Any:
    """Write a local gradient without branches that only keep it from overflowing."""
    short = merged(value)
    if short == value or len(fragment.statements) != 1:
        return short
    (statement,) = fragment.statements
    return by_result(short, merged(statement.body), statement.target[statement.maps])


def _gradients(derived: Fragment) -> set[Tensor]:
    """The tensors through which the upstream gradient passes on its way to the output."""
    found = {derived.inputs[-1]}
    for s in derived.statements:
        if any(a.tensor in found for a in accesses(s.body)):
            found.add(s.target)
    return found


def _inlined(body: Any, derived: Fragment) -> Any:
    """Put in place of each inner gradient what it is, where that is one plain statement."""
    inner = _gradients(derived) - {derived.inputs[-1], derived.output}
    written = {t: [s for s in derived.statements if s.target == t] for t in inner}
    for _ in inner:
        for access in accesses(body):
            match written.get(access.tensor):
                case [s] if not s.reduced and all(isinstance(m, Index) for m in s.maps):
                    at = dict(zip(s.maps, access.maps, strict=True))
                    body = body.xreplace({access: s.body.xreplace(at)})
    return body


def _explained(value: Any, sources: Sources) -> str:
    """Say what the op's own letters in a local gradient stand for."""
    waiting, said = [value], {}
    while waiting:
        for tensor in dict.fromkeys(a.tensor for a in accesses(waiting.pop())):
            if tensor in sources and tensor not in said and sources[tensor].op not in _ARG:
                said[tensor] = next(_equations([sources[tensor]], sources))
                waiting.append(sources[tensor].body)
    return "".join(f", {equation}" for equation in said.values())


@lru_cache(maxsize=1024)
def _steps(given: Fragment, k: int) -> tuple[str, ...]:
    fragment = _with_tokens(given)
    derived = vjp(fragment, k)
    if derived is None:
        return ()
    after = _FIRST_TOKEN + len(_tokens(given))
    swaps = {
        derived.inputs[-1]: derived.inputs[-1].renamed(chr(after)),
        derived.output: derived.output.renamed(chr(after + 1)),
    }
    sources = {s.target: s for s in derived.statements}
    last = next(s for s in reversed(derived.statements) if s.target == derived.output)
    left = Access(last.target, *last.maps).xreplace(swaps)
    try:
        whole = _printed(textbook(derived).xreplace(swaps), sources)
    except ClosedFormError:
        whole = ""
    if 0 < len(whole) <= _LONGEST:
        return (f"{_access_text(left)} = {whole}",)
    stated = [s for s in derived.statements if s.op not in _ARG]
    return tuple(_equations([s.substitute(swaps) for s in stated], sources))


def _reduction(s: Statement, read: Access) -> str:
    """Give the sum of the chain rule: over the outputs that one input reaches.

    Those are told by the indices of the output that the place of the input leaves open: in
    x[n,c,i+u,j+v] it leaves i and j.
    """
    fixed = {i for m in s.maps if mixed_radix(split(m)[1], s) for i in split(m)[1]}
    outer = (i for m in read.maps for i in split(m)[1])
    over = [i for i in dict.fromkeys((*outer, *s.reduced)) if i not in fixed]
    return f"Σ_{{{','.join(map(str, over))}}}" if over else ""


# ── Text ──────────────────────────────────────────────────────────────────────────────────────────


def _printed(expr: Any, sources: Sources | None = None, bare: bool = False) -> str:
    """Print a body: choices as brackets, `bare` without indices."""
    shown = _with_texts(_with_choices(_with_totals(expr, sources or {}), sources or {}, bare), bare)
    together = shown if expr.has(Total) else sympy.factor_terms(shown)
    text = render(together if together.is_Mul else shown).replace(_LAST, "")
    return _ROOT.sub(r"√\1", text).replace("-", "−").replace("sqrt(", "√(").replace("√pi", "√π")


def _with_totals(expr: Any, sources: Sources) -> Any:
    """Write each sum inside a formula out, in brackets, and each softmax."""
    names = {i.name for i in expr.free_symbols}
    letters = (Index(letter) for letter in chain(_BOUND, map("k{}".format, count())))
    free = (letter for letter in letters if letter.name not in names)
    sums = [part for part in walk(expr) if isinstance(part, Total)]
    bound = dict(zip(dict.fromkeys(part.args[1] for part in sums), free, strict=False))
    return _written(expr.xreplace(bound), sources)


def _written(expr: Any, sources: Sources) -> Any:
    swaps = {}
    for part in walk(expr):
        match part:
            case Total(args=(body, index, _)):
                body = _written(body, sources)
                text = f"(Σ_{{{index}}}\u00a0{_bracketed(_printed(body, sources), body)})"
                swaps[part] = sympy.Symbol(_LAST + text, real=True)
            case Softmax(args=(Access() as scores,)):
                softmax = Tensor(f"softmax({scores.tensor.name})", scores.tensor.shape)
                swaps[part] = softmax[scores.maps]
    return expr.xreplace(swaps)


def _bracketed(text: str, body: Any) -> str:
    return f"({text})" if body.is_Add else text


def _with_texts(expr: Any, bare: bool) -> Any:
    return expr.xreplace(
        {a: sympy.Symbol(_access_text(a, bare), real=True) for a in accesses(expr)}
    )


def _access_text(access: Access, bare: bool = False) -> str:
    if bare or not access.maps:
        return access.tensor.name
    maps = ",".join(str(m) for m in access.maps)
    return f"{access.tensor.name}[{maps.replace(' ', '').replace('*', '')}]".replace("-", "−")


def _with_choices(value: Any, sources: Sources, bare: bool) -> Any:
    """Write choices as brackets: `1[x > 0]`, `1[j = label[n]]`."""
    swaps: dict[Any, Any] = {}
    for part in walk(value):
        if isinstance(part, Equal):
            swaps[part] = sympy.Symbol(f"1[{_choice(part, sources)}]", real=True)
        elif isinstance(part, sympy.Piecewise) and len(part.args) == 2:
            (yes, condition), (no, _) = part.args
            if {yes, no} == {sympy.S.Zero, sympy.S.One}:
                holds = _without_nan(condition) if yes == 1 else _negated(_without_nan(condition))
                swaps[part] = sympy.Symbol(f"1[{render(_with_texts(holds, bare))}]", real=True)
    return value.xreplace(swaps)


def _without_nan(condition: Any) -> Any:
    """Give a condition as it reads where every value is a number."""
    return condition.replace(lambda e: isinstance(e, IsNaN), lambda e: sympy.false)


def _negated(condition: Any) -> Any:
    match condition:
        case sympy.Or():
            return sympy.And(*map(_negated, condition.args))
        case sympy.And():
            return sympy.Or(*map(_negated, condition.args))
    return sympy.Not(condition)


def _choice(part: Equal, sources: Sources) -> str:
    position, chosen = part.args
    if not isinstance(chosen, Access):
        return f"{position} = {chosen}"
    source = sources.get(chosen.tensor)
    if source is not None and source.op in _ARG:
        place = ",".join(map(str, source.reduced))
        return f"{place if len(source.reduced) == 1 else f'({place})'} = {source.op.value[:-1]}"
    return f"{position} = {_access_text(chosen)}"
