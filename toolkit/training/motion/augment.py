"""Pose augmentation: add poses that motion capture of walking and ball games lacks.

All functions take and return unit bone directions (N, 16, 3) in the torso frame, on any device. The generator
is the only source of randomness.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...network.torch_kinematics import (
    bone,
    bone_lengths_m,
    forward_kinematics,
    mirror_directions,
    rotation_about,
    torso_frames,
)

RIGHT_ARM = [bone(f"right_{joint}") for joint in ("shoulder", "elbow", "wrist")]
LEFT_ARM = [bone(f"left_{joint}") for joint in ("shoulder", "elbow", "wrist")]
RIGHT_LEG = [bone(f"right_{joint}") for joint in ("hip", "knee", "ankle")]
LEFT_LEG = [bone(f"left_{joint}") for joint in ("hip", "knee", "ankle")]
HEAD = [bone("head"), bone("head_top")]
# Each entry starts at the bone that is rotated; the bones after it rotate with it.
ROTATED_LIMBS = (
    RIGHT_ARM[1:],
    RIGHT_ARM[2:],
    LEFT_ARM[1:],
    LEFT_ARM[2:],
    RIGHT_LEG[1:],
    RIGHT_LEG[2:],
    LEFT_LEG[1:],
    LEFT_LEG[2:],
    HEAD,
)


@dataclass(frozen=True)
class Augmentation:
    """Probabilities of each change to a pose.

    Attributes:
        swap_legs: both legs come from another pose.
        swap_arm: one arm comes from another pose; drawn for each arm.
        sit: the pose is seated.
        crouch: the legs are folded below the trunk.
        turn: all limbs are rotated slightly.
        turn_rad: standard deviation of those rotations.
    """

    swap_legs: float = 0.2
    swap_arm: float = 0.1
    sit: float = 0.15
    crouch: float = 0.05
    turn: float = 0.7
    turn_rad: float = 0.12


def draw(poses: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return `count` random poses, each mirrored with probability 0.5."""
    chosen = poses[torch.randint(len(poses), (count,), generator=generator, device=poses.device)]
    return torch.where(_some(chosen, 0.5, generator), mirror_directions(chosen), chosen)


def augment(
    poses: Tensor, count: int, generator: torch.Generator, *, settings: Augmentation | None = None
) -> Tensor:
    """Return `count` random poses after augmentation, each in its own torso frame."""
    settings = settings or Augmentation()
    augmented = draw(poses, count, generator)
    for share, bones in (
        (settings.swap_legs, RIGHT_LEG + LEFT_LEG),
        (settings.swap_arm, RIGHT_ARM),
        (settings.swap_arm, LEFT_ARM),
    ):
        augmented = _swap(augmented, draw(poses, count, generator), bones, share=share, generator=generator)
    augmented = torch.where(_some(augmented, settings.sit, generator), seat(augmented, generator), augmented)
    augmented = torch.where(
        _some(augmented, settings.crouch, generator), crouch(augmented, generator), augmented
    )
    augmented = torch.where(
        _some(augmented, settings.turn, generator),
        turn_limbs(augmented, settings.turn_rad, generator),
        augmented,
    )
    return reframe(augmented)


def seat(poses: Tensor, generator: torch.Generator) -> Tensor:
    """Return the poses seated on a chair: thighs forward, shanks down, knees slightly apart."""
    return _fold_legs(
        poses,
        generator,
        thigh=(0.15, -0.15, 1.0),
        shank=(0.0, -1.0, 0.05),
        spread=(0.2, 0.25, 0.0, 0.2, 0.0, 0.3),
    )


def crouch(poses: Tensor, generator: torch.Generator) -> Tensor:
    """Return the poses squatting or sitting on the heels: thighs forward, shanks folded below them."""
    return _fold_legs(
        poses,
        generator,
        thigh=(0.25, 0.0, 1.0),
        shank=(0.0, -1.0, -0.7),
        spread=(0.25, 0.3, 0.0, 0.15, 0.0, 0.25),
    )


def turn_limbs(poses: Tensor, sigma_rad: float, generator: torch.Generator) -> Tensor:
    """Return the poses with every limb rotated about random axes by normally distributed angles.

    Bones beyond a joint rotate with it.
    """
    turned = poses.clone()
    for bones in ROTATED_LIMBS:
        axes = _normal(generator, poses, len(poses), 3)
        angles = _normal(generator, poses, len(poses)) * sigma_rad
        turned[:, bones] = turned[:, bones] @ rotation_about(axes, angles).transpose(1, 2)
    return turned


def reframe(poses: Tensor) -> Tensor:
    """Return the poses in the torso frames of their own joints; swapped limbs move these frames slightly."""
    return poses @ torso_frames(forward_kinematics(poses, bone_lengths_m(device=poses.device)))


def _fold_legs(
    poses: Tensor, generator: torch.Generator, thigh: tuple, *, shank: tuple, spread: tuple
) -> Tensor:
    """Set thighs and shanks to mean directions (x outwards) plus normal noise.

    `spread` holds the standard deviations of x, y, z of the thigh, then of the shank.
    """
    folded = poses.clone()
    for leg, outwards in ((RIGHT_LEG, -1.0), (LEFT_LEG, 1.0)):
        for end, mean, sigma in ((leg[1], thigh, spread[:3]), (leg[2], shank, spread[3:])):
            target = poses.new_tensor([mean[0] * outwards, mean[1], mean[2]])
            folded[:, end] = functional.normalize(
                target + _normal(generator, poses, len(poses), 3) * poses.new_tensor(sigma), dim=-1
            )
    return folded


def _swap(
    poses: Tensor, others: Tensor, bones: list[int], *, share: float, generator: torch.Generator
) -> Tensor:
    swapped = poses.clone()
    swapped[:, bones] = others[:, bones]
    return torch.where(_some(poses, share, generator), swapped, poses)


def _some(poses: Tensor, share: float, generator: torch.Generator) -> Tensor:
    return torch.rand(len(poses), 1, 1, generator=generator, device=poses.device) < share


def _normal(generator: torch.Generator, like: Tensor, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, device=like.device)
