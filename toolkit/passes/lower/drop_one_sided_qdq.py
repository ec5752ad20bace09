"""Let layers that stay float read floats."""

from __future__ import annotations

from ...ir.graph import Graph
from ..edit.edits import remove_dead_nodes
from ..edit.graph_index import WEIGHT_AXIS, GraphIndex, index_graph


def drop_one_sided_qdq(graph: Graph) -> int:
    """Let layers whose weight or input stayed float have both so: integers on one side alone are Q and DQ for nothing.

        pixels -> Q -> DQ -> Conv(w) -> y        becomes        pixels -> Conv(w) -> y

    1. This comes about where a layer is kept float whose input was integer before `insert_qdq`, such as folded pixels.
    2. Q and DQ that nobody reads any more go.

    Returns the number of layers released.
    """
    model, graph_index, count = graph.model, index_graph(graph.model), 0
    for node in model.graph.node:
        if node.op_type not in WEIGHT_AXIS:
            continue
        sources = [_before_integers(name, graph_index) for name in node.input[:2]]
        integers = [source != name for source, name in zip(sources, node.input[:2], strict=True)]
        if any(integers) and not all(integers):
            node.input[0], node.input[1] = sources
            count += 1
    remove_dead_nodes(model)
    return count


def _before_integers(name: str, graph_index: GraphIndex) -> str:
    """Return the float tensor that went through Q and DQ to become `name`, or `name` where none did."""
    dequantize = graph_index.producers.get(name)
    quantize = (
        graph_index.producers.get(dequantize.input[0])
        if dequantize is not None and dequantize.op_type == "DequantizeLinear"
        else None
    )
    return str(quantize.input[0]) if quantize is not None and quantize.op_type == "QuantizeLinear" else name
