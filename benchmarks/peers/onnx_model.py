"""The rows of inference as ONNX models, for the peers that read those."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx
from onnx import helper, numpy_helper

from benchmarks.architectures import Architecture, Arrays
from benchmarks.ops import Ops
from benchmarks.rows import Layer

OPSET, IR_VERSION = 17, 8  # old enough for every reader


class _Model:
    """Nodes and constants so far."""

    def __init__(self, constants: Arrays) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants = [numpy_helper.from_array(w, name) for name, w in constants.items()]

    def add(self, op: str, *inputs: str, **attributes: object) -> str:
        """Give the name of the result."""
        result = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [result], **attributes))
        return result

    def convolution(self, x: str, w: str, b: str, stride: int, padding: int) -> str:
        return self.add("Conv", x, w, b, strides=[stride] * 2, pads=[padding] * 4)

    def linear(self, x: str, w: str, b: str) -> str:
        return self.add("Gemm", x, w, b, transB=1)

    def max_pool(self, x: str, kernel: int, stride: int, padding: int) -> str:
        window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
        return self.add("MaxPool", x, **window)

    def text(self, inputs: Arrays, outputs: dict[str, str]) -> bytes:
        """Give the file's bytes."""
        self.nodes += [helper.make_node("Identity", [t], [name]) for name, t in outputs.items()]
        kind = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "row",
            [helper.make_tensor_value_info(name, kind, x.shape) for name, x in inputs.items()],
            [helper.make_tensor_value_info(name, kind, None) for name in outputs],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        return onnx.shape_inference.infer_shapes(model).SerializeToString()


def layer_model(layer: Layer, arrays: Arrays) -> bytes:
    """X → y, the weights constant."""
    model = _Model({name: arrays[name] for name in ("weight", "bias")})
    y = model.add(
        "Conv",
        *("x", "weight", "bias"),
        strides=[layer.stride] * 2,
        pads=[layer.padding] * 4,
        dilations=[layer.dilation] * 2,
        group=layer.groups,
    )
    return model.text({"x": arrays["x"]}, {"y": y})


def network_model(architecture: Architecture, weights: Arrays, images: np.ndarray) -> bytes:
    """Image → scores, the weights constant."""
    model = _Model(weights)
    ops = Ops(
        convolution=model.convolution,
        linear=model.linear,
        max_pool=model.max_pool,
        relu=partial(model.add, "Relu"),
        flatten=partial(model.add, "Flatten"),
        mean=lambda x: model.add("Flatten", model.add("GlobalAveragePool", x)),
        add=partial(model.add, "Add"),
    )
    scores = ops.apply(architecture.layers, "image", {name: name for name in weights})
    return model.text({"image": images}, {"scores": scores})


def product_model(x: np.ndarray, y: np.ndarray) -> bytes:
    """x, y → z."""
    model = _Model({})
    return model.text({"x": x, "y": y}, {"z": model.add("Mul", "x", "y")})
