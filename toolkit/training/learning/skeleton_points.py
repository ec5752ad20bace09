"""COCO's key points of skeletons: the face, and which points a camera would see."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ...runtime.pose import MUPOTS17

NECK, HEAD, HEAD_TOP = (MUPOTS17.index(joint) for joint in ("neck", "head", "head_top"))
FACE_POINTS = 5
# Nose, left and right eye, left and right ear relative to the middle of the head, in metres: left, up, front.
FACE_M = (
    (0.0, -0.02, 0.11),
    (0.033, 0.02, 0.09),
    (-0.033, 0.02, 0.09),
    (0.075, 0.0, 0.0),
    (-0.075, 0.0, 0.0),
)
# Normals of the skin at these points, and the least cosine towards the camera at which they are visible.
FACE_NORMALS = ((0.0, 0.0, 1.0), (0.3, 0.0, 0.95), (-0.3, 0.0, 0.95), (1.0, 0.0, 0.0), (-1.0, 0.0, 0.0))
FACE_COSINES = (-0.05, 0.05, 0.05, -0.3, -0.3)
# Limbs that occlude, by their end joints, with radii in metres.
LIMBS = (
    ("neck", "pelvis", 0.15),
    ("neck", "head_top", 0.1),
    ("right_hip", "right_knee", 0.08),
    ("left_hip", "left_knee", 0.08),
    ("right_knee", "right_ankle", 0.06),
    ("left_knee", "left_ankle", 0.06),
    ("right_shoulder", "right_elbow", 0.05),
    ("left_shoulder", "left_elbow", 0.05),
    ("right_elbow", "right_wrist", 0.04),
    ("left_elbow", "left_wrist", 0.04),
)


class Face(NamedTuple):
    """Key points of faces."""

    points_m: Tensor  # (N, 5, 3) in COCO's order
    visible: Tensor  # (N, 5) 1 where the skin is turned to the camera, else 0


def face_points(joints_m: Tensor, rotation: Tensor, head_turn_rad: Tensor | float = 0.0) -> Face:
    """Return the key points of faces.

    Args:
        joints_m: (N, 17, 3), x right, y down, z away from the camera.
        rotation: (N, 3, 3) the torso's axes as columns.
        head_turn_rad: (N, 1) rotation of the head against the torso.
    """
    device = joints_m.device
    up = functional.normalize(joints_m[:, HEAD_TOP] - joints_m[:, NECK], dim=-1)
    front = rotation[:, :, 2]
    front = functional.normalize(front - (front * up).sum(-1, keepdim=True) * up, dim=-1, eps=1e-3)
    angle = torch.as_tensor(head_turn_rad, device=device)
    front = front * angle.cos() + torch.linalg.cross(up, front) * angle.sin()
    axes = torch.stack([torch.linalg.cross(up, front), up, front], -1)
    points = joints_m[:, HEAD, None] + torch.tensor(FACE_M, device=device) @ axes.transpose(1, 2)
    cosines = -(torch.tensor(FACE_NORMALS, device=device) @ axes.transpose(1, 2))[..., 2]
    return Face(points, (cosines > torch.tensor(FACE_COSINES, device=device)).float())


def inside(points_px: Tensor, frame: Tensor) -> Tensor:
    """Return whether points (B, ..., 2) lie within frames (B, 4: x0, y0, x1, y1), as bool (B, ...)."""
    shape = (len(frame), *[1] * (points_px.dim() - 2), 2)
    low, high = frame[:, :2].reshape(shape), frame[:, 2:].reshape(shape)
    return ((points_px > low) & (points_px < high)).all(-1)


def unoccluded(points_px: Tensor, joints_px: Tensor, px_per_m: Tensor, *, present: Tensor) -> Tensor:
    """Return 0 for points behind a limb of a nearer person, else 1, as (B, P, 17); larger people are nearer.

    Args:
        points_px: (B, P, 17, 2) COCO's key points.
        joints_px: (B, P, 17, 2) joints of the skeletons.
        px_per_m: (B, P).
        present: (B, P) bool.
    """
    starts, ends, radii = zip(*LIMBS, strict=True)
    start, end = (joints_px[:, :, [MUPOTS17.index(name) for name in names]] for names in (starts, ends))
    radius = torch.tensor(radii, device=points_px.device) * px_per_m[..., None]
    limb = end - start
    offset = points_px[:, :, None, :, None] - start[:, None, :, None]
    length = limb.square().sum(-1).clamp(min=1.0)[:, None, :, None]
    share = (offset * limb[:, None, :, None]).sum(-1) / length
    distance = offset - share.clamp(0, 1)[..., None] * limb[:, None, :, None]
    hit = (distance.square().sum(-1) < radius.square()[:, None, :, None]).any(-1)
    nearer = (px_per_m[:, None] > px_per_m[:, :, None]) & present[:, None]
    return 1.0 - (hit & nearer[..., None]).any(2).float()


def unblocked(points_px: Tensor, joints_px: Tensor, generator: torch.Generator, *, share: float) -> Tensor:
    """Return 0 for points behind a straight edge, as of a table or a wall, else 1, as (B, P, 17).

    Args:
        points_px: (B, P, 17, 2) COCO's key points.
        joints_px: (B, P, 17, 2) joints of the skeletons.
        generator: draws people and edges.
        share: of people behind an edge.
    """
    count, most = points_px.shape[:2]
    low, high = joints_px.amin(2), joints_px.amax(2)
    draw = torch.rand(count, most, 3, generator=generator, device=generator.device)
    below = low[..., 1] + (0.25 + 0.7 * draw[..., 1]) * (high[..., 1] - low[..., 1])
    beside = low[..., 0] + (0.2 + 0.4 * draw[..., 1]) * (high[..., 0] - low[..., 0])
    hidden = torch.where(
        (draw[..., 2] < 0.75)[..., None],
        points_px[..., 1] > below[..., None],
        points_px[..., 0] < beside[..., None],
    )
    return 1.0 - (hidden & (draw[..., :1] < share)).float()
