"""The image trunk: MobileNetV1 with 0.75 of its channels, to stride 16, as PoseNet trained it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

STEM_CHANNELS = 24
# Channels and stride of the thirteen depthwise-separable blocks.
BLOCKS = ((48, 1), (96, 2), (96, 1), (192, 2), (192, 1), (384, 2), *((384, 1),) * 7)
SKIP_BLOCK = 5
SKIP_CHANNELS = BLOCKS[SKIP_BLOCK - 1][0]
TRUNK_CHANNELS = BLOCKS[-1][0]


class SeparableBlock(nn.Module):
    """A depthwise 3x3 and a pointwise convolution, a ReLU6 after each; batch norms are folded into them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride) from (B, inputs, H, W)."""
        return functional.relu6(self.pointwise(functional.relu6(self.depthwise(maps))))


class Trunk(nn.Module):
    """Picture to features of stride 8 and 16.

    The padding of 1 on all sides is what PoseNet was trained with: at its sizes, 16 k + 1, TensorFlow's
    SAME padding is symmetric. So cell i of a map of stride s sees around input pixel s * i, at any size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM_CHANNELS, 3, 2, padding=1)
        inputs = [STEM_CHANNELS, *(channels for channels, _ in BLOCKS)]
        self.blocks = nn.ModuleList(SeparableBlock(i, channels, stride) for i, (channels, stride) in zip(inputs, BLOCKS, strict=False))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps after block 5 (B, 192, H / 8, W / 8) and block 13 (B, 384, H / 16, W / 16) of images (B, 3, H, W)."""
        maps = skip = functional.relu6(self.stem(images))
        for number, block in enumerate(self.blocks, 1):
            maps = block(maps)
            if number == SKIP_BLOCK:
                skip = maps
        return skip, maps

    def freeze(self) -> None:
        """Keep the stem and the blocks up to the skip as they are: their backward pass costs the most and gains the least."""
        for part in (self.stem, *self.blocks[:SKIP_BLOCK]):
            part.requires_grad_(False)


def convolutions(trunk: Trunk) -> tuple[nn.Conv2d, ...]:
    """Return the trunk's convolutions in the order in which a picture passes them."""
    return tuple(module for module in trunk.modules() if isinstance(module, nn.Conv2d))
