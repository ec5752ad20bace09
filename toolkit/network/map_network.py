"""The second modality: 2D pose maps in, the same heads out; and the network that reads pictures through both.

After the paper's two encoders into one latent space (Kundu et al., ECCV 2020): one learns from skeletons alone, of which motion
capture yields any number, and what it knows is where the other, which sees pictures, starts from.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..runtime.pose import PoseSpec
from .maps import KEYPOINTS, MAPS, PoseMapsReader, keypoint_heads
from .pose_network import CHANNELS, Context, PoseMaps, PoseNetwork, ResidualBlock, new_heads, project, reference_spec, to_units, twice
from .trunk import TRUNK_CHANNELS
from .votes import Votes


class MapBranch(nn.Module):
    """Pose maps of stride 16 (B, 115, h, w) to features of stride 8 (B, 160, 2 h, 2 w)."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce = project(MAPS, CHANNELS)
        self.blocks = nn.Sequential(*(ResidualBlock(CHANNELS) for _ in range(3)))
        self.context = Context(CHANNELS, nn.Sequential(*(ResidualBlock(CHANNELS) for _ in range(4))))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the features; height and width of the maps must be even."""
        return twice(self.context(self.blocks(self.reduce(maps))))


class Settled(nn.Module):
    """The last blocks, then what the votes say added: the heads read the sum.

    The mixing convolution starts as the identity.
    """

    def __init__(self) -> None:
        super().__init__()
        self.votes = Votes(CHANNELS)
        self.mix = nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False)
        nn.init.dirac_(self.mix.weight)

    def forward(self, features: Tensor, maps: Tensor) -> Tensor:
        """Return (B, 160, 2 h, 2 w) from features of that shape and pose maps (B, 115, h, w)."""
        return self.mix(features) + twice(self.votes(maps))

    def read(self, heads: nn.ModuleDict, features: Tensor, maps: Tensor) -> dict[str, Tensor]:
        """Return what heads say of `forward`'s sum, by name, without forming it.

        Everything from the votes' last rectifier on is linear, so each head reads features and votes through one convolution of its
        own: cheaper, and integers need no scale that serves people's places and their poses alike.
        """
        hidden, leave = self.votes.hidden(self.votes.sums(maps)), self.votes.leave
        assert leave.bias is not None
        raw = {}
        for name in heads:
            weight, bias = (heads.get_parameter(f"{name}.{part}") for part in ("weight", "bias"))
            near, far = (weight.flatten(1) @ other.weight.flatten(1) for other in (self.mix, leave))
            placed = functional.conv2d(hidden, far[..., None, None], weight.flatten(1) @ leave.bias)
            raw[name] = functional.conv2d(features, near[..., None, None], bias) + twice(placed)
        return raw

    @torch.no_grad()
    def leave_poses_to_votes(self, heads: nn.ModuleDict, auxiliary: nn.Conv2d) -> None:
        """Divide the work exactly: what the heads of poses read comes from the votes alone, what the centre's head reads from the others."""
        names = [name for name in heads if name != "centre"]
        rows = [auxiliary.weight.flatten(1), *(heads.get_parameter(f"{name}.weight").flatten(1) for name in names)]
        read = torch.cat([*rows, heads.get_parameter("centre.weight").flatten(1)])
        # Column k of `writes` is seen by row k of `read` alone.
        writes = torch.linalg.pinv(read.double())
        poses = (writes[:, :-1] @ read[:-1].double()).float()
        self.mix.weight.copy_((torch.eye(len(poses)) - poses)[..., None, None])
        centre = (writes[:, -1:] @ read[-1:].double()).float()
        leave = self.votes.leave
        assert leave.bias is not None
        leave.weight.sub_((centre @ leave.weight.flatten(1))[..., None, None])
        leave.bias.sub_(centre @ leave.bias)


class MapNetwork(nn.Module):
    """Pose maps to the heads; its parts are named as in `JointNetwork`, which takes them over."""

    def __init__(self) -> None:
        super().__init__()
        self.map_branch = MapBranch()
        self.fuse = nn.Sequential(ResidualBlock(CHANNELS), ResidualBlock(CHANNELS))
        self.settle = Settled()
        self.heads, self.auxiliary = new_heads()

    def features(self, maps: Tensor) -> Tensor:
        """Return (B, 160, 2 h, 2 w) from pose maps (B, 115, h, w)."""
        return self.settle(self.fuse(self.map_branch(maps)), maps)

    def raw_maps(self, maps: Tensor) -> dict[str, Tensor]:
        """Return what the heads' convolutions yield before `to_units`, by name, and `auxiliary`, of maps (B, 115, h, w)."""
        features = self.features(maps)
        return {**{name: head(features) for name, head in self.heads.items()}, "auxiliary": self.auxiliary(features)}

    def forward(self, maps: Tensor) -> PoseMaps:
        """Return the heads of pose maps (B, 115, H / 16, W / 16)."""
        features = self.features(maps)
        return to_units({name: head(features) for name, head in self.heads.items()})


class JointMaps(NamedTuple):
    """PoseMaps, then the heads of key points: heat (B, 17, H / 16, W / 16) and offsets (B, 34, H / 16, W / 16), see PoseSpec."""

    centre: Tensor
    offset: Tensor
    embedding: Tensor
    rotation: Tensor
    depth: Tensor
    keypoints: Tensor
    keypoint_offset: Tensor


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
        self.settle = Settled()
        self.adapter = nn.Conv2d(CHANNELS, CHANNELS, 1)
        for parameter in self.adapter.parameters():
            nn.init.zeros_(parameter)

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return the trunk's, and those of the layers that read PoseNet's maps: learned with the trunk, they move as slowly."""
        return [*self.trunk.parameters(), *self.reader.parameters()]

    def features(self, skip: Tensor, deep: Tensor) -> Tensor:
        """Return (B, 160, H / 8, W / 8) from the two maps of the trunk."""
        latent, maps = self.latent(skip, deep)
        return self.settle(self.fuse(latent), maps)

    def forward(self, images: Tensor) -> JointMaps:  # type: ignore[override]
        """Return the heads of images (B, 3, H, W), normalized floats; H and W must be multiples of 32."""
        skip, deep = self.trunk(images)
        latent, maps = self.latent(skip, deep)
        return JointMaps(*to_units(self.settle.read(self.heads, self.fuse(latent), maps)), *self.reader.keypoints(deep))

    def spec(self) -> PoseSpec:
        """Return the contract of what `forward` returns: that of the reference, with the key points that the trunk tells."""
        spec = reference_spec()
        return replace(spec, heads={**spec.heads, **keypoint_heads()}, keypoints=KEYPOINTS)

    def latent(self, skip: Tensor, deep: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the encoders say of pictures, (B, 160, H / 8, W / 8), and their pose maps, (B, 115, H / 16, W / 16)."""
        maps = self.reader(deep)
        return self.map_branch(maps) + self.adapter(self.picture_features(skip, deep)), maps

    def latent_with(self, skip: Tensor, deep: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """Return `latent` of pictures, followed in the batch by that of pose maps (S, 115, H / 16, W / 16) that have no picture."""
        maps = torch.cat([self.reader(deep), others])
        latent = self.map_branch(maps)
        pictures = latent[: len(deep)] + self.adapter(self.picture_features(skip, deep))
        return torch.cat([pictures, latent[len(deep) :]]), maps

    def raw_of(self, latent: Tensor, maps: Tensor) -> dict[str, Tensor]:
        """Return `raw_maps` of what `latent` returned."""
        features = self.settle(self.fuse(latent), maps)
        return {**{name: head(features) for name, head in self.heads.items()}, "auxiliary": self.auxiliary(features)}

    def take_over(self, network: MapNetwork) -> None:
        """Take the map branch, the last blocks and the heads of a trained network."""
        missing, unknown = self.load_state_dict(network.state_dict(), strict=False)
        assert not unknown, unknown
        assert not any(name.startswith(("map_branch.", "fuse.", "settle.", "heads.", "auxiliary.")) for name in missing)
