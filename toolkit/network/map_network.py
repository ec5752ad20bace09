"""The second modality: 2D pose maps in, the same heads out; and the network that reads pictures through both.

After the paper's two encoders into one latent space (Kundu et al., ECCV 2020): one learns from skeletons alone, of which motion
capture yields any number, and what it knows is where the other, which sees pictures, starts from.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .maps import MAPS, PoseMapsReader
from .pose_network import CHANNELS, Context, PoseMaps, PoseNetwork, ResidualBlock, new_heads, project, to_units, twice
from .trunk import TRUNK_CHANNELS


class MapBranch(nn.Module):
    """Pose maps of stride 16 (B, 115, h, w) to features of stride 8 (B, 160, 2 h, 2 w)."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce = project(MAPS, CHANNELS)
        self.blocks = nn.Sequential(*(ResidualBlock(CHANNELS) for _ in range(3)))
        # Wide enough to see, from the middle of a torso that fills the picture, the ankles and the wrists.
        self.context = Context(CHANNELS, blocks=4)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the features; height and width of the maps must be even."""
        return twice(self.context(self.blocks(self.reduce(maps))))


class MapNetwork(nn.Module):
    """Pose maps to the heads; its parts are named as in `JointNetwork`, which takes them over."""

    def __init__(self) -> None:
        super().__init__()
        self.map_branch = MapBranch()
        self.fuse = nn.Sequential(ResidualBlock(CHANNELS), ResidualBlock(CHANNELS))
        self.heads, self.auxiliary = new_heads()

    def raw_maps(self, maps: Tensor) -> dict[str, Tensor]:
        """Return what the heads' convolutions yield before `to_units`, by name, and `auxiliary`, of maps (B, 115, h, w)."""
        features = self.fuse(self.map_branch(maps))
        return {**{name: head(features) for name, head in self.heads.items()}, "auxiliary": self.auxiliary(features)}

    def forward(self, maps: Tensor) -> PoseMaps:
        """Return the heads of pose maps (B, 115, H / 16, W / 16)."""
        features = self.fuse(self.map_branch(maps))
        return to_units({name: head(features) for name, head in self.heads.items()})


class JointNetwork(PoseNetwork):
    """PoseNetwork with a second branch that reads the trunk's own pose maps.

    The branches meet before the last blocks. The adapter of the picture's features starts at zero: the network starts as good as
    its map branch, and learns what pictures add.
    """

    architecture = "picture and maps"

    def __init__(self) -> None:
        super().__init__()
        self.reader = PoseMapsReader(TRUNK_CHANNELS)
        self.map_branch = MapBranch()
        self.adapter = nn.Conv2d(CHANNELS, CHANNELS, 1)
        for parameter in self.adapter.parameters():
            nn.init.zeros_(parameter)

    def features(self, skip: Tensor, deep: Tensor) -> Tensor:
        """Return (B, 160, H / 8, W / 8) from the two maps of the trunk."""
        return self.fuse(self.map_branch(self.reader(deep)) + self.adapter(self.picture_features(skip, deep)))

    def raw_maps_with(self, skip: Tensor, deep: Tensor, maps: Tensor) -> dict[str, Tensor]:
        """Return `raw_maps` of pictures, followed in the batch by those of pose maps (S, 115, H / 16, W / 16) that have no picture."""
        pictures = len(deep)
        seen = self.map_branch(torch.cat([self.reader(deep), maps]))
        seen = torch.cat([seen[:pictures] + self.adapter(self.picture_features(skip, deep)), seen[pictures:]])
        features = self.fuse(seen)
        return {**{name: head(features) for name, head in self.heads.items()}, "auxiliary": self.auxiliary(features)}

    def take_over(self, network: MapNetwork) -> None:
        """Take the map branch, the last blocks and the heads of a trained network."""
        missing, unknown = self.load_state_dict(network.state_dict(), strict=False)
        assert not unknown, unknown
        assert not any(name.startswith(("map_branch.", "fuse.", "heads.", "auxiliary.")) for name in missing)
