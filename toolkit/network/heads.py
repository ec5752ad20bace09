"""Heads of the pose network: lifting from key points and features, output maps, and their units."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..runtime.pose import Head, PoseSpec
from .keypoints import OFFSET_CHANNELS
from .shape import REFERENCE, NetworkShape

OFFSET_CELLS = 4.0
DEPTH_LOGS = 3.0
EMBEDDING = 32
AUXILIARY = 24
FEATURE_CHANNELS = 128
LATENT_CHANNELS = 256
HEAD_CHANNELS = {"centre": 1, "offset": 2, "embedding": EMBEDDING, "rotation": 6, "depth": 1}


class PoseMaps(NamedTuple):
    """Heads in the order of `runtime.pose.HEADS` and the units of PoseSpec, (B, channels, H / 8, W / 8)."""

    centre: Tensor
    offset: Tensor
    embedding: Tensor
    rotation: Tensor
    depth: Tensor


class NetworkOutputs(NamedTuple):
    """PoseMaps, key-point heat (B, 17, H / 4, W / 4) in 0..1, and offsets (B, 34, H / 4, W / 4) in cells."""

    centre: Tensor
    offset: Tensor
    embedding: Tensor
    rotation: Tensor
    depth: Tensor
    keypoints: Tensor
    keypoint_offset: Tensor


class LiftingHead(nn.Module):
    """Lifts encoded key-point offsets and image features to the input of the pose heads, in every cell.

    Features start with zero weights, so an untrained network is as accurate as its lifting from key points.
    """

    def __init__(self, shape: NetworkShape = REFERENCE) -> None:
        super().__init__()
        self.from_keypoints = nn.Conv2d(OFFSET_CHANNELS, shape.latent, 1)
        self.from_features = nn.Conv2d(FEATURE_CHANNELS, shape.latent, 1, bias=False)
        self.mlp = nn.Sequential(
            nn.Conv2d(shape.latent, shape.lifting, 1),
            nn.ReLU(),
            nn.Conv2d(shape.lifting, LATENT_CHANNELS, 1),
            nn.ReLU(),
        )
        nn.init.zeros_(self.from_features.weight)

    def latent(self, offsets: Tensor, features: Tensor | None = None) -> Tensor:
        """Return the latent (B, 256, h, w) of encoded offsets (B, 102, h, w) and features (B, 128, h, w).

        Skeletons without an image have no features.
        """
        latent: Tensor = self.from_keypoints(offsets)
        return latent if features is None else latent + self.from_features(features)

    def forward(self, latent: Tensor) -> Tensor:
        """Map the latent (B, 256, h, w) to the input of the pose heads, of the same shape."""
        hidden: Tensor = self.mlp(functional.relu(latent))
        return hidden


def new_heads(pose_channels: int, centre_channels: int) -> tuple[nn.ModuleDict, nn.Conv2d]:
    """Return a 1x1 convolution for each head by name, and the auxiliary one.

    The centre head reads `centre_channels`, all others `pose_channels`. Untrained heads yield no people, and
    poses that are upright and face the camera.
    """
    inputs = {name: centre_channels if name == "centre" else pose_channels for name in HEAD_CHANNELS}
    heads = nn.ModuleDict({name: nn.Conv2d(inputs[name], count, 1) for name, count in HEAD_CHANNELS.items()})
    auxiliary = nn.Conv2d(pose_channels, AUXILIARY, 1)
    for name, parameter in (*heads.named_parameters(), *auxiliary.named_parameters()):
        if name.endswith("weight"):
            nn.init.normal_(parameter, std=0.01)
        else:
            nn.init.zeros_(parameter)
    with torch.no_grad():
        heads.get_parameter("centre.bias").fill_(-4.0)  # most cells are empty
        heads.get_parameter("rotation.bias").copy_(torch.tensor([0.0, -1.0, 0.0, 1.0, 0.0, 0.0]))
    return heads, auxiliary


def to_units(raw: dict[str, Tensor]) -> PoseMaps:
    """Convert raw heads of any shape to the units of PoseSpec."""
    return PoseMaps(
        centre=torch.sigmoid(raw["centre"]),
        offset=OFFSET_CELLS * torch.tanh(raw["offset"]),
        embedding=torch.tanh(raw["embedding"]),
        rotation=torch.tanh(raw["rotation"]),
        depth=DEPTH_LOGS * torch.tanh(raw["depth"]),
    )


def reference_spec() -> PoseSpec:
    """Return the specification of the reference network without its key-point heads."""
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
