"""Clips that integers do for nothing; TFLite's converter fuses some of them, and leaves others in float."""

from __future__ import annotations

import numpy as np

from ...ir.graph import Graph
from ..edit.edits import redirect, sweep
from ..edit.graph_index import links

_INTEGERS = (np.int8, np.uint8)


def drop_saturated_clips(graph: Graph) -> int:
    """Drop each Clip before a QuantizeLinear that saturates where the Clip does.

        Conv -> Clip(0, 1) -> Q(1/255, -128)        becomes        Conv -> Q(1/255, -128)

    1. Both limits of the Clip are constants, and quantized they are the ends of the integer type, or beyond. Quantizing is monotonic,
       so the integers are the same to the last one.
    2. QuantizeLinear alone reads the Clip, with one scale for all.

    TFLite's converter makes int8 of Clip(0, 6) and of Clip(-1, 1); a convolution before Clip(0, 1) it computes in float.
    ONNX Runtime 1.21 to 1.30 fuses other Clips into two nodes of one name, and refuses its own result.
    Returns the number of Clips dropped.
    """
    found = links(graph.model)
    count = 0
    for node in graph.model.graph.node:
        readers = found.readers.get(node.output[0], [])
        if (
            node.op_type != "Clip"
            or [reader.op_type for reader in readers] != ["QuantizeLinear"]
            or node.output[0] in found.outputs
        ):
            continue
        limits, numbers = node.input[1:], readers[0].input[1:]
        if (
            len(limits) != 2
            or len(numbers) != 2
            or not all(name in found.constants for name in (*limits, *numbers))
        ):
            continue
        scale, zero_point = (found.array(name) for name in numbers)
        if scale.size != 1 or zero_point.dtype not in _INTEGERS:
            continue
        low, high = (
            float(np.rint(found.array(name).reshape(()) / scale.reshape(()))) + int(zero_point)
            for name in limits
        )
        ends = np.iinfo(zero_point.dtype)
        if low <= ends.min and high >= ends.max:
            redirect(graph.model, node.output[0], node.input[0])
            count += 1
    sweep(graph.model)
    return count
