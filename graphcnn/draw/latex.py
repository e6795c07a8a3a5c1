r"""From a formula as pictures write it to LaTeX: from `x/y²` to `\frac{x}{y^{2}}`.

A parser by recursive descent. Where its grammar ends, at the words of a remark for example, one
token is written as it stands and the grammar is tried again behind it: every text has a
translation.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from graphcnn.draw.labels import cleaned
from graphcnn.draw.spelling import as_name, as_number, as_text
from graphcnn.draw.tokens import END, Token, tokens

T = TypeVar("T")
_SIGNS = {
    "≤": r"\leq",
    "≥": r"\geq",
    "≠": r"\neq",
    "←": r"\leftarrow",
    "+=": r"\mathrel{+}=",
    "→": r"\rightarrow",
    "−": "-",
    "·": r"\cdot",
    "×": r"\times",
    "∂": r"\partial",
    "∫": r"\int",
    "√": r"\sqrt{\,}",
    "…": r"\ldots",
    "...": r"\ldots",
    ";": r";\quad",
} | {sign: sign for sign in "=<>+-/,:()[]|"}
_RELATIONS = ("=", "<", ">", "≤", "≥", "≠")
_MINUS = ("−", "-")
_TIMES = ("·", "×")
_KEYWORDS = ("if", "else", "and", "or", "not")
_FUNCTIONS = {name: rf"\{name}" for name in ("cos", "exp", "log", "max", "min", "sin", "tanh")} | {
    name: rf"\operatorname{{{name}}}"
    for name in ("argmax", "argmin", "erf", "floor", "mean", "pow", "sigmoid", "softmax")
}
_PREFIXES = ("log", "max", "mean", "min")  # functions that stand before a bare operand too
_BIG = {"Σ": r"\sum", "max": r"\max", "min": r"\min"}
_DEEPEST = 24


def to_latex(text: str) -> str:
    r"""Give a formula as LaTeX for math mode; any text is accepted, and no name becomes a command.

    >>> print(to_latex("y[n,k] = Σ_{c} x[n,c]·weight[k,c]"))
    y_{n,k} = \sum_{c} x_{n,c} \cdot \mathrm{weight}_{k,c}
    >>> print(to_latex("∂z/∂y = −x/y²"))
    \frac{\partial z}{\partial y} = -\frac{x}{y^{2}}
    """
    return _Parser(tokens(cleaned(text, len(text)))).formula()


@dataclass(frozen=True)
class _Part:
    """A translated operand.

    `inner` is its text without the brackets around it, `scripts` tells which of `_` and `^` it
    ends in. A `high` one is a fraction or the like, which takes brackets before it takes those.
    """

    text: str
    inner: str = ""
    scripts: str = ""
    high: bool = False

    @property
    def alone(self) -> str:
        """The text for a place that holds it together by itself, such as a numerator."""
        return self.inner or self.text

    def scripted(self, mark: str, script: str) -> _Part:
        """Give the operand with an index or an exponent; TeX refuses a second one of a kind."""
        if self.high or mark == "^" in self.scripts:
            return _Part(rf"\left({self.text}\right){mark}{{{script}}}", scripts=mark)
        if mark in self.scripts:
            return _Part(f"{{{self.text}}}{mark}{{{script}}}", scripts=mark)
        return _Part(f"{self.text}{mark}{{{script}}}", scripts=self.scripts + mark)


class _UnclearError(Exception):
    """What comes next is not in the grammar."""


class _Parser:
    """Reads tokens from left to right; a rule that raises `_UnclearError` gives them back.

    No rule reads again what another gave back, so that hostile text takes no longer than others.
    """

    def __init__(self, given: tuple[Token, ...]) -> None:
        self._all, self._at, self._depth = given, 0, 0

    def formula(self) -> str:
        """Read everything."""
        text = ""
        while self._peek() is not END:
            piece = None if self._goes_on() else self._try(self._statement)
            piece = piece or self._loose()
            text += piece if not text or piece.startswith((",", ";")) else f" {piece}"
        return text

    def _goes_on(self) -> bool:
        """Whether a word stands behind an operand, as in `x in another dtype`."""
        before = self._peek(-1) if self._at else END
        ends = before.kind != "sign" or before.text in (")", "]", "|")
        return before is not END and ends and self._peek().is_word and self._peek().spaced

    # ── Moving ────────────────────────────────────────────────────────────────────────────────────

    def _peek(self, ahead: int = 0) -> Token:
        k = self._at + ahead
        return self._all[k] if k < len(self._all) else END

    def _take(self) -> Token:
        token = self._peek()
        self._at += 1
        return token

    def _sees(self, *texts: str, ahead: int = 0, joined: bool = False) -> bool:
        """Whether one of these comes next; `joined` allows no space before it."""
        token = self._peek(ahead)
        known = token.kind in ("sign", "name") and token.text in texts
        return known and not (joined and token.spaced)

    def _expect(self, *texts: str) -> Token:
        if not self._sees(*texts):
            raise _UnclearError
        return self._take()

    def _try(self, rule: Callable[[], T], after: int = 0) -> T | None:
        """Apply a rule behind some tokens; where it does not fit, nothing was read."""
        start, depth = self._at, self._depth
        try:
            self._at += after
            return rule()
        except _UnclearError:
            self._at, self._depth = start, depth
            return None

    def _descend(self) -> None:
        """Count a level, for Python's stack is finite; the rule that calls this counts it back."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _UnclearError

    # ── Outside the grammar ───────────────────────────────────────────────────────────────────────

    def _loose(self) -> str:
        token = self._take()
        match token.kind:
            case "name" if token.is_word or self._is_prose(self._peek()):
                said = [token.text]
                while self._is_prose(self._peek()):
                    said.append(self._take().text)
                after = self._peek().spaced and not self._sees(",", ";", ":", "=")
                return as_text(f"{' ' * token.spaced}{' '.join(said)}{' ' * after}")
            case "name" | "quoted" | "number":
                return _operand(token).text
            case "big":
                return _BIG[token.text]
            case "raised" | "lowered":
                return as_text(unicodedata.normalize("NFKC", token.text))
            case "code":
                return as_name(token.text, "mathtt")
        return _SIGNS.get(token.text) or as_text(token.text)

    def _is_prose(self, token: Token) -> bool:
        """Whether a token that comes next goes on in the words of a remark."""
        article = token.text == "a" and self._peek(1).is_word and self._peek(1).spaced
        return token.spaced and token.kind == "name" and (token.is_word or article)

    # ── From statements down to sums ──────────────────────────────────────────────────────────────

    def _statement(self) -> str:
        """`y = a if b else c` gives y a value that depends on b; nothing is compared."""
        start, left = self._at, self._sum().text
        if not self._sees("=", "←", "+="):
            self._at = start
            return self._conditional()
        sign = _SIGNS[self._peek().text]
        right = self._try(self._conditional, after=1)
        return left if right is None else f"{left} {sign} {right}"

    def _conditional(self) -> str:
        value = self._logic()
        rows: list[str] = []
        while self._sees("if"):
            self._take()
            rows.append(rf"{value} & \text{{if }} {self._logic()}")
            self._expect("else")
            value = self._logic()
        if not rows:
            return value
        cases = r" \\ ".join([*rows, rf"{value} & \text{{otherwise}}"])
        return rf"\begin{{cases}} {cases} \end{{cases}}"

    def _logic(self) -> str:
        text = self._claim()
        while self._sees("and", "or"):
            word, right = self._peek().text, self._try(self._claim, after=1)
            if right is None:
                break
            text += rf" \text{{ {word} }} {right}"
        return text

    def _claim(self) -> str:
        if not self._sees("not"):
            return self._comparison()
        self._take()
        return rf"\text{{not }} {self._comparison()}"

    def _comparison(self) -> str:
        text = self._sum().text
        while self._sees(*_RELATIONS):
            sign, right = _SIGNS[self._peek().text], self._try(self._sum, after=1)
            if right is None:
                break
            text += f" {sign} {right.text}"
        return text

    def _sum(self) -> _Part:
        part = self._product()
        while self._sees("+", *_MINUS):
            sign, right = self._peek(), self._try(self._product, after=1)
            if right is None:
                break
            space = " " * sign.spaced
            part = _Part(f"{part.text}{space}{_SIGNS[sign.text]}{space}{right.text}", high=True)
        return part

    # ── Products and their factors ────────────────────────────────────────────────────────────────

    def _product(self) -> _Part:
        self._descend()
        if self._sees(*_MINUS):
            self._take()
            part = _Part(f"-{self._product().text}", high=True)
        else:
            part = self._factors()
        self._depth -= 1
        return part

    def _factors(self) -> _Part:
        """Read `a·b/c`: everything before the stroke is divided."""
        part = self._factor()
        while self._sees("/", *_TIMES):
            sign, right = self._peek().text, self._try(self._factor, after=1)
            if right is None:
                break
            if sign == "/":
                part = _Part(rf"\frac{{{part.alone}}}{{{right.alone}}}", high=True)
            else:
                part = _Part(f"{part.text} {_SIGNS[sign]} {right.text}", high=True)
        return part

    def _factor(self) -> _Part:
        if self._peek().kind == "big" or self._sees("Σ"):
            return self._reduction()
        return self._power()

    def _reduction(self) -> _Part:
        """`Σ_{i} a·b` adds products."""
        token = self._take()
        text = _BIG[token.text]
        if token.kind == "big":
            if self._sees("{"):
                self._take()
                text += f"_{{{self._listed('}')}}}"
            else:
                text += f"_{{{as_name(self._take().text)}}}"
        reduced = self._try(self._product)
        return _Part(text if reduced is None else f"{text} {reduced.text}", high=True)

    def _power(self) -> _Part:
        part = self._indexed()
        while True:
            if self._peek().kind == "raised":
                part = part.scripted("^", _normal(self._take()))
            elif self._sees("^", joined=True) and "^" not in part.scripts:
                exponent = self._try(self._indexed, after=1)
                if exponent is None:
                    return part
                part = part.scripted("^", exponent.alone)
            elif self._has_index():
                part = self._with_index(part)
            else:
                return part

    def _indexed(self) -> _Part:
        part = self._atom()
        while self._has_index():
            part = self._with_index(part)
        return part

    def _has_index(self) -> bool:
        token = self._peek()
        return self._sees("[", joined=True) or (token.kind == "lowered" and not token.spaced)

    def _with_index(self, part: _Part) -> _Part:
        if self._peek().kind == "lowered":
            return part.scripted("_", _normal(self._take()))
        self._take()
        index = self._listed("]")
        if not index:
            raise _UnclearError
        if "_" in part.scripts:  # below a number, indices would look like more of its digits
            return _Part(f"{part.text}[{index}]", scripts=part.scripts)
        return part.scripted("_", index)

    def _listed(self, end: str) -> str:
        """Read what is separated by commas, and the bracket that ends it."""
        found: list[str] = []
        while not self._sees(end):
            if found:
                self._expect(",")
            found.append(self._conditional())
        self._take()
        return ",".join(found) if end in "]}" else ", ".join(found)

    # ── Atoms ─────────────────────────────────────────────────────────────────────────────────────

    def _atom(self) -> _Part:
        self._descend()
        token = self._take()
        match token.kind, token.text:
            case "number", _:
                part = self._number(token)
            case "name", text if text in _KEYWORDS:
                raise _UnclearError
            case "name", text if text in _FUNCTIONS or self._sees("(", joined=True):
                part = self._called(token)
            case "name", _:
                if (token.is_word or token.text == "a") and self._reads_on():
                    raise _UnclearError
                part = _operand(token)
            case "quoted", _:
                part = _operand(token)
            case "code", _:
                part = _Part(as_name(token.text, "mathtt"))
            case "sign", "(":
                part = self._bracketed()
            case "sign", "|":
                part = _Part(f"|{self._sum().text}|")
                self._expect("|")
            case "sign", "√":
                part = _Part(rf"\sqrt{{{self._indexed().alone}}}")
            case "sign", "∂":
                part = self._ratio()
            case "sign", "∫":
                part = self._integral()
            case "sign", "…" | "...":
                part = _Part(_SIGNS["…"])
            case _:
                raise _UnclearError
        self._depth -= 1
        return part

    def _reads_on(self) -> bool:
        """Whether the word that was read is one of a remark: another one follows."""
        token = self._peek()
        return token.text not in _KEYWORDS and self._is_prose(token)

    def _number(self, token: Token) -> _Part:
        if token.text == "1" and self._sees("[", joined=True):
            self._take()
            return _Part(rf"\mathbf{{1}}[{self._listed(']')}]")
        text = as_number(token.text)
        if self._peek().kind != "name" or self._peek().spaced:
            return _Part(text, high=token.text != text)
        space = r"\," if self._peek().is_word else ""
        return _Part(f"{text}{space}{self._power().text}", high=True)  # a coefficient, as in 2i

    def _called(self, token: Token) -> _Part:
        name = _FUNCTIONS.get(token.text) or as_name(token.text)
        if not self._sees("(", joined=True):
            takes = token.text in _PREFIXES and self._peek().spaced
            operand = self._try(self._factor) if takes else None
            return _Part(name) if operand is None else _Part(f"{name} {operand.text}", high=True)
        self._take()
        if token.text == "pow":
            return self._two()
        given = self._listed(")")
        if token.text == "floor":
            return _Part(rf"\lfloor {given} \rfloor")
        return _Part(name + _in_brackets(given))

    def _two(self) -> _Part:
        """Read what stands in the brackets of `pow(x, y)`."""
        base = self._sum()
        self._expect(",")
        exponent = self._sum().text
        self._expect(")")
        return base.scripted("^", exponent)

    def _bracketed(self) -> _Part:
        inner = self._listed(")")
        if inner.startswith(r"\begin{cases}") and inner.endswith(r"\end{cases}"):
            return _Part(inner, high=True)  # has a bracket of its own
        return _Part(_in_brackets(inner), inner)

    def _ratio(self) -> _Part:
        r"""Read `∂z/∂x`, with the way that a part of a gradient takes: `∂L/∂x (via z)`."""
        above = rf"\partial {self._indexed().text}"
        if not (self._sees("/", joined=True) and self._sees("∂", ahead=1, joined=True)):
            return _Part(above)
        self._at += 2
        text = rf"\frac{{{above}}}{{\partial {self._indexed().text}}}"
        if self._sees("(") and self._sees("via", ahead=1):
            via = self._try(lambda: self._listed(")"), after=2)
            text += "" if via is None else rf"\;(\text{{via }} {via})"
        return _Part(text, high=True)

    def _integral(self) -> _Part:
        """Read `∫ exp(−t²) dt from 0 to x`."""
        body, by = self._product().text, self._take()
        if not (by.is_word and by.text.startswith("d")):
            raise _UnclearError
        self._expect("from")
        low = self._sum().text
        self._expect("to")
        high = self._sum().text
        return _Part(rf"\int_{{{low}}}^{{{high}}} {body} \, d{as_name(by.text[1:])}", high=True)


def _operand(token: Token) -> _Part:
    match token.kind:
        case "number":
            return _Part(as_number(token.text))
        case "quoted":
            return _Part(as_text(token.text) or r"\text{}")
    return _Part(as_name(token.text))


def _normal(script: Token) -> str:
    """Give raised or lowered characters as ordinary ones."""
    ordinary = unicodedata.normalize("NFKC", script.text).replace("−", "-")
    return (
        ordinary if ordinary.isascii() and ordinary.strip("-+=()").isalnum() else as_text(ordinary)
    )


def _in_brackets(text: str) -> str:
    tall = any(command in text for command in (r"\frac", r"\sum", r"\int", r"\begin"))
    return rf"\left({text}\right)" if tall else f"({text})"
