r"""How names, numbers and any other text are spelled in LaTeX's formulas.

Whatever a user writes stays text: characters that LaTeX would read as markup stand outside of
`\text{…}`, as commands that LaTeX, MathJax and Matplotlib all know.
"""

from __future__ import annotations

import re

_MARKUP = {
    "\\": r"\backslash ",
    "{": r"\{",
    "}": r"\}",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "&": r"\&",
    "_": r"\_",
    "^": r"\wedge ",
    "~": r"\sim ",
    # TeX's older text fonts have other characters in the places of these.
    "<": "{<}",
    ">": "{>}",
    "|": "{|}",
    # What pictures themselves write into names and remarks.
    "…": r"\ldots ",
    "↵": r"\hookleftarrow ",
    "←": r"\leftarrow ",
    "·": r"\cdot ",
    "×": r"\times ",
    "−": "{-}",
}
_PIECES = re.compile(rf"([{re.escape(''.join(_MARKUP))}])")
_LOWER = (
    *("alpha", "beta", "gamma", "delta", "varepsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "varphi", "chi", "psi"),
    "omega",
)
_UPPER = ("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega")
_LETTERS = {"ℒ": r"\mathcal{L}"} | {
    letter: rf"\{name}"
    for letters, names in (("αβγδεζηθικλμνξπρστυφχψω", _LOWER), ("ΓΔΘΛΞΠΣΦΨΩ", _UPPER))
    for letter, name in zip(letters, names, strict=True)
}


def pieces(text: str) -> list[tuple[str, bool]]:
    r"""Cut text into what LaTeX reads as it stands and commands for the rest, of which True tells.

    >>> pieces("50% off")
    [('50', False), ('\\%', True), (' off', False)]
    """
    cut = _PIECES.split(text)
    return [(_MARKUP.get(piece, piece), bool(k % 2)) for k, piece in enumerate(cut) if piece]


def as_text(text: str) -> str:
    r"""Give any text as it stands in a formula.

    >>> print(as_text("50% off"))
    \text{50}\%\text{ off}
    """
    return "".join(piece if command else rf"\text{{{piece}}}" for piece, command in pieces(text))


def as_name(text: str, font: str = "mathrm") -> str:
    r"""Give a name: a letter in italics, a word upright.

    >>> [as_name(n) for n in ("x", "α", "batch_size", "café")]
    ['x', '\\alpha', '\\mathrm{batch\\_size}', '\\text{café}']
    """
    if text in _LETTERS:
        return _LETTERS[text]
    if not re.fullmatch(r"[A-Za-z0-9_.]+", text):
        return as_text(text)
    if len(text) == 1 and text.isalpha():
        return text
    return rf"\{font}{{{''.join(piece for piece, _ in pieces(text))}}}"


def as_number(text: str) -> str:
    r"""Give a number as people write it.

    >>> [as_number(n) for n in ("0.99", "1e-05", "2.5e+06")]
    ['0.99', '10^{-5}', '2.5 \\cdot 10^{6}']
    """
    mantissa, _, exponent = text.replace("−", "-").partition("e")
    if not exponent:
        return text
    power = f"10^{{{int(exponent)}}}"
    return power if mantissa == "1" else rf"{mantissa} \cdot {power}"
