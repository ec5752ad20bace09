"""Two modalities, one latent space: a picture, and the offsets from a cell to the key points of whoever is there.

After Kundu et al., ECCV 2020, as far as that is known: a loss that aligns a picture's latent with that of its people's key points,
and a cycle from latents to people, to their key points, and back. Latents are those of the lift of a `KeypointNetwork`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ...network.heads import to_units
from ...network.network import KeypointNetwork, told_ways
from ...network.torch_kinematics import rotation_from_6d
from ...runtime.pose import MUPOTS17, PoseSpec
from ..pictures.dataset import PERSON
from ..pictures.people import KEYPOINT_JOINTS
from .losses import posed_joints
from .skeleton_scenes import FACE_POINTS, face_points
from .targets import make_targets

Encode = Callable[[Tensor], Tensor]


class ReadPeople(NamedTuple):
    """People as heads describe them: joints (..., 17, 3) in m in the viewing ray's frame, torso rotation (..., 3, 3), pixels per
    metre (...), and centres (..., 2) in pixels of the input.
    """

    joints_m: Tensor
    rotation: Tensor
    px_per_m: Tensor
    centres_px: Tensor


def read_people(
    read: Mapping[str, Tensor], cells_px: Tensor, spec: PoseSpec, decode: Callable[[Tensor], Tensor]
) -> ReadPeople:
    """Return the people that raw heads (K, channels) describe, read in cells at `cells_px` (K, 2)."""
    maps = to_units(dict(read))
    rotation = rotation_from_6d(maps.rotation)
    px_per_m = spec.reference_px_per_m * torch.exp(-maps.depth[:, 0])
    return ReadPeople(
        posed_joints(maps.embedding, rotation, decode),
        rotation,
        px_per_m,
        cells_px + maps.offset * spec.stride,
    )


def project_people(people: ReadPeople, spec: PoseSpec) -> Tensor:
    """Return COCO's 17 key points (..., 17, 2) of people, in pixels of the input; their faces look where their torsos do."""
    face_m = face_points(people.joints_m.flatten(0, -3), people.rotation.flatten(0, -3))[0].unflatten(
        0, people.px_per_m.shape
    )
    points_m = torch.cat([face_m, people.joints_m[..., KEYPOINT_JOINTS, :]], -2)
    middle = people.joints_m[..., [MUPOTS17.index(joint) for joint in spec.centre_joints], :].mean(
        -2, keepdim=True
    )
    return people.centres_px[..., None, :] + people.px_per_m[..., None, None] * (points_m - middle)[..., :2]


def labelled_points(labels: Mapping[str, Tensor], spec: PoseSpec) -> Tensor:
    """Return COCO's 17 key points (B, P, 17, 2) of labelled people, in pixels of the input.

    Those of the body are as marked where they are seen, else projected; faces have no labels and look where torsos do.
    Rows without a person are 0.
    """
    people = ReadPeople(labels["joints_m"], labels["rotation"], labels["px_per_m"], labels["centres_px"])
    face_px, body_px = project_people(people, spec).split((FACE_POINTS, len(KEYPOINT_JOINTS)), -2)
    body_px = torch.where(labels["visible"][..., None] > 0, labels["keypoints_px"], body_px)
    person = (labels["status"] == PERSON)[..., None, None]
    return torch.where(person, torch.cat([face_px, body_px], -2), 0.0)


class KeypointOffsets(NamedTuple):
    """Key points as the lift takes them: offsets (K, 102) from cells at `cells_px` (K, 2), and how much each reading counts (K,)."""

    offsets: Tensor
    cells_px: Tensor
    weights: Tensor


def labelled_offsets(
    labels: Mapping[str, Tensor], spec: PoseSpec, map_size: tuple[int, int]
) -> KeypointOffsets:
    """Return the offsets from the cells around labelled people's centres to their key points; `labels` are packed, see `dataset.pack`."""
    targets = make_targets(labels, spec, map_size)
    picture, row, column, person = targets.cells.T
    points_px = labelled_points(labels, spec)[picture, person]
    cells_px = torch.stack([column, row], 1) * spec.stride + spec.cell_origin_px
    return KeypointOffsets(
        told_ways(points_px - cells_px[:, None]), cells_px, targets.weights * labels["trust"][picture, person]
    )


def lifted_poses(network: KeypointNetwork, offsets: Tensor) -> dict[str, Tensor]:
    """Return raw heads and `auxiliary`, each (K, channels), of key-point offsets (K, 102) alone; without a picture, `centre` is 0."""
    raw = network.poses(network.lift(network.lift.latent(offsets.T[None, ..., None])))
    return {
        "centre": offsets.new_zeros(len(offsets), 1),
        **{name: values[0, ..., 0].T for name, values in raw.items()},
    }


def alignment_loss(latent: Tensor, labels: Mapping[str, Tensor], enter: Encode, spec: PoseSpec) -> Tensor:
    """Return how far pictures' latents (B, C, h, w) are from those of the offsets to the labelled key points, around centres.

    `enter` makes latents of offsets (1, 102, K, 1); no gradient goes through it.
    """
    height, width = latent.shape[2:]
    picture, row, column, _ = make_targets(labels, spec, (height, width)).cells.T
    if not len(picture):
        return 0 * latent.sum()
    with torch.no_grad():
        wanted = labelled_offsets(labels, spec, (height, width))
        goal = _latents(enter, wanted.offsets)
    return latent_distance(latent[picture, :, row, column].float(), goal, wanted.weights)


def cycle_loss(
    read: Mapping[str, Tensor],
    given: KeypointOffsets,
    enter: Encode,
    spec: PoseSpec,
    decode: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return how far the latents of lifted people, projected to key points again, are from those of the key points they were lifted from.

    Args:
        read: raw heads (K, channels), see `lifted_poses`.
        given: the offsets that `read` was lifted from.
        enter: makes latents of offsets (1, 102, K, 1); the gradient reaches `read` through it.
        spec, decode: as for `pose_losses`.
    """
    people = read_people(read, given.cells_px, spec, decode)
    with torch.no_grad():
        goal = _latents(enter, given.offsets)
    return latent_distance(
        _latents(enter, told_ways(project_people(people, spec) - given.cells_px[:, None])),
        goal,
        given.weights,
    )


def latent_distance(latents: Tensor, goal: Tensor, weights: Tensor) -> Tensor:
    """Return how far latents (K, C) are from others, as a share of the latter's size; readings count by weights (K,)."""
    apart, size = ((part.abs() * weights[:, None]).sum() for part in (latents - goal, goal))
    return apart / size.clamp(min=1e-3)


def _latents(enter: Encode, offsets: Tensor) -> Tensor:
    return enter(offsets.T[None, ..., None])[0, ..., 0].T.float()
