"""Is an op right? A kit for ops of your own, and for any function that has a gradient.

>>> import numpy as np
>>> import graphcnn as g
>>> x = g.input("x", (3,), "float64")
>>> print(check_gradients(g.sum(g.tanh(x) * x), {"x": np.array([-1.0, 0.5, 2.0])}))
3 of 3 right

`check_gradients` holds a gradient equal to the slope, `check_compiled` C equal to the interpreter,
`check_op` an op to both and to a reference. `graphcnn.testing.strategies` draws arguments and whole
graphs for them, if Hypothesis is installed.
"""

from graphcnn.testing.applying import Applied, apply, rounded
from graphcnn.testing.cases import Case, case_of, differences
from graphcnn.testing.check import (
    Check,
    Element,
    GradientMismatch,
    Verdict,
    check_gradients,
)
from graphcnn.testing.compiled import ResultMismatch, check_compiled, check_op
from graphcnn.testing.growing import Growing, Layer, RandomGraph, grow

__all__ = [
    "Applied",
    "Case",
    "Check",
    "Element",
    "GradientMismatch",
    "Growing",
    "Layer",
    "RandomGraph",
    "ResultMismatch",
    "Verdict",
    "apply",
    "case_of",
    "check_compiled",
    "check_gradients",
    "check_op",
    "differences",
    "grow",
    "rounded",
]
