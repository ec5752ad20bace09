"""Remove clips that saturation implies; TFLite's converter fuses some of them, and leaves others in float."""

from __future__ import annotations

import numpy as np

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import remove_dead_nodes, replace_uses
from ..edit.graph_index import index_graph

_INTEGERS = (np.int8, np.uint8)


@requires(Stage.PREPARED, Stage.QUANTIZED)
def drop_redundant_clips(graph: Graph) -> int:
    """Remove each Clip in front of a QuantizeLinear that saturates within its limits.

        Conv -> Clip(0, 1) -> Q(1/255, -128)        becomes        Conv -> Q(1/255, -128)

    1. Both limits of the Clip are constants; quantized, they are the limits of the integer type, or beyond.
       Quantizing is monotonic, so all integers stay the same.
    2. The QuantizeLinear is the only reader of the Clip, and has one scale.

    TFLite's converter has int8 for Clip(0, 6) and Clip(-1, 1); a convolution before Clip(0, 1) stays float.
    ONNX Runtime 1.21 to 1.30 fuses other Clips into two nodes of one name, and refuses its own result.
    Returns the number of Clips removed.
    """
    graph_index = index_graph(graph.model)
    count = 0
    for node in graph.model.graph.node:
        readers = graph_index.readers.get(node.output[0], [])
        if (
            node.op_type != "Clip"
            or [reader.op_type for reader in readers] != ["QuantizeLinear"]
            or node.output[0] in graph_index.outputs
        ):
            continue
        limits, qparams = node.input[1:], readers[0].input[1:]
        if (
            len(limits) != 2
            or len(qparams) != 2
            or not all(name in graph_index.constants for name in (*limits, *qparams))
        ):
            continue
        scale, zero_point = (graph_index.array(name) for name in qparams)
        if scale.size != 1 or zero_point.dtype not in _INTEGERS:
            continue
        low, high = (
            float(np.rint(graph_index.array(name).reshape(()) / scale.reshape(()))) + int(zero_point)
            for name in limits
        )
        ends = np.iinfo(zero_point.dtype)
        if low <= ends.min and high >= ends.max:
            replace_uses(graph.model, node.output[0], node.input[0])
            count += 1
    remove_dead_nodes(graph.model)
    return count
