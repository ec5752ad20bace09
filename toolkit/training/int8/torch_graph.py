"""An ONNX graph, float or with Q/DQ, as a torch module with trainable weights."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import PosecError
from ...ir.graph import Graph
from ...passes.edit.edits import attribute
from ...passes.edit.graph_index import index_graph, layer_name
from ...passes.quantize.qparams import WEIGHT_LIMIT

_LIMITS = {np.dtype(np.int8): (-128, 127), np.dtype(np.uint8): (0, 255)}


class TorchGraph(nn.Module):
    """A graph as a torch module, for batches of any number of frames.

    A QuantizeLinear and the DequantizeLinear behind it become a fake quantization of torch, whose gradient is
    1 where nothing was clipped.

    Attributes:
        trained: parameters by the name of their constant.
    """

    def __init__(self, graph: Graph, trained: Collection[str] = ()) -> None:
        """Convert a graph; the constants named in `trained` become parameters.

        Raises PosecError for an unsupported operator.
        """
        super().__init__()
        self._graph_index = index_graph(graph.model)
        self._nodes = [node for node in graph.model.graph.node if node.op_type != "Constant"]
        for node in self._nodes:
            if node.op_type not in (*_OPERATORS, "QuantizeLinear", "DequantizeLinear"):
                raise PosecError(
                    f"layer '{layer_name(node)}': {node.op_type} cannot be trained; "
                    f"known: {', '.join(_OPERATORS)}"
                )
        self._heads = {name: tensor for name, (tensor, _) in graph.heads.items()}
        self._batch = graph.input_name
        floats = {name: self._graph_index.array(name) for name in self._graph_index.constants}
        self._constants = {
            name: torch.from_numpy(np.array(values))
            for name, values in floats.items()
            if values.dtype == np.float32
        }
        self.trained = {name: nn.Parameter(self._constants.pop(name)) for name in trained}
        self._parameters_by_number = nn.ParameterList(self.trained.values())

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        """Return the heads (B, C, h, w) by name, of a float batch in the layout of the graph's frame."""
        known: dict[str, Tensor] = {self._batch: batch, **self._constants, **self.trained}
        for node in self._nodes:
            if node.op_type == "QuantizeLinear":
                continue
            output = (
                self._dequantized(node, known)
                if node.op_type == "DequantizeLinear"
                else _OPERATORS[node.op_type](self, node, known)
            )
            known[node.output[0]] = output
        return {name: known[tensor] for name, tensor in self._heads.items()}

    def _dequantized(self, node: onnx.NodeProto, known: dict[str, Tensor]) -> Tensor:
        scale, zero = self._graph_index.array(node.input[1]), self._graph_index.array(node.input[2])
        maker = self._graph_index.producers.get(node.input[0])
        if maker is None or maker.op_type != "QuantizeLinear":  # pixels, which are uint8 already
            return (known[node.input[0]] - float(zero)) * float(scale)
        source, (low, high) = known[maker.input[0]], _LIMITS[zero.dtype]
        if maker.input[0] in self._graph_index.constants:
            return snap_to_scales(source, scale, attribute(node, "axis", None))
        return torch.fake_quantize_per_tensor_affine(source, float(scale), int(zero), low, high)

    def quantized_constants(self) -> dict[str, Tensor]:
        """Return the trained constants by name, weights snapped to their int8 grid."""
        values = {name: value.detach() for name, value in self.trained.items()}
        for node in self._nodes:
            if node.op_type == "QuantizeLinear" and node.input[0] in values:
                scales = self._graph_index.array(node.input[1])
                values[node.input[0]] = snap_to_scales(
                    values[node.input[0]], scales, attribute(node, "axis", None)
                )
        return values

    def constant(self, node: onnx.NodeProto, position: int) -> np.ndarray | None:
        """Return the values of a node's constant input, None where it is omitted."""
        name = node.input[position] if position < len(node.input) else ""
        return self._graph_index.array(name) if name else None


def snap_to_scales(weight: Tensor, scales: np.ndarray, axis: int | None) -> Tensor:
    """Round a weight to int8 multiples of one scale per index of `axis`; None is a single scale."""
    if axis is None:
        return torch.fake_quantize_per_tensor_affine(weight, float(scales), 0, -WEIGHT_LIMIT, WEIGHT_LIMIT)
    zeros = torch.zeros(len(scales), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(
        weight, torch.tensor(scales), zeros, axis, -WEIGHT_LIMIT, WEIGHT_LIMIT
    )


Operator = Callable[[TorchGraph, onnx.NodeProto, dict[str, Tensor]], Tensor]


def _pads(node: onnx.NodeProto) -> Any:
    """Return the padding (top, left, bottom, right)."""
    if attribute(node, "auto_pad", "NOTSET") != "NOTSET":
        raise PosecError(
            f"layer '{layer_name(node)}' has automatic padding, which cannot be trained; state `pads`"
        )
    return attribute(node, "pads", [0, 0, 0, 0])


def _symmetric_pads(node: onnx.NodeProto) -> Any:
    top, left, bottom, right = _pads(node)
    if (top, left) != (bottom, right):
        raise PosecError(
            f"layer '{layer_name(node)}' has asymmetric padding, which cannot be trained; "
            "pad both sides equally"
        )
    return [top, left]


def _conv(_graph: TorchGraph, node: onnx.NodeProto, known: dict[str, Tensor]) -> Tensor:
    top, left, bottom, right = _pads(node)
    maps = functional.pad(known[node.input[0]], (left, right, top, bottom))
    bias = known[node.input[2]] if len(node.input) > 2 and node.input[2] else None
    strides, dilations = attribute(node, "strides", [1, 1]), attribute(node, "dilations", [1, 1])
    groups = attribute(node, "group", 1)
    return functional.conv2d(maps, known[node.input[1]], bias, strides, 0, dilations, groups)


def _clip(graph: TorchGraph, node: onnx.NodeProto, known: dict[str, Tensor]) -> Tensor:
    low, high = (
        None if limit is None else float(limit)
        for limit in (graph.constant(node, 1), graph.constant(node, 2))
    )
    return torch.clamp(known[node.input[0]], low, high)


def _pool(compute: Callable[..., Tensor]) -> Operator:
    def pool(_graph: TorchGraph, node: onnx.NodeProto, known: dict[str, Tensor]) -> Tensor:
        kernel = attribute(node, "kernel_shape", [1, 1])
        return compute(
            known[node.input[0]], kernel, attribute(node, "strides", [1, 1]), _symmetric_pads(node)
        )

    return pool


def _resize(graph: TorchGraph, node: onnx.NodeProto, known: dict[str, Tensor]) -> Tensor:
    maps, mode, scales = known[node.input[0]], attribute(node, "mode", "nearest"), graph.constant(node, 2)
    sizes = graph.constant(node, 3)
    factors = scales[2:] if scales is not None else 1
    wanted = sizes[2:] if sizes is not None else np.floor(np.asarray(maps.shape[2:]) * factors)
    aligned = attribute(node, "coordinate_transformation_mode", "half_pixel") == "align_corners"
    size = [int(side) for side in wanted]
    if mode == "linear":
        return functional.interpolate(maps, size, mode="bilinear", align_corners=aligned)
    return functional.interpolate(maps, size, mode="nearest")


def _plain(compute: Callable[..., Tensor]) -> Operator:
    return lambda _graph, node, known: compute(*(known[name] for name in node.input))


def _concat(_graph: TorchGraph, node: onnx.NodeProto, known: dict[str, Tensor]) -> Tensor:
    return torch.cat([known[name] for name in node.input], attribute(node, "axis", 1))


def _transpose(_graph: TorchGraph, node: onnx.NodeProto, known: dict[str, Tensor]) -> Tensor:
    return known[node.input[0]].permute(attribute(node, "perm", []))


_OPERATORS: dict[str, Operator] = {
    "Add": _plain(torch.add),
    "Sub": _plain(torch.sub),
    "Mul": _plain(torch.mul),
    "Div": _plain(torch.div),
    "Relu": _plain(functional.relu),
    "Sigmoid": _plain(torch.sigmoid),
    "Tanh": _plain(torch.tanh),
    "Cast": _plain(lambda maps: maps.float()),
    "Clip": _clip,
    "Conv": _conv,
    "Resize": _resize,
    "AveragePool": _pool(functional.avg_pool2d),
    "MaxPool": _pool(functional.max_pool2d),
    "GlobalAveragePool": _plain(lambda maps: maps.mean((2, 3), keepdim=True)),
    "Concat": _concat,
    "Transpose": _transpose,
}
