"""Another view of the same picture: mirrored, turned, enlarged. The people found in both must agree; no label is needed.

A picture enlarged by some factor shows its people nearer by that factor, which is what teaches distance without labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...network.heads import PoseMaps, to_units
from ...network.torch_kinematics import rotation_from_6d
from ...runtime.pose import MUPOTS17, PoseSpec
from .losses import posed_joints
from .targets import TORSO_M

LEAST_SCORE = 0.3
TURN_RAD = 0.26
ZOOM = (0.7, 1.3)


@dataclass(frozen=True)
class Views:
    """How B pictures are seen another time, about their middles.

    Attributes:
        flipped: (B,) bool, mirrored left to right, before all else.
        angle_rad: (B,) turned, clockwise as the picture is looked at.
        zoom: (B,) enlarged.
    """

    flipped: Tensor
    angle_rad: Tensor
    zoom: Tensor

    @property
    def turn(self) -> Tensor:
        """(B, 2, 2) the turn, with the mirror before it."""
        sine, cosine = self.angle_rad.sin(), self.angle_rad.cos()
        turn = torch.stack([cosine, -sine, sine, cosine], -1).unflatten(-1, (2, 2))
        side = torch.where(self.flipped, -1.0, 1.0)
        return turn * torch.stack([side, torch.ones_like(side)], -1)[:, None]


def draw_views(count: int, generator: torch.Generator) -> Views:
    """Return random views of so many pictures, on the generator's device."""
    device = generator.device
    flipped, angle, zoom = torch.rand(3, count, generator=generator, device=device)
    return Views(flipped < 0.5, (2 * angle - 1) * TURN_RAD, ZOOM[0] * (ZOOM[1] / ZOOM[0]) ** zoom)


def seen_again(images: Tensor, views: Views) -> Tensor:
    """Return the views of images (B, 3, H, W); beyond their borders there is 0, which is the grey of letterbox bars."""
    size = images.new_tensor([images.shape[3], images.shape[2]])
    # From view to picture, in units of half the picture's sides, with pixels' centres as `align_corners` has them.
    back = (
        torch.linalg.inv(views.zoom[:, None, None] * views.turn)
        * (size - 1)[None, None]
        / (size - 1)[None, :, None]
    )
    matrix = torch.cat([back, torch.zeros_like(back[..., :1])], -1)
    grid = functional.affine_grid(matrix.to(images.dtype), list(images.shape), align_corners=True)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)


def agreement_loss(
    raw: Mapping[str, Tensor],
    raw_again: Mapping[str, Tensor],
    views: Views,
    spec: PoseSpec,
    decode: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return how much people differ between pictures and their other views, weighted by how sure the network is of them.

    The mean over people, found in the picture, whose place the view shows: joints in m, log of depth, score, and place in torsos.

    Args:
        raw, raw_again: raw heads (B, C, h, w) of pictures and views.
        views: what was done to the pictures.
        spec, decode: as for `pose_losses`.
    """
    score = torch.sigmoid(raw["centre"][:, 0].detach())
    peak = (score > LEAST_SCORE) & (score >= functional.max_pool2d(score[:, None], 3, 1, 1)[:, 0])
    picture, row, column = peak.nonzero(as_tuple=True)
    height, width = score.shape[1:]
    middle = torch.tensor([spec.input_size[1] - 1, spec.input_size[0] - 1], device=score.device) / 2
    move = (views.zoom[:, None, None] * views.turn)[picture]

    def read(maps: Mapping[str, Tensor], row: Tensor, column: Tensor) -> tuple[PoseMaps, Tensor]:
        found = to_units({name: part[picture, :, row, column] for name, part in maps.items()})
        return found, torch.stack(
            [column, row], 1
        ) * spec.stride + spec.cell_origin_px + found.offset * spec.stride

    first, centre_px = read(raw, row, column)
    moved_px = ((centre_px - middle)[:, None] @ move.transpose(1, 2))[:, 0] + middle
    cells = ((moved_px.detach() - spec.cell_origin_px) / spec.stride).round().long()
    shown = (cells[:, 0] >= 0) & (cells[:, 0] < width) & (cells[:, 1] >= 0) & (cells[:, 1] < height)
    again, again_px = read(raw_again, cells[:, 1].clamp(0, height - 1), cells[:, 0].clamp(0, width - 1))

    torso_px = TORSO_M * spec.reference_px_per_m * torch.exp(-again.depth[:, 0].detach())
    joints_m, joints_again_m = (
        posed_joints(maps.embedding, rotation_from_6d(maps.rotation), decode) for maps in (first, again)
    )
    apart = (joints_again_m - _moved(joints_m, views, picture)).norm(dim=-1).mean(1)
    depth = (again.depth - first.depth)[:, 0] + torch.log(views.zoom[picture])
    place = (again_px - moved_px).norm(dim=-1) / torso_px.clamp(min=spec.stride)
    differences = apart + depth.abs() + (again.centre - first.centre)[:, 0].abs() + place
    weights = score[picture, row, column] * shown
    return (differences * weights).sum() / weights.sum().clamp(min=1e-6)


def _moved(joints_m: Tensor, views: Views, picture: Tensor) -> Tensor:
    """Return joints (K, 17, 3) as the views of their pictures show them; in a mirror, left is right."""
    exchanged = torch.where(
        views.flipped[picture][:, None, None], joints_m[:, list(MUPOTS17.mirror)], joints_m
    )
    flat = exchanged[..., :2] @ views.turn[picture].transpose(1, 2)
    return torch.cat([flat, exchanged[..., 2:]], -1)
