"""Shapes of the outputs of convolutions, pools and Resize; see `onnx_rules`."""

from __future__ import annotations

from typing import Dict, List, Sequence

from ..graph import Shape
from ..inputs import NodeInputs, Rule


def _conv(node: NodeInputs) -> List[Shape]:
    shape, weight = node.shape(), node.shape(1)
    if len(shape) < 3 or len(weight) != len(shape):
        raise node.refusal("has a kernel that does not fit its maps")
    return [(shape[0], weight[0], *_windows(node, shape[2:], weight[2:]))]


def _pool(node: NodeInputs) -> List[Shape]:
    shape, kernel = node.shape(), node.attribute("kernel_shape", [])
    if len(shape) < 3 or len(kernel) != len(shape) - 2:
        raise node.refusal("has a kernel that does not fit its maps")
    pooled = (*shape[:2], *_windows(node, shape[2:], kernel, bool(node.attribute("ceil_mode", 0))))
    return [pooled for _ in node.node.outputs]


def _windows(
    node: NodeInputs, sizes: Sequence[int], kernel: Sequence[int], ceil: bool = False
) -> "tuple[int, ...]":
    """Return the number of windows along each axis."""
    rank = len(sizes)
    strides, dilations = (_each(node, name, rank) for name in ("strides", "dilations"))
    automatic, pads = node.attribute("auto_pad", "NOTSET"), node.attribute("pads", [0] * 2 * rank)
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        return tuple(-(-size // stride) for size, stride in zip(sizes, strides))
    if automatic == "VALID":
        pads = [0] * 2 * rank
    if len(pads) != 2 * rank or min(pads) < 0:
        raise node.refusal("has pads that do not fit its maps")
    found = []
    for axis, size in enumerate(sizes):
        spare = size + pads[axis] + pads[axis + rank] - dilations[axis] * (kernel[axis] - 1) - 1
        found.append((-(-spare // strides[axis]) if ceil else spare // strides[axis]) + 1)
    if min(found) < 1:
        raise node.refusal("has a kernel larger than its maps")
    return tuple(found)


def _each(node: NodeInputs, name: str, rank: int) -> List[int]:
    values: List[int] = node.attribute(name, [1] * rank)
    if len(values) != rank or min(values) < 1:
        raise node.refusal(f"has {name} that do not fit its maps")
    return values


def _conv_transpose(node: NodeInputs) -> List[Shape]:
    shape, weight = node.shape(), node.shape(1)
    rank = len(shape) - 2
    if rank < 1 or len(weight) != len(shape):
        raise node.refusal("has a kernel that does not fit its maps")
    channels = weight[1] * node.attribute("group", 1)
    strides, dilations = (_each(node, name, rank) for name in ("strides", "dilations"))
    stated = node.attribute("output_shape", [])
    if stated:
        if len(stated) != rank or min(stated) < 1:
            raise node.refusal("has an output shape that does not fit its maps")
        return [(shape[0], channels, *stated)]
    more, pads = node.attribute("output_padding", [0] * rank), node.attribute("pads", [0] * 2 * rank)
    automatic = node.attribute("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        return [(shape[0], channels, *(size * stride for size, stride in zip(shape[2:], strides)))]
    if len(pads) != 2 * rank or len(more) != rank or min(pads) < 0:
        raise node.refusal("has pads that do not fit its maps")
    sizes = [
        strides[axis] * (shape[2 + axis] - 1)
        + more[axis]
        + dilations[axis] * (weight[2 + axis] - 1)
        + 1
        - pads[axis]
        - pads[axis + rank]
        for axis in range(rank)
    ]
    return [(shape[0], channels, *(max(size, 0) for size in sizes))]


def _global_pool(node: NodeInputs) -> List[Shape]:
    shape = node.shape()
    return [(*shape[:2], *[1] * (len(shape) - 2))]


def _resize(node: NodeInputs) -> List[Shape]:
    """Return the sizes that a constant states, or those of constant scales."""
    if node.has(3):
        return [tuple(node.values(3))]
    shape, scales = node.shape(), node.numbers(2)
    if len(scales) != len(shape) or not all(0 < scale < 2**20 for scale in scales):
        raise node.refusal("has scales that do not fit its maps")
    return [tuple(int(size * scale) for size, scale in zip(shape, scales))]


WINDOW_RULES: Dict[str, Rule] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"), _global_pool),
    "Resize": _resize,
}
