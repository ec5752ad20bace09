"""TensorRT's rules for QuantizeLinear and DequantizeLinear: symmetric int8, placed so that layers fuse."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto

from ..edit.edits import attribute
from ..edit.graph_index import FUSED_ACTIVATIONS, WEIGHT_AXIS, GraphIndex, layer_name
from .rules import Finding, Rules

QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


def integer_findings(model: onnx.ModelProto, rules: Rules, graph_index: GraphIndex) -> Iterator[Finding]:
    """Yield a finding for each broken rule of explicit quantization."""
    for node in model.graph.node:
        if node.op_type in QUANTIZERS:
            yield from _numbers(node, graph_index)
            yield from _channels(node, graph_index)
            yield from _sources(node, rules, graph_index)
        elif node.op_type in WEIGHT_AXIS:
            yield from _weights(node, graph_index)
        elif node.op_type == "Add":
            yield from _residual(node, graph_index)


def _finding(rule: str, node: onnx.NodeProto, why: str) -> Finding:
    return Finding(rule, layer_name(node), why)


def _numbers(node: onnx.NodeProto, graph_index: GraphIndex) -> Iterator[Finding]:
    """Scales are positive constants, zero points are 0, and there are as many of each."""
    if len(node.input) < 3 or not node.input[2]:
        yield _finding(
            "zero point", node, "TensorRT 8 needs an explicit zero point; without it ONNX means uint8"
        )
        return
    if node.input[1] not in graph_index.constants or node.input[2] not in graph_index.constants:
        yield _finding("scale", node, "scale and zero point must be constants")
        return
    scale, zero = graph_index.array(node.input[1]), graph_index.array(node.input[2])
    if zero.dtype != np.int8 and zero.dtype != np.int32:  # int32 is a bias, see _sources
        yield _finding("zero point", node, f"the integers must be int8, they are {zero.dtype}")
    if np.any(zero):
        yield _finding(
            "zero point",
            node,
            f"TensorRT is symmetric: the zero point must be 0, it is {zero.reshape(-1)[0]}",
        )
    if scale.dtype != np.float32 or not np.all(np.isfinite(scale)) or not np.all(scale > 0):
        yield _finding("scale", node, "scales must be positive float32 numbers")
    if scale.size != zero.size or not scale.size:
        yield _finding("scale", node, f"{scale.size} scales and {zero.size} zero points")


def _channels(node: onnx.NodeProto, graph_index: GraphIndex) -> Iterator[Finding]:
    """Only weights have scales per channel, one for each, along the axis of the layer that reads them."""
    if node.input[1] not in graph_index.constants or graph_index.array(node.input[1]).size <= 1:
        return
    weight, layer = _root(node, graph_index), _layer(node, graph_index)
    if weight is None:
        yield _finding(
            "per channel", node, "activations have one scale; only weights may have one per channel"
        )
        return
    axis = attribute(node, "axis", None)
    wanted = WEIGHT_AXIS[layer.op_type] if layer is not None and layer.op_type in WEIGHT_AXIS else 0
    if axis != wanted:
        stated = "left out, which ONNX reads as 1 and TensorRT as 0" if axis is None else axis
        yield _finding("per channel", node, f"the axis of a weight's channels is {wanted}, here {stated}")
    elif graph_index.array(node.input[1]).size != weight.dims[wanted]:
        yield _finding(
            "per channel",
            node,
            f"{graph_index.array(node.input[1]).size} scales for {weight.dims[wanted]} channels",
        )


def _sources(node: onnx.NodeProto, rules: Rules, graph_index: GraphIndex) -> Iterator[Finding]:
    """A QuantizeLinear makes integers and a DequantizeLinear reads them, with nothing between."""
    if node.op_type == "QuantizeLinear":
        strange = [
            reader.op_type
            for reader in graph_index.readers.get(node.output[0], [])
            if reader.op_type != "DequantizeLinear"
        ]
        if strange or node.output[0] in graph_index.outputs:
            yield _finding(
                "pair",
                node,
                f"its integers go to {strange[0] if strange else 'an output'}, not to a DequantizeLinear",
            )
        maker = graph_index.producers.get(node.input[0])
        readers = graph_index.readers.get(node.output[0], [])
        fused = [
            reader
            for dequantize in readers
            for reader in graph_index.readers.get(dequantize.output[0], [])
            if reader.op_type in FUSED_ACTIVATIONS
        ]
        if maker is not None and maker.op_type in WEIGHT_AXIS and fused:
            yield _finding(
                "fusion",
                node,
                f"it separates {layer_name(maker)} from its {fused[0].op_type} and prevents their fusion",
            )
        return
    constant, maker = graph_index.constants.get(node.input[0]), graph_index.producers.get(node.input[0])
    if constant is not None and constant.data_type == TensorProto.INT8 and not rules.int8_weights:
        yield _finding(
            "weights",
            node,
            f"TensorRT {rules.version} has no int8 constants; "
            "store the weight in float in front of a QuantizeLinear",
        )
    if constant is not None and constant.data_type == TensorProto.INT32:
        yield _finding("bias", node, "TensorRT dequantizes int8 alone; a bias must stay float")
    if constant is None and (maker is None or maker.op_type != "QuantizeLinear"):
        yield _finding(
            "pair", node, f"it reads {'an input' if maker is None else maker.op_type}, not a QuantizeLinear"
        )


def _weights(node: onnx.NodeProto, graph_index: GraphIndex) -> Iterator[Finding]:
    """Input and weight of a layer are both int8 or both float."""
    sides = [_dequantized(name, graph_index) for name in node.input[:2]]
    if sides[0] != sides[1]:
        which = ("input", "weight") if sides[0] else ("weight", "input")
        yield _finding(
            "pair",
            node,
            f"its {which[0]} is int8 and its {which[1]} is not: "
            "the layer computes in float, and its Q/DQ only cost time",
        )


def _residual(node: onnx.NodeProto, graph_index: GraphIndex) -> Iterator[Finding]:
    """An Add fuses with the convolution before it if that operand is float and the other, the shortcut, int8.

    Of two convolutions one fuses; the result of the other is the shortcut.
    """
    if any(_summed_alone(graph_index.producers.get(name), graph_index) for name in node.input):
        return
    for name in node.input:
        quantize = _quantizer_of(name, graph_index)
        maker = graph_index.producers.get(quantize.input[0]) if quantize is not None else None
        if _summed_alone(maker, graph_index):
            yield _finding(
                "fusion",
                node,
                f"Q/DQ between {layer_name(maker)} and its Add; only the shortcut needs them",
            )


def _summed_alone(maker: onnx.NodeProto | None, graph_index: GraphIndex) -> bool:
    """Return whether a node is a convolution with one reader."""
    return (
        maker is not None and maker.op_type in WEIGHT_AXIS and len(graph_index.readers[maker.output[0]]) == 1
    )


def _dequantized(name: str, graph_index: GraphIndex) -> bool:
    return name in graph_index.producers and graph_index.producers[name].op_type == "DequantizeLinear"


def _quantizer_of(name: str, graph_index: GraphIndex) -> onnx.NodeProto | None:
    """Return the QuantizeLinear that a dequantized tensor comes from."""
    if not _dequantized(name, graph_index):
        return None
    maker = graph_index.producers.get(graph_index.producers[name].input[0])
    return maker if maker is not None and maker.op_type == "QuantizeLinear" else None


def _root(node: onnx.NodeProto, graph_index: GraphIndex) -> TensorProto | None:
    """Return the constant that a Q or DQ begins with, or None where it is an activation."""
    name = node.input[0]
    if (
        node.op_type == "DequantizeLinear"
        and name in graph_index.producers
        and graph_index.producers[name].op_type == "QuantizeLinear"
    ):
        name = graph_index.producers[name].input[0]
    return graph_index.constants.get(name)


def _layer(node: onnx.NodeProto, graph_index: GraphIndex) -> onnx.NodeProto | None:
    """Return the layer at the end of a chain of Q and DQ."""
    while node.op_type in QUANTIZERS:
        readers = graph_index.readers.get(node.output[0], [])
        if not readers:
            return None
        node = readers[0]
    return node
