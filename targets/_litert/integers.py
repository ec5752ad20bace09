"""Q and DQ of the graph as the torch operations that the converter turns into integer kernels."""

from __future__ import annotations

import numpy as np
import onnx
import torch
import torch.ao.quantization.fx._decomposed  # defines torch.ops.quantized_decomposed
from torch import Tensor

from toolkit.passes.edit.edits import attribute
from toolkit.passes.edit.graph_index import GraphIndex

from .step import Step

_INT8 = (-128, 127, torch.int8)


def quantize(step: Step) -> Tensor:
    """Return int8 maps."""
    return torch.ops.quantized_decomposed.quantize_per_tensor(step.maps, *_numbers(step), *_INT8)


def dequantize(step: Step) -> Tensor:
    """Return the real numbers that integers stand for, be they maps, the frame or a constant."""
    if step.node.input[0] in step.found.constants:
        return _constant(step)
    # The frame comes as real numbers: the converter makes it integer where it is quantized at once.
    maps = step.maps if step.maps.dtype == torch.int8 else quantize(step)
    return torch.ops.quantized_decomposed.dequantize_per_tensor(maps, *_numbers(step), *_INT8)


def real_values(node: onnx.NodeProto, found: GraphIndex) -> np.ndarray:
    """Return the float32 numbers that the integer constant in front of a DequantizeLinear stands for."""
    integers, scale = found.array(node.input[0]), found.array(node.input[1]).astype(np.float64)
    spread = [-1 if axis == attribute(node, "axis", 1) else 1 for axis in range(integers.ndim)]
    return (integers * (scale.reshape(spread) if scale.ndim else scale)).astype(np.float32)


def _numbers(step: Step) -> tuple[float, int]:
    """Return scale and zero point of maps."""
    scale, zero_point = step.constant(1), step.constant(2)
    if scale is None or scale.size != 1:
        raise step.refusal("has one scale per channel, which only weights may have")
    return float(scale), 0 if zero_point is None else int(zero_point)


def _constant(step: Step) -> Tensor:
    """Return a weight by Q and DQ, so that the converter finds its integers again; a bias, which it quantizes itself, plainly."""
    real = step.maps
    if step.found.constants[step.node.input[0]].data_type == onnx.TensorProto.INT32:
        return real
    scale, zero = step.tensor(1), step.tensor(2)
    numbers = scale, zero, int(step.stated("axis", 1)) if len(scale) > 1 else 0, -127, 127, torch.int8
    integers = torch.ops.quantized_decomposed.quantize_per_channel(real, *numbers)
    return torch.ops.quantized_decomposed.dequantize_per_channel(integers, *numbers)
