"""Expand depthwise convolutions with a channel multiplier: CPUs have fast kernels for multiplier 1 only."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import add_array, attribute, remove_dead_nodes
from ..edit.graph_index import FUSED_ACTIVATIONS, GraphIndex, index_graph

# Float kernels of ONNX Runtime process blocks of sixteen channels; a remainder takes a slow path.
_BLOCK = 16


@requires(Stage.TRACED)
def expand_depthwise(graph: Graph) -> int:
    """Repeat the input channels of a depthwise convolution with multiplier m, to make the multiplier 1.

        x -> Conv(w) -> Relu -> Conv(k, group g, m g outputs)        becomes
        x -> Conv(w, each row m times) -> Relu -> Conv(k, group m g, m g outputs)

    The results are equal.

    1. The Conv before it has one group. Its readers, through a Relu or Clip, are all such convolutions of
       one multiplier. Neither it nor the activation is a head.
    2. Where the only reader of each of these is a Conv of one group, channels are padded to a multiple of 16.
       The padding repeats the first channels, and that Conv gives it weight zero.

    Returns the number of depthwise convolutions changed.
    """
    model, count = graph.model, 0
    for maker in [
        node for node in model.graph.node if node.op_type == "Conv" and attribute(node, "group", 1) == 1
    ]:
        graph_index = index_graph(model)
        spread = graph_index.readers.get(graph_index.result(maker), [])
        weights = [name for node in (maker, *spread) for name in node.input[1:]]
        if (
            not spread
            or graph_index.result(maker) in graph_index.outputs
            or not all(name in graph_index.constants for name in weights)
        ):
            continue
        channels = int(graph_index.constants[maker.input[1]].dims[0])
        multipliers = {_multiplier(node, channels, graph_index) for node in spread}
        if len(multipliers) != 1 or min(multipliers) < 2 or not only_through_activation(maker, graph_index):
            continue
        outputs = channels * multipliers.pop()
        sums = [only_reader(graph_index.result(node), graph_index) for node in spread]
        padded = -(-outputs // _BLOCK) * _BLOCK if all(reader is not None for reader in sums) else outputs
        rows = np.arange(padded) % outputs
        select_rows(model, maker, rows // (outputs // channels), graph_index=graph_index)
        for node, reader in zip(spread, sums, strict=True):
            select_rows(model, node, rows, graph_index=graph_index)
            set_groups(node, padded)
            if reader is not None and padded > outputs:
                weight = graph_index.array(reader.input[1])
                reader.input[1] = add_array(
                    model, reader.input[1], np.pad(weight, ((0, 0), (0, padded - outputs), (0, 0), (0, 0)))
                )
            count += 1
    remove_dead_nodes(model)
    return count


def _multiplier(node: onnx.NodeProto, channels: int, graph_index: GraphIndex) -> int:
    """Return the channel multiplier of a depthwise convolution, 0 for any other node."""
    weight = graph_index.constants.get(node.input[1]) if node.op_type == "Conv" else None
    if weight is None or attribute(node, "group", 1) != channels or channels == 1:
        return 0
    return int(weight.dims[0]) // channels


def only_through_activation(maker: onnx.NodeProto, graph_index: GraphIndex) -> bool:
    """Return whether the only reader of a node is its Relu or Clip, if it has one."""
    readers, result = graph_index.readers[maker.output[0]], graph_index.result(maker)
    return maker.output[0] not in graph_index.outputs and (
        result == maker.output[0] or [node.op_type in FUSED_ACTIVATIONS for node in readers] == [True]
    )


def only_reader(tensor: str, graph_index: GraphIndex) -> onnx.NodeProto | None:
    """Return the only reader of a tensor where it is a Conv of one group with constant weight; else None."""
    readers = graph_index.readers.get(tensor, [])
    if (
        len(readers) != 1
        or tensor in graph_index.outputs
        or readers[0].op_type != "Conv"
        or attribute(readers[0], "group", 1) != 1
    ):
        return None
    return readers[0] if readers[0].input[1] in graph_index.constants else None


def select_rows(
    model: onnx.ModelProto, node: onnx.NodeProto, rows: np.ndarray, *, graph_index: GraphIndex
) -> None:
    """Replace the weight and bias of a convolution by these rows of them."""
    for position, name in enumerate(node.input[1:], 1):
        node.input[position] = add_array(model, name, graph_index.array(name)[rows])


def set_groups(node: onnx.NodeProto, groups: int) -> None:
    """Set the number of groups of a convolution."""
    kept = [entry for entry in node.attribute if entry.name != "group"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("group", groups)])
