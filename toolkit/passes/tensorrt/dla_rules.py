"""Layers that the deep learning accelerator (DLA) of Xavier and Orin cannot run, with the reasons.

Source: NVIDIA's tables of DLA layers and the comments of NvInfer.h 10.3. The builder on the board decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from ...ir.graph import Graph
from ..edit.edits import attribute
from ..edit.graph_index import WEIGHT_AXIS, GraphIndex, index_graph, layer_name

_PLAIN = ("Relu", "Sigmoid", "Tanh", "LeakyRelu", "Transpose", "Slice")
_ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow")
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
_MOST_CHANNELS = 8192


def dla_obstacles(graph: Graph) -> dict[str, str]:
    """Return the layers that fall back to the GPU, name → reason, of a lowered graph."""
    graph_index = index_graph(graph.model)
    shapes = _shapes(graph.model)
    reasons = {
        layer_name(node): _obstacle(node, graph_index, shapes)
        for node in graph.model.graph.node
        if node.op_type != "Constant"
    }
    return {name: why for name, why in reasons.items() if why}


def _shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = (*inferred.input, *inferred.output, *inferred.value_info)
    return {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values}


def _obstacle(node: onnx.NodeProto, graph_index: GraphIndex, shapes: dict[str, list[int]]) -> str:
    kind = node.op_type
    if kind in _QUANTIZERS:
        return "the DLA does not support explicit quantization"
    if kind in WEIGHT_AXIS:
        return _convolution(node, shapes)
    if kind == "Clip":
        return _clip(node, graph_index)
    if kind == "Resize":
        return _resize(node, graph_index)
    if kind in ("MaxPool", "AveragePool"):
        kernel, strides, pads = (
            list(attribute(node, name, [1])) for name in ("kernel_shape", "strides", "pads")
        )
        pads = list(attribute(node, "pads", [0]))
        return (
            _outside("kernel", kernel, low=1, high=8)
            or _outside("stride", strides, low=1, high=16)
            or _outside("padding", pads, low=0, high=7)
        )
    if kind == "Concat":
        return (
            ""
            if attribute(node, "axis", 1) in (1, -3)
            else "it concatenates along another axis than channels"
        )
    if kind in _ELEMENTWISE:
        return (
            "an operand is constant, which the DLA does not support"
            if len(graph_index.data_inputs(node)) < len(node.input)
            else ""
        )
    return "" if kind in _PLAIN else f"the DLA has no {kind}"


def _convolution(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> str:
    channels = shapes.get(node.output[0], [1, 1])[1]
    kernel = list(attribute(node, "kernel_shape", [1, 1]))
    if len(kernel) != 2:
        return f"it convolves in {len(kernel)} dimensions, the DLA in two"
    pads, strides, dilations = (
        list(attribute(node, name, [default]))
        for name, default in (("pads", 0), ("strides", 1), ("dilations", 1))
    )
    if node.op_type == "ConvTranspose":
        grouped = attribute(node, "group", 1) > 1 or any(size > 1 for size in dilations)
        return (
            "transposed, with groups or dilation"
            if grouped
            else _outside("padding of a transposed convolution", pads, low=0, high=0)
        )
    return (
        _outside("kernel", kernel, low=1, high=32)
        or _outside("stride", strides, low=1, high=8)
        or _outside("padding", pads, low=0, high=min(31, max(min(kernel) - 1, 0)))
        or _outside("dilation", dilations, low=1, high=32)
        or _outside("number of channels", [channels], low=1, high=_MOST_CHANNELS)
    )


def _clip(node: onnx.NodeProto, graph_index: GraphIndex) -> str:
    bounds = [
        float(graph_index.array(name)) if name in graph_index.constants else None
        for name in [*node.input[1:], ""][:2]
    ]
    low, high = bounds
    return (
        ""
        if low == 0 and high is not None and 1 <= high <= 127
        else f"it clips to {low} … {high}, the DLA to 0 … 1 to 127"
    )


def _resize(node: onnx.NodeProto, graph_index: GraphIndex) -> str:
    if (
        len(node.input) < 3
        or node.input[2] not in graph_index.constants
        or graph_index.array(node.input[2]).size != 4
    ):
        return "its size is an input; the DLA resizes by four constant scales"
    scales, mode = np.asarray(graph_index.array(node.input[2]), float), attribute(node, "mode", "nearest")
    most = 32 if mode == "nearest" else 4
    if any(scales[:2] != 1) or any(scale != round(scale) or not 1 <= scale <= most for scale in scales[2:]):
        return f"scales {scales.tolist()}; the DLA takes 1, 1 and whole numbers up to {most} in {mode} mode"
    transform = attribute(node, "coordinate_transformation_mode", "half_pixel")
    if mode == "cubic" or (mode == "linear" and transform not in ("half_pixel", "pytorch_half_pixel")):
        return f"{mode} interpolation with {transform} coordinates"
    return ""


def _outside(what: str, values: Sequence[int], *, low: int, high: int) -> str:
    strange = [value for value in values if not low <= value <= high]
    return f"{what} {strange[0]}, the DLA takes {low} to {high}" if strange else ""
