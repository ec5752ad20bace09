"""Synthetic key points: captured poses seen by random cameras, with the faults of a 2D teacher."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ...network.torch_kinematics import bone, bone_lengths_m, forward_kinematics, rotation_about
from ...runtime.pose import MUPOTS17
from .lifter import POINTS, LIFTER_JOINTS

# Bones that grow and shrink together from person to person, and the standard deviation of their length.
BODY_SHAPES = (
    (("spine", "neck"), 0.05),
    (("head", "head_top"), 0.12),
    (("right_shoulder", "left_shoulder"), 0.10),
    (("right_elbow", "left_elbow"), 0.06),
    (("right_wrist", "left_wrist"), 0.06),
    (("right_hip", "left_hip"), 0.22),
    (("right_knee", "left_knee"), 0.06),
    (("right_ankle", "left_ankle"), 0.06),
)
FACE = POINTS - 1
KEYPOINT = {MUPOTS17.names[joint]: point for point, joint in enumerate(LIFTER_JOINTS)}


@dataclass(frozen=True)
class ViewSettings:
    """How people are seen; shares are probabilities per person, angles in radians, distances in metres.

    Attributes:
        facing, facing_rad: share that faces the camera within a normal angle; the others turn uniformly.
        pitch_rad, roll_rad: of the torso against the camera, standard deviations; `tumbled` people take the two larger ones.
        near_m, far_m: distance, log-uniform, for the perspective of the points.
        jitter: of the points, standard deviation in person sizes; `outlier` points take the larger one.
        dropped: points missing, at most this share, uniformly.
        cut: shares of pictures that end at the hips' line, above the ankles, and below the chest.
        hidden_arm, hidden_face, exchanged: shares for each arm, for the face, and for one left-right exchange.
    """

    facing: float = 0.35
    facing_rad: float = 0.5
    pitch_rad: float = 0.24
    roll_rad: float = 0.15
    tumbled: float = 0.08
    tumbled_pitch_rad: float = 0.8
    tumbled_roll_rad: float = 1.2
    near_m: float = 1.8
    far_m: float = 12.0
    jitter: float = 0.014
    outlier: float = 0.03
    outlier_jitter: float = 0.1
    dropped: float = 0.2
    cut: tuple[float, float, float] = (0.22, 0.08, 0.06)
    hidden_arm: float = 0.06
    hidden_face: float = 0.1
    exchanged: float = 0.02


class Views(NamedTuple):
    """People as a teacher would report them, and the truth."""

    rotation: Tensor  # (N, 3, 3) torso axes in the frame of the viewing ray
    true_points: Tensor  # (N, 17, 2) metres at the pelvis's depth, pelvis at 0
    points: Tensor  # (N, 13, 2) the same with faults
    seen: Tensor  # (N, 13) 0 or 1


def random_views(directions: Tensor, generator: torch.Generator, settings: ViewSettings | None = None) -> Views:
    """Look at poses (N, 16, 3) in the torso frame with random bodies and cameras."""
    settings = settings or ViewSettings()
    count, device = len(directions), directions.device
    rotation = random_rotations(count, generator, how)
    joints = forward_kinematics(directions, random_bone_lengths_m(count, generator)) @ rotation.transpose(
        1, 2
    )
    distance = settings.near_m * torch.exp(
        torch.rand(count, 1, generator=generator, device=device) * math.log(settings.far_m / settings.near_m)
    )
    depth = (distance + joints[..., 2]).clamp(min=0.4)
    true_points = joints[..., :2] * (distance / depth)[..., None]
    points = _faulty(true_points[:, LIFTER_JOINTS], generator, how)
    return Views(rotation, true_points, points, _visibility(count, generator, how))


def random_rotations(count: int, generator: torch.Generator, settings: ViewSettings) -> Tensor:
    """Return torso rotations (N, 3, 3) in the frame of the viewing ray; the identity yaw faces the camera."""
    device = generator.device
    uniform, normal = (
        (lambda: torch.rand(count, generator=generator, device=device)),
        (lambda: torch.randn(count, generator=generator, device=device)),
    )
    yaw = torch.where(uniform() < settings.facing, normal() * settings.facing_rad, uniform() * 2 * math.pi)
    tumbled = uniform() < settings.tumbled
    pitch = normal() * torch.where(tumbled, settings.tumbled_pitch_rad, settings.pitch_rad)
    roll = normal() * torch.where(tumbled, settings.tumbled_roll_rad, settings.roll_rad)
    axes = torch.eye(3, device=device)
    towards_camera = torch.diag(torch.tensor([1.0, -1.0, -1.0], device=device))
    about = [
        rotation_about(axes[axis].expand(count, 3), angle)
        for axis, angle in ((2, roll), (0, pitch), (1, yaw))
    ]
    return about[0] @ about[1] @ towards_camera @ about[2]


def random_bone_lengths_m(count: int, generator: torch.Generator) -> Tensor:
    """Return bone lengths (N, 16) of random adults in metres."""
    lengths = bone_lengths_m(device=generator.device).repeat(count, 1)
    for joints, sigma in BODY_SHAPES:
        factor = 1 + sigma * torch.randn(count, 1, generator=generator, device=generator.device)
        lengths[:, [bone(joint) for joint in joints]] *= factor.clamp(0.6, 1.6)
    return lengths


def _faulty(points: Tensor, generator: torch.Generator, settings: ViewSettings) -> Tensor:
    """Jitter the points (N, 13, 2), displace a few, and exchange left and right of one pair now and then."""
    count, device = len(points), points.device
    size = (points.amax(1) - points.amin(1)).amax(1)[:, None, None]

    def normal() -> Tensor:
        return torch.randn(points.shape, generator=generator, device=device) * size

    quality = torch.rand(count, 1, 1, generator=generator, device=device) * 2
    outliers = torch.rand(count, POINTS, 1, generator=generator, device=device) < settings.outlier
    points = points + normal() * settings.jitter * quality + normal() * settings.outlier_jitter * outliers
    pair = torch.randint(FACE // 2, (count, 1), generator=generator, device=device)
    order = torch.arange(POINTS, device=device).expand(count, POINTS)
    exchange = (
        (order // 2 == pair)
        & (order < FACE)
        & (torch.rand(count, 1, generator=generator, device=device) < settings.exchanged)
    )
    return points.gather(1, torch.where(exchange, order ^ 1, order)[..., None].expand_as(points))


def _visibility(count: int, generator: torch.Generator, settings: ViewSettings) -> Tensor:
    """Return which points (N, 13) the teacher reports; nobody keeps fewer than 4."""
    device = generator.device
    uniform = torch.rand(count, 8, generator=generator, device=device)
    seen = torch.rand(count, POINTS, generator=generator, device=device) > uniform[:, :1] * settings.dropped
    ankles, legs = KEYPOINT["left_ankle"], KEYPOINT["left_knee"]
    for column, share, start in (
        (1, settings.cut[0], legs),
        (2, settings.cut[1], ankles),
        (3, settings.cut[2], KEYPOINT["left_hip"]),
    ):
        seen[:, start:FACE] &= (uniform[:, column] >= share)[:, None]
    for column, side in ((4, "left"), (5, "right")):
        arm = [KEYPOINT[f"{side}_elbow"], KEYPOINT[f"{side}_wrist"]]
        seen[:, arm] &= (uniform[:, column] >= settings.hidden_arm)[:, None]
    seen[:, FACE] &= uniform[:, 6] >= settings.hidden_face
    return (seen | (seen.sum(1, keepdim=True) < 4)).float()
