"""Say once what C declarations mean to cffi, so that later processes need not parse C.

cffi's parser costs 40 ms to import and 0.2 ms per function. What it finds out fits in a few
literals, which cffi itself writes for modules made ahead of time; reading them back takes 1 ms.
"""

import ast
import tempfile
from pathlib import Path
from typing import Any

import _cffi_backend

# Part of a library's key: another cffi may write what this one cannot read.
BINDING_VERSION = _cffi_backend.__version__


def write_binding(declarations: str) -> str:
    """The text from which `read_binding` makes an FFI. Raises cffi's CDefError."""
    import cffi  # here, because only what is compiled for the first time needs the parser
    from cffi.recompiler import make_py_source

    ffi = cffi.FFI()
    ffi.cdef(declarations)
    with tempfile.TemporaryDirectory(prefix="graphcnn-") as folder:
        module = Path(folder, "binding.py")
        make_py_source(ffi, "library", str(module))
        return module.read_text(encoding="utf-8")


def read_binding(binding: str) -> Any:  # cffi has no types
    """The FFI that knows the declarations."""
    calls = (node for node in ast.walk(ast.parse(binding)) if isinstance(node, ast.Call))
    literals = {str(each.arg): ast.literal_eval(each.value) for each in next(calls).keywords}
    return _cffi_backend.FFI("library", **literals)
