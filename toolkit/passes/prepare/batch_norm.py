"""Fold batch norms into convolutions."""

from __future__ import annotations

import numpy as np
import onnx

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import add_array, attribute, remove_dead_nodes
from ..edit.graph_index import GraphIndex, index_graph


@requires(Stage.TRACED)
def fold_batch_norm(graph: Graph) -> int:
    """Fold each BatchNormalization into the convolution that feeds it.

        x -> Conv(w, b) -> BatchNormalization(g, c, mean, var) -> y
        x -> Conv(w * g/s, (b - mean) * g/s + c)               -> y        s = sqrt(var + epsilon)

    1. The Conv, or ConvTranspose of one group, has constant weights, and the batch norm is its only reader.
    2. A batch norm in training mode stays.

    Returns the number folded.
    """
    model, count = graph.model, 0
    graph_index = index_graph(model)
    for norm in [node for node in model.graph.node if node.op_type == "BatchNormalization"]:
        conv = graph_index.producers.get(norm.input[0])
        if conv is not None and _is_foldable(norm, conv, graph_index):
            _fold(model, norm, conv, graph_index=graph_index)
            count += 1
    remove_dead_nodes(model)
    return count


def _is_foldable(norm: onnx.NodeProto, conv: onnx.NodeProto, graph_index: GraphIndex) -> bool:
    if conv.op_type not in ("Conv", "ConvTranspose") or attribute(norm, "training_mode", 0):
        return False
    if conv.op_type == "ConvTranspose" and attribute(conv, "group", 1) != 1:
        return False
    if len(graph_index.readers[norm.input[0]]) > 1 or norm.input[0] in graph_index.outputs:
        return False
    return all(name in graph_index.constants for name in (*conv.input[1:], *norm.input[1:]))


def _fold(
    model: onnx.ModelProto, norm: onnx.NodeProto, conv: onnx.NodeProto, *, graph_index: GraphIndex
) -> None:
    scale, shift, mean, variance = (graph_index.array(name).astype(np.float64) for name in norm.input[1:])
    factor = scale / np.sqrt(variance + attribute(norm, "epsilon", 1e-5))
    weight = graph_index.array(conv.input[1])
    bias = graph_index.array(conv.input[2]) if len(conv.input) > 2 else np.zeros_like(mean)
    channels = [-1, 1, 1, 1] if conv.op_type == "Conv" else [1, -1, 1, 1]
    folded = weight * factor.reshape(channels[: weight.ndim])
    shifted = (bias - mean) * factor + shift
    source, made = conv.input[0], conv.output[0]
    weight_name = add_array(model, f"{made}.weight", folded.astype(weight.dtype))
    bias_name = add_array(model, f"{made}.bias", shifted.astype(weight.dtype))
    del conv.input[:]
    conv.input.extend([source, weight_name, bias_name])
    conv.output[0] = norm.output[0]
    model.graph.node.remove(norm)
