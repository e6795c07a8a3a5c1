"""C text that generated code leans on, as real files."""
