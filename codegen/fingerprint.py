"""What a program's C follows from, as one short text: equal fingerprints, equal C.

A second process that asks for the same program finds its library by the fingerprint alone and
need not rewrite, schedule or print anything.
"""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import sympy

from codegen.affine import Dim, Index, Size
from codegen.notation import Statement, Tensor
from codegen.program import Program


def fingerprint(program: Program, *more: object) -> str:
    """Give a digest of a program, of whatever else decides its C, and of this compiler itself.

    >>> from codegen.notation import indices, statement
    >>> (i,), x, y = indices("i"), Tensor("x", (3,)), Tensor("y", (3,))
    >>> a, b = (Program((x,), (y,), (statement(y[i], "=", c * x[i]),)) for c in (0.1, 0.1 + 1e-16))
    >>> fingerprint(a) == fingerprint(a), fingerprint(a) == fingerprint(b)
    (True, False)
    """
    lines = [_version(), sympy.__version__, program.name, *map(repr, more)]
    for tensors in (program.inputs, program.parameters, program.outputs):
        lines += [*map(_tensor, tensors), ""]
    lines += [f"{_tensor(old)} <- {_tensor(new)}" for old, new in program.updates]
    lines += map(_statement, program.statements)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _statement(s: Statement) -> str:
    parts = [_tensor(s.target), *map(_spell, s.maps), s.op.value, _spell(s.body)]
    parts += [f"{_spell(i)}<{_size(n)}" for i, n in s.box]
    parts += [
        f"{_spell(b.index)}<{_size(b.size)}:={_spell(b.value)}/{_size(b.divisor)},{b.leading}"
        for b in s.bindings
    ]
    parts += [f"{_spell(g.expr)}<{_size(g.size)}" for g in (*s.extra, *s.support)]
    return " ".join(parts)


@lru_cache(maxsize=65536)
def _spell(expr: Any) -> str:
    """Give an expression without loss: every digit, every kind of symbol."""
    match expr:
        case Tensor():
            return _tensor(expr)
        case sympy.Float():
            return float(expr).hex()
        case Index() | Dim():
            return f"{type(expr).__name__}:{expr.name!r}"
        case _ if not expr.args:
            return f"{type(expr).__name__}:{expr}"
    return f"{type(expr).__name__}({','.join(map(_spell, expr.args))})"


@lru_cache(maxsize=4096)
def _tensor(tensor: Tensor) -> str:
    return f"{tensor.name!r}:{tensor.dtype}[{','.join(map(_size, tensor.shape))}]"


def _size(size: Size) -> str:
    return str(size) if isinstance(size, int) else _spell(size)


@cache
def _version() -> str:
    """A digest of this compiler's own sources: a change of any of them is another compiler."""
    digest = hashlib.sha256()
    folders = [resources.files("codegen")]
    while folders:
        for entry in sorted(folders.pop().iterdir(), key=lambda e: e.name):
            if entry.is_dir() and entry.name != "__pycache__":
                folders.append(entry)
            elif entry.name.endswith((".py", ".h", ".c")):
                digest.update(entry.read_bytes())
    return digest.hexdigest()
