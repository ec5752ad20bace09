"""The network that reads pictures through the key points that its trunk knows: from a person's middle it sees where the joints are.

The paper's two modalities in one latent space (Kundu et al., ECCV 2020): the ways from a cell to 17 key points, which skeletons
yield in any number, and the picture. Their features are added, and poses are read from the sum.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..runtime.pose import KeypointGrid, PoseSpec
from .backbone import DEEP_CHANNELS, FINE_CHANNELS, PyramidTrunk
from .heads import (
    Context,
    JointMaps,
    PoseMaps,
    ResidualBlock,
    new_heads,
    project,
    reference_spec,
    to_units,
    twice,
)
from .keypoints import JOINTS, KEYPOINTS, OFFSET_CELLS, keypoint_heads

FINE_STRIDE = 4
# A cell of stride 8 is the mean of four of stride 4, of which the first is about its first pixel.
CELL_ORIGIN_PX = FINE_STRIDE / 2
GRID = KeypointGrid(FINE_STRIDE, 0.0, KEYPOINTS)
# The reader's branches have so many channels each; these of them are the picture's features, too.
BRANCH = 96
NEAR = ("person", "ways", "heat")
CHANNELS = 128
HIDDEN = 256
# A way to a joint is told at three scales, so that near and far ones can be told apart: 1 is so many pixels, beyond it is cut.
REACHES_PX = (16.0, 48.0, 144.0)
WAYS = 2 * JOINTS * len(REACHES_PX)


class Branch(nn.Sequential):
    """A separable convolution with a rectifier: fine features (B, 24, h, w) to (B, 96, h, w)."""

    def __init__(self) -> None:
        depthwise = nn.Conv2d(FINE_CHANNELS, FINE_CHANNELS, 3, padding=1, groups=FINE_CHANNELS, bias=False)
        super().__init__(depthwise, nn.Conv2d(FINE_CHANNELS, BRANCH, 1), nn.ReLU())


class Ways(nn.Conv2d):
    """A 1x1 convolution to ways in cells of stride 4, all of which are told at three scales."""

    def forward(self, branch: Tensor) -> Tensor:
        """Return the ways (B, 102, h, w) in -1..1 of their branch (B, 96, h, w): x and y of all joints, then again at the next scale."""
        assert self.bias is not None
        scales = [FINE_STRIDE / reach for reach in REACHES_PX]
        weight = torch.cat([self.weight * scale for scale in scales])
        bias = torch.cat([self.bias * scale for scale in scales])
        return functional.conv2d(branch, weight, bias).clamp(-1.0, 1.0)


def told_ways(ways_px: Tensor) -> Tensor:
    """Return ways (K, 17, 2) in pixels as `Ways` tells them, (K, 102)."""
    flat = ways_px.transpose(1, 2).flatten(1)  # all x, then all y
    return torch.cat([(flat / reach).clamp(-1, 1) for reach in REACHES_PX], 1)


class KeypointReader(nn.Module):
    """What MoveNet reads from its trunk: key points anywhere, and, from everywhere, the way to the key points of who is there."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleDict({name: Branch() for name in ("person", "ways", "heat", "offset")})
        # Outputs are x of all joints, then y; ways and offsets are in cells of stride 4.
        self.ways = Ways(BRANCH, 2 * JOINTS, 1)
        self.heat = nn.Conv2d(BRANCH, JOINTS, 1)
        self.offset = nn.Conv2d(BRANCH, 2 * JOINTS, 1)

    def forward(self, fine: Tensor) -> dict[str, Tensor]:
        """Return the branches (B, 96, h, w) by name."""
        return {name: branch(fine) for name, branch in self.branches.items()}

    def keypoints(self, heat: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """Return heat (B, 17, h, w) and offsets (B, 34, h, w) as the heads of key points have them, of their branches."""
        return torch.sigmoid(self.heat(heat)), self.offset(offset).clamp(-OFFSET_CELLS, OFFSET_CELLS)


class Lift(nn.Module):
    """A lifter in every cell: ways to key points, and what the picture's features add, to what poses are read from."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(WAYS, HIDDEN, 1)
        self.see = nn.Conv2d(CHANNELS, HIDDEN, 1, bias=False)
        self.think = nn.Sequential(
            nn.Conv2d(HIDDEN, HIDDEN, 1), nn.ReLU(), nn.Conv2d(HIDDEN, HIDDEN, 1), nn.ReLU()
        )
        nn.init.zeros_(self.see.weight)

    def latent(self, ways: Tensor, features: Tensor | None = None) -> Tensor:
        """Return where both modalities meet, (B, 256, h, w), of ways (B, 102, h, w) and features (B, 128, h, w); skeletons have none of these."""
        met: Tensor = self.enter(ways) if features is None else self.enter(ways) + self.see(features)
        return met

    def forward(self, latent: Tensor) -> Tensor:
        """Return what poses are read from, (B, 256, h, w), of what `latent` returned."""
        hidden: Tensor = self.think(functional.relu(latent))
        return hidden


class KeypointNetwork(nn.Module):
    """Centres from the picture's features, poses from the lift of key points and these features.

    The lift's share of features starts at zero: the network starts as good as its lift, and learns what pictures add.

    Attributes:
        architecture: its name in checkpoints.
        trunk: a picture to fine and deep maps; `freeze()` keeps its first layers as they are.
        heads: one 1x1 convolution per head, by name; separate, because one integer scale cannot serve two ranges.
        auxiliary: 12 joints in the picture, (x, y) from the cell in units of px_per_m. It teaches the features where
            limbs are and is used in training alone: `forward` does not touch it, so a traced graph is free of it.
    """

    architecture = "picture and key points"

    def __init__(self) -> None:
        super().__init__()
        self.trunk = PyramidTrunk()
        self.reader = KeypointReader()
        self.near = project(len(NEAR) * BRANCH, CHANNELS)
        self.far = project(DEEP_CHANNELS, CHANNELS)
        self.blocks = nn.Sequential(ResidualBlock(CHANNELS), ResidualBlock(CHANNELS))
        self.context = Context(CHANNELS)
        self.lift = Lift()
        self.heads, self.auxiliary = new_heads(HIDDEN, CHANNELS)

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return what was learned before, and moves slowly or not at all."""
        return [*self.trunk.parameters(), *self.reader.parameters()]

    def read(self, branches: dict[str, Tensor], deep: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the picture's features (B, 128, H / 8, W / 8) and the lift's latent (B, 256, H / 8, W / 8)."""
        means = {name: functional.avg_pool2d(branches[name], 2) for name in NEAR}
        features = self.near(torch.cat(list(means.values()), 1)) + twice(self.far(torch.cat(deep, 1)))
        features = self.context(self.blocks(features))
        return features, self.lift.latent(self.reader.ways(means["ways"]), features)

    def poses(self, lifted: Tensor) -> dict[str, Tensor]:
        """Return what the heads of poses and `auxiliary` yield of the lift, before `to_units`, by name."""
        heads = {name: head(lifted) for name, head in self.heads.items() if name != "centre"}
        return {**heads, "auxiliary": self.auxiliary(lifted)}

    def raw_maps(self, skip: Tensor, deep: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Return what the heads' convolutions yield before `to_units`, by name, `auxiliary`, and `latent`, from the trunk's fine and deep maps."""
        features, latent = self.read(self.reader(skip), deep)
        return {"centre": self.heads["centre"](features), **self.poses(self.lift(latent)), "latent": latent}

    def forward(self, images: Tensor) -> JointMaps:
        """Return the heads of images (B, 3, H, W), normalized floats; H and W must be multiples of 32."""
        fine, deep = self.trunk(images)
        branches = self.reader(fine)
        features, latent = self.read(branches, deep)
        lifted = self.lift(latent)
        maps: PoseMaps = to_units(
            {name: head(features if name == "centre" else lifted) for name, head in self.heads.items()}
        )
        return JointMaps(*maps, *self.reader.keypoints(branches["heat"], branches["offset"]))

    def spec(self) -> PoseSpec:
        """Return the contract of what `forward` returns."""
        spec = reference_spec()
        return replace(
            spec, cell_origin_px=CELL_ORIGIN_PX, heads={**spec.heads, **keypoint_heads()}, keypoints=GRID
        )
