"""Layers and activations as the torch operations that the converter supports; see also `more_operators`."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .more_operators import MORE_OPERATORS
from .node import Node
from .qdq import dequantize, quantize
from .windows import Window, pad_windows


def _conv(node: Node) -> Tensor:
    weight, bias = node.tensor(1), node.tensors[2] if len(node.tensors) > 2 else None
    window = Window.of(node, weight.shape[2:])
    maps, pads = pad_windows(node, window)
    group = node.attribute("group", 1)
    return functional.conv2d(maps, weight, bias, window.strides, pads, window.dilations, group)


def _conv_transpose(node: Node) -> Tensor:
    weight, bias = node.tensor(1), node.tensors[2] if len(node.tensors) > 2 else None
    pads = node.attribute("pads", [0, 0, 0, 0])
    if (
        pads[:2] != pads[2:]
        or node.attribute("output_shape", None)
        or node.attribute("auto_pad", "NOTSET") != "NOTSET"
    ):
        raise node.refusal("pads unevenly")
    strides, dilations = node.attribute("strides", [1, 1]), node.attribute("dilations", [1, 1])
    more, group = node.attribute("output_padding", [0, 0]), node.attribute("group", 1)
    return functional.conv_transpose2d(node.maps, weight, bias, strides, pads[:2], more, group, dilations)


def _clip(node: Node) -> Tensor:
    low, high = (None if limit is None else float(limit) for limit in (node.constant(1), node.constant(2)))
    if (low, high) == (0, 1):  # the converter's operator for Clip(0, 1) is not supported by XNNPACK
        return functional.relu6(6 * node.maps) / 6
    return functional.relu6(node.maps) if (low, high) == (0, 6) else torch.clamp(node.maps, low, high)


def _average_pool(node: Node) -> Tensor:
    window = Window.of(node, node.attribute("kernel_shape", []))
    inclusive = bool(node.attribute("count_include_pad", 0))
    maps, pads = pad_windows(node, window, 0.0 if inclusive else None)
    ceil = bool(node.attribute("ceil_mode", 0))
    return functional.avg_pool2d(maps, window.kernel, window.strides, pads, ceil, inclusive)


def _max_pool(node: Node) -> Tensor:
    window = Window.of(node, node.attribute("kernel_shape", []))
    maps, pads = pad_windows(node, window, float("-inf"))
    ceil = bool(node.attribute("ceil_mode", 0))
    return functional.max_pool2d(maps, window.kernel, window.strides, pads, window.dilations, ceil)


def _resize(node: Node) -> Tensor:
    size, before = _resized(node), np.asarray(node.maps.shape[2:])
    mode = node.attribute("mode", "nearest")
    coordinates = node.attribute("coordinate_transformation_mode", "half_pixel")
    if mode == "linear" and coordinates in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        aligned = coordinates == "align_corners"
        return functional.interpolate(node.maps, size, mode="bilinear", align_corners=aligned)
    rounding = node.attribute("nearest_mode", "round_prefer_floor")
    # For a whole factor, rounding half pixels selects the same pixels as flooring asymmetric coordinates.
    whole = not np.any(np.asarray(size) % before)
    same = whole and (coordinates, rounding) == ("half_pixel", "round_prefer_floor")
    if mode == "nearest" and (same or (coordinates, rounding) == ("asymmetric", "floor")):
        return functional.interpolate(node.maps, size, mode="nearest")
    raise node.refusal(f"resizes by {mode}, {coordinates}, {rounding}")


def _resized(node: Node) -> list[int]:
    """Return the height and width of the result."""
    scales, sizes = node.constant(2), node.constant(3)
    if scales is not None and scales.size:
        return [int(size) for size in np.floor(np.asarray(node.maps.shape[2:]) * scales[2:])]
    if sizes is None:
        raise node.refusal("states neither scales nor sizes")
    return [int(size) for size in sizes[2:]]


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}


def _pad(node: Node) -> Tensor:
    pads, value = node.constant(1), node.constant(2)
    mode = _PAD_MODES.get(node.attribute("mode", "constant"))
    if mode is None or pads is None:
        raise node.refusal(f"pads by {node.attribute('mode', 'constant')}")
    rank = len(pads) // 2
    sides = [int(pads[axis + side * rank]) for axis in reversed(range(rank)) for side in (0, 1)]
    if mode != "constant":
        if any(sides[4:]):
            raise node.refusal(f"pads channels by {mode}")
        return functional.pad(node.maps, sides[:4], mode=mode)
    return functional.pad(node.maps, sides, value=0.0 if value is None else float(value))


def _reshape(node: Node) -> Tensor:
    sizes = node.constant(1)
    if sizes is None:
        raise node.refusal("does not state its sizes")
    # Size 0 copies the size of the input, -1 is inferred.
    return node.maps.reshape([int(size) or node.maps.shape[axis] for axis, size in enumerate(sizes)])


def _hard_sigmoid(node: Node) -> Tensor:
    return torch.clamp(node.attribute("alpha", 0.2) * node.maps + node.attribute("beta", 0.5), 0, 1)


def _split(node: Node) -> tuple[Tensor, ...]:
    """Return ranges of channels, sliced in NHWC.

    TFLite's SPLIT makes equal parts only, and in NCHW the converter transposes the maps.
    """
    sizes = node.constant(1)
    if sizes is None or node.attribute("axis", 0) != 1:
        raise node.refusal("splits otherwise than channels into constant sizes")
    last, ends = node.maps.permute(0, 2, 3, 1), np.cumsum([0, *sizes])
    return tuple(
        last[..., int(begin) : int(end)].permute(0, 3, 1, 2) for begin, end in itertools.pairwise(ends)
    )


def _concat(node: Node) -> Tensor:
    """Return tensors concatenated, channels in NHWC: in NCHW the converter transposes every map twice."""
    maps, axis = [node.tensor(position) for position in range(len(node.tensors))], node.attribute("axis", 1)
    if axis != 1 or node.maps.ndim != 4:
        return torch.cat(maps, axis)
    return torch.cat([each.permute(0, 2, 3, 1) for each in maps], 3).permute(0, 3, 1, 2)


def _both(compute: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Node], Tensor]:
    return lambda node: compute(node.tensor(0), node.tensor(1))


def _one(compute: Callable[[Tensor], Tensor]) -> Callable[[Node], Tensor]:
    return lambda node: compute(node.maps)


OPERATORS: dict[str, Callable[[Node], Tensor | tuple[Tensor, ...]]] = {
    "Add": _both(torch.add),
    "AveragePool": _average_pool,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DequantizeLinear": dequantize,
    "Div": _both(torch.div),
    "GlobalAveragePool": _one(lambda maps: maps.mean((2, 3), keepdim=True)),
    "HardSigmoid": _hard_sigmoid,
    "LeakyRelu": lambda node: functional.leaky_relu(node.maps, node.attribute("alpha", 0.01)),
    "MaxPool": _max_pool,
    "Mul": _both(torch.mul),
    "Neg": _one(torch.neg),
    "Pad": _pad,
    "QuantizeLinear": quantize,
    "Relu": _one(functional.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": _one(torch.sigmoid),
    "Split": _split,
    "Sub": _both(torch.sub),
    "Tanh": _one(torch.tanh),
    "Transpose": lambda node: node.maps.permute(node.attribute("perm", [])),
    **MORE_OPERATORS,
}
"""ONNX operator → the function that replays it in torch."""
