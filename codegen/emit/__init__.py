"""From loop nests to C text."""

from codegen.emit.printer import function_text
from codegen.emit.twins import without_twins
from codegen.emit.unit import Unit, declarations, given_arrays, unit_parts, unit_text

__all__ = [
    "Unit",
    "declarations",
    "function_text",
    "given_arrays",
    "unit_parts",
    "unit_text",
    "without_twins",
]
