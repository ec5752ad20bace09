"""Wide windows that all channels share, as dense convolutions: CPUs have fast kernels for these, and none for wide depthwise ones."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, shape_inference

from ..graph import Graph
from .edits import add_array, attribute, fresh_name, replace, sweep
from .layers import Links, links

# Taps of the widest window that XNNPACK has a depthwise kernel for: 5x5.
_TAPS = 25
# Products that may take the place of one tap.
_MOST = 8.0


def multiply_wide_windows(graph: Graph) -> int:
    """Write a wide depthwise convolution as a dense one that takes the rows of the map for channels.

        x (1, C, h, w) -> Conv(k, group C) -> y        becomes
        x -> Transpose (1, h, C, w) -> Conv(T) -> (1, h, C, w) -> Transpose -> y        T[i, j, 0] = k[j - i + pad]

    The sums are the same: along a row they stay a convolution, and from row to row T is the Toeplitz matrix of the window.
    The votes of the reference network, windows of 7x7 to 27x27 on maps of 16x28, are all that is rewritten where LiteRT takes
    33.2 ms and then 11.6 in int8, 41.5 and then 28.1 in float32 (one thread of an EPYC). Their weights shrink, from 78 to 40
    thousand numbers. ONNX Runtime gains a twentieth, OpenVINO nothing: their depthwise kernels are better.

    1. A window has more than 25 taps, steps of 1, and makes the same of every channel. With m outputs per channel there
       are m such windows.
    2. There are at most eight products for a tap, which are h / (rows of k): the map is not much higher than the window.
    3. It has no bias, and no Relu or Clip follows that an integer kernel would take in. A window of which int8 rounds the
       weights has a bias that corrects for it, and stays; whole numbers, as sums and ways have, are exact.

    Returns the number of convolutions rewritten.
    """
    model, found = graph.model, links(graph.model)
    values = shape_inference.infer_shapes(model).graph.value_info
    shapes = {value.name: [size.dim_value for size in value.type.tensor_type.shape.dim] for value in values}
    nodes: list[onnx.NodeProto] = []
    rows_of: dict[str, str] = {}
    count = 0
    for node in model.graph.node:
        if not _is_shared_window(node, found, shapes):
            nodes.append(node)
            continue
        source = node.input[0]
        if source not in rows_of:
            rows_of[source] = fresh_name(model, f"{source}/rows")
            nodes.append(helper.make_node("Transpose", [source], [rows_of[source]], rows_of[source], perm=[0, 2, 1, 3]))
        nodes += _dense(model, node, rows_of[source], found, shapes)
        count += 1
    if count:
        replace(model.graph.node, nodes)
        sweep(model)
    return count


def _is_shared_window(node: onnx.NodeProto, found: Links, shapes: dict[str, list[int]]) -> bool:
    if node.op_type != "Conv" or len(node.input) > 2 or node.input[1] not in found.constants or found.result(node) != node.output[0]:
        return False
    channels, weight, before = attribute(node, "group", 1), found.array(node.input[1]), shapes.get(node.input[0], [])
    plain = (
        all(set(attribute(node, name, [1])) == {1} for name in ("strides", "dilations"))
        and attribute(node, "auto_pad", "NOTSET") == "NOTSET"
    )
    if not plain or channels == 1 or weight.ndim != 4 or weight.shape[1] != 1 or node.output[0] not in shapes or not all(before):
        return False
    parts = weight.reshape(channels, -1)
    worth = weight[0, 0].size > _TAPS and before[2] <= _MOST * weight.shape[2]
    return worth and bool((parts == parts[0]).all())


def _dense(model: onnx.ModelProto, node: onnx.NodeProto, rows: str, found: Links, shapes: dict[str, list[int]]) -> list[onnx.NodeProto]:
    """Return the nodes that make what a window makes, of its map's rows (1, h, C, w)."""
    result, (_, channels, height, _), (_, _, high, wide) = node.output[0], shapes[node.input[0]], shapes[node.output[0]]
    windows = found.array(node.input[1]).reshape(channels, -1, *found.array(node.input[1]).shape[2:])[0]
    kinds, taps, _ = windows.shape
    top, left, _, right = attribute(node, "pads", [0, 0, 0, 0])
    matrix = np.zeros((high, kinds, height, windows.shape[2]), np.float32)
    for row in range(high):
        inside = range(max(0, row - top), min(height, row - top + taps))
        matrix[row, :, inside] = windows[:, [source - row + top for source in inside]].swapaxes(0, 1)
    weight = add_array(model, f"{node.input[1]}/rows", matrix.reshape(high * kinds, height, 1, -1))
    sums = fresh_name(model, f"{result}/rows")
    made = [helper.make_node("Conv", [rows, weight], [sums], node.name, kernel_shape=[1, windows.shape[2]], pads=[0, left, 0, right])]
    # As NHWC runtimes keep it, (C, w, h * kinds) becomes (h, w, C * kinds) by one move; the other moves are none there.
    apart, whole = (1, channels, wide, high, kinds), (1, high, wide, channels * kinds)
    for operator, said in (("Transpose", (0, 2, 3, 1)), ("Reshape", apart), ("Transpose", (0, 3, 2, 1, 4)), ("Reshape", whole)):
        moved = fresh_name(model, f"{sums}/{len(made)}")
        if operator == "Transpose":
            made.append(helper.make_node(operator, [sums], [moved], moved, perm=said))
        else:
            made.append(helper.make_node(operator, [sums, add_array(model, f"{moved}/shape", np.asarray(said, np.int64))], [moved], moved))
        sums = moved
    return [*made, helper.make_node("Transpose", [sums], [result], f"{result}/moved", perm=[0, 3, 1, 2])]
