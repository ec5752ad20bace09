"""Convolutional blocks that the backbone and the features are built of."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class _StridedConv(torch.autograd.Function):
    """`StridedConv2d` as a single ONNX Conv.

    Torch would export a Pad with amounts computed at run time.
    """

    @staticmethod
    def forward(_context: Any, maps: Tensor, weight: Tensor, bias: Tensor, groups: int) -> Tensor:
        return functional.conv2d(functional.pad(maps, (0, 1, 0, 1)), weight, bias, 2, 0, 1, groups)

    @staticmethod
    def symbolic(graph: Any, maps: Any, weight: Any, bias: Any, groups: int) -> Any:
        shape = {
            "kernel_shape_i": [3, 3],
            "strides_i": [2, 2],
            "pads_i": [0, 0, 1, 1],
            "dilations_i": [1, 1],
            "group_i": groups,
        }
        batch, _, height, width = maps.type().sizes()
        kind = maps.type().with_sizes([batch, weight.type().sizes()[0], height // 2, width // 2])
        return graph.op("Conv", maps, weight, bias, **shape).setType(kind)


class StridedConv2d(nn.Conv2d):
    """A 3x3 convolution of stride 2, padded below and on the right as TensorFlow's SAME pads even sizes."""

    def __init__(self, inputs: int, outputs: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, 3, 2, groups=groups)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / 2, W / 2)."""
        if not torch.onnx.is_in_onnx_export():
            return super().forward(functional.pad(maps, (0, 1, 0, 1)))
        assert self.bias is not None
        halved: Tensor = _StridedConv.apply(maps, self.weight, self.bias, self.groups)
        return halved


class InvertedResidual(nn.Module):
    """MobileNetV2's block: 1x1 expansion, depthwise 3x3, 1x1 projection, with folded batch norms."""

    def __init__(self, inputs: int, outputs: int, stride: int, hidden: int, *, expands: bool = True) -> None:
        super().__init__()
        self.has_skip = stride == 1 and inputs == outputs
        self.expand = nn.Conv2d(inputs, hidden, 1) if expands else None
        self.depthwise = (
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
            if stride == 1
            else StridedConv2d(hidden, hidden, hidden)
        )
        self.project = nn.Conv2d(hidden, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        hidden = maps if self.expand is None else functional.relu6(self.expand(maps))
        projected: Tensor = self.project(functional.relu6(self.depthwise(hidden)))
        return maps + projected if self.has_skip else projected


class ResidualBlock(nn.Module):
    """A depthwise 3x3 and a 1x1 convolution with batch norms, added to the input, then ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(channels)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.pointwise_norm = nn.BatchNorm2d(channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        inner = functional.relu(self.depthwise_norm(self.depthwise(maps)))
        return functional.relu(maps + self.pointwise_norm(self.pointwise(inner)))


class Context(nn.Module):
    """Features at half the resolution, upsampled and added to their input, which widens the receptive field.

    The last convolution starts at zero, so an untrained branch does not change the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(ResidualBlock(channels), ResidualBlock(channels))
        self.merge = nn.Conv2d(channels, channels, 1)
        for parameter in self.merge.parameters():
            nn.init.zeros_(parameter)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape; H and W must be even."""
        return maps + upsample(self.merge(self.blocks(functional.avg_pool2d(maps, 2))))


def conv_norm_relu(inputs: int, outputs: int) -> nn.Sequential:
    """Return a 1x1 convolution with batch norm and ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


def upsample(maps: Tensor) -> Tensor:
    """Return maps (B, C, H, W) at twice the height and width, bilinearly interpolated."""
    return functional.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)
