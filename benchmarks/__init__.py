"""Measurements: each number that the documents quote comes from a script in this folder."""
