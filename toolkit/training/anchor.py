"""Keep what the trunk already knows: PoseNet's own 2D maps, on the pictures that the network learns from.

The labelled photos show few kinds of people. PoseNet saw many more, so its maps are worth keeping as a second task while the
trunk moves (learning without forgetting: Li and Hoiem, ECCV 2016). Nothing of this is part of the deployed network.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import PosecError
from ..network.trunk import SKIP_BLOCK, TRUNK_CHANNELS, convolutions
from .posenet import load_trunk, read_convolutions

JOINTS = 17
# Channels of PoseNet's outputs: heat map logits, offsets to each joint (y, then x), displacements along 16 limbs, both ways.
OUTPUTS = (JOINTS, 2 * JOINTS, 64)
OUTPUT_ORDER = (JOINTS, 2 * JOINTS, 32, 32)
STRIDE = 16


class PoseNetAnchor(nn.Module):
    """PoseNet after the skip, frozen, and its three output layers, which read the moving trunk as well."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        trunk = load_trunk(path)
        self.blocks = nn.Sequential(*trunk.blocks[SKIP_BLOCK:])
        last = read_convolutions(path)[len(convolutions(trunk)) :]
        by_size = sorted(last, key=lambda layer: OUTPUT_ORDER.index(len(layer[1])) if len(layer[1]) in OUTPUT_ORDER else -1)
        if tuple(len(bias) for _, bias in by_size) != OUTPUT_ORDER:
            raise PosecError(f"'{path}' has outputs of {[len(bias) for _, bias in last]} channels, PoseNet has {OUTPUT_ORDER}")
        self.outputs = nn.Conv2d(TRUNK_CHANNELS, sum(OUTPUTS), 1)
        assert self.outputs.bias is not None
        with torch.no_grad():
            self.outputs.weight.copy_(torch.cat([torch.from_numpy(weight) for weight, _ in by_size]))
            self.outputs.bias.copy_(torch.cat([torch.from_numpy(bias) for _, bias in by_size]))
        self.eval().requires_grad_(False)

    def forward(self, skip: Tensor, deep: Tensor) -> Tensor:
        """Return how far the maps read from `deep` (B, 384, h, w) moved from PoseNet's own on `skip` (B, 192, 2 h, 2 w).

        Cross-entropy of the heat maps above its minimum, and distance of offsets and displacements in cells where there is a joint.
        """
        with torch.no_grad():
            logits, offsets, displacements = self.outputs(self.blocks(skip)).float().split(OUTPUTS, 1)
            heat = torch.sigmoid(logits)
            there = heat.amax(1, keepdim=True)
        found_logits, found_offsets, found_displacements = self.outputs(deep).float().split(OUTPUTS, 1)
        surplus = heat_surplus(found_logits, logits)
        near = torch.cat([heat, heat], 1)
        moved = (found_offsets - offsets).abs() * near
        moved_far = (found_displacements - displacements).abs() * there
        return surplus + moved.sum() / (near.sum() * STRIDE).clamp(min=1) + moved_far.mean(1).sum() / (there.sum() * STRIDE).clamp(min=1)


def heat_surplus(found: Tensor, logits: Tensor) -> Tensor:
    """Return the cross-entropy of heat maps (B, J, h, w), both as logits, above its minimum: summed over joints, the mean over cells."""
    heat, entropy = torch.sigmoid(logits), functional.binary_cross_entropy_with_logits
    return (entropy(found, heat, reduction="none") - entropy(logits, heat, reduction="none")).sum(1).mean()
