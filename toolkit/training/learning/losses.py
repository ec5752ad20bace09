"""Losses of the output maps against labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ...network.heads import PoseMaps, to_units
from ...network.torch_kinematics import bone_lengths_m, forward_kinematics, rotation_from_6d
from ...runtime.pose import MUPOTS17, PoseSpec
from ..pictures.people import BODY_KEYPOINTS, KEYPOINT_JOINTS
from .targets import Targets, make_targets

# Errors of key points are clipped here, in metres: beyond, the label is likely wrong.
MAX_ERROR_M = 1.5
MAX_AUXILIARY_ERROR_M = 3.0
# Losses that compare with the 3D pose of a label; the others compare with the picture.
POSE_LOSSES = ("embedding", "rotation", "depth", "joints")


class Readings(NamedTuple):
    """Outputs of the network in K cells, each of which belongs to a person."""

    raw: Mapping[str, Tensor]  # raw heads and `auxiliary`, each (K, channels)
    cells_px: Tensor  # (K, 2) places of the cells in the input
    weights: Tensor  # (K,)
    sigma: Tensor  # (K,) standard deviation of the person's centre, in cells


def centre_loss(logits: Tensor, targets: Targets) -> Tensor:
    """Return the penalty-reduced focal loss of centre logits (B, h, w), per centre.

    Zhou et al., "Objects as Points", 2019.
    """
    score = torch.sigmoid(logits).clamp(1e-4, 1 - 1e-4)
    centre = targets.heat >= 0.999
    positive = -((1 - score) ** 2) * functional.logsigmoid(logits) * centre
    negative = (
        -((1 - targets.heat) ** 4) * score**2 * functional.logsigmoid(-logits) * ~(targets.ignored | centre)
    )
    return (positive.sum() + negative.sum()) / centre.sum().clamp(min=1)


def pose_losses(
    raw: Mapping[str, Tensor],
    labels: Mapping[str, Tensor],
    spec: PoseSpec,
    *,
    decode: Callable[[Tensor], Tensor],
    fitted_pose_weight: float = 1.0,
) -> dict[str, Tensor]:
    """Return the unweighted losses of a batch: `centre`, and with people those of `person_losses`.

    Args:
        raw: maps of `KeypointNetwork.raw_maps`, float32.
        labels: packed labels of the batch, see `dataset.pack`.
        spec: specification of the network.
        decode: embeddings (K, E) to unit bone directions (K, 16, 3), see `PoseEmbedding.decode`.
        fitted_pose_weight: weight of 3D poses fitted to key points; exactly known poses have weight 1.
    """
    targets = make_targets(labels, spec, (int(raw["centre"].shape[2]), int(raw["centre"].shape[3])))
    losses = {"centre": centre_loss(raw["centre"][:, 0], targets)}
    if len(targets.cells) == 0:
        return losses
    picture, row, column, person = targets.cells.T
    readings = Readings(
        raw={name: maps[picture, :, row, column] for name, maps in raw.items()},
        cells_px=torch.stack([column, row], 1) * spec.stride + spec.cell_origin_px,
        weights=targets.weights,
        sigma=targets.sigma[picture, person],
    )
    label = {name: values[picture, person] for name, values in labels.items()}
    return losses | person_losses(readings, label, spec, decode=decode, fitted_pose_weight=fitted_pose_weight)


def person_losses(
    readings: Readings,
    label: Mapping[str, Tensor],
    spec: PoseSpec,
    *,
    decode: Callable[[Tensor], Tensor],
    fitted_pose_weight: float = 1.0,
) -> dict[str, Tensor]:
    """Return the unweighted losses of K readings against their labels.

    Args:
        readings: outputs of the network.
        label: the label of each reading, (K, …).
        spec: specification of the network.
        decode: as for `pose_losses`.
        fitted_pose_weight: as for `pose_losses`.

    Returns:
        `offset` in standard deviations of the centre, `embedding` (mean absolute), `rotation` (Frobenius
        norm), `depth` (log), `joints` in m (3D), `projection` and `auxiliary` in m in the picture, and
        `exact_joints`: `joints` over people with exactly known poses, a figure to report and not to minimize.
    """
    maps = to_units(dict(readings.raw))
    weights = readings.weights * label["trust"]
    weights = weights / weights.sum().clamp(min=1e-6)
    rotation = rotation_from_6d(maps.rotation)
    joints_m = posed_joints(maps.embedding, rotation, decode)
    joint_error = (joints_m - label["joints_m"]).norm(dim=-1).mean(1)
    centres = (label["centres_px"] - readings.cells_px) / spec.stride
    errors = {
        "offset": (maps.offset - centres).abs().sum(1) / readings.sigma,
        "embedding": (maps.embedding - label["embedding"]).abs().mean(1),
        "rotation": ((rotation - label["rotation"]) ** 2).sum((1, 2)).add(1e-4).sqrt(),
        "depth": (maps.depth[:, 0] + torch.log(label["px_per_m"] / spec.reference_px_per_m)).abs(),
        "joints": joint_error,
        "projection": _projection_error(maps, joints_m, readings.cells_px, label=label, spec=spec),
        "auxiliary": _auxiliary_error(readings, label),
    }
    exact = weights * label["exact"]
    posed = exact + fitted_pose_weight * (weights - exact)
    losses = {
        name: (error * (posed if name in POSE_LOSSES else weights)).sum() for name, error in errors.items()
    }
    losses["exact_joints"] = (joint_error * exact).sum().detach() / exact.sum().clamp(min=1e-6)
    return losses


def _projection_error(
    maps: PoseMaps, joints_m: Tensor, cells_px: Tensor, *, label: Mapping[str, Tensor], spec: PoseSpec
) -> Tensor:
    """Return the distance (K,) in m of projected joints from the labelled key points."""
    px_per_m = spec.reference_px_per_m * torch.exp(-maps.depth)
    centre_m = joints_m[:, [MUPOTS17.index(joint) for joint in spec.centre_joints]].mean(1, keepdim=True)
    centre_px = cells_px + maps.offset * spec.stride
    projected_px = centre_px[:, None] + px_per_m[:, None] * (joints_m - centre_m)[:, KEYPOINT_JOINTS, :2]
    errors_m = (projected_px - label["keypoints_px"]).norm(dim=-1) / label["px_per_m"][:, None]
    return _visible_mean(errors_m, label["visible"], MAX_ERROR_M)


def _auxiliary_error(readings: Readings, label: Mapping[str, Tensor]) -> Tensor:
    """Return the distance (K,) in m of the auxiliary head's key points from the labelled ones."""
    points = readings.raw["auxiliary"].unflatten(1, (BODY_KEYPOINTS, 2))
    wanted = (label["keypoints_px"] - readings.cells_px[:, None]) / label["px_per_m"][:, None, None]
    return _visible_mean((points - wanted).norm(dim=-1), label["visible"], MAX_AUXILIARY_ERROR_M)


def posed_joints(embedding: Tensor, rotation: Tensor, decode: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the reference skeleton's joints (K, 17, 3) in m, pelvis at 0, in the viewing ray's frame.

    Args:
        embedding: (K, E).
        rotation: (K, 3, 3) the torso's axes as columns.
        decode: as for `pose_losses`.
    """
    joints_m = forward_kinematics(decode(embedding), bone_lengths_m(device=embedding.device))
    return joints_m @ rotation.transpose(1, 2)


def _visible_mean(errors_m: Tensor, visible: Tensor, largest_m: float) -> Tensor:
    return (errors_m.clamp(max=largest_m) * visible).sum(1) / visible.sum(1).clamp(min=1)
