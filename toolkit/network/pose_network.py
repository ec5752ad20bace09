"""The network: a picture in, the maps of centres, offsets, embeddings, torso rotations and depths out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from ..errors import PosecError
from ..runtime.pose import Head, PoseSpec
from .pyramid_trunk import PyramidTrunk
from .trunk import SKIP_CHANNELS, TRUNK_CHANNELS, Trunk

CHANNELS = 160
SIZE_MULTIPLE = 32
OFFSET_CELLS = 4.0
DEPTH_LOGS = 3.0
EMBEDDING = 32
AUXILIARY = 24
HEAD_CHANNELS = {"centre": 1, "offset": 2, "embedding": EMBEDDING, "rotation": 6, "depth": 1}


class PoseMaps(NamedTuple):
    """The heads in the order of `runtime.pose.HEADS`, in the units of PoseSpec; each (B, channels, H / 8, W / 8)."""

    centre: Tensor
    offset: Tensor
    embedding: Tensor
    rotation: Tensor
    depth: Tensor


class ResidualBlock(nn.Module):
    """maps + pointwise(depthwise 3x3(maps)), then a rectifier. A depthwise 5x5 would train ten times slower on a CPU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(channels)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.pointwise_norm = nn.BatchNorm2d(channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the shape of `maps`."""
        inner = functional.relu(self.depthwise_norm(self.depthwise(maps)))
        return functional.relu(maps + self.pointwise_norm(self.pointwise(inner)))


def project(inputs: int, outputs: int) -> nn.Sequential:
    """Return a 1x1 convolution with batch norm and rectifier."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


def twice(maps: Tensor) -> Tensor:
    """Return maps at twice the height and width, bilinearly."""
    return functional.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)


class Context(nn.Module):
    """What stands around a cell: features at half the resolution, added to the features they came from.

    The last convolution starts at zero, so a new branch leaves a trained network as it is.
    """

    def __init__(self, channels: int, blocks: nn.Sequential | None = None) -> None:
        super().__init__()
        self.blocks = blocks or nn.Sequential(ResidualBlock(channels), ResidualBlock(channels))
        self.merge = nn.Conv2d(channels, channels, 1)
        for parameter in self.merge.parameters():
            nn.init.zeros_(parameter)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the shape of `maps`; height and width must be even."""
        return maps + twice(self.merge(self.blocks(functional.avg_pool2d(maps, 2))))


class ImageNetwork(nn.Module, ABC):
    """What every network that reads pictures has.

    Attributes:
        architecture: its name in checkpoints.
        trunk: a picture to fine and deep maps; `freeze()` keeps its first layers as they are.
        heads: one 1x1 convolution per head, by name; separate, because one integer scale cannot serve two ranges.
        auxiliary: 12 joints in the picture, (x, y) from the cell in units of px_per_m. It teaches the features where
            limbs are and is used in training alone: `forward` does not touch it, so a traced graph is free of it.
    """

    architecture: str
    trunk: Trunk | PyramidTrunk
    heads: nn.ModuleDict
    auxiliary: nn.Conv2d

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return what was learned before, and moves slowly or not at all."""
        return list(self.trunk.parameters())

    @abstractmethod
    def raw_maps(self, skip: Tensor, deep: Any) -> dict[str, Tensor]:
        """Return what the heads' convolutions yield before `to_units`, by name, and `auxiliary`, from what the trunk returns."""

    @abstractmethod
    def spec(self) -> PoseSpec:
        """Return the contract of what `forward` returns."""


class PoseNetwork(ImageNetwork):
    """The network that reads pictures alone."""

    architecture = "picture"

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.reduce = project(TRUNK_CHANNELS, CHANNELS)
        self.blocks = nn.Sequential(*(ResidualBlock(CHANNELS) for _ in range(4)))
        self.context = Context(CHANNELS)
        self.skip = project(SKIP_CHANNELS, CHANNELS)
        self.fuse = nn.Sequential(ResidualBlock(CHANNELS), ResidualBlock(CHANNELS))
        self.heads, self.auxiliary = new_heads()

    def picture_features(self, skip: Tensor, deep: Tensor) -> Tensor:
        """Return what the last blocks read, (B, 160, H / 8, W / 8), from the two maps of the trunk."""
        return twice(self.context(self.blocks(self.reduce(deep)))) + self.skip(skip)

    def features(self, skip: Tensor, deep: Tensor) -> Tensor:
        """Return (B, 160, H / 8, W / 8) from the two maps of the trunk."""
        return self.fuse(self.picture_features(skip, deep))

    def raw_maps(self, skip: Tensor, deep: Tensor) -> dict[str, Tensor]:
        """Return what the heads' convolutions yield before `to_units`, by name, and `auxiliary`, from the two maps of the trunk."""
        features = self.features(skip, deep)
        return {**{name: head(features) for name, head in self.heads.items()}, "auxiliary": self.auxiliary(features)}

    def forward(self, images: Tensor) -> PoseMaps:
        """Return the heads of images (B, 3, H, W), normalized floats; H and W must be multiples of 32."""
        features = self.features(*self.trunk(images))
        return to_units({name: head(features) for name, head in self.heads.items()})

    def spec(self) -> PoseSpec:
        """Return the contract of what `forward` returns."""
        return reference_spec()


def new_heads(poses: int = CHANNELS, centre: int = CHANNELS) -> tuple[nn.ModuleDict, nn.Conv2d]:
    """Return a convolution for each head, by name, and the auxiliary one, so that untrained they say: nobody, upright, facing the camera.

    The centre's reads `centre` channels, all others `poses`.
    """
    inputs = {name: centre if name == "centre" else poses for name in HEAD_CHANNELS}
    heads = nn.ModuleDict({name: nn.Conv2d(inputs[name], count, 1) for name, count in HEAD_CHANNELS.items()})
    auxiliary = nn.Conv2d(poses, AUXILIARY, 1)
    for name, parameter in (*heads.named_parameters(), *auxiliary.named_parameters()):
        if name.endswith("weight"):
            nn.init.normal_(parameter, std=0.01)
        else:
            nn.init.zeros_(parameter)
    with torch.no_grad():
        heads.get_parameter("centre.bias").fill_(-4.0)  # nearly every cell is empty
        heads.get_parameter("rotation.bias").copy_(torch.tensor([0.0, -1.0, 0.0, 1.0, 0.0, 0.0]))
    return heads, auxiliary


def to_units(raw: dict[str, Tensor]) -> PoseMaps:
    """Bring raw heads of any shape into the units that PoseSpec states."""
    return PoseMaps(
        centre=torch.sigmoid(raw["centre"]),
        offset=OFFSET_CELLS * torch.tanh(raw["offset"]),
        embedding=torch.tanh(raw["embedding"]),
        rotation=torch.tanh(raw["rotation"]),
        depth=DEPTH_LOGS * torch.tanh(raw["depth"]),
    )


def reference_spec() -> PoseSpec:
    """Return the contract of the reference network."""
    ranges = {"centre": (0.0, 1.0), "offset": (-OFFSET_CELLS, OFFSET_CELLS), "depth": (-DEPTH_LOGS, DEPTH_LOGS)}
    return PoseSpec(
        name="reference",
        input_size=(256, 448),
        colour_order="RGB",
        mean=(128.0, 128.0, 128.0),
        std=(128.0, 128.0, 128.0),
        pad_value=128,
        stride=8,
        cell_origin_px=0.0,
        heads={name: Head(name, count, *ranges.get(name, (-1.0, 1.0))) for name, count in HEAD_CHANNELS.items()},
    )


def cost(network: ImageNetwork, size: tuple[int, int]) -> tuple[int, int]:
    """Return the multiply-accumulates of one picture of (height, width) `size`, and the parameters, both as deployed.

    Raises PosecError where a side is no multiple of 32.
    """
    if size[0] % SIZE_MULTIPLE or size[1] % SIZE_MULTIPLE or min(size) < SIZE_MULTIPLE:
        raise PosecError(f"the network takes sizes that are multiples of {SIZE_MULTIPLE}, got {size[0]}x{size[1]}")
    training = network.training
    try:
        # FLOPs count a product and its sum as two; the counter knows convolutions, which are all that there is.
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network.eval()(torch.zeros(1, 3, *size, device=next(network.parameters()).device))
    finally:
        network.train(training)
    products = int(counter.get_total_flops()) // 2
    parameters = sum(value.numel() for name, value in network.named_parameters() if not name.startswith("auxiliary."))
    return products, parameters
