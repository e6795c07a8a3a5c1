"""From loop nests to C text."""

from codegen.emit.printer import function_text
from codegen.emit.unit import Unit, unit_text

__all__ = ["Unit", "function_text", "unit_text"]
