"""Ranges of channels, and scaling of channels between layers without changing the outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# Upper bound of ReLU6. Equalized channels get the same range, so that weights remain trainable.
SIX = 6.0
# Bound of a channel's factor relative to the largest channel's, as it may be silent on these pictures only.
MAX_FACTOR = 50.0
# Layers before a ReLU6.
BEFORE_RELU6 = re.compile(r"backbone\.(stem|last|blocks\.\d+\.(expand|depthwise))")
# Largest absolute values of channels, by the name of the module that computes them, or NAME.input.
ChannelRanges = dict[str, Tensor]


@contextmanager
def channel_ranges(network: nn.Module) -> Iterator[ChannelRanges]:
    """Record the ranges of outputs of all modules, and of inputs of convolutions, within the context.

    Before a ReLU6 only positive values count.
    """
    ranges: ChannelRanges = {}

    def record(name: str, maps: object) -> None:
        if isinstance(maps, Tensor) and maps.dim() == 4:
            values = maps.clamp(min=0) if BEFORE_RELU6.fullmatch(name) else maps.abs()
            largest_values = values.amax((0, 2, 3))
            known = ranges.get(name)
            ranges[name] = largest_values if known is None else torch.maximum(known, largest_values)

    hooks = []
    for name, module in network.named_modules():
        hooks.append(
            module.register_forward_hook(lambda _module, _inputs, output, name=name: record(name, output))
        )
        if isinstance(module, nn.Conv2d):
            hooks.append(
                module.register_forward_pre_hook(
                    lambda _module, inputs, name=name: record(f"{name}.input", inputs[0])
                )
            )
    try:
        yield ranges
    finally:
        for hook in hooks:
            hook.remove()


def largest(ranges: ChannelRanges, *names: str) -> Tensor:
    """Return the largest range (C,) of channels over several tensors."""
    return torch.stack([ranges[name] for name in names]).amax(0)


def range_scale(ranges: Tensor) -> Tensor:
    """Return the factors (C,) that scale channels of the given ranges (C,) to the range 6.

    The factor of a channel is at most MAX_FACTOR times that of the largest one.
    """
    return SIX / ranges.clamp(min=float(ranges.max()) / MAX_FACTOR)


def scale_outputs(layer: nn.Module, scale: Tensor) -> None:
    """Multiply the output channels of a layer by `scale` (C,)."""
    weight = layer.get_parameter("weight")
    weight.mul_(scale.reshape(-1, *(1,) * (weight.dim() - 1)))
    if getattr(layer, "bias", None) is not None:
        layer.get_parameter("bias").mul_(scale)


def unscale_inputs(layer: nn.Module, scale: Tensor, first: int = 0) -> None:
    """Compensate a `scale` (C,) of input channels, from `first` on, in the weights of a convolution."""
    layer.get_parameter("weight")[:, first : first + len(scale)].div_(scale[:, None, None])


def rescale_depthwise(depthwise: nn.Module, input_scale: Tensor, output_scale: Tensor) -> None:
    """Compensate an `input_scale` (C,) in a depthwise convolution without bias, and scale its output."""
    depthwise.get_parameter("weight").mul_((output_scale / input_scale)[:, None, None, None])
