"""Shapes of the outputs of TFLite operators on maps (N, H, W, C); see `tflite_rules`."""

from __future__ import annotations

from typing import Dict, List

from ..graph import Shape
from ..inputs import NodeInputs, Rule

_SAME = 0  # the padding that keeps sizes, but for strides


def _windows(node: NodeInputs, kernel: "tuple[int, int]") -> "tuple[int, int]":
    """Return the rows and columns of windows over maps."""
    strides = (node.attribute("stride_h"), node.attribute("stride_w"))
    # A field that is absent has its default, 1 for dilations; the reader gives 0 for it.
    dilations = [max(1, node.attribute(name, 1)) for name in ("dilation_h", "dilation_w")]
    if min(strides) < 1 or min(kernel) < 1:
        raise node.refusal("has strides that are not positive")
    rows, columns = (
        -(-size // stride)
        if node.attribute("padding") == _SAME
        else (size - dilation * (reach - 1) - 1) // stride + 1
        for size, stride, reach, dilation in zip(_maps(node)[1:3], strides, kernel, dilations)
    )
    return max(rows, 0), max(columns, 0)


def _maps(node: NodeInputs, place: int = 0) -> Shape:
    if len(node.shape(place)) != 4:
        raise node.refusal("reads tensors that are not maps")
    return node.shape(place)


def _conv(node: NodeInputs) -> List[Shape]:
    weight = _maps(node, 1)  # (channels, rows, columns, input channels)
    return [(_maps(node)[0], *_windows(node, (weight[1], weight[2])), weight[0])]


def _depthwise_conv(node: NodeInputs) -> List[Shape]:
    weight = _maps(node, 1)  # (1, rows, columns, channels)
    return [(_maps(node)[0], *_windows(node, (weight[1], weight[2])), weight[3])]


def _pool(node: NodeInputs) -> List[Shape]:
    maps = _maps(node)
    return [(maps[0], *_windows(node, (node.attribute("filter_h"), node.attribute("filter_w"))), maps[3])]


def _stated_first(node: NodeInputs) -> List[Shape]:
    """TRANSPOSE_CONV: the first input is the shape of the output."""
    if min(node.values(0), default=0) < 1:
        raise node.refusal("has an output shape that is not positive")
    return [node.values(0)]


def _resized(node: NodeInputs) -> List[Shape]:
    maps, size = _maps(node), node.values(1)
    if len(size) != 2 or min(size) < 1:
        raise node.refusal("has a size that is not positive")
    return [(maps[0], *size, maps[3])]


def _depth_to_space(node: NodeInputs) -> List[Shape]:
    count, rows, columns, channels = _maps(node)
    block = max(1, node.attribute("block_size"))
    return [(count, rows * block, columns * block, channels // block**2)]


def _space_to_depth(node: NodeInputs) -> List[Shape]:
    count, rows, columns, channels = _maps(node)
    block = max(1, node.attribute("block_size"))
    return [(count, rows // block, columns // block, channels * block**2)]


TFLITE_MAP_RULES: Dict[str, Rule] = {
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), _pool),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), _resized),
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise_conv,
    "DEPTH_TO_SPACE": _depth_to_space,
    "SPACE_TO_DEPTH": _space_to_depth,
    "TRANSPOSE_CONV": _stated_first,
}
