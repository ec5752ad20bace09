"""Replace average pools by convolutions: XNNPACK has int8 kernels for convolutions only."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import add_array, attribute


@requires(Stage.PREPARED)
def convert_average_pools(graph: Graph) -> int:
    """Replace each AveragePool by the equivalent depthwise convolution.

        x -> AveragePool(2 x 2) -> y      becomes      x -> Conv(all 1/4, one group per channel) -> y

    1. The pool has no padding, and all kernel positions lie inside the map: its divisor is constant.
    2. Otherwise XNNPACK would run the network in two parts, with a TFLite kernel for the pool between them.

    Returns the number of pools replaced.
    """
    model = graph.model
    inferred = onnx.shape_inference.infer_shapes(model)
    shapes = {value.name: value.type.tensor_type.shape.dim for value in inferred.graph.value_info}
    channels = {name: shape[1].dim_value for name, shape in shapes.items() if len(shape) == 4}
    count = 0
    for place, node in enumerate(model.graph.node):
        if node.op_type != "AveragePool" or not channels.get(node.input[0]) or not _is_plain(node):
            continue
        kernel, width = attribute(node, "kernel_shape", []), channels[node.input[0]]
        weight = add_array(
            model, f"{node.output[0]}.weight", np.full((width, 1, *kernel), 1 / np.prod(kernel), np.float32)
        )
        strides = attribute(node, "strides", [1] * len(kernel))
        convolution = helper.make_node(
            "Conv",
            [node.input[0], weight],
            list(node.output),
            node.name,
            group=width,
            kernel_shape=kernel,
            strides=strides,
        )
        model.graph.node.remove(node)
        model.graph.node.insert(place, convolution)
        count += 1
    return count


def _is_plain(node: onnx.NodeProto) -> bool:
    pads = attribute(node, "pads", [0])
    return (
        not any(pads)
        and not attribute(node, "ceil_mode", 0)
        and attribute(node, "auto_pad", "NOTSET") in ("NOTSET", "VALID")
    )
