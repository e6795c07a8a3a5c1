"""Who is measured. Each peer is one file, which alone imports its framework."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field
from typing import Any

from benchmarks.peers.peer import Case, Peer, UnsupportedError

__all__ = ["PEERS", "Case", "Entry", "Peer", "UnsupportedError"]


@dataclass(frozen=True)
class Entry:
    """A peer that can be started: its file, settings, and what must be installed for it."""

    module: str
    modules: tuple[str, ...]  # that it imports, its framework's first
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """What it imports and is not installed."""
        return tuple(m for m in self.modules if importlib.util.find_spec(m) is None)

    def start(self, threads: int, **more: Any) -> Peer:
        """Import the framework and give the peer; once in a process."""
        made: Peer = importlib.import_module(f"benchmarks.peers.{self.module}").Framework(
            threads, **self.settings, **more
        )
        return made


PEERS = {
    "graphcnn": Entry("ours", ("graphcnn",)),
    "torch": Entry("torch_eager", ("torch",)),
    "torch-channels-last": Entry("torch_eager", ("torch",), {"channels_last": True}),
    "torch-compile": Entry("torch_compile", ("torch",)),
    "torch-compile-channels-last": Entry("torch_compile", ("torch",), {"channels_last": True}),
    "jax": Entry("jax_", ("jax",)),
    "jax-nhwc": Entry("jax_", ("jax",), {"channels_last": True}),
    "tensorflow": Entry("tensorflow_", ("tensorflow",)),
    "tensorflow-xla": Entry("tensorflow_", ("tensorflow",), {"xla": True}),
    "onnxruntime": Entry("onnxruntime_", ("onnxruntime", "onnx")),
    "openvino": Entry("openvino_", ("openvino", "onnx")),
}
