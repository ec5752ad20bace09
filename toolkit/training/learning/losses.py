"""How far the maps are from the labels: one number per thing to be learnt, all differentiable."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ...network.heads import to_units
from ...network.torch_kinematics import bone_lengths_m, forward_kinematics, rotation_from_6d
from ...runtime.pose import MUPOTS17, PoseSpec
from ..pictures.people import BODY_KEYPOINTS, KEYPOINT_JOINTS
from .targets import Targets, make_targets

# Farther off than this, in metres, a keypoint is likely to be the label's mistake, and does not pull harder.
FARTHEST_M = 1.5
FARTHEST_AUXILIARY_M = 3.0
# What the 3D pose of a label is asked for; all else is of the picture.
POSE_LOSSES = ("embedding", "rotation", "depth", "joints")


def centre_loss(logits: Tensor, targets: Targets) -> Tensor:
    """Return the penalty-reduced focal loss of centre logits (B, h, w), per centre (Zhou et al., Objects as Points, 2019)."""
    score = torch.sigmoid(logits).clamp(1e-4, 1 - 1e-4)
    centre = targets.heat >= 0.999
    found = -((1 - score) ** 2) * functional.logsigmoid(logits) * centre
    invented = (
        -((1 - targets.heat) ** 4) * score**2 * functional.logsigmoid(-logits) * ~(targets.ignored | centre)
    )
    return (found.sum() + invented.sum()) / centre.sum().clamp(min=1)


def pose_losses(
    raw: Mapping[str, Tensor],
    labels: Mapping[str, Tensor],
    spec: PoseSpec,
    decode: Callable[[Tensor], Tensor],
    fitted: float = 1.0,
) -> dict[str, Tensor]:
    """Return the losses of a batch, unweighted.

    Args:
        raw: maps of `KeypointNetwork.raw_maps`, float32.
        labels: packed labels of the batch, see `dataset.pack`.
        spec: of the network.
        decode: embeddings (K, E) to unit bone directions (K, 16, 3), see `PoseEmbedding.decode`.
        fitted: weight of 3D poses that were fitted to key points, beside 1 for those known exactly.

    Returns:
        `centre`; per person, weighted over the cells around each centre: `offset` in standard deviations of the centre,
        `embedding` per number, `rotation` (Frobenius), `depth` in logs, `joints` in m (3D), `projection` and `auxiliary` in m (in the
        picture), and `exact_joints`: `joints` over people whose pose is known exactly, a figure to watch rather than to minimize.
    """
    targets = make_targets(labels, spec, (int(raw["centre"].shape[2]), int(raw["centre"].shape[3])))
    losses = {"centre": centre_loss(raw["centre"][:, 0], targets)}
    if len(targets.cells) == 0:
        return losses
    picture, row, column, person = targets.cells.T
    read = {name: maps[picture, :, row, column] for name, maps in raw.items()}
    label = {name: values[picture, person] for name, values in labels.items()}
    cells_px = torch.stack([column, row], 1) * spec.stride + spec.cell_origin_px
    return losses | person_losses(
        read, label, cells_px, targets.weights, targets.sigma[picture, person], spec, decode, fitted
    )


def person_losses(
    read: Mapping[str, Tensor], label: Mapping[str, Tensor], cells_px: Tensor, weights: Tensor, sigma: Tensor, spec: PoseSpec,
    decode: Callable[[Tensor], Tensor], fitted: float = 1.0
) -> dict[str, Tensor]:  # fmt: skip
    """Return the losses of `pose_losses` but the centre's, of K readings.

    Args:
        read: raw heads and `auxiliary`, each (K, channels).
        label: what each reading should say, (K, …).
        cells_px: (K, 2) where it was read.
        weights: (K,).
        sigma: (K,) standard deviations of the centres, in cells.
        spec, decode, fitted: as for `pose_losses`.
    """
    maps = to_units(dict(read))
    weights = weights * label["trust"]
    weights = weights / weights.sum().clamp(min=1e-6)
    px_per_m = label["px_per_m"]
    offset_error = (maps.offset - ((label["centres_px"] - cells_px) / spec.stride)).abs().sum(1) / sigma
    rotation = rotation_from_6d(maps.rotation)
    rotation_error = ((rotation - label["rotation"]) ** 2).sum((1, 2)).add(1e-4).sqrt()
    depth_error = (maps.depth[:, 0] + torch.log(px_per_m / spec.reference_px_per_m)).abs()

    joints_m = posed_joints(maps.embedding, rotation, decode)
    joint_error = (joints_m - label["joints_m"]).norm(dim=-1).mean(1)
    found_px_per_m = spec.reference_px_per_m * torch.exp(-maps.depth)
    centre_m = joints_m[:, [MUPOTS17.index(joint) for joint in spec.centre_joints]].mean(1, keepdim=True)
    centre_px = cells_px + maps.offset * spec.stride
    projected_px = (
        centre_px[:, None] + found_px_per_m[:, None] * (joints_m - centre_m)[:, KEYPOINT_JOINTS, :2]
    )
    projection = _seen_mean(
        (projected_px - label["keypoints_px"]).norm(dim=-1) / px_per_m[:, None], label["visible"], FARTHEST_M
    )

    direct = read["auxiliary"].unflatten(1, (BODY_KEYPOINTS, 2))
    wanted = (label["keypoints_px"] - cells_px[:, None]) / px_per_m[:, None, None]
    auxiliary = _seen_mean((direct - wanted).norm(dim=-1), label["visible"], FARTHEST_AUXILIARY_M)

    errors = {"offset": offset_error, "embedding": (maps.embedding - label["embedding"]).abs().mean(1), "rotation": rotation_error,
              "depth": depth_error, "joints": joint_error, "projection": projection, "auxiliary": auxiliary}  # fmt: skip
    exact = weights * label["exact"]
    posed = exact + fitted * (weights - exact)
    losses = {
        name: (error * (posed if name in POSE_LOSSES else weights)).sum() for name, error in errors.items()
    }
    losses["exact_joints"] = (joint_error * exact).sum().detach() / exact.sum().clamp(min=1e-6)
    return losses


def posed_joints(embedding: Tensor, rotation: Tensor, decode: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the reference skeleton's joints (K, 17, 3) in m, pelvis at 0, of embeddings (K, E) and torso rotations (K, 3, 3)."""
    return forward_kinematics(
        decode(embedding), bone_lengths_m(device=embedding.device)
    ) @ rotation.transpose(1, 2)


def _seen_mean(errors_m: Tensor, seen: Tensor, farthest_m: float) -> Tensor:
    return (errors_m.clamp(max=farthest_m) * seen).sum(1) / seen.sum(1).clamp(min=1)
