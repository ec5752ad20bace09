"""Split a convolution before slices into one convolution per slice."""

from __future__ import annotations

import onnx

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import add_array, attribute, remove_dead_nodes
from ..edit.graph_index import GraphIndex, index_graph

_END = 2**31 - 1


@requires(Stage.TRACED)
def split_heads(graph: Graph) -> int:
    """Split each convolution that is only sliced by channel, so each part has its own range.

        x -> Conv(w, b) -> Slice[0:1] -> a        becomes        x -> Conv(w[0:1], b[0:1]) -> a
                       \\-> Slice[1:3] -> b                       x -> Conv(w[1:3], b[1:3]) -> b

    1. The Conv has one group, constant weights; each reader slices channels only, by constants, in step 1.
    2. A Conv that is a head, or has another reader than a Slice, stays.

    Returns the number of convolutions split.
    """
    model, count = graph.model, 0
    for conv in [node for node in model.graph.node if node.op_type == "Conv"]:
        graph_index = index_graph(model)
        readers = graph_index.readers.get(conv.output[0], [])
        constant = all(name in graph_index.constants for name in conv.input[1:])
        if (
            not readers
            or not constant
            or conv.output[0] in graph_index.outputs
            or attribute(conv, "group", 1) != 1
        ):
            continue
        weight = graph_index.array(conv.input[1])
        cuts = [_channels(reader, graph_index, len(weight)) for reader in readers]
        if not all(cuts):
            continue
        place = list(model.graph.node).index(conv)
        for offset, (reader, (start, stop)) in enumerate(
            zip(readers, [cut for cut in cuts if cut], strict=True)
        ):
            part = onnx.NodeProto()
            part.CopyFrom(conv)
            part.name = f"{conv.name}.{start}_{stop}" if conv.name else ""
            part.input[1] = add_array(model, f"{conv.input[1]}.{start}_{stop}", weight[start:stop])
            if len(conv.input) > 2:
                part.input[2] = add_array(
                    model, f"{conv.input[2]}.{start}_{stop}", graph_index.array(conv.input[2])[start:stop]
                )
            part.output[0] = reader.output[0]
            model.graph.node.remove(reader)
            model.graph.node.insert(place + offset, part)
        model.graph.node.remove(conv)
        count += 1
    remove_dead_nodes(model)
    return count


def _channels(node: onnx.NodeProto, graph_index: GraphIndex, channels: int) -> tuple[int, int] | None:
    """Return the channels (start, stop) of a Slice, or None where it is not a plain slice along axis 1."""
    if (
        node.op_type != "Slice"
        or len(node.input) < 4
        or not all(name in graph_index.constants for name in node.input[1:])
    ):
        return None
    starts, stops, axes, *steps = (graph_index.array(name).tolist() for name in node.input[1:])
    if axes not in ([1], [-3]) or (steps and steps[0] != [1]):
        return None
    start, stop, _ = slice(starts[0], min(stops[0], _END)).indices(channels)
    return (start, stop) if start < stop else None
