"""Replace 1-D convolutions by 2-D ones on maps of height 1."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import add_array, attribute, fresh_name, remove_dead_nodes
from ..edit.graph_index import WEIGHT_AXIS, index_graph

# Attribute → its value for the axis of size 1; pads have two ends.
_FIRST = {"kernel_shape": [1], "strides": [1], "dilations": [1], "output_padding": [0]}


@requires(Stage.TRACED)
def convolve_rows_as_maps(graph: Graph) -> int:
    """Replace each 1-D convolution by a 2-D one, which quantization, TensorRT and TFLite require.

        x (1, C, L) -> Conv(w) -> y    becomes    x -> Unsqueeze(2) -> Conv(w (O, I, 1, k)) -> Squeeze(2) -> y

    1. The weight is constant.

    Returns the number of convolutions changed.
    """
    model, count, graph_index = graph.model, 0, index_graph(graph.model)
    for node in [
        node
        for node in model.graph.node
        if node.op_type in WEIGHT_AXIS and node.input[1] in graph_index.constants
    ]:
        weight = graph_index.array(node.input[1])
        if weight.ndim != 3:
            continue
        axes = add_array(model, f"{node.output[0]}.axes", np.asarray([2], np.int64))
        high, low = (fresh_name(model, f"{node.output[0]}.{what}") for what in ("maps", "convolved"))
        place = list(model.graph.node).index(node)
        before = helper.make_node("Unsqueeze", [node.input[0], axes], [high], high)
        after = helper.make_node("Squeeze", [low, axes], [node.output[0]], low)
        node.input[0], node.input[1], node.output[0] = (
            high,
            add_array(model, node.input[1], weight[:, :, None]),
            low,
        )
        _widen(node)
        model.graph.node.insert(place + 1, after)
        model.graph.node.insert(place, before)
        count += 1
    if count:
        remove_dead_nodes(model)
    return count


def _widen(node: onnx.NodeProto) -> None:
    changed = {
        name: [*first, *attribute(node, name, first)]
        for name, first in _FIRST.items()
        if attribute(node, name, None) is not None
    }
    if (pads := attribute(node, "pads", None)) is not None:
        changed["pads"] = [0, pads[0], 0, pads[1]]
    kept = [stated for stated in node.attribute if stated.name not in changed]
    made = helper.make_node(node.op_type, node.input, node.output, node.name, **changed)
    made.attribute.extend(kept)
    node.CopyFrom(made)
