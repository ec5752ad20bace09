"""Q and DQ as the torch operations that the converter turns into integer kernels."""

from __future__ import annotations

import numpy as np
import onnx
import torch
import torch.ao.quantization.fx._decomposed  # defines torch.ops.quantized_decomposed
from torch import Tensor

from toolkit.passes.edit.edits import attribute
from toolkit.passes.edit.graph_index import GraphIndex

from .node import Node

_INT8 = (-128, 127, torch.int8)


def quantize(node: Node) -> Tensor:
    """Return int8 maps."""
    return torch.ops.quantized_decomposed.quantize_per_tensor(node.maps, *_qparams(node), *_INT8)


def dequantize(node: Node) -> Tensor:
    """Return the float values of integers: maps, the frame or a constant."""
    if node.proto.input[0] in node.graph_index.constants:
        return _constant(node)
    # The frame is float in torch; the converter makes it int8 because it is quantized at once.
    maps = node.maps if node.maps.dtype == torch.int8 else quantize(node)
    return torch.ops.quantized_decomposed.dequantize_per_tensor(maps, *_qparams(node), *_INT8)


def float_values(node: onnx.NodeProto, graph_index: GraphIndex) -> np.ndarray:
    """Return the float32 values of the integer constant that a DequantizeLinear reads."""
    integers, scale = (
        graph_index.array(node.input[0]),
        graph_index.array(node.input[1]).astype(np.float64),
    )
    shape = [-1 if axis == attribute(node, "axis", 1) else 1 for axis in range(integers.ndim)]
    return (integers * (scale.reshape(shape) if scale.ndim else scale)).astype(np.float32)


def _qparams(node: Node) -> tuple[float, int]:
    """Return scale and zero point of maps."""
    scale, zero_point = node.constant(1), node.constant(2)
    if scale is None or scale.size != 1:
        raise node.refusal("has one scale per channel, which only weights may have")
    return float(scale), 0 if zero_point is None else int(zero_point)


def _constant(node: Node) -> Tensor:
    """Return a weight through Q and DQ, and a bias in float.

    The converter recovers the integers of the weight, and quantizes the bias itself.
    """
    values = node.maps
    if node.graph_index.constants[node.proto.input[0]].data_type == onnx.TensorProto.INT32:
        return values
    scale, zero_point = node.tensor(1), node.tensor(2)
    axis = int(node.attribute("axis", 1)) if len(scale) > 1 else 0
    settings = scale, zero_point, axis, -127, 127, torch.int8
    integers = torch.ops.quantized_decomposed.quantize_per_channel(values, *settings)
    return torch.ops.quantized_decomposed.dequantize_per_channel(integers, *settings)
