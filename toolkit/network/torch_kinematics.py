"""Differentiable kinematics in torch; `toolkit.runtime.decoding.kinematics` is the numpy version.

Frames of reference as in `toolkit.runtime.pose`; a rotation matrix holds the torso's x, y and z axes as its
columns.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..runtime.pose import MUPOTS17, Skeleton

EPSILON = 1e-6
Array = TypeVar("Array", np.ndarray, Tensor)


def bone(name: str, skeleton: Skeleton = MUPOTS17) -> int:
    """Return the index of the bone that ends at the named joint."""
    return skeleton.bones.index(skeleton.index(name))


MIRROR_BONES = [MUPOTS17.bones.index(MUPOTS17.mirror[joint]) for joint in MUPOTS17.bones]


def bone_lengths_m(skeleton: Skeleton = MUPOTS17, device: torch.device | str = "cpu") -> Tensor:
    """Return the skeleton's bone lengths (B,) in metres, in the order of its bones."""
    return torch.tensor(skeleton.bone_lengths_mm, dtype=torch.float32, device=device) / 1000


def forward_kinematics(directions: Tensor, lengths: Tensor, skeleton: Skeleton = MUPOTS17) -> Tensor:
    """Return joints (..., J, 3), root at 0, from unit bone directions (..., B, 3).

    `lengths` is (B,) or (..., B); the joints have its unit. Differentiable in both.
    """
    bones = directions * lengths[..., None]
    joints: list[Tensor] = [torch.zeros_like(bones[..., 0, :])] * len(skeleton.names)
    for index, joint in enumerate(skeleton.bones):
        joints[joint] = joints[skeleton.parents[joint]] + bones[..., index, :]
    return torch.stack(joints, -2)


def rotation_from_6d(numbers: Tensor) -> Tensor:
    """Return rotation matrices (..., 3, 3) from 6 numbers: y axis, then x axis (Zhou et al., CVPR 2019)."""
    y = functional.normalize(numbers[..., :3], dim=-1, eps=EPSILON)
    x = numbers[..., 3:] - (numbers[..., 3:] * y).sum(-1, keepdim=True) * y
    x = functional.normalize(x, dim=-1, eps=EPSILON)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


def rotation_to_6d(rotations: Tensor) -> Tensor:
    """Return the y and x axes (..., 6) of rotations (..., 3, 3), the inverse of `rotation_from_6d`."""
    return torch.cat([rotations[..., :, 1], rotations[..., :, 0]], -1)


def rotation_about(axes: Tensor, angles: Tensor) -> Tensor:
    """Return rotations (..., 3, 3) about axes (..., 3) by angles (...,) in radians (Rodrigues)."""
    x, y, z = functional.normalize(axes, dim=-1, eps=EPSILON).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    sine, cosine = angles.sin()[..., None, None], angles.cos()[..., None, None]
    return torch.eye(3, device=axes.device, dtype=axes.dtype) + sine * cross + (1 - cosine) * (cross @ cross)


def torso_frames(joints: Tensor, skeleton: Skeleton = MUPOTS17) -> Tensor:
    """Return the torso's axes as rotation matrices (..., 3, 3) from joints (..., J, 3).

    y points from pelvis to neck. x is the mean direction of the hip and shoulder lines, to the person's left,
    made perpendicular to y. z = x × y points to the front. The frame is undefined where these joints
    coincide.
    """

    def line(start: str, end: str) -> Tensor:
        return functional.normalize(
            joints[..., skeleton.index(end), :] - joints[..., skeleton.index(start), :], dim=-1, eps=EPSILON
        )

    lateral = line("right_hip", "left_hip") + line("right_shoulder", "left_shoulder")
    return rotation_from_6d(torch.cat([line("pelvis", "neck"), lateral], -1))


def torso_frame(joints: np.ndarray) -> np.ndarray:
    """Return `torso_frames` (..., 3, 3) of a numpy array of joints (..., 17, 3), in its floating type."""
    return torso_frames(torch.from_numpy(np.ascontiguousarray(joints))).numpy()


def bone_directions(joints: np.ndarray, frame: np.ndarray, skeleton: Skeleton = MUPOTS17) -> np.ndarray:
    """Return unit bone directions (..., B, 3) in the torso frame.

    Args:
        joints: (..., J, 3) in any unit.
        frame: (..., 3, 3) the torso's axes as columns, in the frame of the joints; see `torso_frame`.
        skeleton: names the bones.
    """
    ends = list(skeleton.bones)
    bones = (joints[..., ends, :] - joints[..., [skeleton.parents[joint] for joint in ends], :]) @ frame
    return bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), EPSILON)


def mirror_directions(directions: Array) -> Array:
    """Return the bone directions (..., 16, 3) of the mirrored pose: left and right swapped, x negated."""
    mirrored = directions[..., MIRROR_BONES, :]
    mirrored[..., 0] *= -1
    return mirrored
