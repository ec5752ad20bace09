"""The backbone of MoveNet.MultiPose (Google, 2021): MobileNetV2 at width 1.5 with a feature pyramid.

MobileNetV2: Sandler et al., CVPR 2018. Feature pyramid: Lin et al., CVPR 2017.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from .blocks import InvertedResidual, StridedConv2d, upsample
from .shape import BLOCKS, REFERENCE, STEM_CHANNELS, NetworkShape

# Blocks that the pyramid merges at stride 16, 8 and 4.
SIDE_BLOCKS = (9, 5, 2)
# The block of stride 16 that is returned beside the pyramid.
DEEP_BLOCK = 12
# Channels of the pyramid at stride 32, then at 16, 8 and 4.
TOP_CHANNELS = 64
PYRAMID = (32, 24, 24)
FINE_CHANNELS = PYRAMID[-1]
DEEP_CHANNELS = BLOCKS[DEEP_BLOCK][0] + PYRAMID[0]


class PyramidLevel(nn.Module):
    """A pyramid level: the upsampled coarser level plus a lateral 1x1 convolution, then a separable 3x3."""

    def __init__(self, coarse: int, lateral: int, outputs: int) -> None:
        super().__init__()
        self.side = nn.Conv2d(lateral, coarse, 1)
        self.depthwise = nn.Conv2d(coarse, coarse, 3, padding=1, groups=coarse, bias=False)
        self.pointwise = nn.Conv2d(coarse, outputs, 1)

    def forward(self, coarse: Tensor, lateral: Tensor) -> Tensor:
        """Map (B, coarse, h, w) and lateral maps (B, lateral, 2 h, 2 w) to (B, outputs, 2 h, 2 w)."""
        return functional.relu(self.pointwise(self.depthwise(upsample(coarse) + self.side(lateral))))


class Backbone(nn.Module):
    """Image to features of stride 4 and 16.

    Cell i of stride 4 is centred on input pixel 4 i, as in MoveNet.
    """

    def __init__(self, shape: NetworkShape = REFERENCE) -> None:
        super().__init__()
        self.stem = StridedConv2d(3, STEM_CHANNELS)
        inputs = [STEM_CHANNELS, *(channels for channels, _ in BLOCKS)]
        self.blocks = nn.ModuleList(
            InvertedResidual(before, channels, stride, hidden, expands=number > 0)
            if hidden
            else nn.Identity()
            for number, (before, (channels, stride), hidden) in enumerate(
                zip(inputs, BLOCKS, shape.hidden, strict=False)
            )
        )
        self.last = nn.Conv2d(inputs[-1], shape.last, 1)
        self.top = nn.Conv2d(shape.last, TOP_CHANNELS, 1)
        self.levels = nn.ModuleList(
            PyramidLevel(coarse, BLOCKS[block][0], channels)
            for coarse, block, channels in zip((TOP_CHANNELS, *PYRAMID), SIDE_BLOCKS, PYRAMID, strict=False)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return features of images (B, 3, H, W), H and W multiples of 32.

        Returns:
            Fine features (B, 24, H / 4, W / 4), and two deep maps of stride 16: block 12 (B, 144, H / 16, W /
            16) and the pyramid's first level (B, 32, H / 16, W / 16).
        """
        maps = functional.relu6(self.stem(images))
        block_maps = []
        for block in self.blocks:
            maps = block(maps)
            block_maps.append(maps)
        level = self.top(functional.relu6(self.last(maps)))
        levels = []
        for part, number in zip(self.levels, SIDE_BLOCKS, strict=True):
            level = part(level, block_maps[number])
            levels.append(level)
        return levels[-1], (block_maps[DEEP_BLOCK], levels[0])

    def freeze(self) -> None:
        """Freeze MobileNetV2.

        The pyramid stays trainable, because it is cheap to train and int8 blurs it most.
        """
        for part in (self.stem, self.blocks, self.last):
            part.requires_grad_(False)
