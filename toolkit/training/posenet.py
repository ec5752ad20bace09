"""Read the trunk's first weights from PoseNet's quantized TensorFlow Lite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import PosecError
from ..network.trunk import Trunk, convolutions

Convolution = tuple[np.ndarray, np.ndarray]
# Where TensorFlow Lite keeps the output channels: Conv2D has (out, h, w, in), DepthwiseConv2D (1, h, w, out).
TORCH_AXES = {"CONV_2D": (0, 3, 1, 2), "DEPTHWISE_CONV_2D": (3, 0, 1, 2)}


def load_trunk(path: Path) -> Trunk:
    """Return PoseNet's trunk (MobileNetV1 0.75, stride 16) from a uint8 .tflite file.

    Raises PosecError where the file's convolutions are not those of the trunk.
    """
    trunk = Trunk()
    stored = read_convolutions(path)
    layers = convolutions(trunk)
    shapes = [tuple(layer.weight.shape) for layer in layers]
    found = [weight.shape for weight, _ in stored[: len(layers)]]
    if found != shapes:
        raise PosecError(f"{path} is no PoseNet on MobileNetV1 0.75: its convolutions start with {found[:4]}, needed {shapes[:4]} …")
    with torch.no_grad():
        for layer, (weight, bias) in zip(layers, stored[: len(layers)], strict=True):
            layer.weight.copy_(torch.from_numpy(weight))
            assert layer.bias is not None
            layer.bias.copy_(torch.from_numpy(bias))
    return trunk


def read_convolutions(path: Path) -> list[Convolution]:
    """Return weights (out, in / groups, h, w) and biases (out,) of all convolutions, float32, in order of execution."""
    import tflite

    if not path.is_file():
        raise PosecError(f"no PoseNet weights at '{path}'; give the path of its .tflite file")
    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise PosecError(f"'{path}' is not a TensorFlow Lite file")
    model = tflite.Model.GetRootAsModel(data, 0)
    graph = model.Subgraphs(0)
    kinds: dict[int, str] = {getattr(tflite.BuiltinOperator, name): name for name in TORCH_AXES}
    found = []
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = kinds.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
        if kind is not None:
            weight, bias = (dequantize(model, graph.Tensors(operator.Inputs(slot))) for slot in (1, 2))
            found.append((np.ascontiguousarray(weight.transpose(TORCH_AXES[kind])), bias))
    return found


def dequantize(model: Any, tensor: Any) -> np.ndarray:
    """Return a per-tensor quantized constant as float32: (stored - zero point) * scale."""
    import tflite

    kind = np.dtype(np.int32 if tensor.Type() == tflite.TensorType.INT32 else np.uint8)
    quantization = tensor.Quantization()
    stored = model.Buffers(tensor.Buffer()).DataAsNumpy().view(kind).reshape(tensor.ShapeAsNumpy())
    zero_point, scale = quantization.ZeroPointAsNumpy()[0], quantization.ScaleAsNumpy()[0]
    return ((stored.astype(np.float64) - zero_point) * scale).astype(np.float32)
