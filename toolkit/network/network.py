"""The pose network: centres from image features, poses lifted from key points and image features.

Key points and image share one latent space (Kundu et al., ECCV 2020): encoded offsets from a cell to 17 key
points, which skeletons provide in any number, and the features of the image are added, and the pose heads
read the sum.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from ..errors import PosecError
from ..runtime.pose import PoseSpec
from . import keypoints
from .backbone import DEEP_CHANNELS, Backbone
from .blocks import Context, ResidualBlock, conv_norm_relu, upsample
from .heads import (
    FEATURE_CHANNELS,
    LATENT_CHANNELS,
    LiftingHead,
    NetworkOutputs,
    PoseMaps,
    new_heads,
    reference_spec,
    to_units,
)
from .keypoints import BRANCH_CHANNELS, KeypointHead, keypoint_heads
from .shape import REFERENCE, NetworkShape

SIZE_MULTIPLE = 32
# A cell of stride 8 averages four cells of stride 4, the first of which is centred on its first pixel.
CELL_ORIGIN_PX = keypoints.STRIDE / 2
# Branches of the key-point head that are image features as well.
FEATURE_BRANCHES = ("center", "regression", "heatmap")
# Prefixes of weights that start from MoveNet; the shipped ones are on the int8 grid.
PRETRAINED_PREFIXES = ("backbone.", "keypoint_head.")


class KeypointNetwork(nn.Module):
    """Multi-person pose network on a MoveNet backbone.

    Attributes:
        architecture: its name in checkpoints.
        backbone: image to fine and deep features; `freeze()` excludes MobileNetV2 from training.
        keypoint_head: fine features to key points.
        lifting_head: encoded key-point offsets and image features to the input of the pose heads.
        heads: one 1x1 convolution per head, by name; separate, because one int8 scale cannot serve two
            ranges.
        auxiliary: 12 joints in the image, (x, y) from the cell in units of px_per_m. It supervises the
            features in
            training only: `forward` does not use it, so a traced graph does not contain it.
    """

    architecture = "picture and key points"

    def __init__(self, shape: NetworkShape = REFERENCE) -> None:
        super().__init__()
        self.backbone = Backbone(shape)
        self.keypoint_head = KeypointHead()
        self.fine_projection = conv_norm_relu(len(FEATURE_BRANCHES) * BRANCH_CHANNELS, FEATURE_CHANNELS)
        self.deep_projection = conv_norm_relu(DEEP_CHANNELS, FEATURE_CHANNELS)
        self.blocks = nn.Sequential(ResidualBlock(FEATURE_CHANNELS), ResidualBlock(FEATURE_CHANNELS))
        self.context = Context(FEATURE_CHANNELS)
        self.lifting_head = LiftingHead(shape)
        self.heads, self.auxiliary = new_heads(LATENT_CHANNELS, FEATURE_CHANNELS)

    def pretrained_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that start from MoveNet and have a learning rate of their own."""
        return [*self.backbone.parameters(), *self.keypoint_head.parameters()]

    def merge(self, pooled: dict[str, Tensor], deep: tuple[Tensor, Tensor]) -> Tensor:
        """Return the input of `blocks` (B, 128, h, w) of branches pooled to stride 8 and of deep features."""
        fine: Tensor = self.fine_projection(torch.cat([pooled[name] for name in FEATURE_BRANCHES], 1))
        return fine + upsample(self.deep_projection(torch.cat(deep, 1)))

    def encode(self, branches: dict[str, Tensor], deep: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return image features (B, 128, h, w) and the lifting head's latent (B, 256, h, w), of stride 8."""
        pooled = {name: functional.avg_pool2d(branches[name], 2) for name in FEATURE_BRANCHES}
        features = self.context(self.blocks(self.merge(pooled, deep)))
        offsets = self.keypoint_head.regression(pooled["regression"])
        return features, self.lifting_head.latent(offsets, features)

    def poses(self, lifted: Tensor) -> dict[str, Tensor]:
        """Return raw pose heads and `auxiliary` of the lifting head's output, by name, before `to_units`."""
        heads = {name: head(lifted) for name, head in self.heads.items() if name != "centre"}
        return {**heads, "auxiliary": self.auxiliary(lifted)}

    def raw_maps(self, fine: Tensor, deep: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Return raw heads, `auxiliary` and `latent` of the backbone's features, by name."""
        features, latent = self.encode(self.keypoint_head(fine), deep)
        return {
            "centre": self.heads["centre"](features),
            **self.poses(self.lifting_head(latent)),
            "latent": latent,
        }

    def forward(self, images: Tensor) -> NetworkOutputs:
        """Return the heads of normalized images (B, 3, H, W); H and W must be multiples of 32."""
        fine, deep = self.backbone(images)
        branches = self.keypoint_head(fine)
        features, latent = self.encode(branches, deep)
        lifted = self.lifting_head(latent)
        maps: PoseMaps = to_units(
            {name: head(features if name == "centre" else lifted) for name, head in self.heads.items()}
        )
        return NetworkOutputs(*maps, *self.keypoint_head.outputs(branches))

    def spec(self) -> PoseSpec:
        """Return the specification of the outputs of `forward`."""
        spec = reference_spec()
        heads = {**spec.heads, **keypoint_heads()}
        return replace(spec, cell_origin_px=CELL_ORIGIN_PX, heads=heads, keypoints=keypoints.GRID)


def cost(network: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    """Return the multiply-accumulates for one image of a (height, width), and the deployed parameters.

    Raises PosecError where a side is not a multiple of 32.
    """
    if size[0] % SIZE_MULTIPLE or size[1] % SIZE_MULTIPLE or min(size) < SIZE_MULTIPLE:
        raise PosecError(
            f"the network takes sizes that are multiples of {SIZE_MULTIPLE}, got {size[0]}x{size[1]}"
        )
    training = network.training
    try:
        # A multiply-accumulate counts as two operations; the network has convolutions only.
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network.eval()(torch.zeros(1, 3, *size, device=next(network.parameters()).device))
    finally:
        network.train(training)
    parameters = sum(
        value.numel() for name, value in network.named_parameters() if not name.startswith("auxiliary.")
    )
    return int(counter.get_total_flops()) // 2, parameters
