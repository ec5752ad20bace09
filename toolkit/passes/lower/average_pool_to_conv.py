"""Average pools as convolutions: XNNPACK has int8 kernels for the one and not for the other."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from ...ir.graph import Graph
from ..edit.edits import add_array, attribute


def convert_average_pools(graph: Graph) -> int:
    """Write each AveragePool as the depthwise convolution that it is.

        x -> AveragePool(2 x 2) -> y        becomes        x -> Conv(1/4 everywhere, one group per channel) -> y

    1. The pool pads nothing, and its windows all lie inside: else it does not divide by the same number everywhere.
    2. Left alone, the pool would split an int8 network in two for XNNPACK, with TFLite's own kernel between.

    Returns the number of pools rewritten.
    """
    model = graph.model
    inferred = onnx.shape_inference.infer_shapes(model)
    channels = {value.name: value.type.tensor_type.shape.dim[1].dim_value
                for value in inferred.graph.value_info if len(value.type.tensor_type.shape.dim) == 4}  # fmt: skip
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
