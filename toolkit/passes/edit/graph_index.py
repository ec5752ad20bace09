"""GraphIndex: producer and readers of each tensor of a model; names of layers; layers of each head."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from ...errors import PosecError
from ...ir.graph import Graph

# Operator type → the axis of its weight that counts output channels.
WEIGHT_AXIS = {"Conv": 0, "ConvTranspose": 1}
# Integer kernels fuse these: the output saturates at the limits of the activation.
FUSED_ACTIVATIONS = ("Relu", "Clip")
# Separates the names of the layers that a pass has fused into one.
JOINED = "+"


@dataclass(frozen=True)
class GraphIndex:
    """Producer and readers of each tensor of a model, and its constants; valid until the model changes."""

    producers: dict[str, onnx.NodeProto]
    readers: dict[str, list[onnx.NodeProto]]
    constants: dict[str, onnx.TensorProto]
    outputs: frozenset[str]

    def array(self, name: str) -> np.ndarray:
        """Return a constant's values."""
        return numpy_helper.to_array(self.constants[name])

    def data_inputs(self, node: onnx.NodeProto) -> list[int]:
        """Return the positions of the inputs that are not constants."""
        return [i for i, name in enumerate(node.input) if name and name not in self.constants]

    def result(self, node: onnx.NodeProto) -> str:
        """Return the output of a node, or of the Relu or Clip that is its only reader."""
        readers = self.readers.get(node.output[0], [])
        if (
            len(readers) == 1
            and readers[0].op_type in FUSED_ACTIVATIONS
            and node.output[0] not in self.outputs
        ):
            return str(readers[0].output[0])
        return str(node.output[0])


def index_graph(model: onnx.ModelProto) -> GraphIndex:
    """Return the index of a model; a node that reads a tensor twice is listed twice."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = node.attribute[0].t
    producers = {name: node for node in model.graph.node for name in node.output}
    return GraphIndex(producers, readers, constants, frozenset(value.name for value in model.graph.output))


def layer_name(node: onnx.NodeProto) -> str:
    """Return a layer's name in plans, reports and `keep_float`: its node's name, else its output's."""
    return str(node.name or node.output[0])


def named_layers(model: onnx.ModelProto, names: Collection[str]) -> tuple[str, ...]:
    """Return the layers that names and patterns such as "backbone.levels.*" match, each once.

    Names without a wildcard are returned unchecked. Raises PosecError where a pattern matches nothing.
    """
    layers = [layer_name(node) for node in model.graph.node if node.op_type != "Constant"]
    matched: list[str] = []
    for name in names:
        if not set(name) & set("*?["):
            matched.append(name)
        elif matching := fnmatch.filter(layers, name):
            matched += matching
        else:
            raise PosecError(
                f"no layer matches '{name}'; layers are {', '.join(layers[:3])}, …; "
                "list them with `posec blame`"
            )
    return tuple(dict.fromkeys(matched))


def weighted_layers(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the nodes that have constant weights, in the order of the model."""
    constants = index_graph(model).constants
    return [node for node in model.graph.node if node.op_type in WEIGHT_AXIS and node.input[1] in constants]


def head_layers(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return head → names of its last weighted layer and of all layers behind it, in the model's order."""
    graph_index = index_graph(graph.model)
    order = {layer_name(node): place for place, node in enumerate(graph.model.graph.node)}
    heads: dict[str, tuple[str, ...]] = {}
    for head, (tensor, _) in graph.heads.items():
        names: set[str] = set()
        pending = [tensor]
        while pending:
            node = graph_index.producers.get(pending.pop())
            if node is None or layer_name(node) in names or node.op_type == "Constant":
                continue
            names.add(layer_name(node))
            if node.op_type not in WEIGHT_AXIS:
                pending += [name for name in node.input if name and name not in graph_index.constants]
        heads[head] = tuple(sorted(names, key=order.__getitem__))
    return heads
