"""Keep the key points that a network reads, while the layers move that read them: what MoveNet learned of many more people."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...network.network import KeypointNetwork, KeypointReader


class KeypointAnchor(nn.Module):
    """A network as it was when a training started, frozen, which says what key points there are."""

    def __init__(self, network: KeypointNetwork) -> None:
        super().__init__()
        self.trunk = copy.deepcopy(network.trunk)
        self.reader = copy.deepcopy(network.reader)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor, network: KeypointNetwork, fine: Tensor) -> Tensor:
        """Return how far the key points that a network reads moved, of normalized pictures (B, 3, H, W).

        Cross-entropy of the heat above its minimum, summed over joints, and distance of offsets in cells where there is a joint.

        Args:
            images: the pictures.
            network: its reader has moved.
            fine: (B, 24, H / 4, W / 4) what its trunk says of them.
        """
        with torch.no_grad():
            logits, offsets = _told(self.reader, self.trunk(images)[0])
            heat = torch.sigmoid(logits)
        found_logits, found_offsets = _told(network.reader, fine)
        near = torch.cat([heat, heat], 1)
        moved = ((found_offsets - offsets).abs() * near).sum() / near.sum().clamp(min=1)
        return heat_surplus(found_logits, logits) + moved


def _told(reader: KeypointReader, fine: Tensor) -> tuple[Tensor, Tensor]:
    """Return heat as logits, and offsets in cells."""
    return reader.heat(reader.branches["heat"](fine)).float(), reader.offset(
        reader.branches["offset"](fine)
    ).float()


def heat_surplus(found: Tensor, logits: Tensor) -> Tensor:
    """Return the cross-entropy of heat maps (B, J, h, w), both as logits, above its minimum: summed over joints, the mean over cells."""
    heat, entropy = torch.sigmoid(logits), functional.binary_cross_entropy_with_logits
    return (entropy(found, heat, reduction="none") - entropy(logits, heat, reduction="none")).sum(1).mean()
