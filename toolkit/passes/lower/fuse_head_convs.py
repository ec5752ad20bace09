"""Fuse the last convolutions of heads with one input: alone, each has too few channels for vector units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import add_array, fresh_name, replace
from ..edit.graph_index import JOINED, GraphIndex, index_graph, layer_name

# Elementwise operators between the last layer of a head and the head.
_ACTIVATIONS = ("Sigmoid", "Tanh", "Clip", "Relu", "HardSigmoid", "Mul")
# First opset in which Split takes its sizes as an input.
_OPSET = 13


@requires(Stage.PREPARED, Stage.QUANTIZED)
def fuse_head_convs(graph: Graph) -> int:
    """Fuse the last layers of heads with equal input, attributes and kernel; split the resulting channels.

        x -> Conv(v) -> Tanh -> a                x -> Conv([v, w]) -> Split -> Tanh -> a
        x -> Conv(w) -> Sigmoid -> b                                        -> Sigmoid -> b

    The results are equal. A layer may also be a Resize or a sum of such convolutions, if all parts agree.

    1. A Conv has one group, and constant float weights; layers with Q/DQ stay as they are.
    2. A fused layer has no other reader, and is no head itself.

    Returns the number of heads that share a fused layer.
    """
    opset = next((entry.version for entry in graph.model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    graph_index = index_graph(graph.model)
    groups_by_key: dict[tuple[object, ...], list[str]] = {}
    for tensor, _ in graph.heads.values():
        last = _before_activations(tensor, graph_index)
        form = _form(last, graph_index)
        if form is not None and last not in groups_by_key.setdefault(form, []):
            groups_by_key[form].append(last)
    groups = [tensors for tensors in groups_by_key.values() if len(tensors) > 1] if opset >= _OPSET else []
    for tensors in groups:
        _fuse(graph.model, tensors, index_graph(graph.model))
    return sum(map(len, groups))


def _before_activations(tensor: str, graph_index: GraphIndex) -> str:
    node = graph_index.producers.get(tensor)
    while node is not None and node.op_type in _ACTIVATIONS and graph_index.data_inputs(node) == [0]:
        tensor = node.input[0]
        node = graph_index.producers.get(tensor)
    return tensor


def _form(tensor: str, graph_index: GraphIndex) -> tuple[object, ...] | None:
    """Return the key that tensors must share to be fused, or None where a tensor cannot be fused."""
    node = graph_index.producers.get(tensor)
    if node is None or tensor in graph_index.outputs or len(graph_index.readers.get(tensor, [])) != 1:
        return None
    attributes = tuple(sorted(entry.SerializeToString() for entry in node.attribute))
    if node.op_type == "Conv":
        group = next((entry.i for entry in node.attribute if entry.name == "group"), 1)
        if group != 1 or not all(name in graph_index.constants for name in node.input[1:]):
            return None
        return (
            "Conv",
            node.input[0],
            attributes,
            tuple(graph_index.constants[node.input[1]].dims[1:]),
            len(node.input),
        )
    # A fourth input, the sizes, would include the number of channels.
    if node.op_type == "Resize" and graph_index.data_inputs(node) == [0] and len(node.input) == 3:
        inner = _form(node.input[0], graph_index)
        constants = tuple(graph_index.array(name).tobytes() if name else b"" for name in node.input[1:])
        return None if inner is None else ("Resize", attributes, constants, inner)
    if node.op_type == "Add" and graph_index.data_inputs(node) == [0, 1]:
        operands = [_form(name, graph_index) for name in node.input]
        return None if None in operands else ("Add", *operands)
    return None


def _fuse(model: onnx.ModelProto, tensors: Sequence[str], graph_index: GraphIndex) -> None:
    """Replace the layers that make the tensors by one layer and a Split."""
    fusion = _Fusion(model, graph_index)
    sizes = np.asarray([_channels(tensor, graph_index) for tensor in tensors], np.int64)
    whole = fusion.fuse(list(tensors))
    channels = add_array(model, f"{whole}/channels", sizes)
    split = helper.make_node("Split", [whole, channels], list(tensors), f"{whole}/split", axis=1)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        result = node.output[0]
        if result in fusion.fused:
            nodes.append(fusion.fused[result])
            nodes += [split] if nodes[-1].output[0] == whole else []
        elif result not in fusion.replaced:
            nodes.append(node)
    replace(model.graph.node, nodes)
    read = {name for node in nodes for name in node.input}
    replace(model.graph.initializer, [tensor for tensor in model.graph.initializer if tensor.name in read])


@dataclass
class _Fusion:
    """Makes the fused nodes.

    Attributes:
        model, graph_index: get new constants; the nodes stay as they are.
        replaced: results of the nodes that fused ones replace.
        fused: the first of these results, in the order of the model → fused node.
    """

    model: onnx.ModelProto
    graph_index: GraphIndex
    replaced: set[str] = field(default_factory=set)
    fused: dict[str, onnx.NodeProto] = field(default_factory=dict)

    def fuse(self, tensors: list[str]) -> str:
        """Make the node that computes all tensors at once, and those that it reads; return its result."""
        makers = [self.graph_index.producers[tensor] for tensor in tensors]
        places = {node.output[0]: place for place, node in enumerate(self.model.graph.node)}
        first, result = makers[0], fresh_name(self.model, JOINED.join(tensors))
        if first.op_type == "Conv":
            inputs = [first.input[0]]
            for position in range(1, len(first.input)):
                values = np.concatenate([self.graph_index.array(maker.input[position]) for maker in makers])
                part = ("weight", "bias")[position - 1]
                inputs.append(add_array(self.model, f"{result}/{part}", values))
        else:
            data_inputs = self.graph_index.data_inputs(first)
            inputs = [self.fuse([maker.input[i] for maker in makers]) for i in data_inputs]
            inputs += first.input[len(inputs) :]
        node = helper.make_node(first.op_type, inputs, [result], JOINED.join(map(layer_name, makers)))
        node.attribute.extend(first.attribute)
        self.replaced.update(tensors)
        self.fused[min(tensors, key=places.__getitem__)] = node
        return result


def _channels(tensor: str, graph_index: GraphIndex) -> int:
    node = graph_index.producers[tensor]
    while node.op_type != "Conv":
        node = graph_index.producers[node.input[0]]
    return int(graph_index.constants[node.input[1]].dims[0])
