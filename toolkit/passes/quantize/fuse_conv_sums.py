"""Fuse a sum of convolutions into one convolution of all their inputs: int8 then rounds once, not per sum."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx
from onnx import helper

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import add_array, attribute, fresh_name, remove_dead_nodes, replace
from ..edit.graph_index import JOINED, GraphIndex, index_graph, layer_name
from .assign_qparams import Pair

# f(s x) = s f(x) for s > 0.
_HOMOGENEOUS = ("Relu", "Transpose", "Reshape")
# Largest ratio of ranges, once scaled, for which one shared scale is fine enough.
_MAX_RANGE_RATIO = 4.0


@requires(Stage.PREPARED)
def fuse_conv_sums(graph: Graph, ranges: dict[str, Pair], keep_float: Collection[str] = ()) -> int:
    """Compute a sum of 1x1 convolutions as one convolution of their concatenated inputs.

        Conv(x, v, a) + Conv(y, w, b) + ... -> z
        Concat(g x, h y, ...) -> Conv([v / g, w / h, ...], a + b) -> z

    The inputs get one range, and so one scale. The convolution before each first scales it up to the largest,
    exactly, by a power of two.

    1. Every convolution of the sum is 1x1, of one group and stride 1, and the sum is its only reader.
    2. A scaled input comes from a convolution without other readers, through ReLUs and moves alone.
    3. The ranges of the scaled inputs differ by at most a factor of four, and no layer is in `keep_float`.

    Args:
        graph: float, after the back end's `pre_quantize`; changed in place.
        ranges: tensor name → (low, high); those of scaled and of new tensors are added.
        keep_float: names of layers.

    Returns the number of sums fused. A fused layer is called by the names of its parts, joined by "+".
    """
    model, count = graph.model, 0
    for node in list(model.graph.node):
        graph_index = index_graph(model)
        if (
            node.op_type == "Add"
            and not _is_part(node, graph_index)
            and (parts := _parts(node, graph_index, keep_float))
        ):
            count += _fuse(model, node, parts, ranges=ranges, graph_index=graph_index)
    if count:
        remove_dead_nodes(model)
    return count


def _is_part(node: onnx.NodeProto, graph_index: GraphIndex) -> bool:
    """Return whether the only reader of a sum is another sum."""
    readers = graph_index.readers.get(node.output[0], [])
    return [reader.op_type for reader in readers] == ["Add"] and node.output[0] not in graph_index.outputs


def _parts(
    total: onnx.NodeProto, graph_index: GraphIndex, keep_float: Collection[str]
) -> list[onnx.NodeProto]:
    """Return the convolutions that a sum of sums adds up; none where they cannot be fused."""
    parts: list[onnx.NodeProto] = []
    pending = [total]
    while pending:
        node = pending.pop(0)
        if layer_name(node) in keep_float:
            return []
        if node.op_type == "Add" and (node is total or _is_part(node, graph_index)):
            if any(name not in graph_index.producers for name in node.input):
                return []
            pending += [graph_index.producers[name] for name in node.input]
        elif _is_plain(node, graph_index):
            parts.append(node)
        else:
            return []
    return parts if len({part.output[0] for part in parts}) == len(parts) else []


def _is_plain(node: onnx.NodeProto, graph_index: GraphIndex) -> bool:
    alone = (
        len(graph_index.readers.get(node.output[0], [])) == 1 and node.output[0] not in graph_index.outputs
    )
    if (
        node.op_type != "Conv"
        or not alone
        or not all(name in graph_index.constants for name in node.input[1:])
    ):
        return False
    steps = {
        *attribute(node, "strides", [1]),
        *attribute(node, "dilations", [1]),
        attribute(node, "group", 1),
    }
    return (
        graph_index.array(node.input[1]).shape[2:] == (1, 1)
        and steps == {1}
        and not any(attribute(node, "pads", [0]))
    )


def _fuse(
    model: onnx.ModelProto,
    total: onnx.NodeProto,
    parts: Sequence[onnx.NodeProto],
    *,
    ranges: dict[str, Pair],
    graph_index: GraphIndex,
) -> bool:
    """Replace a sum by one convolution; return whether the ranges of its inputs allow that."""
    inputs = [part.input[0] for part in parts]
    if not all(name in ranges for name in inputs) or len(set(inputs)) < len(inputs):
        return False
    sizes = [max(abs(bound) for bound in ranges[name]) or 1.0 for name in inputs]
    paths = [_path(name, graph_index) for name in inputs]
    factors = [
        float(2.0 ** np.floor(np.log2(max(sizes) / size))) if path else 1.0
        for size, path in zip(sizes, paths, strict=True)
    ]
    if max(sizes) > _MAX_RANGE_RATIO * min(
        size * factor for size, factor in zip(sizes, factors, strict=True)
    ):
        return False
    for path, factor in zip(paths, factors, strict=True):
        if factor != 1:
            _scale(model, path, factor, ranges=ranges, graph_index=graph_index)
    shared = min(ranges[name][0] for name in inputs), max(ranges[name][1] for name in inputs)
    concatenated = fresh_name(model, JOINED.join(inputs))
    ranges.update(dict.fromkeys((*inputs, concatenated), shared))
    weights = [
        graph_index.array(part.input[1]) / np.float32(factor)
        for part, factor in zip(parts, factors, strict=True)
    ]
    biases = [graph_index.array(part.input[2]) for part in parts if len(part.input) > 2]
    constants = [add_array(model, f"{total.output[0]}/joined_weight", np.concatenate(weights, axis=1))]
    if biases:
        constants.append(add_array(model, f"{total.output[0]}/joined_bias", np.stack(biases).sum(0)))
    name = JOINED.join(map(layer_name, parts))
    concat = helper.make_node("Concat", inputs, [concatenated], concatenated, axis=1)
    conv = helper.make_node("Conv", [concatenated, *constants], [total.output[0]], name, kernel_shape=[1, 1])
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes += [concat, conv] if node.output[0] == total.output[0] else [node]
    replace(model.graph.node, nodes)
    return True


def _path(tensor: str, graph_index: GraphIndex) -> list[onnx.NodeProto]:
    """Return the nodes from a convolution to the tensor, each the only reader of the one before; or none."""
    path: list[onnx.NodeProto] = []
    while (node := graph_index.producers.get(tensor)) is not None:
        if len(graph_index.readers[tensor]) != 1 or tensor in graph_index.outputs:
            return []
        path.insert(0, node)
        if node.op_type == "Conv":
            return path if all(name in graph_index.constants for name in node.input[1:]) else []
        if node.op_type not in _HOMOGENEOUS:
            return []
        tensor = node.input[0]
    return []


def _scale(
    model: onnx.ModelProto,
    path: Sequence[onnx.NodeProto],
    factor: float,
    *,
    ranges: dict[str, Pair],
    graph_index: GraphIndex,
) -> None:
    """Multiply the output of the convolution that a path begins with, and the ranges along the path."""
    for position, name in enumerate(path[0].input[1:], 1):
        path[0].input[position] = add_array(model, name, graph_index.array(name) * np.float32(factor))
    for node in path:
        if node.output[0] in ranges:
            low, high = ranges[node.output[0]]
            ranges[node.output[0]] = low * factor, high * factor
