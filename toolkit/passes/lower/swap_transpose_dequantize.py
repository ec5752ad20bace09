"""Dequantize folded pixels before their Transpose: OpenVINO then has the first convolution in integers."""

from __future__ import annotations

import onnx

from ...ir.graph import Graph, Stage, requires
from ..edit.graph_index import index_graph


@requires(Stage.PREPARED, Stage.QUANTIZED)
def swap_transpose_dequantize(graph: Graph) -> int:
    """Swap the Transpose and the DequantizeLinear behind a folded input.

        frame -> Transpose -> DequantizeLinear -> x    becomes    frame -> DequantizeLinear -> Transpose -> x

    The results are equal. OpenVINO moves a DequantizeLinear through a Transpose to the convolution. Where the
    Transpose comes first, it leaves the convolution in float. ONNX Runtime accepts either order.

    1. There is one scale, and the DequantizeLinear is the only reader of the Transpose.

    Returns 1, or 0 for any other graph.
    """
    graph_index = index_graph(graph.model)
    readers = graph_index.readers.get(graph.input_name, [])
    move = readers[0] if len(readers) == 1 else None
    after = (
        graph_index.readers.get(move.output[0], [])
        if move is not None and move.op_type == "Transpose"
        else []
    )
    if (
        move is None
        or len(after) != 1
        or after[0].op_type != "DequantizeLinear"
        or graph_index.array(after[0].input[1]).size != 1
    ):
        return 0
    dequantize, between = after[0], f"{graph.input_name}.dequantized"
    first, second = onnx.NodeProto(), onnx.NodeProto()
    first.CopyFrom(dequantize)
    second.CopyFrom(move)
    first.input[0], first.output[0] = graph.input_name, between
    second.input[0], second.output[0] = between, dequantize.output[0]
    move.CopyFrom(first)
    dequantize.CopyFrom(second)
    return 1
