"""C text in, loaded library out: find a compiler, compile once, load for ever after."""

from .cache import Cache, CacheReport, open_cache
from .compiler import compiler_calls
from .errors import CompileError, CompilerNotFound
from .module import Library, build
from .sanitize import sanitizer_environment
from .team import default_threads, open_team
from .toolchain import Toolchain, find_toolchain, forget_toolchains, require_toolchain

__all__ = [
    "Cache",
    "CacheReport",
    "CompileError",
    "CompilerNotFound",
    "Library",
    "Toolchain",
    "build",
    "compiler_calls",
    "default_threads",
    "find_toolchain",
    "forget_toolchains",
    "open_cache",
    "open_team",
    "require_toolchain",
    "sanitizer_environment",
]
