"""Replay: a graph, float or with Q/DQ, as a torch module that the converter reads."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.errors import PosecError
from toolkit.ir.graph import Graph
from toolkit.passes.edit.edits import attribute
from toolkit.passes.edit.graph_index import WEIGHT_AXIS, GraphIndex, index_graph, layer_name

from .node import Node
from .operators import OPERATORS
from .qdq import dequantize, float_values


class Replay(nn.Module):
    """Computes the graph in torch, from a float NHWC frame to NHWC heads."""

    def __init__(self, graph: Graph) -> None:
        """Take a lowered graph. Raises PosecError naming the first operator that is not supported."""
        super().__init__()
        self._nodes = [node for node in graph.model.graph.node if node.op_type != "Constant"]
        for node in self._nodes:
            if node.op_type not in OPERATORS:
                raise PosecError(
                    f"TFLite: no operator '{node.op_type}' (layer '{layer_name(node)}'); "
                    f"known: {', '.join(OPERATORS)}; export the network without it"
                )
        self._graph_index, self._frame = index_graph(graph.model), graph.input_name
        self._heads = {name: tensor for name, (tensor, _) in graph.heads.items()}
        self._buffer_of: dict[str, str] = {}
        for name, tensor in self._graph_index.constants.items():
            if len(tensor.dims) or self._graph_index.array(name).dtype.kind == "f":
                self._keep(name, self._graph_index.array(name).astype(np.float32))
        self._followed = {node.output[0] for node in self._nodes if _needs_identity(node, self._graph_index)}
        for tensor in self._followed:
            channels = _output_channels(self._graph_index.producers[tensor], self._graph_index)
            self._keep(_identity(tensor), np.ones((channels, 1, 1, 1), np.float32))
        for node in self._nodes:
            if node.op_type == "DequantizeLinear" and node.input[0] in self._graph_index.constants:
                self._keep(node.input[0], float_values(node, self._graph_index))
                # The converter expects lists, also of one scale for all channels.
                self._keep(
                    node.input[1], self._graph_index.array(node.input[1]).astype(np.float32).reshape(-1)
                )
                self._keep(node.input[2], self._graph_index.array(node.input[2]).astype(np.int64).reshape(-1))

    def _keep(self, name: str, values: np.ndarray) -> None:
        """Register a constant as a buffer, the only form that the converter treats as a constant."""
        self._buffer_of.setdefault(name, f"constant_{len(self._buffer_of)}")
        self.register_buffer(self._buffer_of[name], torch.from_numpy(np.array(values)))

    def forward(self, frame: Tensor) -> dict[str, Tensor]:
        """Return head name → (1, h, w, C) of a frame (1, H, W, 3)."""
        known: dict[str, Tensor] = {name: self.get_buffer(buffer) for name, buffer in self._buffer_of.items()}
        known[self._frame] = frame
        for node in self._nodes:
            made = OPERATORS[node.op_type](
                Node(node, self._graph_index, [self._read(name, known) for name in node.input])
            )
            if isinstance(made, Tensor) and node.output[0] in self._followed:
                made = functional.conv2d(made, known[_identity(node.output[0])], groups=made.shape[1])
            known.update(zip(node.output, made if isinstance(made, tuple) else (made,), strict=True))
        return {name: known[tensor].permute(0, 2, 3, 1) for name, tensor in self._heads.items()}

    def _read(self, name: str, known: dict[str, Tensor]) -> Tensor | None:
        """Return a tensor, dequantized per reader: the converter confuses the layouts of shared results."""
        maker = self._graph_index.producers.get(name)
        if maker is None or maker.op_type != "DequantizeLinear":
            return known.get(name)
        return dequantize(Node(maker, self._graph_index, [known.get(source) for source in maker.input]))


def _needs_identity(node: onnx.NodeProto, graph_index: GraphIndex) -> bool:
    """Return whether a float convolution stands between a DQ and a Q.

    The converter would quantize such a convolution, but leaves two float convolutions in a row as they are.
    So an identity convolution, with weights of one, follows it.
    """
    if (
        node.op_type not in WEIGHT_AXIS
        or node.input[1] not in graph_index.constants
        or node.input[0] not in graph_index.producers
    ):
        return False
    readers = graph_index.readers.get(graph_index.result(node), [])
    return graph_index.producers[node.input[0]].op_type == "DequantizeLinear" and any(
        reader.op_type == "QuantizeLinear" for reader in readers
    )


def _output_channels(node: onnx.NodeProto, graph_index: GraphIndex) -> int:
    groups = attribute(node, "group", 1) if node.op_type == "ConvTranspose" else 1
    return int(graph_index.constants[node.input[1]].dims[WEIGHT_AXIS[node.op_type]]) * groups


def _identity(tensor: str) -> str:
    return f"{tensor}/identity"
