"""Let every depthwise convolution make one channel of one: that is the only kind for which CPUs have fast kernels."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from ...ir.graph import Graph
from ..edit.edits import add_array, attribute, remove_dead_nodes
from ..edit.graph_index import FUSED_ACTIVATIONS, GraphIndex, index_graph

# Float kernels of ONNX Runtime take channels sixteen at a time, and fall back to a slow way where some remain.
_BLOCK = 16


def expand_depthwise(graph: Graph) -> int:
    """Make what a depthwise convolution with a multiplier reads as many times as it is read.

        x -> Conv(w) -> Relu -> Conv(k, group g, m g outputs)        becomes
        x -> Conv(w, each row m times) -> Relu -> Conv(k, group m g, m g outputs)

    The sums are the same. A 27x27 window of 17 channels and multiplier 3 takes OpenVINO 5.0 ms in integers, spread 0.3;
    ONNX Runtime 1.9 ms in float, spread 0.7 (one thread of an EPYC, maps of 16x28).

    1. The Conv before it has one group; it and the Relu or Clip between are read by such convolutions alone, all with
       the same multiplier, and are no head.
    2. Where each of these is read by one Conv of one group alone, the channels are rounded up to a multiple of 16 with
       copies of the first ones, which that Conv weighs with zero.

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
        select_rows(model, maker, rows // (outputs // channels), graph_index)
        for node, reader in zip(spread, sums, strict=True):
            select_rows(model, node, rows, graph_index)
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
    """Return how many channels a depthwise convolution makes of each, 0 where it is none."""
    weight = graph_index.constants.get(node.input[1]) if node.op_type == "Conv" else None
    if weight is None or attribute(node, "group", 1) != channels or channels == 1:
        return 0
    return int(weight.dims[0]) // channels


def only_through_activation(maker: onnx.NodeProto, graph_index: GraphIndex) -> bool:
    """Return whether what a node makes is read by others only once its Relu or Clip is through with it, if it has one."""
    readers, result = graph_index.readers[maker.output[0]], graph_index.result(maker)
    return maker.output[0] not in graph_index.outputs and (
        result == maker.output[0] or [node.op_type in FUSED_ACTIVATIONS for node in readers] == [True]
    )


def only_reader(tensor: str, graph_index: GraphIndex) -> onnx.NodeProto | None:
    """Return the Conv of one group, its weight constant, that alone reads a tensor; else None."""
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
    model: onnx.ModelProto, node: onnx.NodeProto, rows: np.ndarray, graph_index: GraphIndex
) -> None:
    """Give a convolution these rows of its weight and bias."""
    for position, name in enumerate(node.input[1:], 1):
        node.input[position] = add_array(model, name, graph_index.array(name)[rows])


def set_groups(node: onnx.NodeProto, groups: int) -> None:
    """Give a convolution another number of groups."""
    kept = [entry for entry in node.attribute if entry.name != "group"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("group", groups)])
