"""Clips that integers do for nothing; TFLite's converter fuses some of them, and leaves others in float."""

from __future__ import annotations

import numpy as np

from ...ir.graph import Graph
from ..edit.edits import remove_dead_nodes, replace_uses
from ..edit.graph_index import index_graph

_ENDS = np.iinfo(np.int8)


def drop_redundant_clips(graph: Graph) -> int:
    """Drop each Clip before a QuantizeLinear that saturates where the Clip does.

        Conv -> Clip(0, 1) -> Q(1/255, -128)        becomes        Conv -> Q(1/255, -128)

    1. Both limits of the Clip are constants, and quantized they are the ends of int8, or beyond. Quantizing is monotonic,
       so the integers are the same to the last one.
    2. QuantizeLinear alone reads the Clip, with one scale for all.

    The converter makes int8 of Clip(0, 6) and of Clip(-1, 1); a convolution before Clip(0, 1) it computes in float.
    Returns the number of Clips dropped.
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
        limits, numbers = node.input[1:], readers[0].input[1:]
        if (
            len(limits) != 2
            or len(numbers) != 2
            or not all(name in graph_index.constants for name in (*limits, *numbers))
        ):
            continue
        scale, zero_point = (graph_index.array(name) for name in numbers)
        if scale.size != 1 or zero_point.dtype != np.int8:
            continue
        low, high = (
            float(np.rint(graph_index.array(name).reshape(()) / scale.reshape(()))) + int(zero_point)
            for name in limits
        )
        if low <= _ENDS.min and high >= _ENDS.max:
            replace_uses(graph.model, node.output[0], node.input[0])
            count += 1
    remove_dead_nodes(graph.model)
    return count
