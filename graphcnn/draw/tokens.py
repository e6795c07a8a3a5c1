"""The pieces of a formula as pictures write it: names, numbers, indices, signs."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RAISED = "ª²³¹ºʰ-ʸˠ-ˤ⁰ⁱ⁴-ⁿᴬ-ᵡ"
_LOWERED = "₀-ₜᵢ-ᵪ"
_PLAIN = rf"(?![{_RAISED}{_LOWERED}])"  # for Python, raised digits are letters of a word too
_TOKEN = re.compile(
    rf"""
    (?P<space>\s+)
    | ⟨(?P<quoted>[^⟩]*)⟩
    | `(?P<code>[^`]+)`
    | (?P<big>(?:Σ|max|min)(?=_\{{)|Σ(?=_\w\b))_
    | (?P<number>[0-9]+(?:\.[0-9]+)?(?:e[-+−][0-9][0-9]+)?)
    | (?P<raised>[{_RAISED}]+)
    | (?P<lowered>[{_LOWERED}]+)
    | (?P<name>{_PLAIN}[^\W\d](?:{_PLAIN}[\w.'])*)
    | (?P<sign>\.\.\.|\+=|.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """A piece of a formula; `spaced` tells whether a space stands before it."""

    kind: str
    text: str
    spaced: bool = False

    @property
    def is_word(self) -> bool:
        """Whether this is a name of several characters, or a word of a remark."""
        return self.kind == "name" and len(self.text) > 1


END = Token("end", "")


def tokens(text: str) -> tuple[Token, ...]:
    """Cut a formula into tokens; whatever it is, every character but spaces is in one.

    >>> [(t.kind, t.text) for t in tokens("z₃ = 2·⟨my x⟩²")]
    [('name', 'z'), ('lowered', '₃'), ('sign', '='), ('number', '2'), ('sign', '·'),
     ('quoted', 'my x'), ('raised', '²')]
    """
    found: list[Token] = []
    spaced = False
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "sign"
        if kind != "space":
            found.append(Token(kind, match[kind], spaced))
        spaced = kind == "space"
    return tuple(found)
