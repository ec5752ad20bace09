"""Synthetic key points: captured poses projected by random cameras, with the errors of a 2D teacher."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ...network.torch_kinematics import bone, bone_lengths_m, forward_kinematics, rotation_about
from ...runtime.pose import MUPOTS17
from ..pictures.people import MIN_VISIBLE_KEYPOINTS
from .lifter import LIFTER_JOINTS, POINTS

# Groups of bones with a common random length factor, and the standard deviation of that factor.
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
    """Settings of random views; shares are probabilities per person.

    Attributes:
        facing: share of people who face the camera; all others have a uniform yaw.
        facing_rad: standard deviation of the yaw of people who face the camera.
        pitch_rad, roll_rad: standard deviations of the torso's pitch and roll against the camera.
        tumbled: share of people with the larger deviations `tumbled_pitch_rad` and `tumbled_roll_rad`.
        near_m, far_m: range of the log-uniform distance, for the perspective of the points.
        jitter: standard deviation of the points, in person sizes.
        outlier: share of points with the larger deviation `outlier_jitter`.
        dropped: largest share of missing points; the share is uniform.
        cut: shares of pictures that end at the hips, above the ankles, and below the chest.
        hidden_arm: share of hidden arms, for each arm.
        hidden_face: share of hidden faces.
        exchanged: share of people with one exchanged left-right pair.
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
    """People as detected by a simulated teacher, and the ground truth."""

    rotation: Tensor  # (N, 3, 3) torso axes in the frame of the viewing ray
    true_points: Tensor  # (N, 17, 2) metres at the depth of the pelvis, pelvis at 0
    points: Tensor  # (N, 13, 2) the lifter's points with errors
    visible: Tensor  # (N, 13) 0 or 1


def random_views(
    directions: Tensor, generator: torch.Generator, settings: ViewSettings | None = None
) -> Views:
    """Project poses (N, 16, 3) in the torso frame with random bodies and cameras."""
    settings = settings or ViewSettings()
    count, device = len(directions), directions.device
    rotation = random_rotations(count, generator, settings)
    torso_joints = forward_kinematics(directions, random_bone_lengths_m(count, generator))
    joints = torso_joints @ rotation.transpose(1, 2)
    share = torch.rand(count, 1, generator=generator, device=device)
    distance = settings.near_m * torch.exp(share * math.log(settings.far_m / settings.near_m))
    depth = (distance + joints[..., 2]).clamp(min=0.4)
    true_points = joints[..., :2] * (distance / depth)[..., None]
    points = _add_errors(true_points[:, LIFTER_JOINTS], generator, settings)
    return Views(rotation, true_points, points, _visibility(count, generator, settings))


def random_rotations(count: int, generator: torch.Generator, settings: ViewSettings) -> Tensor:
    """Return random torso rotations (N, 3, 3), frame of the viewing ray; a yaw of 0 faces the camera."""
    device = generator.device

    def uniform() -> Tensor:
        return torch.rand(count, generator=generator, device=device)

    def normal() -> Tensor:
        return torch.randn(count, generator=generator, device=device)

    yaw = torch.where(uniform() < settings.facing, normal() * settings.facing_rad, uniform() * 2 * math.pi)
    tumbled = uniform() < settings.tumbled
    pitch = normal() * torch.where(tumbled, settings.tumbled_pitch_rad, settings.pitch_rad)
    roll = normal() * torch.where(tumbled, settings.tumbled_roll_rad, settings.roll_rad)
    axes = torch.eye(3, device=device)
    towards_camera = torch.diag(torch.tensor([1.0, -1.0, -1.0], device=device))
    about_z, about_x, about_y = (
        rotation_about(axes[axis].expand(count, 3), angle)
        for axis, angle in ((2, roll), (0, pitch), (1, yaw))
    )
    return about_z @ about_x @ towards_camera @ about_y


def random_bone_lengths_m(count: int, generator: torch.Generator) -> Tensor:
    """Return the bone lengths (N, 16) of random adults, metres."""
    lengths = bone_lengths_m(device=generator.device).repeat(count, 1)
    for joints, sigma in BODY_SHAPES:
        factor = 1 + sigma * torch.randn(count, 1, generator=generator, device=generator.device)
        lengths[:, [bone(joint) for joint in joints]] *= factor.clamp(0.6, 1.6)
    return lengths


def _add_errors(points: Tensor, generator: torch.Generator, settings: ViewSettings) -> Tensor:
    """Return points (N, 13, 2) with jitter, a few outliers and some exchanged left-right pairs."""
    count, device = len(points), points.device
    size = (points.amax(1) - points.amin(1)).amax(1)[:, None, None]

    def normal() -> Tensor:
        return torch.randn(points.shape, generator=generator, device=device) * size

    quality = torch.rand(count, 1, 1, generator=generator, device=device) * 2
    outliers = torch.rand(count, POINTS, 1, generator=generator, device=device) < settings.outlier
    points = points + normal() * settings.jitter * quality + normal() * settings.outlier_jitter * outliers
    pair = torch.randint(FACE // 2, (count, 1), generator=generator, device=device)
    order = torch.arange(POINTS, device=device).expand(count, POINTS)
    chosen = torch.rand(count, 1, generator=generator, device=device) < settings.exchanged
    exchange = (order // 2 == pair) & (order < FACE) & chosen
    return points.gather(1, torch.where(exchange, order ^ 1, order)[..., None].expand_as(points))


def _visibility(count: int, generator: torch.Generator, settings: ViewSettings) -> Tensor:
    """Return the visibility (N, 13) of the points; nearly hidden people keep all points."""
    device = generator.device
    uniform = torch.rand(count, 8, generator=generator, device=device)
    visible = (
        torch.rand(count, POINTS, generator=generator, device=device) > uniform[:, :1] * settings.dropped
    )
    # The points below the lower edge of the picture, which follow these in COCO's order.
    first_below = [KEYPOINT[joint] for joint in ("left_knee", "left_ankle", "left_hip")]
    for column, (share, start) in enumerate(zip(settings.cut, first_below, strict=True), 1):
        visible[:, start:FACE] &= (uniform[:, column] >= share)[:, None]
    for column, side in ((4, "left"), (5, "right")):
        arm = [KEYPOINT[f"{side}_elbow"], KEYPOINT[f"{side}_wrist"]]
        visible[:, arm] &= (uniform[:, column] >= settings.hidden_arm)[:, None]
    visible[:, FACE] &= uniform[:, 6] >= settings.hidden_face
    return (visible | (visible.sum(1, keepdim=True) < MIN_VISIBLE_KEYPOINTS)).float()
