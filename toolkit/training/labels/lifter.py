"""The lifter: a network from 2D key points to a 3D pose, and its geometry.

The projection is scaled orthographic about the pelvis, in the frame of the viewing ray: x right, y down, z
away.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from ...errors import PosecError
from ...network.embedding import EMBEDDING_SIZE, PoseEmbedding
from ...network.torch_kinematics import bone_lengths_m, forward_kinematics, rotation_from_6d
from ...runtime.pose import MUPOTS17
from ..pictures.people import KEYPOINT_JOINTS

# The lifter's input: the 12 body key points in COCO's order and the centre of the face.
LIFTER_JOINTS = [*KEYPOINT_JOINTS, MUPOTS17.index("head")]
POINTS = len(LIFTER_JOINTS)


class Lifted(NamedTuple):
    """Poses lifted from 2D points; lengths are in lifter units, see `normalize_points`."""

    embedding: Tensor  # (N, 32)
    rotation_6d: Tensor  # (N, 6)
    log_scale: Tensor  # (N,) log of units per metre
    pelvis: Tensor  # (N, 2)


class Lifter(nn.Module):
    """A residual MLP from 13 points with visibility (N, 39) to `Lifted` (Martinez et al., ICCV 2017)."""

    def __init__(self, width: int = 512, blocks: int = 2, embedding_size: int = EMBEDDING_SIZE) -> None:
        super().__init__()
        self.sizes = [embedding_size, 6, 1, 2]
        self.first = nn.Linear(3 * POINTS, width)
        self.blocks = nn.ModuleList(_block(width) for _ in range(blocks))
        self.last = nn.Linear(width, sum(self.sizes))

    def forward(self, inputs: Tensor) -> Lifted:
        """Return the poses of points (N, 39), see `normalize_points`."""
        values = functional.leaky_relu(self.first(inputs), 0.1)
        for block in self.blocks:
            values = values + block(values)
        embedding, rotation_6d, log_scale, pelvis = self.last(values).split(self.sizes, 1)
        return Lifted(embedding.tanh(), rotation_6d, log_scale[:, 0], pelvis)


def _block(width: int) -> nn.Sequential:
    half = [nn.Linear(width, width), nn.LayerNorm(width), nn.LeakyReLU(0.1)]
    return nn.Sequential(*half, nn.Linear(width, width), nn.LayerNorm(width), nn.LeakyReLU(0.1))


class Normalized(NamedTuple):
    """Points in lifter units; pixels = points * half + centre."""

    inputs: Tensor  # (N, 39)
    centre: Tensor  # (N, 2)
    half: Tensor  # (N,)


def normalize_points(points: Tensor, visible: Tensor) -> Normalized:
    """Shift and scale the visible points of each person so that the longer side of their box spans -1 to 1.

    Args:
        points: (N, 13, 2) in pixels; invisible ones are ignored.
        visible: (N, 13) 0 or 1; a person without visible points has centre 0 and half 1.
    """
    hidden = visible[..., None] == 0
    low = points.masked_fill(hidden, torch.inf).amin(1)
    high = points.masked_fill(hidden, -torch.inf).amax(1)
    no_points = visible.sum(1, keepdim=True) == 0
    low, high = low.masked_fill(no_points, -1.0), high.masked_fill(no_points, 1.0)
    centre, half = (low + high) / 2, ((high - low).amax(1) / 2).clamp(min=1e-3)
    unit = ((points - centre[:, None]) / half[:, None, None]).masked_fill(hidden, 0.0)
    return Normalized(torch.cat([unit, visible[..., None]], -1).flatten(1), centre, half)


class Posed(NamedTuple):
    """Decoded poses: joints in the frame of the viewing ray, pelvis at 0, and their projection."""

    joints_m: Tensor  # (N, 17, 3)
    points: Tensor  # (N, 17, 2) in the lifter's units
    rotation: Tensor  # (N, 3, 3)
    directions: Tensor  # (N, 16, 3) in the torso frame


def pose(embedding: PoseEmbedding, lifted: Lifted) -> Posed:
    """Decode lifted poses with the bone lengths of the skeleton and project them; differentiable."""
    directions = embedding.decode(lifted.embedding)
    rotation = rotation_from_6d(lifted.rotation_6d)
    torso_joints_m = forward_kinematics(directions, bone_lengths_m(device=directions.device))
    joints_m = torso_joints_m @ rotation.transpose(1, 2)
    points = joints_m[..., :2] * lifted.log_scale.exp()[:, None, None] + lifted.pelvis[:, None]
    return Posed(joints_m, points, rotation, directions)


def load_lifter(path: str | Path, device: torch.device | str = "cpu") -> Lifter:
    """Return the frozen lifter of a safetensors file. Raises PosecError where file and network differ."""
    model = Lifter()
    try:
        model.load_state_dict(load_file(path))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise PosecError(
            f"'{path}' is not a lifter: {error}; give the file that `posec train lifter` wrote"
        ) from error
    return model.to(device).eval().requires_grad_(False)
