"""ONNX Runtime, with all its graph optimisations and its inputs and outputs bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort

from benchmarks.architectures import Arrays
from benchmarks.peers.inference_only import InferenceOnly
from benchmarks.peers.peer import Case


class Framework(InferenceOnly):
    """ONNX Runtime on its CPU provider."""

    def __init__(self, threads: int) -> None:
        self._options = ort.SessionOptions()
        self._options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        self._options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        self._options.intra_op_num_threads = threads
        self._options.inter_op_num_threads = threads
        # Its threads spin between the ops of a run, and no longer.
        self._options.add_session_config_entry("session.force_spinning_stop", "1")

    def load(self, model: bytes, inputs: Arrays, output: str) -> Case:
        """Give the model set up to run on these inputs."""
        session = ort.InferenceSession(model, self._options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        values = {name: ort.OrtValue.ortvalue_from_numpy(x) for name, x in inputs.items()}
        for name, value in values.items():
            binding.bind_ortvalue_input(name, value)
        (shape,) = (made.shape for made in session.get_outputs())
        result = ort.OrtValue.ortvalue_from_numpy(np.empty(shape, np.float32))
        binding.bind_ortvalue_output(output, result)

        def run() -> Any:
            session.run_with_iobinding(binding)
            return values, result

        return Case(run, lambda _: {output: result.numpy().copy()})
