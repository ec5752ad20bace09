"""Layers that an int8 graph leaves in float, with the reasons."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from ...errors import PosecError
from ...ir.graph import Graph
from ...ir.scheme import Scheme
from ..edit.edits import attribute
from ..edit.graph_index import (
    FUSED_ACTIVATIONS,
    JOINED,
    WEIGHT_AXIS,
    GraphIndex,
    head_layers,
    index_graph,
    layer_name,
)
from .assign_qparams import given_qparams

# Integer kernels of these take no constant operand.
_ELEMENTWISE = ("Add", "Sub", "Mul", "Concat")


def stays_float(graph: Graph, scheme: Scheme, keep_float: Collection[str] = ()) -> dict[str, str]:
    """Return the layers that `insert_qdq` leaves float, name → reason, of a graph without Q/DQ.

    Raises PosecError where a name of `keep_float` is no layer of the graph.
    """
    graph_index = index_graph(graph.model)
    nodes = {layer_name(node): node for node in graph.model.graph.node if node.op_type != "Constant"}
    if unknown := sorted(set(keep_float) - set(nodes)):
        weighted = [name for name, node in nodes.items() if node.op_type in WEIGHT_AXIS]
        raise PosecError(
            f"no layer '{unknown[0]}' to keep float; the layers with weights are {', '.join(weighted)}"
        )
    heads, reasons = float_head_layers(graph, scheme), {}
    for name, node in nodes.items():
        if name in keep_float:
            reasons[name] = "kept float on request"
        elif name in heads and not (scheme.exceptions.head_weights and node.op_type in WEIGHT_AXIS):
            reasons[name] = f"among the last layers of head '{heads[name]}'"
        elif why := _obstacle(node, scheme, graph_index):
            reasons[name] = why
    return reasons


def float_head_layers(graph: Graph, scheme: Scheme) -> dict[str, str]:
    """Return the layers that a scheme leaves float because they end in a head, name → head."""
    exceptions = scheme.exceptions
    heads = {
        head: names
        for head, names in head_layers(graph).items()
        if exceptions.float_heads and head not in exceptions.integer_heads
    }
    return {name: head for head, names in heads.items() for name in names}


def float_layers(graph: Graph) -> list[str]:
    """Return the names of the layers with weights that compute in float, of a graph with or without Q/DQ."""
    graph_index = index_graph(graph.model)
    layers = [node for node in graph.model.graph.node if node.op_type in WEIGHT_AXIS]
    floats = [
        node
        for node in layers
        if any(
            given_qparams(_before_transpose(name, graph_index), graph_index) is None
            for name in node.input[:2]
        )
    ]
    return [name for node in floats for name in layer_name(node).split(JOINED)]


def _before_transpose(tensor: str, graph_index: GraphIndex) -> str:
    """Return the input of the Transpose that makes a tensor, or the tensor: integers stay integers."""
    maker = graph_index.producers.get(tensor)
    return str(maker.input[0]) if maker is not None and maker.op_type == "Transpose" else tensor


def _obstacle(node: onnx.NodeProto, scheme: Scheme, graph_index: GraphIndex) -> str:
    """Return why a node cannot compute in integers, or an empty string."""
    kind = node.op_type
    if kind in ("QuantizeLinear", "DequantizeLinear", *FUSED_ACTIVATIONS) and kind not in scheme.operators:
        return ""
    if kind not in scheme.operators:
        return f"scheme '{scheme.name}' has no integer {kind}"
    if kind in WEIGHT_AXIS and node.input[1] not in graph_index.constants:
        return "its weights are not constant"
    depthwise = (
        kind == "Conv" and attribute(node, "group", 1) > 1 and graph_index.array(node.input[1]).shape[1] == 1
    )
    if scheme.exceptions.float_depthwise and depthwise:
        return f"scheme '{scheme.name}' leaves depthwise convolutions float"
    if kind in _ELEMENTWISE and len(graph_index.data_inputs(node)) < len(node.input):
        return "an operand is constant"
    return ""
