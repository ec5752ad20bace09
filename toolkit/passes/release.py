"""Take the integers away again where the runtime gains nothing from them."""

from __future__ import annotations

import onnx

from ..graph import Graph
from .edits import attribute, sweep
from .layers import WEIGHT_AXIS, Links, links


def release_depthwise(graph: Graph) -> int:
    """Let depthwise convolutions, and layers whose weight stayed float, read float inputs and weights.

        x -> Q -> DQ -> Conv(group = channels, Q/DQ of w) -> y        becomes        x -> Conv(group = channels, w) -> y

    1. TensorRT computes grouped convolutions no faster in int8 than in float16, and they are what int8 hurts most:
       each output sums nine products, so that no errors cancel out.
    2. A layer that was kept float must not read integers that were there before, such as pixels.
    3. Tensors that nobody reads as integers any more are no integers.

    Returns the number of layers released.
    """
    model, found, count = graph.model, links(graph.model), 0
    for node in model.graph.node:
        if node.op_type not in WEIGHT_AXIS:
            continue
        sources = [_before_integers(name, found) for name in node.input[:2]]
        integers = [source != name for source, name in zip(sources, node.input[:2], strict=True)]
        if any(integers) and (not all(integers) or _is_depthwise(node, sources[1], found)):
            node.input[0], node.input[1] = sources
            count += 1
    sweep(model)
    return count


def _is_depthwise(node: onnx.NodeProto, weight: str, found: Links) -> bool:
    group = attribute(node, "group", 1)
    return bool(group > 1 and weight in found.constants and found.constants[weight].dims[1] == 1)


def _before_integers(name: str, found: Links) -> str:
    """Return the float tensor that went through Q and DQ to become `name`, or `name` where none did."""
    dequantize = found.producers.get(name)
    quantize = found.producers.get(dequantize.input[0]) if dequantize is not None and dequantize.op_type == "DequantizeLinear" else None
    return str(quantize.input[0]) if quantize is not None and quantize.op_type == "QuantizeLinear" else name
