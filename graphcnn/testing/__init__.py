"""Is a gradient right? A kit for ops of your own, and for any function that has a gradient.

>>> import numpy as np
>>> import graphcnn as g
>>> x = g.input("x", (3,), "float64")
>>> print(check_gradients(g.sum(g.tanh(x) * x), {"x": np.array([-1.0, 0.5, 2.0])}))
3 of 3 right
"""

from graphcnn.testing.check import (
    Check,
    Element,
    GradientMismatch,
    Verdict,
    check_gradients,
)

__all__ = ["Check", "Element", "GradientMismatch", "Verdict", "check_gradients"]
