"""Consistency of poses between a picture and a mirrored, rotated and zoomed view of it.

It needs no labels. A picture zoomed by a factor shows people nearer by that factor: this supervises depth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ...network.heads import PoseMaps, to_units
from ...network.torch_kinematics import rotation_from_6d
from ...runtime.pose import MUPOTS17, PoseSpec
from .losses import posed_joints
from .targets import TORSO_M

MIN_SCORE = 0.3
MAX_ROTATION_RAD = 0.26
ZOOM = (0.7, 1.3)


@dataclass(frozen=True)
class Views:
    """Transformations of B pictures about their centres.

    Attributes:
        flipped: (B,) bool, mirrored left to right, before the rotation.
        angle_rad: (B,) rotation, clockwise in the picture.
        zoom: (B,) magnification.
    """

    flipped: Tensor
    angle_rad: Tensor
    zoom: Tensor

    @property
    def rotation(self) -> Tensor:
        """(B, 2, 2) the rotation, preceded by the mirror."""
        sine, cosine = self.angle_rad.sin(), self.angle_rad.cos()
        rotation = torch.stack([cosine, -sine, sine, cosine], -1).unflatten(-1, (2, 2))
        side = torch.where(self.flipped, -1.0, 1.0)
        return rotation * torch.stack([side, torch.ones_like(side)], -1)[:, None]


def draw_views(count: int, generator: torch.Generator) -> Views:
    """Return `count` random views, on the generator's device."""
    flipped, angle, zoom = torch.rand(3, count, generator=generator, device=generator.device)
    low, high = ZOOM
    return Views(flipped < 0.5, (2 * angle - 1) * MAX_ROTATION_RAD, low * (high / low) ** zoom)


def second_view(images: Tensor, views: Views) -> Tensor:
    """Return the views of normalized images (B, 3, H, W).

    Beyond the borders they are 0, the grey of the letterbox.
    """
    size = images.new_tensor([images.shape[3], images.shape[2]])
    # From the view to the picture, in half sides, with the pixel centres of `align_corners`.
    inverse = (
        torch.linalg.inv(views.zoom[:, None, None] * views.rotation)
        * (size - 1)[None, None]
        / (size - 1)[None, :, None]
    )
    matrix = torch.cat([inverse, torch.zeros_like(inverse[..., :1])], -1)
    grid = functional.affine_grid(matrix.to(images.dtype), list(images.shape), align_corners=True)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)


class _Cells(NamedTuple):
    """Cells by picture, row and column, each (K,)."""

    picture: Tensor
    row: Tensor
    column: Tensor


class _Poses(NamedTuple):
    """Outputs (K, …) in the units of PoseSpec, joints (K, 17, 3) in m, and centres (K, 2) in pixels."""

    maps: PoseMaps
    joints_m: Tensor
    centres_px: Tensor


def consistency_loss(
    raw: Mapping[str, Tensor],
    raw_view: Mapping[str, Tensor],
    views: Views,
    *,
    spec: PoseSpec,
    decode: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the difference between the people of pictures and of their views, weighted by score.

    The mean over people detected in the picture and within the view, of the differences in joints
    (m), log of depth, score, and place (torso lengths).

    Args:
        raw: raw heads (B, C, h, w) of the pictures.
        raw_view: raw heads (B, C, h, w) of the views.
        views: transformations of the pictures.
        spec: specification of the network.
        decode: as for `pose_losses`.
    """
    score = torch.sigmoid(raw["centre"][:, 0].detach())
    peak = (score > MIN_SCORE) & (score >= functional.max_pool2d(score[:, None], 3, 1, 1)[:, 0])
    cells = _Cells(*peak.nonzero(as_tuple=True))
    height, width = score.shape[1:]
    first = _poses_at(raw, cells, spec, decode=decode)
    moved_px = _moved_points(first.centres_px, views, cells.picture, spec=spec)
    places = ((moved_px.detach() - spec.cell_origin_px) / spec.stride).round().long()
    within = (places[:, 0] >= 0) & (places[:, 0] < width) & (places[:, 1] >= 0) & (places[:, 1] < height)
    view_cells = _Cells(cells.picture, places[:, 1].clamp(0, height - 1), places[:, 0].clamp(0, width - 1))
    second = _poses_at(raw_view, view_cells, spec, decode=decode)

    torso_px = TORSO_M * spec.reference_px_per_m * torch.exp(-second.maps.depth[:, 0].detach())
    joints = (second.joints_m - _moved_joints(first.joints_m, views, cells.picture)).norm(dim=-1).mean(1)
    depth = (second.maps.depth - first.maps.depth)[:, 0] + torch.log(views.zoom[cells.picture])
    place = (second.centres_px - moved_px).norm(dim=-1) / torso_px.clamp(min=spec.stride)
    scores = (second.maps.centre - first.maps.centre)[:, 0].abs()
    weights = score[cells.picture, cells.row, cells.column] * within
    return ((joints + depth.abs() + scores + place) * weights).sum() / weights.sum().clamp(min=1e-6)


def _poses_at(
    raw: Mapping[str, Tensor], cells: _Cells, spec: PoseSpec, *, decode: Callable[[Tensor], Tensor]
) -> _Poses:
    maps = to_units({name: part[cells.picture, :, cells.row, cells.column] for name, part in raw.items()})
    cells_px = torch.stack([cells.column, cells.row], 1) * spec.stride + spec.cell_origin_px
    joints_m = posed_joints(maps.embedding, rotation_from_6d(maps.rotation), decode)
    return _Poses(maps, joints_m, cells_px + maps.offset * spec.stride)


def _moved_points(points_px: Tensor, views: Views, picture: Tensor, *, spec: PoseSpec) -> Tensor:
    """Return points (K, 2) of pictures in pixels of their views."""
    middle = torch.tensor([spec.input_size[1] - 1, spec.input_size[0] - 1], device=points_px.device) / 2
    matrix = (views.zoom[:, None, None] * views.rotation)[picture]
    return ((points_px - middle)[:, None] @ matrix.transpose(1, 2))[:, 0] + middle


def _moved_joints(joints_m: Tensor, views: Views, picture: Tensor) -> Tensor:
    """Return joints (K, 17, 3) as the views show them; a mirror swaps left and right."""
    flipped = views.flipped[picture][:, None, None]
    swapped = torch.where(flipped, joints_m[:, list(MUPOTS17.mirror)], joints_m)
    flat = swapped[..., :2] @ views.rotation[picture].transpose(1, 2)
    return torch.cat([flat, swapped[..., 2:]], -1)
