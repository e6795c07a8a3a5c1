"""The rows of inference as ONNX models, for the peers that read those."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from benchmarks.architectures import (
    AnyLayer,
    Architecture,
    Arrays,
    Conv,
    Linear,
    MaxPool,
    Residual,
    Simple,
)
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
    return model.text(
        {"image": images}, {"scores": _apply_all(model, architecture.layers, "image")}
    )


def product_model(x: np.ndarray, y: np.ndarray) -> bytes:
    """x, y → z."""
    model = _Model({})
    return model.text({"x": x, "y": y}, {"z": model.add("Mul", "x", "y")})


def _apply_all(model: _Model, layers: tuple[AnyLayer, ...], x: str) -> str:
    for layer in layers:
        x = _apply(model, layer, x)
    return x


def _apply(model: _Model, layer: AnyLayer, x: str) -> str:
    match layer:
        case Conv(name, _, _, stride, padding):
            w, b = f"{name}.weight", f"{name}.bias"
            return model.add("Conv", x, w, b, strides=[stride] * 2, pads=[padding] * 4)
        case Linear(name):
            return model.add("Gemm", x, f"{name}.weight", f"{name}.bias", transB=1)
        case MaxPool(kernel, stride, padding):
            window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
            return model.add("MaxPool", x, **window)
        case Residual(body, shortcut):
            branches = (_apply_all(model, branch, x) for branch in (body, shortcut))
            return model.add("Relu", model.add("Add", *branches))
        case Simple.RELU:
            return model.add("Relu", x)
        case Simple.FLATTEN:
            return model.add("Flatten", x)
        case Simple.MEAN:
            return model.add("Flatten", model.add("GlobalAveragePool", x))
    raise TypeError(f"no ONNX op for {layer}; add it to onnx_model.py")
