"""What can go wrong between C text and a loaded library, each with its remedy."""


class CompilerNotFound(RuntimeError):  # noqa: N818 - reads as the fact it reports
    """No C compiler here makes a library that loads; says what was tried and the remedy."""


class CompileError(RuntimeError):
    """The C compiler refused the text; shows the command, its complaint and where the text is."""
