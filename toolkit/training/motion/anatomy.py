"""Joint limits: which poses are anatomically plausible, judged from bone directions alone.

The limits are the ranges of motion of healthy adults plus an allowance. Sources: American Academy of
Orthopaedic Surgeons, Joint Motion, 1965; Norkin and White, Measurement of Joint Motion. The allowance covers
errors of the estimated joint centres. Hips and shoulders are measured against the trunk, so a bent spine
counts as hip motion.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ...network.torch_kinematics import bone, rotation_about

DEGREES = 180.0 / torch.pi


class Limit(NamedTuple):
    """The range of an angle in degrees, and the reason for it."""

    low: float
    high: float
    reason: str


LIMITS = {
    "elbow_flexion": Limit(0, 165, "0 to 150, plus an allowance for the wrist's joint centre"),
    "elbow_twist": Limit(-135, 135, "the upper arm rotates 90 outwards and 70 inwards; swings shift both"),
    "shoulder_backward": Limit(-180, 75, "extension 60 behind the trunk's side plane"),
    "shoulder_across": Limit(
        -180, 70, "horizontal adduction takes the elbow in front of the other shoulder, not beyond"
    ),
    "knee_flexion": Limit(0, 165, "0 to 135 active, 160 when sitting on the heels"),
    "knee_twist": Limit(-75, 75, "the knee bends backwards; the hip rotates the thigh by 45 either way"),
    "hip_flexion": Limit(-50, 150, "extension 30, flexion 120, plus the bend of the lumbar spine"),
    "hip_abduction": Limit(-45, 75, "adduction 30, abduction 45, more with a flexed hip"),
    "neck_tilt": Limit(0, 75, "flexion 45 to 60, extension 55 to 75, against the trunk's axis"),
    "head_tilt": Limit(0, 50, "the head's top against the neck"),
    "spine_bend": Limit(0, 55, "between the lower and the upper half of the trunk"),
    "clavicle_tilt": Limit(0, 50, "elevation 40, protraction and retraction 30 about the shoulder line"),
    "pelvis_tilt": Limit(
        0,
        50,
        "hip line against the trunk's lateral axis: lateral bend 35, rotation 45 halved by the mean axis",
    ),
}
# The bend direction of a nearly straight joint is noise.
BENT_DEG = 30.0


def joint_angles(directions: Tensor) -> dict[str, Tensor]:
    """Return the angles of LIMITS in degrees, each (N, sides).

    `*_twist` is the rotation of a hinge axis about the bone above it. Its zero is the lateral axis, carried
    along by the swing of that bone from hanging straight down. It is 0 where the hinge is bent by less than
    BENT_DEG.

    Args:
        directions: (N, 16, 3) unit bone directions in the torso frame.
    """
    down, lateral = directions.new_tensor([0.0, -1.0, 0.0]), directions.new_tensor([1.0, 0.0, 0.0])
    angles: dict[str, list[Tensor]] = {name: [] for name in LIMITS}
    for side, outwards in (("left", 1.0), ("right", -1.0)):
        upper_arm, forearm, clavicle = (
            directions[:, bone(f"{side}_{joint}")] for joint in ("elbow", "wrist", "shoulder")
        )
        thigh, shank, hip = (directions[:, bone(f"{side}_{joint}")] for joint in ("knee", "ankle", "hip"))
        angles["elbow_flexion"].append(_between(upper_arm, forearm))
        angles["elbow_twist"].append(_twist(upper_arm, forearm, down, axis=-lateral) * outwards)
        angles["shoulder_backward"].append(-torch.asin(upper_arm[:, 2].clamp(-1, 1)) * DEGREES)
        angles["shoulder_across"].append(-torch.asin((upper_arm[:, 0] * outwards).clamp(-1, 1)) * DEGREES)
        angles["knee_flexion"].append(_between(thigh, shank))
        angles["knee_twist"].append(_twist(thigh, shank, down, axis=lateral) * outwards)
        angles["hip_flexion"].append(_sagittal(thigh))
        angles["hip_abduction"].append(torch.asin((thigh[:, 0] * outwards).clamp(-1, 1)) * DEGREES)
        angles["clavicle_tilt"].append(_between(clavicle, lateral * outwards))
        angles["pelvis_tilt"].append(_between(hip, lateral * outwards))
    head, top, neck, spine = (directions[:, bone(joint)] for joint in ("head", "head_top", "neck", "spine"))
    angles["neck_tilt"].append(_between(head, -down))
    angles["head_tilt"].append(_between(head, top))
    angles["spine_bend"].append(_between(spine, neck))
    return {name: torch.stack(sides, 1) for name, sides in angles.items()}


def within_limits(directions: Tensor) -> dict[str, Tensor]:
    """Return for every limit the mask (N,) of the poses that keep it on both sides."""
    angles = joint_angles(directions)
    return {
        name: ((angles[name] >= limit.low) & (angles[name] <= limit.high)).all(1)
        for name, limit in LIMITS.items()
    }


def plausible_share(directions: Tensor) -> tuple[float, dict[str, float]]:
    """Return the share of poses (N, 16, 3) within all limits, and the share within each."""
    kept = within_limits(directions)
    plausible = torch.stack(list(kept.values())).all(0)
    shares = {name: mask.float().mean().item() for name, mask in kept.items()}
    return plausible.float().mean().item(), shares


def _between(a: Tensor, b: Tensor) -> Tensor:
    return torch.acos((a * b).sum(-1).clamp(-1, 1)) * DEGREES


def _sagittal(thigh: Tensor) -> Tensor:
    """Return the flexion about the lateral axis in degrees, 0 where the thigh points sideways."""
    flexion = torch.atan2(thigh[:, 2], -thigh[:, 1]) * DEGREES
    return torch.where(thigh[:, 0].abs() > 0.9, torch.zeros_like(flexion), flexion)


def _twist(before: Tensor, after: Tensor, rest: Tensor, *, axis: Tensor) -> Tensor:
    """Return the angle about `before` from the hinge axis at rest, swung with the bone, to the bend axis."""
    rest = rest.expand_as(before)
    swing = rotation_about(torch.linalg.cross(rest, before), _between(rest, before) / DEGREES)
    expected = torch.einsum("nij,j->ni", swing, axis)
    bend = torch.linalg.cross(before, after)
    hinge = functional.normalize(bend, dim=-1, eps=1e-6)
    sine = (torch.linalg.cross(expected, hinge) * before).sum(-1)
    angle = torch.atan2(sine, (expected * hinge).sum(-1)) * DEGREES
    return torch.where(_between(before, after) < BENT_DEG, torch.zeros_like(angle), angle)
