"""A row handed to a peer, with its numbers."""

from __future__ import annotations

from benchmarks.architectures import ARCHITECTURES, Arrays, batch_of, initial_weights
from benchmarks.data import layer_arrays, product_arrays
from benchmarks.peers.peer import Case, Peer
from benchmarks.rows import Layer, Row


def make_case(peer: Peer, row: Row) -> Case:
    """Give the row set up by the peer."""
    if isinstance(row.subject, Layer):
        return peer.layer(row.subject, row.direction, layer_arrays(row.subject, row.batch))
    if row.direction == "product":
        return peer.product(*product_arrays())
    architecture = ARCHITECTURES[row.subject]
    weights = initial_weights(architecture)
    images, labels = batch_of(architecture, row.batch)
    if row.direction == "training":
        return peer.training(architecture, weights, images, labels)
    return peer.inference(architecture, weights, images)


def weights_before(row: Row) -> Arrays:
    """Give the weights that the row's first training step changes."""
    if row.direction != "training":
        return {}
    return initial_weights(ARCHITECTURES[str(row.subject)])
