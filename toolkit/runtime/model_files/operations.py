"""Estimates of the arithmetic of a node, from the shapes that it reads and writes."""

from __future__ import annotations

from typing import Dict, Sequence

from .graph import Node, Shape
from .inputs import volume

# Operator with a weight as its second input → the tensor at whose positions the weight is applied (None for
# the output, or the place of an input), and the axis of the weight with that tensor's channels.
_WEIGHTED = {
    "Conv": (None, 0),
    "ConvTranspose": (0, 0),
    "CONV_2D": (None, 0),
    "DEPTHWISE_CONV_2D": (None, 3),
    "TRANSPOSE_CONV": (2, 3),
}
# Upper bounds on numbers read per number written: sorts, sums along an axis, interpolation.
_COSTLY = {"TopK": 64, "CumSum": 64, "LRN": 256, "Resize": 64, "Softmax": 16, "LogSoftmax": 16}
_COSTLY.update({"LOCAL_RESPONSE_NORMALIZATION": 256, "CUMSUM": 64, "SOFTMAX": 16, "LOG_SOFTMAX": 16})


def operations_of(node: Node, size: int, shapes: Sequence[Shape]) -> int:
    """Return an estimate of the multiplications and additions of a node.

    Args:
        node: of an ONNX or a TFLite graph.
        size: the number of elements that it writes.
        shapes: of its inputs; empty for those that are absent.
    """
    if node.operator in _WEIGHTED and len(shapes) > 1 and shapes[1]:
        place, axis = _WEIGHTED[node.operator]
        applied = size if place is None or place >= len(shapes) else volume(shapes[place])
        channels = shapes[1][axis] if axis < len(shapes[1]) else 1
        return volume(shapes[1]) * (applied // max(channels, 1))
    if depth := _depth(node, shapes):
        return size * depth
    if node.operator == "Einsum":
        return _einsum_operations(str(node.attributes.get("equation", "")), shapes)
    if node.operator in ("GRU", "LSTM", "RNN") and len(shapes) > 2:
        return sum(map(volume, shapes[1:3])) * volume(shapes[0][:2])
    kernel = volume(tuple(node.attributes.get("kernel_shape") or ())) * _pool_size(node)
    return size * kernel + (size + sum(map(volume, shapes))) * _COSTLY.get(node.operator, 4)


def _depth(node: Node, shapes: Sequence[Shape]) -> int:
    """Return how many products of a matrix multiplication are added up; 0 for other operators."""
    first, second = [*shapes, (), ()][:2]
    if node.operator in ("MatMul", "Gemm"):
        return first[0 if node.attributes.get("transA") else -1] if first else 1
    if node.operator == "BATCH_MATMUL":
        return first[-2 if node.attributes.get("adj_x") else -1] if len(first) > 1 else 1
    return second[-1] if node.operator == "FULLY_CONNECTED" and second else 0


def _pool_size(node: Node) -> int:
    return int(node.attributes.get("filter_w", 1)) * int(node.attributes.get("filter_h", 1))


def _einsum_operations(equation: str, shapes: Sequence[Shape]) -> int:
    """Return the product of all sizes in the equation, the cost of nested loops."""
    sizes: Dict[str, int] = {}
    for letters, shape in zip(equation.split("->")[0].split(","), shapes):
        plain = letters.replace("...", "").replace(" ", "")
        sizes.update(zip(reversed(plain), reversed(shape)))
    return volume(tuple(sizes.values()))
