"""Let layers of several heads that read the same map be computed at once: few channels each, they fill no vector alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

from ...ir.graph import Graph
from ..edit.edits import add_array, fresh_name, replace
from ..edit.graph_index import JOINED, GraphIndex, index_graph, layer_name

# What turns the last layer of a head into the head, element by element.
_ACTIVATIONS = ("Sigmoid", "Tanh", "Clip", "Relu", "HardSigmoid", "Mul")
# First opset that has the sizes of a Split as an input.
_OPSET = 13


def fuse_head_convs(graph: Graph) -> int:
    """Compute the last layers of heads that are made alike as one, and split its channels.

        x -> Conv(v) -> Tanh -> a                x -> Conv([v, w]) -> Split -> Tanh -> a
        x -> Conv(w) -> Sigmoid -> b                                        -> Sigmoid -> b

    The numbers are the same. What is joined may also be a Resize or a sum of such layers, if all of it is alike.

    1. A Conv has one group, and constant weights in float: integers keep what they have.
    2. Nothing else reads what a joined layer makes, and it is no head itself.

    Returns the number of heads that share a layer with others.
    """
    opset = next((entry.version for entry in graph.model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    graph_index = index_graph(graph.model)
    alike: dict[tuple[object, ...], list[str]] = {}
    for tensor, _ in graph.heads.values():
        last = _before_activations(tensor, graph_index)
        form = _form(last, graph_index)
        if form is not None and last not in alike.setdefault(form, []):
            alike[form].append(last)
    groups = [tensors for tensors in alike.values() if len(tensors) > 1] if opset >= _OPSET else []
    for tensors in groups:
        _join(graph.model, tensors, index_graph(graph.model))
    return sum(map(len, groups))


def _before_activations(tensor: str, graph_index: GraphIndex) -> str:
    node = graph_index.producers.get(tensor)
    while node is not None and node.op_type in _ACTIVATIONS and graph_index.data_inputs(node) == [0]:
        tensor = node.input[0]
        node = graph_index.producers.get(tensor)
    return tensor


def _form(tensor: str, graph_index: GraphIndex) -> tuple[object, ...] | None:
    """Return what tensors that can be joined have in common, or None where one cannot be joined with any."""
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
    if (
        node.op_type == "Resize" and graph_index.data_inputs(node) == [0] and len(node.input) == 3
    ):  # a fourth input would count channels
        inner = _form(node.input[0], graph_index)
        constants = tuple(graph_index.array(name).tobytes() if name else b"" for name in node.input[1:])
        return None if inner is None else ("Resize", attributes, constants, inner)
    if node.op_type == "Add" and graph_index.data_inputs(node) == [0, 1]:
        operands = [_form(name, graph_index) for name in node.input]
        return None if None in operands else ("Add", *operands)
    return None


def _join(model: onnx.ModelProto, tensors: Sequence[str], graph_index: GraphIndex) -> None:
    """Put one layer in the place of those that make the tensors, and a Split that makes them."""
    gone: set[str] = set()
    joined: dict[str, onnx.NodeProto] = {}
    sizes = np.asarray([_channels(tensor, graph_index) for tensor in tensors], np.int64)
    whole = _one_of(model, list(tensors), graph_index, gone, joined)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes += (
            [joined[node.output[0]]] if node.output[0] in joined else [] if node.output[0] in gone else [node]
        )
        if nodes and nodes[-1].output[0] == whole:
            nodes.append(
                helper.make_node(
                    "Split",
                    [whole, add_array(model, f"{whole}/channels", sizes)],
                    list(tensors),
                    f"{whole}/split",
                    axis=1,
                )
            )
            whole = ""
    replace(model.graph.node, nodes)
    read = {name for node in nodes for name in node.input}
    replace(model.graph.initializer, [tensor for tensor in model.graph.initializer if tensor.name in read])


def _one_of(
    model: onnx.ModelProto,
    tensors: list[str],
    graph_index: GraphIndex,
    gone: set[str],
    joined: dict[str, onnx.NodeProto],
) -> str:
    """Note the node that makes all tensors at once, at the place of the first of their makers; return its result."""
    makers = [graph_index.producers[tensor] for tensor in tensors]
    places = {node.output[0]: place for place, node in enumerate(model.graph.node)}
    first, result = makers[0], fresh_name(model, JOINED.join(tensors))
    if first.op_type == "Conv":
        inputs = [first.input[0]]
        for position in range(1, len(first.input)):
            values = np.concatenate([graph_index.array(maker.input[position]) for maker in makers])
            inputs.append(add_array(model, f"{result}/{('weight', 'bias')[position - 1]}", values))
    else:
        inputs = [
            _one_of(model, [maker.input[i] for maker in makers], graph_index, gone, joined)
            for i in graph_index.data_inputs(first)
        ]
        inputs += first.input[len(inputs) :]
    node = helper.make_node(first.op_type, inputs, [result], JOINED.join(map(layer_name, makers)))
    node.attribute.extend(first.attribute)
    gone.update(tensors)
    joined[min(tensors, key=places.__getitem__)] = node
    return result


def _channels(tensor: str, graph_index: GraphIndex) -> int:
    node = graph_index.producers[tensor]
    while node.op_type != "Conv":
        node = graph_index.producers[node.input[0]]
    return int(graph_index.constants[node.input[1]].dims[0])
