"""Remove Q/DQ in front of layers that stay float."""

from __future__ import annotations

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import remove_dead_nodes
from ..edit.graph_index import WEIGHT_AXIS, GraphIndex, index_graph


@requires(Stage.PREPARED, Stage.QUANTIZED)
def drop_one_sided_qdq(graph: Graph) -> int:
    """Remove Q/DQ pairs on one operand of a layer if the other is float; they cost time and save none.

        pixels -> Q -> DQ -> Conv(w) -> y        becomes        pixels -> Conv(w) -> y

    1. They arise at a float layer with an input that was an integer before `insert_qdq`, as pixels are.
    2. Q and DQ without readers are removed.

    Returns the number of layers changed.
    """
    model, graph_index, count = graph.model, index_graph(graph.model), 0
    for node in model.graph.node:
        if node.op_type not in WEIGHT_AXIS:
            continue
        sources = [_before_qdq(name, graph_index) for name in node.input[:2]]
        integers = [source != name for source, name in zip(sources, node.input[:2], strict=True)]
        if any(integers) and not all(integers):
            node.input[0], node.input[1] = sources
            count += 1
    remove_dead_nodes(model)
    return count


def _before_qdq(name: str, graph_index: GraphIndex) -> str:
    """Return the float tensor in front of the Q and DQ that make `name`, or `name` where there are none."""
    dequantize = graph_index.producers.get(name)
    quantize = (
        graph_index.producers.get(dequantize.input[0])
        if dequantize is not None and dequantize.op_type == "DequantizeLinear"
        else None
    )
    return str(quantize.input[0]) if quantize is not None and quantize.op_type == "QuantizeLinear" else name
