"""Figures of a pose embedding: reconstruction error, plausibility of decoded poses, and spread."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...network.embedding import PoseEmbedding
from ...network.torch_kinematics import bone_lengths_m, forward_kinematics
from ...runtime.pose import MUPOTS17
from ..motion.anatomy import plausible_share
from ..motion.mocap import SPLITS

# The embedding has the bone lengths of the skeleton; errors are scaled to this stature, as in the literature.
REPORTED_STATURE_M = 1.70
ANKLE_TO_SOLE_M = 0.08


@torch.no_grad()
def evaluate(
    model: PoseEmbedding, poses: Mapping[str, Tensor], *, random_poses: int, seed: int
) -> dict[str, float]:
    """Return the figures of an embedding.

    Per split: mean and 95th percentile of the joint error of reconstruction, in mm at 1.70 m stature without
    the pelvis, and the share of captured poses within the joint limits. For random embeddings: the same
    share, and the spread of their poses (a collapsed adversary decodes a single pose). Further the standard
    deviation of embeddings (uniform: 0.577), and the mean gap of the cycle embedding → pose → embedding.

    Args:
        model: the embedding.
        poses: bone directions (N, 16, 3) by split.
        random_poses: number of random embeddings.
        seed: of the random embeddings.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    figures: dict[str, float] = {}
    for split, captured in poses.items():
        errors_mm = _reconstruction_errors_mm(model, captured)
        figures[f"{split}_mm"] = errors_mm.mean().item()
        figures[f"{split}_p95_mm"] = errors_mm.flatten().sort()[0][int(0.95 * errors_mm.numel())].item()
        figures[f"{split}_within_limits"] = plausible_share(captured)[0]
    captured = poses.get("val", next(iter(poses.values())))
    codes = model.encode(captured)
    uniform = torch.rand(random_poses, codes.shape[1], generator=generator, device=device) * 2 - 1
    decoded = model.decode(uniform)
    figures["random_within_limits"], by_limit = plausible_share(decoded)
    figures["random_spread_mm"], figures["captured_spread_mm"] = spread_mm(decoded), spread_mm(captured)
    if set(SPLITS) <= set(poses):
        figures |= {f"random_{name}": share for name, share in by_limit.items()}
    figures["code_std"] = codes.std().item()
    figures["cycle_gap"] = (model.encode(decoded) - uniform).abs().mean().item()
    return figures


def _reconstruction_errors_mm(model: PoseEmbedding, captured: Tensor) -> Tensor:
    """Return joint errors (N, 16) at the reported stature, without the pelvis."""
    lengths = bone_lengths_m(device=captured.device)
    moving = [joint for joint in range(len(MUPOTS17.names)) if joint != MUPOTS17.root]
    decoded = torch.cat([model.decode(model.encode(part)) for part in captured.split(8192)])
    errors_m = (forward_kinematics(decoded, lengths) - forward_kinematics(captured, lengths)).norm(dim=-1)
    return errors_m[:, moving] * (1000 * REPORTED_STATURE_M / stature_m())


def spread_mm(directions: Tensor) -> float:
    """Return the mean distance of joints from their mean place over poses (N, 16, 3), in mm."""
    joints = forward_kinematics(directions, bone_lengths_m(device=directions.device))
    return 1000 * (joints - joints.mean(0)).norm(dim=-1).mean().item()


def stature_m() -> float:
    """Return the height of the upright skeleton in metres, soles included."""
    lengths = dict(zip(MUPOTS17.bones, MUPOTS17.bone_lengths_mm, strict=True))
    column = ("spine", "neck", "head", "head_top", "left_knee", "left_ankle")
    return sum(lengths[MUPOTS17.index(joint)] for joint in column) / 1000 + ANKLE_TO_SOLE_M
