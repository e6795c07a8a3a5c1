"""OpenVINO, asked for low latency, in float32, with its inputs bound."""

from __future__ import annotations

from typing import Any

import openvino as ov

from benchmarks.architectures import Arrays
from benchmarks.peers.inference_only import InferenceOnly
from benchmarks.peers.peer import Case


class Framework(InferenceOnly):
    """OpenVINO on its CPU plug-in."""

    def __init__(self, threads: int) -> None:
        self._core = ov.Core()
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",  # by default it may round to bfloat16
        }

    def load(self, model: bytes, inputs: Arrays, output: str) -> Case:
        """Give the model set up to run on these inputs."""
        compiled = self._core.compile_model(self._core.read_model(model), "CPU", self._settings)
        request = compiled.create_infer_request()
        for name, x in inputs.items():
            request.set_tensor(name, ov.Tensor(x, shared_memory=True))
        result = request.get_tensor(output)

        def run() -> Any:
            request.infer()
            return inputs  # whose memory it reads

        return Case(run, lambda _: {output: result.data.copy()})
