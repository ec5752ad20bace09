"""Distillation of key points, which keeps a key-point head in training close to the initial one."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...network.keypoints import KeypointHead
from ...network.network import KeypointNetwork


class KeypointTeacher(nn.Module):
    """A frozen copy of a network's backbone and key-point head, from the start of a training."""

    def __init__(self, network: KeypointNetwork) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(network.backbone)
        self.keypoint_head = copy.deepcopy(network.keypoint_head)
        self.eval().requires_grad_(False)

    def loss(self, images: Tensor, student: KeypointHead, fine: Tensor) -> Tensor:
        """Return the distance of a student's key points from the teacher's.

        The sum of `heat_divergence`, and the L1 distance of offsets in cells, weighted by the teacher's heat.

        Args:
            images: normalized (B, 3, H, W).
            student: key-point head in training.
            fine: (B, 24, H / 4, W / 4) features of the student's backbone for these images.
        """
        with torch.no_grad():
            wanted_logits, wanted_offsets = _raw_outputs(self.keypoint_head, self.backbone(images)[0])
            heat = torch.sigmoid(wanted_logits)
        logits, offsets = _raw_outputs(student, fine)
        weights = torch.cat([heat, heat], 1)
        distance = ((offsets - wanted_offsets).abs() * weights).sum() / weights.sum().clamp(min=1)
        return heat_divergence(logits, wanted_logits) + distance


def _raw_outputs(head: KeypointHead, fine: Tensor) -> tuple[Tensor, Tensor]:
    """Return heat logits (B, 17, h, w), and offsets (B, 34, h, w) in cells."""
    branches = head.branches
    return (
        head.heatmap(branches["heatmap"](fine)).float(),
        head.offset(branches["offset"](fine)).float(),
    )


def heat_divergence(logits: Tensor, wanted_logits: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of heat maps (B, J, h, w), given as logits.

    It is summed over joints and averaged over cells.
    """
    heat, entropy = torch.sigmoid(wanted_logits), functional.binary_cross_entropy_with_logits
    divergence = entropy(logits, heat, reduction="none") - entropy(wanted_logits, heat, reduction="none")
    return divergence.sum(1).mean()
