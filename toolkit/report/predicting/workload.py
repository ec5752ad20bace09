"""The work of a network, layer by layer: operations and tensor elements of its convolutions and products."""

from __future__ import annotations

import math
from typing import NamedTuple

import onnx

from ...ir.graph import Graph

_PRODUCTS = ("MatMul", "Gemm")


class LayerWork(NamedTuple):
    """Operations of a layer (two for each multiply-add), and elements that it reads and writes."""

    operations: float
    elements: float


def layer_work(graph: Graph) -> list[LayerWork]:
    """Return the work of every convolution and matrix product; other layers are taken as fused into them."""
    inferred = onnx.shape_inference.infer_shapes(graph.model).graph
    shapes = {
        value.name: [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.input, *inferred.output, *inferred.value_info)
    }
    shapes.update({tensor.name: list(tensor.dims) for tensor in inferred.initializer})
    work = []
    for node in inferred.node:
        if node.op_type != "Conv" and node.op_type not in _PRODUCTS:
            continue
        if not {node.input[0], node.input[1], node.output[0]} <= set(shapes):
            continue
        source, weight, result = (math.prod(shapes[name]) for name in (*node.input[:2], node.output[0]))
        # Multiply-adds of an output: the elements of one filter, or the inner dimension of a product.
        inner = math.prod(shapes[node.input[1]][1:]) if node.op_type == "Conv" else shapes[node.input[0]][-1]
        work.append(LayerWork(2.0 * result * inner, float(source + weight + result)))
    return work
