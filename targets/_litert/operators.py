"""Layers that TFLite can express, each as the torch operation that the converter knows; others are in `more_operators`."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .integers import dequantize, quantize
from .more_operators import MORE_OPERATORS
from .step import Step
from .windows import pad_windows


def _conv(step: Step) -> Tensor:
    weight, bias = step.tensor(1), step.tensors[2] if len(step.tensors) > 2 else None
    strides, dilations = step.stated("strides", [1, 1]), step.stated("dilations", [1, 1])
    maps, pads = pad_windows(step, weight.shape[2:], strides, dilations)
    return functional.conv2d(maps, weight, bias, strides, pads, dilations, step.stated("group", 1))


def _conv_transpose(step: Step) -> Tensor:
    weight, bias = step.tensor(1), step.tensors[2] if len(step.tensors) > 2 else None
    pads = step.stated("pads", [0, 0, 0, 0])
    if (
        pads[:2] != pads[2:]
        or step.stated("output_shape", None)
        or step.stated("auto_pad", "NOTSET") != "NOTSET"
    ):
        raise step.refusal("pads unevenly")
    strides, dilations, more = (
        step.stated(name, [size, size])
        for name, size in (("strides", 1), ("dilations", 1), ("output_padding", 0))
    )
    return functional.conv_transpose2d(
        step.maps, weight, bias, strides, pads[:2], more, step.stated("group", 1), dilations
    )


def _clip(step: Step) -> Tensor:
    low, high = (None if limit is None else float(limit) for limit in (step.constant(1), step.constant(2)))
    if (low, high) == (0, 1):  # of Clip(0, 1) the converter makes an operator that XNNPACK does not know
        return functional.relu6(6 * step.maps) / 6
    return functional.relu6(step.maps) if (low, high) == (0, 6) else torch.clamp(step.maps, low, high)


def _average_pool(step: Step) -> Tensor:
    kernel, inclusive = step.stated("kernel_shape", []), bool(step.stated("count_include_pad", 0))
    strides = step.stated("strides", [1, 1])
    maps, pads = pad_windows(step, kernel, strides, [1, 1], 0.0 if inclusive else None)
    return functional.avg_pool2d(maps, kernel, strides, pads, bool(step.stated("ceil_mode", 0)), inclusive)


def _max_pool(step: Step) -> Tensor:
    kernel = step.stated("kernel_shape", [])
    strides, dilations = step.stated("strides", [1, 1]), step.stated("dilations", [1, 1])
    maps, pads = pad_windows(step, kernel, strides, dilations, float("-inf"))
    return functional.max_pool2d(maps, kernel, strides, pads, dilations, bool(step.stated("ceil_mode", 0)))


def _resize(step: Step) -> Tensor:
    mode, place = step.stated("mode", "nearest"), step.stated("coordinate_transformation_mode", "half_pixel")
    scales, sizes, before = step.constant(2), step.constant(3), np.asarray(step.maps.shape[2:])
    if scales is not None and scales.size:
        after = np.floor(before * scales[2:]).astype(int)
    elif sizes is not None:
        after = sizes[2:].astype(int)
    else:
        raise step.refusal("states neither scales nor sizes")
    size = [int(number) for number in after]
    if mode == "linear" and place in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        return functional.interpolate(
            step.maps, size, mode="bilinear", align_corners=place == "align_corners"
        )
    counting = (place, step.stated("nearest_mode", "round_prefer_floor"))
    # Where every pixel is repeated a whole number of times, the two ways of counting find the same nearest one.
    same = counting == ("half_pixel", "round_prefer_floor") and not np.any(after % before)
    if mode == "nearest" and (counting == ("asymmetric", "floor") or same):
        return functional.interpolate(step.maps, size, mode="nearest")
    raise step.refusal(f"resizes by {mode}, {', '.join(counting)}")


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}


def _pad(step: Step) -> Tensor:
    pads, value = step.constant(1), step.constant(2)
    mode = _PAD_MODES.get(step.stated("mode", "constant"))
    if mode is None or pads is None:
        raise step.refusal(f"pads by {step.stated('mode', 'constant')}")
    rank = len(pads) // 2
    sides = [int(pads[axis + side * rank]) for axis in reversed(range(rank)) for side in (0, 1)]
    if mode != "constant":
        if any(sides[4:]):
            raise step.refusal(f"pads channels by {mode}")
        return functional.pad(step.maps, sides[:4], mode=mode)
    return functional.pad(step.maps, sides, value=0.0 if value is None else float(value))


def _reshape(step: Step) -> Tensor:
    sizes = step.constant(1)
    if sizes is None:
        raise step.refusal("does not state its sizes")
    # 0 stands for the size of the input there, -1 for what is left.
    return step.maps.reshape([int(size) or step.maps.shape[axis] for axis, size in enumerate(sizes)])


def _hard_sigmoid(step: Step) -> Tensor:
    return torch.clamp(step.stated("alpha", 0.2) * step.maps + step.stated("beta", 0.5), 0, 1)


def _split(step: Step) -> tuple[Tensor, ...]:
    """Return channels apart: as slices, because TFLite's own SPLIT makes equal parts, and in NHWC, or the converter moves all maps first."""
    sizes = step.constant(1)
    if sizes is None or step.stated("axis", 0) != 1:
        raise step.refusal("splits otherwise than channels into stated numbers of them")
    last, ends = step.maps.permute(0, 2, 3, 1), np.cumsum([0, *sizes])
    return tuple(
        last[..., int(begin) : int(end)].permute(0, 3, 1, 2) for begin, end in itertools.pairwise(ends)
    )


def _concat(step: Step) -> Tensor:
    """Return tensors side by side: channels in NHWC, or the converter moves every map there and back where one of them was moved before."""
    maps, axis = [step.tensor(position) for position in range(len(step.tensors))], step.stated("axis", 1)
    if axis != 1 or step.maps.ndim != 4:
        return torch.cat(maps, axis)
    return torch.cat([each.permute(0, 2, 3, 1) for each in maps], 3).permute(0, 3, 1, 2)


def _both(compute: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Step], Tensor]:
    return lambda step: compute(step.tensor(0), step.tensor(1))


def _one(compute: Callable[[Tensor], Tensor]) -> Callable[[Step], Tensor]:
    return lambda step: compute(step.maps)


OPERATORS: dict[str, Callable[[Step], Tensor | tuple[Tensor, ...]]] = {
    "Add": _both(torch.add), "Sub": _both(torch.sub), "Mul": _both(torch.mul), "Div": _both(torch.div),
    "AveragePool": _average_pool, "Clip": _clip,
    "Concat": _concat, "Conv": _conv, "ConvTranspose": _conv_transpose, "DequantizeLinear": dequantize,
    "GlobalAveragePool": _one(lambda maps: maps.mean((2, 3), keepdim=True)), "HardSigmoid": _hard_sigmoid,
    "LeakyRelu": lambda step: functional.leaky_relu(step.maps, step.stated("alpha", 0.01)),
    "MaxPool": _max_pool, "Neg": _one(torch.neg), "Pad": _pad, "QuantizeLinear": quantize, "Relu": _one(functional.relu),
    "Reshape": _reshape, "Resize": _resize, "Sigmoid": _one(torch.sigmoid), "Split": _split, "Tanh": _one(torch.tanh),
    "Transpose": lambda step: step.maps.permute(step.stated("perm", [])),
    **MORE_OPERATORS,
}  # fmt: skip
"""ONNX operator → what replays it."""
