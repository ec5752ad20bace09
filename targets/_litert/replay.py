"""A graph, float or with Q/DQ, replayed node by node as a torch module, which is what the converter reads."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.errors import PosecError
from toolkit.ir.graph import Graph
from toolkit.passes.edit.graph_index import GraphIndex, index_graph, layer_name

from .integers import dequantize, real_values
from .operators import OPERATORS
from .step import Step


class Replay(nn.Module):
    """Computes what the graph computes, from an NHWC frame of real numbers to NHWC heads."""

    def __init__(self, graph: Graph) -> None:
        """Take an ONNX graph. Raises PosecError where it has an operator that is not known, by its name."""
        super().__init__()
        self._nodes = [node for node in graph.model.graph.node if node.op_type != "Constant"]
        for node in self._nodes:
            if node.op_type not in OPERATORS:
                raise PosecError(
                    f"TFLite: no operator '{node.op_type}' (layer '{layer_name(node)}'); known: {', '.join(OPERATORS)}; "
                    "export the network without it"
                )
        self._found, self._frame = index_graph(graph.model), graph.input_name
        self._heads = {name: tensor for name, (tensor, _) in graph.heads.items()}
        self._buffer_of: dict[str, str] = {}
        for name, tensor in self._found.constants.items():
            if len(tensor.dims) or self._found.array(name).dtype.kind == "f":
                self._keep(name, self._found.array(name).astype(np.float32))
        self._lone = {node.output[0] for node in self._nodes if _is_lone(node, self._found)}
        for tensor in self._lone:
            channels = self._found.array(self._found.producers[tensor].input[1]).shape[0]
            self._keep(_ones(tensor), np.ones((channels, 1, 1, 1), np.float32))
        for node in self._nodes:
            if node.op_type == "DequantizeLinear" and node.input[0] in self._found.constants:
                self._keep(node.input[0], real_values(node, self._found))
                # One number per channel, even where there is one for all: the converter looks for lists.
                self._keep(node.input[1], self._found.array(node.input[1]).astype(np.float32).reshape(-1))
                self._keep(node.input[2], self._found.array(node.input[2]).astype(np.int64).reshape(-1))

    def _keep(self, name: str, values: np.ndarray) -> None:
        """Keep a constant as a buffer: as anything else, the converter would not know it for one."""
        self._buffer_of.setdefault(name, f"constant_{len(self._buffer_of)}")
        self.register_buffer(self._buffer_of[name], torch.from_numpy(np.array(values)))

    def forward(self, frame: Tensor) -> dict[str, Tensor]:
        """Return head name → (1, h, w, C) of a frame (1, H, W, 3)."""
        known: dict[str, Tensor] = {name: self.get_buffer(buffer) for name, buffer in self._buffer_of.items()}
        known[self._frame] = frame
        for node in self._nodes:
            made = OPERATORS[node.op_type](
                Step(node, self._found, [self._read(name, known) for name in node.input])
            )
            if isinstance(made, Tensor) and node.output[0] in self._lone:
                made = functional.conv2d(made, known[_ones(node.output[0])], groups=made.shape[1])
            known.update(zip(node.output, made if isinstance(made, tuple) else (made,), strict=True))
        return {name: known[tensor].permute(0, 2, 3, 1) for name, tensor in self._heads.items()}

    def _read(self, name: str, known: dict[str, Tensor]) -> Tensor | None:
        """Return a tensor; integers are made real numbers for each reader anew, because the converter confuses the layouts of several."""
        maker = self._found.producers.get(name)
        if maker is None or maker.op_type != "DequantizeLinear":
            return known.get(name)
        return dequantize(Step(maker, self._found, [known.get(source) for source in maker.input]))


def _is_lone(node: onnx.NodeProto, found: GraphIndex) -> bool:
    """Return whether a float convolution reads integers and makes integers.

    The converter would give its weights integers of its own; of two float convolutions in a row it leaves both alone, so such a one
    is followed by another, of ones, that changes nothing.
    """
    if node.op_type != "Conv" or node.input[1] not in found.constants or node.input[0] not in found.producers:
        return False
    readers = found.readers.get(found.result(node), [])
    return found.producers[node.input[0]].op_type == "DequantizeLinear" and any(
        reader.op_type == "QuantizeLinear" for reader in readers
    )


def _ones(tensor: str) -> str:
    return f"{tensor}/ones"
