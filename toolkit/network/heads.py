"""What the network is made of: blocks, the heads of centres, offsets, embeddings, torso rotations and depths, and their units."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from ..errors import PosecError
from ..runtime.pose import Head, PoseSpec

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


class JointMaps(NamedTuple):
    """PoseMaps, then the heads of key points: heat (B, 17, H / 4, W / 4) and offsets (B, 34, H / 4, W / 4), see PoseSpec."""

    centre: Tensor
    offset: Tensor
    embedding: Tensor
    rotation: Tensor
    depth: Tensor
    keypoints: Tensor
    keypoint_offset: Tensor


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

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(ResidualBlock(channels), ResidualBlock(channels))
        self.merge = nn.Conv2d(channels, channels, 1)
        for parameter in self.merge.parameters():
            nn.init.zeros_(parameter)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the shape of `maps`; height and width must be even."""
        return maps + twice(self.merge(self.blocks(functional.avg_pool2d(maps, 2))))


def new_heads(poses: int, centre: int) -> tuple[nn.ModuleDict, nn.Conv2d]:
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
    ranges = {
        "centre": (0.0, 1.0),
        "offset": (-OFFSET_CELLS, OFFSET_CELLS),
        "depth": (-DEPTH_LOGS, DEPTH_LOGS),
    }
    return PoseSpec(
        name="reference",
        input_size=(256, 448),
        colour_order="RGB",
        mean=(128.0, 128.0, 128.0),
        std=(128.0, 128.0, 128.0),
        pad_value=128,
        stride=8,
        cell_origin_px=0.0,
        heads={
            name: Head(name, count, *ranges.get(name, (-1.0, 1.0))) for name, count in HEAD_CHANNELS.items()
        },
    )


def cost(network: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    """Return the multiply-accumulates of one picture of (height, width) `size`, and the parameters, both as deployed.

    Raises PosecError where a side is no multiple of 32.
    """
    if size[0] % SIZE_MULTIPLE or size[1] % SIZE_MULTIPLE or min(size) < SIZE_MULTIPLE:
        raise PosecError(
            f"the network takes sizes that are multiples of {SIZE_MULTIPLE}, got {size[0]}x{size[1]}"
        )
    training = network.training
    try:
        # FLOPs count a product and its sum as two; the counter knows convolutions, which are all that there is.
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network.eval()(torch.zeros(1, 3, *size, device=next(network.parameters()).device))
    finally:
        network.train(training)
    products = int(counter.get_total_flops()) // 2
    parameters = sum(
        value.numel() for name, value in network.named_parameters() if not name.startswith("auxiliary.")
    )
    return products, parameters
