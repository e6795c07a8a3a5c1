"""How many floating-point operations a row takes: two for each multiply-add of a contraction."""

from __future__ import annotations

from math import prod

from benchmarks.architectures import ARCHITECTURES, Architecture, Conv, Linear, steps
from benchmarks.rows import Layer, Row, layer_flops


def row_flops(row: Row) -> int:
    """Count what a direct evaluation takes, however a peer does it (say, by Winograd)."""
    if isinstance(row.subject, Layer):
        return layer_flops(row.subject, row.batch, row.direction)
    if row.direction == "product":
        return 4
    contractions = _contractions(ARCHITECTURES[row.subject])
    forward = sum(contractions)
    if row.direction == "inference":
        return row.batch * forward
    # Nobody asks for the gradient to the images, so the first layer has one to its weights only.
    return row.batch * (3 * forward - contractions[0])


def _contractions(architecture: Architecture) -> list[int]:
    """Count the forward pass of one image, layer by layer."""
    counts = []
    for layer, before, after in steps(architecture):
        if isinstance(layer, Conv):
            counts.append(2 * prod(after) * before[0] * layer.kernel**2)
        elif isinstance(layer, Linear):
            counts.append(2 * before[0] * layer.features)
    return counts
