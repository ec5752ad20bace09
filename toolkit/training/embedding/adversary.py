"""The adversary of the pose embedding, which distinguishes decoded from captured poses.

After Kundu et al. (WACV 2019). It judges poses rather than embeddings, so that every embedding decodes to a
pose.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...network.embedding import BONES
from ...network.torch_kinematics import bone
from ...runtime.decoding.kinematics import LEAKY_SLOPE
from ..motion.augment import LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG

_TORSO_JOINTS = (
    "spine",
    "neck",
    "head",
    "head_top",
    "right_shoulder",
    "left_shoulder",
    "right_hip",
    "left_hip",
)
TORSO = [bone(joint) for joint in _TORSO_JOINTS]
PARTS = (TORSO, RIGHT_ARM, LEFT_ARM, RIGHT_LEG, LEFT_LEG, list(range(BONES)))


class PoseDiscriminator(nn.Module):
    """Scores poses (N, 16, 3) by part and as a whole (N, 6): +1 captured, -1 decoded."""

    def __init__(self, part_width: int = 64, whole_width: int = 256) -> None:
        super().__init__()
        self.judges = nn.ModuleList(
            _judge(3 * len(bones), whole_width if len(bones) == BONES else part_width) for bones in PARTS
        )

    def forward(self, directions: Tensor) -> Tensor:
        """Return the scores (N, 6)."""
        scores = [
            judge(directions[:, bones].flatten(1)) for judge, bones in zip(self.judges, PARTS, strict=True)
        ]
        return torch.cat(scores, 1)


def _judge(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.LeakyReLU(LEAKY_SLOPE),
        nn.Linear(width, width),
        nn.LeakyReLU(LEAKY_SLOPE),
        nn.Linear(width, 1),
    )


def discriminator_loss(captured_scores: Tensor, decoded_scores: Tensor) -> Tensor:
    """Return the discriminator's least-squares loss, with targets +1 and -1 (Mao et al., ICCV 2017)."""
    return (captured_scores - 1).square().mean() + (decoded_scores + 1).square().mean()


def adversarial_loss(decoded_scores: Tensor) -> Tensor:
    """Return the decoder's least-squares loss: the squared distance from the score of captured poses."""
    return (decoded_scores - 1).square().mean()


def sliced_uniform_loss(
    embeddings: Tensor, uniform: Tensor, directions: int, *, generator: torch.Generator
) -> Tensor:
    """Return the distance of embeddings (N, E) from a uniform sample (N, E) of [-1, 1]^E.

    The sum of the squared 2-Wasserstein distances along random directions (sliced) and along every axis
    (marginals).

    Args:
        embeddings: (N, E).
        uniform: (N, E).
        directions: number of random directions.
        generator: draws them.
    """
    size, device = embeddings.shape[1], embeddings.device
    random = torch.randn(size, directions, generator=generator, device=device)
    lines = torch.cat([functional.normalize(random, dim=0), torch.eye(size, device=device)], 1)
    gaps = ((embeddings @ lines).sort(0)[0] - (uniform @ lines).sort(0)[0]).square()
    return gaps[:, :directions].mean() + gaps[:, directions:].mean()
