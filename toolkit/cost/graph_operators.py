"""The operators that TFLite gets of a lowered graph, without converting it.

The converter fuses an activation into the layer before it, stores maps in NHWC and pads in the layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import onnx

from ..ir.graph import Graph
from ..passes.edit.edits import attribute
from ..passes.edit.graph_index import FUSED_ACTIVATIONS, GraphIndex, index_graph, layer_name
from .operators import Operator
from .predict import CostModel
from .table import CostTable

_KINDS = {
    "Add": "add",
    "AveragePool": "average_pool_2d",
    "Concat": "concatenation",
    "Conv": "conv_2d",
    "MaxPool": "max_pool_2d",
    "Mul": "mul",
    "Sigmoid": "logistic",
    "Split": "slice",
    "Sub": "sub",
    "Tanh": "tanh",
}
_FUSE = ("Conv", "Add", "Mul", "Sub")
_CHANGE_TYPE = ("QuantizeLinear", "DequantizeLinear")


def graph_operators(lowered: Graph) -> list[Operator]:
    """Return the operators of a graph that was lowered for TFLite, in its order."""
    return [operator for _, operator in named_operators(lowered)]


def named_operators(lowered: Graph) -> list[tuple[str, Operator]]:
    """Return (layer, operator) of a graph that was lowered for TFLite; changes of the type have no name."""
    index, shapes = index_graph(lowered.model), _shapes(lowered.model)
    found: list[tuple[str, Operator]] = []
    for node in lowered.model.graph.node:
        if node.op_type in ("Constant", "Transpose", *_CHANGE_TYPE) or _is_fused(node, index):
            continue
        found += [(layer_name(node), operator) for operator in _operators(node, index, shapes)]
    return [*found, *(("", operator) for operator in _dequantized(lowered.model, index, shapes))]


def predicted_cost(lowered: Graph, table: CostTable) -> dict[str, Any]:
    """Return the predicted instructions of a lowered graph, for JSON.

    `largest_error` is that of the table's whole networks, a share; `not_counted` are kinds of operators that
    the table lacks, which are missing in the sum.
    """
    predicted = CostModel(table).network(graph_operators(lowered))
    return {
        "instructions_m": round(predicted.instructions / 1e6, 1),
        "largest_error": table.largest_error,
        "cpu": table.cpu,
        "library": table.library,
        "not_counted": list(predicted.unknown),
    }


def _operators(node: onnx.NodeProto, index: GraphIndex, shapes: dict[str, list[int]]) -> Iterator[Operator]:
    """Yield a node as an operator; a Split is one for each of its results."""
    read = [shapes.get(name, []) for name in node.input if name and index.constants.get(name) is None]
    data = [shape for name, shape in zip(node.input, read, strict=False) if not _is_weight(name, index)]
    inputs = sum(_nhwc(shape)[-1] for shape in data if shape)
    precision = "int8" if _is_quantized(index.result(node), index) else "float32"
    kind, kernel = _KINDS.get(node.op_type, node.op_type.lower()), (1, 1)
    stride = dilation = 1
    if node.op_type == "Resize":
        kind = (
            "resize_bilinear" if attribute(node, "mode", "nearest") == "linear" else "resize_nearest_neighbor"
        )
    if node.op_type == "Conv":
        weight = shapes[node.input[1]]
        kernel, group = (weight[2], weight[3]), attribute(node, "group", 1)
        stride, dilation = attribute(node, "strides", [1, 1])[0], attribute(node, "dilations", [1, 1])[0]
        inputs = _nhwc(shapes[node.input[0]])[-1]
        kind = "depthwise_conv_2d" if group > 1 and group == inputs else kind
    if node.op_type == "Conv":
        yield from _padding(node, shapes, precision)
    for output in node.output:
        height, width, outputs = _nhwc(shapes[output])
        yield Operator(kind, precision, kernel, stride, dilation, height, width, inputs, outputs)


def _padding(node: onnx.NodeProto, shapes: dict[str, list[int]], precision: str) -> Iterator[Operator]:
    """Yield a PAD where a convolution pads otherwise than TFLite's SAME, which puts the odd pixel last."""
    height, width, channels = _nhwc(shapes[node.input[0]])
    pads, same = list(attribute(node, "pads", [0] * 4)), []
    for side, taps, stride, dilation in zip(
        (height, width),
        shapes[node.input[1]][2:],
        attribute(node, "strides", [1, 1]),
        attribute(node, "dilations", [1, 1]),
        strict=True,
    ):
        total = max(0, (-(-side // stride) - 1) * stride + dilation * (taps - 1) + 1 - side)
        same.append((total // 2, total - total // 2))
    if any(pads) and pads != [same[0][0], same[1][0], same[0][1], same[1][1]]:
        height, width = height + pads[0] + pads[2], width + pads[1] + pads[3]
        yield Operator("pad", precision, (1, 1), 1, 1, height, width, channels, channels)


def _dequantized(
    model: onnx.ModelProto, index: GraphIndex, shapes: dict[str, list[int]]
) -> Iterator[Operator]:
    """Yield an operator for every integer map that float operators read."""
    seen = set()
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] in index.constants:
            continue
        readers = [each for each in index.readers.get(node.output[0], []) if each.op_type not in _CHANGE_TYPE]
        is_float = any(not _is_quantized(index.result(reader), index) for reader in readers)
        if is_float and node.input[0] not in seen:
            seen.add(node.input[0])
            height, width, channels = _nhwc(shapes[node.output[0]])
            yield Operator("dequantize", "float32", (1, 1), 1, 1, height, width, channels, channels)


def _is_fused(node: onnx.NodeProto, index: GraphIndex) -> bool:
    """Return whether an activation is the only reader of a layer that TFLite fuses it into."""
    maker = index.producers.get(node.input[0])
    return (
        node.op_type in FUSED_ACTIVATIONS
        and maker is not None
        and maker.op_type in _FUSE
        and index.result(maker) == node.output[0]
    )


def _is_quantized(tensor: str, index: GraphIndex) -> bool:
    """Return whether a QuantizeLinear reads a tensor."""
    return any(reader.op_type == "QuantizeLinear" for reader in index.readers.get(tensor, []))


def _is_weight(name: str, index: GraphIndex) -> bool:
    """Return whether a tensor is a constant, or one behind a DequantizeLinear."""
    maker = index.producers.get(name)
    return name in index.constants or (maker is not None and maker.input[0] in index.constants)


def _nhwc(shape: list[int]) -> tuple[int, int, int]:
    """Return (height, width, channels) of a map (1, channels, height, width); others count as one pixel."""
    return (shape[2], shape[3], shape[1]) if len(shape) == 4 else (1, 1, math.prod(shape))


def _shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.input, *inferred.output, *inferred.value_info)
    }
    return {**shapes, **{tensor.name: list(tensor.dims) for tensor in inferred.initializer}}
