"""From a 2D teacher's key points to a pose: lift it, then fit embedding, rotation, scale and place by gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...network.embedding import PoseEmbedding
from ...network.torch_kinematics import mirror_directions, rotation_to_6d
from ..pictures.people import BODY_KEYPOINTS
from .lifter import LIFTER_JOINTS, Lifted, Lifter, Posed, normalize_points, pose

COCO_FACE = slice(0, 5)
COCO_BODY = slice(5, 17)


@dataclass(frozen=True)
class FitSettings:
    """How lifted poses are fitted to the teacher's points; errors in lifter units (half the longer side of the person's box).

    Attributes:
        steps: of Adam, for `batch` people at once.
        visible_confidence: a point of at least this confidence counts.
        huber: errors beyond this pull with constant strength.
        face_weight: of the middle of the face; body points weigh as much as the teacher is confident.
        stay_*: squared change from what the lifter said: embedding, depth of joints (m), rotation, log scale.
        usable_confidence, min_points, min_torso_points, max_residual: a person is usable with so many points of that confidence,
            so many of the torso's seen, and at most this mean error after the fit.
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


def fit_keypoints(
    keypoints: np.ndarray, embedding: PoseEmbedding, lifter: Lifter, *, settings: FitSettings
) -> dict[str, np.ndarray]:
    """Return poses of people (M, 17, 3) from COCO key points and confidences: lifted, then fitted by gradient descent.

    The fit moves embedding, rotation, scale and pelvis to meet the points, and holds them near the lifter's answer where the
    points do not say. `lifted_residual` is the error before it.
    """
    device = next(lifter.parameters()).device
    points, seen, weight = (torch.from_numpy(array).to(device) for array in _teacher_points(keypoints, how))
    unit = normalize_points(points, seen)
    targets = (points - unit.centre[:, None]) / unit.half[:, None, None]
    with torch.no_grad():
        start = lifter(unit.inputs)
        first = pose(embedding, start)
    start = start._replace(rotation_6d=rotation_to_6d(first.rotation))
    found = _fit(start, first, targets, weight=weight, embedding=embedding, settings=settings)
    with torch.no_grad():
        posed = pose(embedding, found)
        labels = {
            "embedding": found.embedding,
            "embedding_mirrored": embedding.encode(mirror_directions(posed.directions)),
            "rotation": posed.rotation,
            "px_per_m": found.log_scale.exp() * unit.half,
            "pelvis_px": found.pelvis * unit.half[:, None] + unit.centre,
            "joints_m": posed.joints_m,
            "keypoints_px": points[:, :BODY_KEYPOINTS],
            "seen": seen[:, :BODY_KEYPOINTS],
            "residual": _residual(posed, targets, seen),
            "lifted_residual": _residual(first, targets, seen),
        }
    return {name: value.float().cpu().numpy() for name, value in labels.items()}


def _fit(
    start: Lifted, first: Posed, targets: Tensor, *, weight: Tensor, embedding: PoseEmbedding, settings: FitSettings
) -> Lifted:
    # The embedding is searched before its tanh, so that it cannot leave the cube.
    free = Lifted(torch.atanh(start.embedding.clamp(-0.97, 0.97)), *start[1:])
    free = Lifted(*(value.clone().requires_grad_() for value in free))
    rates = (0.03, 0.02, 0.01, 0.01)
    optimizer = torch.optim.Adam(
        [{"params": [value], "lr": rate} for value, rate in zip(free, rates, strict=True)]
    )
    for _ in range(settings.steps):
        lifted = free._replace(embedding=free.embedding.tanh())
        posed = pose(embedding, lifted)
        distance = (posed.points[:, LIFTER_JOINTS] - targets).norm(dim=-1)
        huber = torch.where(
            distance < settings.huber, distance.square() / (2 * settings.huber), distance - settings.huber / 2
        )
        loss = (
            (huber * weight).sum()
            + settings.embedding_prior * (lifted.embedding - start.embedding).square().sum()
            + settings.depth_prior * (posed.joints_m - first.joints_m)[..., 2].square().sum()
            + settings.rotation_prior * (posed.rotation - first.rotation).square().sum()
            + settings.scale_prior * (lifted.log_scale - start.log_scale).square().sum()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Lifted(free.embedding.tanh().detach(), *(value.detach() for value in free[1:]))


def _teacher_points(keypoints: np.ndarray, settings: FitSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the lifter's points (M, 13, 2), which are seen (M, 13), and their weights (M, 13)."""
    xy, confidence = keypoints[..., :2], np.clip(keypoints[..., 2], 0, 1)
    seen = (keypoints[..., 2] >= settings.visible_confidence).astype(np.float32)
    face = seen[:, COCO_FACE, None]
    middle = (xy[:, COCO_FACE] * face).sum(1, keepdims=True) / np.maximum(face.sum(1, keepdims=True), 1)
    face_seen = (face.sum(1) >= 2).astype(np.float32)
    points = np.concatenate([xy[:, COCO_BODY], middle], 1)
    weight = np.concatenate([confidence[:, COCO_BODY] * seen[:, COCO_BODY], settings.face_weight * face_seen], 1)
    return (
        points.astype(np.float32),
        np.concatenate([seen[:, COCO_BODY], face_seen], 1),
        weight.astype(np.float32),
    )


def _residual(posed: Posed, targets: Tensor, seen: Tensor) -> Tensor:
    return ((posed.points[:, LIFTER_JOINTS] - targets).norm(dim=-1) * seen).sum(1) / seen.sum(1).clamp(min=1)
