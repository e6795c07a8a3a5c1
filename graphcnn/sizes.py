"""How long the output of a sliding window is, as a formula; and which padding keeps the size.

    H' = ⌊(H + p + q − d·(K − 1) − 1) / s⌋ + 1

for K taps that are d apart, s from place to place, and p and q cells of padding before and after.
"""

from __future__ import annotations

from typing import Any

import sympy

H, K = sympy.symbols("H K", integer=True, positive=True)
P = sympy.Symbol("P", real=True)  # solving for it may give a half, which no layer can take


def output_size(
    size: Any = H, kernel: Any = K, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Any:
    """Give the length of the output of a window, a number or a formula.

    What is not given stays a letter, H or K; give SymPy's symbols for others. `padding` is what is
    added on each side, or a pair of what is added before and after.

    >>> output_size(padding=P), output_size(32, 5, padding=P)
    (H - K + 2*P + 1, 2*P + 28)
    >>> output_size(32, 5, stride=2, padding=2)
    16
    """
    before, after = padding if isinstance(padding, (tuple, list)) else (padding, padding)
    slack = sympy.sympify(size) + before + after - dilation * (sympy.sympify(kernel) - 1) - 1
    slack = sympy.expand(slack)
    return slack + 1 if stride == 1 else sympy.floor(slack / stride) + 1


def same_padding(kernel: Any = K, *, dilation: Any = 1) -> Any:
    """Give the padding on each side that keeps the size at stride 1, solved from the formula.

    For a number of taps that reach evenly far it is a pair (before, after), the odd cell after.

    >>> same_padding(), same_padding(5), same_padding(4)
    (K/2 - 1/2, 2, (1, 2))
    """
    (found,) = sympy.solve(output_size(H, kernel, padding=P, dilation=dilation) - H, P)
    total = 2 * found
    if not total.is_Integer:
        return sympy.expand(found)
    before, after = int(total) // 2, int(total) - int(total) // 2
    return before if before == after else (before, after)
