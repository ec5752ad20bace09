"""The trunk with a pyramid: MobileNetV2 with 1.5 times its channels, and features of stride 4 that know what deeper ones know.

As MoveNet.MultiPose has it (Google, 2021): MobileNetV2 (Sandler et al., CVPR 2018) with a feature pyramid (Lin et al., CVPR 2017).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

STEM_CHANNELS = 48
EXPANSION = 6
# Channels and stride of the seventeen inverted residual blocks.
BLOCKS = ((24, 1), (40, 2), (40, 1), (48, 2), (48, 1), (48, 1), (96, 2), (96, 1), (96, 1), (96, 1), (144, 1), (144, 1), (144, 1),
          (240, 2), (240, 1), (240, 1), (480, 1))  # fmt: skip
LAST_CHANNELS = 1280
# Blocks, counted from 0, that the pyramid reads at stride 16, 8 and 4, and the one whose maps leave the trunk beside the pyramid's.
SIDE_BLOCKS = (9, 5, 2)
DEEP_BLOCK = 12
# Channels at which the pyramid starts at stride 32, and those that it has after each level.
PYRAMID_START = 64
PYRAMID = (32, 24, 24)
FINE_CHANNELS = PYRAMID[-1]
DEEP_CHANNELS = BLOCKS[DEEP_BLOCK][0] + PYRAMID[0]


class _Padded(torch.autograd.Function):
    """`Halving` as the one operator that ONNX has for it; torch has two, and their export computes the padding at run time."""

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


class Halving(nn.Conv2d):
    """A 3x3 convolution of stride 2 that pads as TensorFlow's SAME does at even sizes: below and on the right."""

    def __init__(self, inputs: int, outputs: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, 3, 2, groups=groups)

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, outputs, H / 2, W / 2) from (B, inputs, H, W)."""
        if not torch.onnx.is_in_onnx_export():
            return super().forward(functional.pad(maps, (0, 1, 0, 1)))
        assert self.bias is not None
        halved: Tensor = _Padded.apply(maps, self.weight, self.bias, self.groups)
        return halved


class InvertedResidual(nn.Module):
    """A wide depthwise 3x3 between two pointwise convolutions; batch norms are folded into them."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * inputs
        self.keeps = stride == 1 and inputs == outputs
        self.expand = nn.Conv2d(inputs, wide, 1) if expansion > 1 else None
        self.depthwise = (
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide) if stride == 1 else Halving(wide, wide, wide)
        )
        self.project = nn.Conv2d(wide, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride) from (B, inputs, H, W)."""
        wide = maps if self.expand is None else functional.relu6(self.expand(maps))
        narrow: Tensor = self.project(functional.relu6(self.depthwise(wide)))
        return maps + narrow if self.keeps else narrow


class PyramidLevel(nn.Module):
    """Twice the size of the level before, what a block of the trunk saw at that size, and a separable convolution over their sum."""

    def __init__(self, before: int, side: int, outputs: int) -> None:
        super().__init__()
        self.side = nn.Conv2d(side, before, 1)
        self.depthwise = nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False)
        self.pointwise = nn.Conv2d(before, outputs, 1)

    def forward(self, above: Tensor, side: Tensor) -> Tensor:
        """Return (B, outputs, 2 h, 2 w) from (B, before, h, w) and the block's maps."""
        larger = functional.interpolate(above, scale_factor=2.0, mode="bilinear", align_corners=False)
        return functional.relu(self.pointwise(self.depthwise(larger + self.side(side))))


class PyramidTrunk(nn.Module):
    """Picture to features of stride 4 and 16. Cell i of the fine ones is about input pixel 4 i, as MoveNet's key points were trained."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Halving(3, STEM_CHANNELS)
        inputs = [STEM_CHANNELS, *(channels for channels, _ in BLOCKS)]
        self.blocks = nn.ModuleList(
            InvertedResidual(before, channels, stride, EXPANSION if number else 1)
            for number, (before, (channels, stride)) in enumerate(zip(inputs, BLOCKS, strict=False))
        )
        self.last = nn.Conv2d(inputs[-1], LAST_CHANNELS, 1)
        self.top = nn.Conv2d(LAST_CHANNELS, PYRAMID_START, 1)
        self.levels = nn.ModuleList(
            PyramidLevel(before, BLOCKS[block][0], channels)
            for before, block, channels in zip((PYRAMID_START, *PYRAMID), SIDE_BLOCKS, PYRAMID, strict=False)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the fine features (B, 24, H / 4, W / 4) and the deep ones of images (B, 3, H, W), whose sides are multiples of 32.

        The deep ones are two maps of stride 16: block 12 (B, 144, …), and the pyramid's first level (B, 32, …).
        """
        maps = functional.relu6(self.stem(images))
        made = []
        for block in self.blocks:
            maps = block(maps)
            made.append(maps)
        level = self.top(functional.relu6(self.last(maps)))
        levels = []
        for part, number in zip(self.levels, SIDE_BLOCKS, strict=True):
            level = part(level, made[number])
            levels.append(level)
        return levels[-1], (made[DEEP_BLOCK], levels[0])

    def freeze(self) -> None:
        """Keep MobileNetV2 as it is; the pyramid costs little to move, and is what int8 blurs most."""
        for part in (self.stem, self.blocks, self.last):
            part.requires_grad_(False)
