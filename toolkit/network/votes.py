"""From every cell, the way to the joints around it: sums over windows that a network would be slow to learn.

A cell in the middle of a torso has to know where wrists and ankles are, many cells away. The blobs of PoseNet's heat have the
same size for everybody, so the heat within a window tells how many joints are there, and the heat times the way to it, summed
over the window, is the way to the joint if there is one. Both are convolutions with fixed weights. What follows them is a
lifter in every cell.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .maps import JOINTS, MAPS

# Half the windows' widths, in cells of 16 pixels: small people in crowds, people, and people who fill the picture.
RADII = (3, 7, 13)
# Of the windows over which the maps themselves are summed: displacements from shoulders and hips tell whose limbs are whose.
MAP_RADII = (2, 5)
# Cells that the blob of one joint covers.
BLOB_CELLS = 17.0
# Heat below the first number is no joint, above the second one is; what lies between is stretched to 0..1.
SURE = (0.05, 0.3)
HIDDEN = 256


class Votes(nn.Module):
    """Pose maps (B, 115, h, w) to features (B, outputs, h, w)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.pick = nn.Conv2d(MAPS, JOINTS, 1)
        self.windows = nn.ModuleList(
            nn.Conv2d(JOINTS, 3 * JOINTS, 2 * radius + 1, padding=radius, groups=JOINTS, bias=False) for radius in RADII
        )
        self.map_windows = nn.ModuleList(
            nn.Conv2d(MAPS, MAPS, 2 * radius + 1, padding=radius, groups=MAPS, bias=False) for radius in MAP_RADII
        )
        inputs = [3 * JOINTS] * len(RADII) + [MAPS] * len(MAP_RADII)
        self.enter = nn.ModuleList(nn.Conv2d(count, HIDDEN, 1, bias=index == 0) for index, count in enumerate(inputs))
        self.think = nn.Conv2d(HIDDEN, HIDDEN, 1)
        self.leave = nn.Conv2d(HIDDEN, outputs, 1)
        self._fix()

    @torch.no_grad()
    def _fix(self) -> None:
        low, high = SURE
        assert self.pick.bias is not None
        self.pick.weight.zero_()
        self.pick.weight[range(JOINTS), range(JOINTS)] = 1 / (high - low)
        self.pick.bias.fill_(-low / (high - low))
        for radius, window in zip((*RADII, *MAP_RADII), (*self.windows, *self.map_windows), strict=True):
            assert isinstance(window, nn.Conv2d)
            way = torch.arange(-radius, radius + 1, dtype=torch.float32)
            x, y = way.expand(2 * radius + 1, -1), way[:, None].expand(-1, 2 * radius + 1)
            inside = (x.square() + y.square() <= (radius + 0.5) ** 2).float()
            ways = [inside, inside * x / radius, inside * y / radius]
            kernels = torch.stack(ways[: window.out_channels // window.in_channels])
            window.weight.copy_(kernels.repeat(window.in_channels, 1, 1)[:, None] / BLOB_CELLS)
        for part in (self.pick, self.windows, self.map_windows):
            part.requires_grad_(False)

    def sums(self, maps: Tensor) -> list[Tensor]:
        """Return what the windows hold, each (B, 51 or 115, h, w).

        Of the heat each joint's count, and the ways x and y to it in window radii, times the count; of the maps their sums.
        """
        maps = maps.detach()
        heat = self.pick(maps).clamp(0.0, 1.0)
        return [window(heat) for window in self.windows] + [window(maps) for window in self.map_windows]

    def hidden(self, sums: list[Tensor]) -> Tensor:
        """Return what `leave` reads (B, 256, h, w) of `sums`, cell by cell."""
        first, *others = (enter(part) for enter, part in zip(self.enter, sums, strict=True))
        for other in others:
            first = first + other
        return functional.relu(self.think(functional.relu(first)))

    def lift(self, sums: list[Tensor]) -> Tensor:
        """Return the features of `sums`, cell by cell."""
        return self.leave(self.hidden(sums))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the features."""
        return self.lift(self.sums(maps))
