"""COCO's 17 key points as outputs of the network: heat maps, offsets, and regression from each cell.

Architecture of MoveNet.MultiPose's key-point heads (Google, 2021).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..runtime.pose import KEYPOINT_HEADS, Head, KeypointGrid
from .backbone import FINE_CHANNELS

JOINTS = 17
# Names of COCO's key points as joints of MUPOTS17, which has no joints of the face.
KEYPOINTS = ("",) * 5 + tuple(
    f"{side}_{part}"
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
# Index of the left-right counterpart of each key point.
MIRROR = [0, *(joint + (1 if joint % 2 else -1) for joint in range(1, JOINTS))]
OFFSET_CELLS = 2.0
STRIDE = 4
GRID = KeypointGrid(STRIDE, 0.0, KEYPOINTS)
BRANCH_CHANNELS = 96
BRANCHES = ("center", "regression", "heatmap", "offset")
# Offsets are encoded at three scales, in pixels per unit and clipped to -1..1, to be precise near the cell
# and bounded far off.
OFFSET_SCALES_PX = (16.0, 48.0, 144.0)
OFFSET_CHANNELS = 2 * JOINTS * len(OFFSET_SCALES_PX)


def encode_offsets(offsets_px: Tensor) -> Tensor:
    """Encode key-point offsets (K, 17, 2) in pixels at three clipped scales; returns (K, 102)."""
    flat = offsets_px.transpose(1, 2).flatten(1)  # all x, then all y
    return torch.cat([(flat / scale).clamp(-1, 1) for scale in OFFSET_SCALES_PX], 1)


def keypoint_heads() -> dict[str, Head]:
    """Return the specification of the key-point heads, by name."""
    ranges = ((JOINTS, 0.0, 1.0), (2 * JOINTS, -OFFSET_CELLS, OFFSET_CELLS))
    return {name: Head(name, *bounds) for name, bounds in zip(KEYPOINT_HEADS, ranges, strict=True)}


class Branch(nn.Sequential):
    """A separable 3x3 convolution with ReLU: fine features (B, 24, h, w) to (B, 96, h, w)."""

    def __init__(self) -> None:
        depthwise = nn.Conv2d(FINE_CHANNELS, FINE_CHANNELS, 3, padding=1, groups=FINE_CHANNELS, bias=False)
        super().__init__(depthwise, nn.Conv2d(FINE_CHANNELS, BRANCH_CHANNELS, 1), nn.ReLU())


class KeypointRegression(nn.Conv2d):
    """A 1x1 convolution to key-point offsets in cells of stride 4, encoded as `encode_offsets` does."""

    def forward(self, branch: Tensor) -> Tensor:
        """Map a branch (B, 96, h, w) to encoded offsets (B, 102, h, w): per scale x of all joints, then y."""
        assert self.bias is not None
        factors = [STRIDE / scale for scale in OFFSET_SCALES_PX]
        weight = torch.cat([self.weight * factor for factor in factors])
        bias = torch.cat([self.bias * factor for factor in factors])
        return functional.conv2d(branch, weight, bias).clamp(-1.0, 1.0)


class KeypointHead(nn.Module):
    """Key points from fine features: heat maps, offsets within cells, and regression from each cell."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleDict({name: Branch() for name in BRANCHES})
        # Outputs are x of all joints, then y; regression and offsets are in cells of stride 4.
        self.regression = KeypointRegression(BRANCH_CHANNELS, 2 * JOINTS, 1)
        self.heatmap = nn.Conv2d(BRANCH_CHANNELS, JOINTS, 1)
        self.offset = nn.Conv2d(BRANCH_CHANNELS, 2 * JOINTS, 1)

    def forward(self, fine: Tensor) -> dict[str, Tensor]:
        """Return the branches (B, 96, h, w) of fine features (B, 24, h, w), by name."""
        return {name: branch(fine) for name, branch in self.branches.items()}

    def outputs(self, branches: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the heads `keypoints` (B, 17, h, w) in 0..1 and `keypoint_offset` (B, 34, h, w) in cells."""
        heat = torch.sigmoid(self.heatmap(branches["heatmap"]))
        return heat, self.offset(branches["offset"]).clamp(-OFFSET_CELLS, OFFSET_CELLS)
