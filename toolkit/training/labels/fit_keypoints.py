"""Fit poses to 2D key points: lift them, then optimise them by gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...network.embedding import PoseEmbedding
from ...network.torch_kinematics import mirror_directions, rotation_to_6d
from ..pictures.people import BODY_KEYPOINTS
from .label_files import Labels
from .lifter import LIFTER_JOINTS, Lifted, Lifter, Posed, normalize_points, pose

COCO_FACE = slice(0, 5)
COCO_BODY = slice(5, 17)


# Adam's learning rates of the fields of Lifted: embedding, rotation, log scale, pelvis.
LEARNING_RATES = (0.03, 0.02, 0.01, 0.01)
# Two visible key points of the face define its centre.
MIN_FACE_POINTS = 2


@dataclass(frozen=True)
class FitSettings:
    """Settings of the fit; errors are in lifter units, half the longer side of the person's box.

    Attributes:
        steps: of Adam.
        batch: people fitted at once.
        visible_confidence: key points of at least this confidence count.
        huber: errors above this have a linear loss.
        face_weight: of the centre of the face; body key points are weighted by their confidence.
        embedding_prior, depth_prior, rotation_prior, scale_prior: weights of squared changes from the lifted
            pose, in embedding units, metres, matrix entries and log scale.
        usable_confidence, min_points: a usable person has this many key points above this confidence.
        min_torso_points: a usable person has this many visible key points of the torso.
        max_residual: a usable person has a smaller residual after the fit.
    """

    steps: int = 150
    batch: int = 4096
    visible_confidence: float = 0.4
    huber: float = 0.1
    face_weight: float = 0.4
    embedding_prior: float = 0.06
    depth_prior: float = 0.15
    rotation_prior: float = 0.3
    scale_prior: float = 0.3
    usable_confidence: float = 0.5
    min_points: int = 6
    min_torso_points: int = 2
    max_residual: float = 0.15


class _Targets(NamedTuple):
    """The 13 points of the lifter per person; pixels in `fit_keypoints`, lifter units in the fit."""

    points: Tensor  # (M, 13, 2)
    visible: Tensor  # (M, 13) 0 or 1
    weight: Tensor  # (M, 13)


def fit_keypoints(
    keypoints: np.ndarray, embedding: PoseEmbedding, lifter: Lifter, *, settings: FitSettings
) -> Labels:
    """Return the poses of people from 2D key points: lifted, then fitted by gradient descent.

    The fit changes embedding, rotation, scale and pelvis. It keeps them close to the lifted pose where the
    key points do not constrain them.

    Args:
        keypoints: (M, 17, 3) x, y in px and confidence, in COCO's order.
        embedding, lifter: frozen networks on one device.
        settings: of the fit.

    Returns:
        The arrays of a label file without `boxes` and `usable`, and `lifted_residual`, the residual before
        the fit.
    """
    targets_px = _targets(keypoints, settings, next(lifter.parameters()).device)
    points, visible = targets_px.points, targets_px.visible
    unit = normalize_points(points, visible)
    targets = targets_px._replace(points=(points - unit.centre[:, None]) / unit.half[:, None, None])
    with torch.no_grad():
        start = lifter(unit.inputs)
        lifted_pose = pose(embedding, start)
    start = start._replace(rotation_6d=rotation_to_6d(lifted_pose.rotation))
    fitted = _fit(start, lifted_pose, targets, embedding=embedding, settings=settings)
    with torch.no_grad():
        posed = pose(embedding, fitted)
        labels = {
            "embedding": fitted.embedding,
            "embedding_mirrored": embedding.encode(mirror_directions(posed.directions)),
            "rotation": posed.rotation,
            "px_per_m": fitted.log_scale.exp() * unit.half,
            "pelvis_px": fitted.pelvis * unit.half[:, None] + unit.centre,
            "joints_m": posed.joints_m,
            "keypoints_px": points[:, :BODY_KEYPOINTS],
            "seen": visible[:, :BODY_KEYPOINTS],
            "residual": _residual(posed, targets),
            "lifted_residual": _residual(lifted_pose, targets),
        }
    return {name: value.float().cpu().numpy() for name, value in labels.items()}


def _fit(
    start: Lifted, lifted_pose: Posed, targets: _Targets, *, embedding: PoseEmbedding, settings: FitSettings
) -> Lifted:
    # The optimised variable is the embedding before tanh, so the embedding stays within -1 to 1.
    free = Lifted(torch.atanh(start.embedding.clamp(-0.97, 0.97)), *start[1:])
    free = Lifted(*(value.clone().requires_grad_() for value in free))
    optimizer = torch.optim.Adam(
        [{"params": [value], "lr": rate} for value, rate in zip(free, LEARNING_RATES, strict=True)]
    )
    for _ in range(settings.steps):
        lifted = free._replace(embedding=free.embedding.tanh())
        posed = pose(embedding, lifted)
        distance = (posed.points[:, LIFTER_JOINTS] - targets.points).norm(dim=-1)
        loss = (
            (_huber(distance, settings.huber) * targets.weight).sum()
            + settings.embedding_prior * (lifted.embedding - start.embedding).square().sum()
            + settings.depth_prior * (posed.joints_m - lifted_pose.joints_m)[..., 2].square().sum()
            + settings.rotation_prior * (posed.rotation - lifted_pose.rotation).square().sum()
            + settings.scale_prior * (lifted.log_scale - start.log_scale).square().sum()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Lifted(free.embedding.tanh().detach(), *(value.detach() for value in free[1:]))


def _huber(distance: Tensor, limit: float) -> Tensor:
    """Return the Huber loss, scaled so that its slope above the limit is 1."""
    return torch.where(distance < limit, distance.square() / (2 * limit), distance - limit / 2)


def _targets(keypoints: np.ndarray, settings: FitSettings, device: torch.device) -> _Targets:
    """Return the points of the lifter from COCO key points (M, 17, 3)."""
    xy, confidence = keypoints[..., :2], np.clip(keypoints[..., 2], 0, 1)
    visible = (keypoints[..., 2] >= settings.visible_confidence).astype(np.float32)
    face, body = visible[:, COCO_FACE, None], visible[:, COCO_BODY]
    centre = (xy[:, COCO_FACE] * face).sum(1, keepdims=True) / np.maximum(face.sum(1, keepdims=True), 1)
    face_visible = (face.sum(1) >= MIN_FACE_POINTS).astype(np.float32)
    points = np.concatenate([xy[:, COCO_BODY], centre], 1).astype(np.float32)
    weight = np.concatenate([confidence[:, COCO_BODY] * body, settings.face_weight * face_visible], 1)
    arrays = (points, np.concatenate([body, face_visible], 1), weight.astype(np.float32))
    return _Targets(*(torch.from_numpy(array).to(device) for array in arrays))


def _residual(posed: Posed, targets: _Targets) -> Tensor:
    """Return the mean distance (M,) of the visible points, in lifter units."""
    distance = (posed.points[:, LIFTER_JOINTS] - targets.points).norm(dim=-1)
    return (distance * targets.visible).sum(1) / targets.visible.sum(1).clamp(min=1)
