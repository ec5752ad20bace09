"""A graph, float or with Q/DQ, as a torch module whose weights can be trained."""

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


class Replay(nn.Module):
    """Computes what a graph computes, for batches of any number of frames.

    A QuantizeLinear and the DequantizeLinear behind it become one of torch's fake quantizations, through which gradients
    pass where nothing was clipped.

    Attributes:
        trained: name of a constant → its parameter.
    """

    def __init__(self, graph: Graph, trained: Collection[str] = ()) -> None:
        """Take an ONNX graph; the constants named in `trained` become parameters. Raises PosecError naming an unknown operator."""
        super().__init__()
        self._graph_index = index_graph(graph.model)
        self._nodes = [node for node in graph.model.graph.node if node.op_type != "Constant"]
        for node in self._nodes:
            if node.op_type not in (*_OPERATORS, "QuantizeLinear", "DequantizeLinear"):
                raise PosecError(
                    f"layer '{layer_name(node)}': {node.op_type} cannot be trained; known: {', '.join(_OPERATORS)}"
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
        """Return head name → (B, C, h, w) of a batch laid out by the graph's frame, as floats."""
        known: dict[str, Tensor] = {self._batch: batch, **self._constants, **self.trained}
        for node in self._nodes:
            if node.op_type == "QuantizeLinear":
                continue
            made = (
                self._dequantized(node, known)
                if node.op_type == "DequantizeLinear"
                else _OPERATORS[node.op_type](self, node, known)
            )
            known[node.output[0]] = made
        return {name: known[tensor] for name, tensor in self._heads.items()}

    def _dequantized(self, node: onnx.NodeProto, known: dict[str, Tensor]) -> Tensor:
        scale, zero = self._graph_index.array(node.input[1]), self._graph_index.array(node.input[2])
        maker = self._graph_index.producers.get(node.input[0])
        if maker is None or maker.op_type != "QuantizeLinear":  # pixels, which are integers already
            return (known[node.input[0]] - float(zero)) * float(scale)
        source, (low, high) = known[maker.input[0]], _LIMITS[zero.dtype]
        if maker.input[0] in self._graph_index.constants:
            return rounded(source, scale, attribute(node, "axis", None))
        return torch.fake_quantize_per_tensor_affine(source, float(scale), int(zero), low, high)

    def on_grid(self) -> dict[str, Tensor]:
        """Return the trained constants, weights as their integers have them."""
        values = {name: value.detach() for name, value in self.trained.items()}
        for node in self._nodes:
            if node.op_type == "QuantizeLinear" and node.input[0] in values:
                scales = self._graph_index.array(node.input[1])
                values[node.input[0]] = rounded(values[node.input[0]], scales, attribute(node, "axis", None))
        return values

    def constant(self, node: onnx.NodeProto, position: int) -> np.ndarray | None:
        """Return the values of a node's constant input, None where it is left out."""
        name = node.input[position] if position < len(node.input) else ""
        return self._graph_index.array(name) if name else None


def rounded(weight: Tensor, scales: np.ndarray, axis: int | None) -> Tensor:
    """Return a weight as its integers have it, of one scale per index of `axis`, or one for all where that is None."""
    if axis is None:
        return torch.fake_quantize_per_tensor_affine(weight, float(scales), 0, -WEIGHT_LIMIT, WEIGHT_LIMIT)
    zeros = torch.zeros(len(scales), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(
        weight, torch.tensor(scales), zeros, axis, -WEIGHT_LIMIT, WEIGHT_LIMIT
    )


Operator = Callable[[Replay, onnx.NodeProto, dict[str, Tensor]], Tensor]


def _pads(node: onnx.NodeProto) -> Any:
    """Return the padding above, on the left, below, and on the right."""
    if attribute(node, "auto_pad", "NOTSET") != "NOTSET":
        raise PosecError(
            f"layer '{layer_name(node)}' leaves its padding to the runtime, which cannot be trained; state `pads`"
        )
    return attribute(node, "pads", [0, 0, 0, 0])


def _even_pads(node: onnx.NodeProto) -> Any:
    above, left, below, right = _pads(node)
    if (above, left) != (below, right):
        raise PosecError(
            f"layer '{layer_name(node)}' pads unevenly, which cannot be trained; pad by the same on both sides"
        )
    return [above, left]


def _conv(_replay: Replay, node: onnx.NodeProto, known: dict[str, Tensor]) -> Tensor:
    above, left, below, right = _pads(node)
    maps = functional.pad(known[node.input[0]], (left, right, above, below))
    bias = known[node.input[2]] if len(node.input) > 2 and node.input[2] else None
    strides, dilations = attribute(node, "strides", [1, 1]), attribute(node, "dilations", [1, 1])
    groups = attribute(node, "group", 1)
    return functional.conv2d(maps, known[node.input[1]], bias, strides, 0, dilations, groups)


def _clip(replay: Replay, node: onnx.NodeProto, known: dict[str, Tensor]) -> Tensor:
    low, high = (
        None if limit is None else float(limit)
        for limit in (replay.constant(node, 1), replay.constant(node, 2))
    )
    return torch.clamp(known[node.input[0]], low, high)


def _pool(compute: Callable[..., Tensor]) -> Operator:
    def pool(_replay: Replay, node: onnx.NodeProto, known: dict[str, Tensor]) -> Tensor:
        kernel = attribute(node, "kernel_shape", [1, 1])
        return compute(known[node.input[0]], kernel, attribute(node, "strides", [1, 1]), _even_pads(node))

    return pool


def _resize(replay: Replay, node: onnx.NodeProto, known: dict[str, Tensor]) -> Tensor:
    maps, mode, scales = known[node.input[0]], attribute(node, "mode", "nearest"), replay.constant(node, 2)
    sizes = replay.constant(node, 3)
    wanted = (
        sizes[2:]
        if sizes is not None
        else np.floor(np.asarray(maps.shape[2:]) * (scales[2:] if scales is not None else 1))
    )
    aligned = attribute(node, "coordinate_transformation_mode", "half_pixel") == "align_corners"
    size = [int(side) for side in wanted]
    if mode == "linear":
        return functional.interpolate(maps, size, mode="bilinear", align_corners=aligned)
    return functional.interpolate(maps, size, mode="nearest")


def _plain(compute: Callable[..., Tensor]) -> Operator:
    return lambda _replay, node, known: compute(*(known[name] for name in node.input))


_OPERATORS: dict[str, Operator] = {
    "Add": _plain(torch.add), "Sub": _plain(torch.sub), "Mul": _plain(torch.mul), "Div": _plain(torch.div),
    "Relu": _plain(functional.relu), "Sigmoid": _plain(torch.sigmoid), "Tanh": _plain(torch.tanh), "Cast": _plain(lambda maps: maps.float()),
    "Clip": _clip, "Conv": _conv, "Resize": _resize, "AveragePool": _pool(functional.avg_pool2d), "MaxPool": _pool(functional.max_pool2d),
    "GlobalAveragePool": _plain(lambda maps: maps.mean((2, 3), keepdim=True)),
    "Concat": lambda _replay, node, known: torch.cat([known[name] for name in node.input], attribute(node, "axis", 1)),
    "Transpose": lambda _replay, node, known: known[node.input[0]].permute(attribute(node, "perm", [])),
}  # fmt: skip
