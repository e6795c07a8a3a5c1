"""A compiler for tensor statements: notation → rewrite → schedule → loop nest → C."""
