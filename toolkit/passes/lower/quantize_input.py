"""Quantize folded pixels exactly, for schemes with symmetric activations."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import add_array, replace_uses
from ..edit.graph_index import index_graph


@requires(Stage.PREPARED)
def quantize_input(graph: Graph) -> int:
    """Quantize folded uint8 pixels with scale 1 and zero point 0, which is exact for a mean of 128.

        frame -> Cast -> Transpose -> Sub(128) -> x    becomes    … -> Sub(128) -> Q(1, 0) -> DQ(1, 0) -> x

    1. The graph's input is uint8 and a Sub subtracts exactly 128 from every channel: values are -128 to 127.
    2. For other means, the graph stays as it is, and the scale follows from the range of the pixels.

    Returns 1, or 0 where it does not apply.
    """
    model, graph_index = graph.model, index_graph(graph.model)
    if model.graph.input[0].type.tensor_type.elem_type != TensorProto.UINT8:
        return 0
    for place, node in enumerate(model.graph.node):
        centered = (
            node.op_type == "Sub"
            and node.input[1] in graph_index.constants
            and np.all(graph_index.array(node.input[1]) == 128)
        )
        if centered and _reads_pixels(node.input[0], graph):
            name = node.output[0]
            qparams = [
                add_array(model, f"{name}.scale", np.asarray(1, np.float32)),
                add_array(model, f"{name}.zero_point", np.asarray(0, np.int8)),
            ]
            replace_uses(model, name, f"{name}.pixels")
            pair = [
                helper.make_node("QuantizeLinear", [name, *qparams], [f"{name}.int8"], f"{name}.quantize"),
                helper.make_node(
                    "DequantizeLinear", [f"{name}.int8", *qparams], [f"{name}.pixels"], f"{name}.dequantize"
                ),
            ]
            for offset, made in enumerate(pair, 1):
                model.graph.node.insert(place + offset, made)
            return 1
    return 0


def _reads_pixels(name: str, graph: Graph) -> bool:
    """Return whether a tensor is the input, cast or transposed at most."""
    producers = index_graph(graph.model).producers
    while name != graph.input_name:
        maker = producers.get(name)
        if maker is None or maker.op_type not in ("Cast", "Transpose"):
            return False
        name = maker.input[0]
    return True
