"""The adversary of the pose embedding: it tells decoded poses from captured ones, whole and limb by limb.

After Kundu et al. (WACV 2019): the adversary judges poses, not embeddings, so that every embedding learns to be a pose.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...network.embedding import BONES
from ...network.torch_kinematics import bone
from ...runtime.decoding.kinematics import LEAKY_SLOPE
from ..motion.augment import LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG

TRUNK = [
    bone(joint)
    for joint in (
        "spine",
        "neck",
        "head",
        "head_top",
        "right_shoulder",
        "left_shoulder",
        "right_hip",
        "left_hip",
    )
]
PARTS = (TRUNK, RIGHT_ARM, LEFT_ARM, RIGHT_LEG, LEFT_LEG, list(range(BONES)))


class PoseDiscriminator(nn.Module):
    """Scores poses (N, 16, 3) by part and as a whole (N, 6): +1 captured, -1 decoded."""

    def __init__(self, part_width: int = 64, whole_width: int = 256) -> None:
        super().__init__()
        self.judges = nn.ModuleList(
            _judge(3 * len(bones), whole_width if len(bones) == BONES else part_width) for bones in PARTS
        )

    def forward(self, directions: Tensor) -> Tensor:
        """Return the scores (N, 6)."""
        return torch.cat(
            [judge(directions[:, bones].flatten(1)) for judge, bones in zip(self.judges, PARTS, strict=True)],
            1,
        )


def _judge(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.LeakyReLU(LEAKY_SLOPE), nn.Linear(width, width), nn.LeakyReLU(LEAKY_SLOPE), nn.Linear(width, 1)
    )  # fmt: skip


def discriminator_loss(scores_real: Tensor, scores_made: Tensor) -> Tensor:
    """Return the discriminator's squared distance from +1 and -1 (Mao et al., ICCV 2017)."""
    return (scores_real - 1).square().mean() + (scores_made + 1).square().mean()


def adversarial_loss(scores_made: Tensor) -> Tensor:
    """Return the decoder's squared distance from the score of captured poses."""
    return (scores_made - 1).square().mean()


def sliced_uniform_loss(
    embeddings: Tensor, uniform: Tensor, directions: int, generator: torch.Generator
) -> Tensor:
    """Return how far embeddings (N, E) are from a uniform sample (N, E) of [-1, 1]^E.

    The sum of the squared 2-Wasserstein distances along random directions (sliced) and along every axis (marginals).
    """
    lines = torch.randn(embeddings.shape[1], directions, generator=generator, device=embeddings.device)
    lines = torch.cat(
        [functional.normalize(lines, dim=0), torch.eye(embeddings.shape[1], device=embeddings.device)], 1
    )
    gaps = ((embeddings @ lines).sort(0)[0] - (uniform @ lines).sort(0)[0]).square()
    return gaps[:, :directions].mean() + gaps[:, directions:].mean()
