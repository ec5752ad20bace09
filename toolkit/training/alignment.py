"""Two encoders, one latent space: what pictures are encoded as is drawn to what 2D pose maps of the same people are encoded as.

After Kundu et al., ECCV 2020, as far as that is known: a loss that aligns a picture's latent map with its pose maps', and a cycle from a
latent map to people, their pose maps, and back. Both latents are those of `JointNetwork`, before its last blocks, and count where people are.
The other modality of a `KeypointNetwork` are ways to key points: there a picture's latent is aligned with that of its people's ways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ..network.keypoint_network import KeypointNetwork, told_ways
from ..network.kinematics import rotation_from_6d
from ..network.maps import JOINTS
from ..network.pose_network import to_units, twice
from ..runtime.pose import MUPOTS17, PoseSpec
from .dataset import PERSON
from .losses import posed_joints
from .map_rendering import draw_maps
from .map_scenes import FACE_POINTS, face_points
from .people import KEYPOINT_JOINTS
from .targets import make_targets

Encode = Callable[[Tensor], Tensor]


class ReadPeople(NamedTuple):
    """People as heads say they are: joints (B, P, 17, 3) in m in the viewing ray's frame, torso rotation (B, P, 3, 3), pixels per
    metre (B, P), and centres (B, P, 2) in pixels of the input.
    """

    joints_m: Tensor
    rotation: Tensor
    px_per_m: Tensor
    centres_px: Tensor


def read_people(raw: Mapping[str, Tensor], centres_px: Tensor, spec: PoseSpec, decode: Callable[[Tensor], Tensor]) -> ReadPeople:
    """Return the people that raw heads (B, C, h, w) describe in the cells nearest to centres (B, P, 2)."""
    height, width = raw["centre"].shape[2:]
    cells = ((centres_px - spec.cell_origin_px) / spec.stride).round()
    column, row = cells[..., 0].clamp(0, width - 1), cells[..., 1].clamp(0, height - 1)
    batch = torch.arange(len(cells), device=cells.device)[:, None]
    maps = to_units({name: part[batch, :, row.long(), column.long()] for name, part in raw.items()})
    rotation = rotation_from_6d(maps.rotation)
    joints_m = posed_joints(maps.embedding.flatten(0, 1), rotation.flatten(0, 1), decode).unflatten(0, cells.shape[:2])
    at_px = torch.stack([column, row], -1) * spec.stride + spec.cell_origin_px
    px_per_m = spec.reference_px_per_m * torch.exp(-maps.depth[..., 0])
    return ReadPeople(joints_m, rotation, px_per_m, at_px + maps.offset * spec.stride)


def read_readings(read: Mapping[str, Tensor], cells_px: Tensor, spec: PoseSpec, decode: Callable[[Tensor], Tensor]) -> ReadPeople:
    """Return the people, without a leading B, that raw heads (K, channels) describe, read in cells at `cells_px` (K, 2)."""
    maps = to_units(dict(read))
    rotation = rotation_from_6d(maps.rotation)
    px_per_m = spec.reference_px_per_m * torch.exp(-maps.depth[:, 0])
    return ReadPeople(posed_joints(maps.embedding, rotation, decode), rotation, px_per_m, cells_px + maps.offset * spec.stride)


def project_people(people: ReadPeople, spec: PoseSpec) -> Tensor:
    """Return COCO's 17 key points (..., 17, 2) of people, in pixels of the input; their faces look where their torsos do."""
    face_m = face_points(people.joints_m.flatten(0, -3), people.rotation.flatten(0, -3))[0].unflatten(0, people.px_per_m.shape)
    points_m = torch.cat([face_m, people.joints_m[..., KEYPOINT_JOINTS, :]], -2)
    middle = people.joints_m[..., [MUPOTS17.index(joint) for joint in spec.centre_joints], :].mean(-2, keepdim=True)
    return people.centres_px[..., None, :] + people.px_per_m[..., None, None] * (points_m - middle)[..., :2]


def people_points(people: ReadPeople, keypoints_px: Tensor | None, labels: Mapping[str, Tensor], spec: PoseSpec) -> tuple[Tensor, Tensor]:
    """Return COCO's 17 key points (B, P, 17, 2) of people, in pixels of the input, and which can be seen (B, P, 17).

    Args:
        people: whose key points are asked for; their faces are where their heads are.
        keypoints_px: (B, P, 12, 2) their body's key points, for those that can be seen; None for the projected joints.
        labels: packed labels, which say who is a person and which key points can be seen.
        spec: of the network.
    """
    size = (spec.input_size[1], spec.input_size[0])
    turned = face_points(people.joints_m.flatten(0, 1), people.rotation.flatten(0, 1))[1].unflatten(0, people.px_per_m.shape)
    face_px, body_px = project_people(people, spec).split((FACE_POINTS, len(KEYPOINT_JOINTS)), -2)
    inside = ((face_px > 0) & (face_px < face_px.new_tensor(size))).all(-1)
    if keypoints_px is not None:
        body_px = torch.where(labels["seen"][..., None] > 0, keypoints_px, body_px)
    person = (labels["status"] == PERSON)[..., None]
    visible = torch.cat([turned * inside, labels["seen"]], 2) * person
    # Rows without a person have no joints, and what is made of those has no place.
    return torch.where(person[..., None], torch.cat([face_px, body_px], 2), 0.0), visible


def people_maps(people: ReadPeople, keypoints_px: Tensor | None, labels: Mapping[str, Tensor], spec: PoseSpec) -> Tensor:
    """Return the pose maps (B, 115, H / 16, W / 16) of people, without a fault; arguments as for `people_points`."""
    return draw_maps(*people_points(people, keypoints_px, labels, spec), spec.input_size)


def labelled(labels: Mapping[str, Tensor]) -> ReadPeople:
    """Return the people that packed labels describe (see `dataset.pack`)."""
    return ReadPeople(labels["joints_m"], labels["rotation"], labels["px_per_m"], labels["centres_px"])


def label_maps(labels: Mapping[str, Tensor], spec: PoseSpec) -> Tensor:
    """Return the pose maps (B, 115, H / 16, W / 16) of labelled people (see `dataset.pack`): their key points as the teacher, or a
    human, marked them, the ways between them, and faces where the fitted heads are.
    """
    return people_maps(labelled(labels), labels["keypoints_px"], labels, spec)


def distance(latent: Tensor, goal: Tensor, maps: Tensor) -> Tensor:
    """Return how far a latent map (B, C, h, w) is from another, as a share of the latter's size.

    Cells count by the highest heat of the pose maps (B, 115, h / 2, w / 2): near people alone, and there as sure as their joints are.
    """
    sure = twice(maps[:, :JOINTS].amax(1, keepdim=True))
    return ((latent - goal).abs() * sure).sum() / (goal.abs() * sure).sum().clamp(min=1e-3)


def alignment_loss(latent: Tensor, labels: Mapping[str, Tensor], encode: Encode, spec: PoseSpec) -> Tensor:
    """Return how far pictures' latent maps (B, C, h, w) are from those of the same pictures' labelled key points.

    `encode` makes latent maps of pose maps; no gradient goes through it: pictures are drawn to maps, not maps to pictures.
    """
    with torch.no_grad():
        maps = label_maps(labels, spec)
        goal = encode(maps).float()
    return distance(latent.float(), goal, maps)


class KeypointOffsets(NamedTuple):
    """Key points as the lift takes them: offsets (K, 102) from cells at `cells_px` (K, 2), and how much each reading counts (K,)."""

    offsets: Tensor
    cells_px: Tensor
    weights: Tensor


def labelled_offsets(labels: Mapping[str, Tensor], spec: PoseSpec, map_size: tuple[int, int]) -> KeypointOffsets:
    """Return the offsets from the cells around labelled people's centres to their key points; `labels` are packed, see `dataset.pack`."""
    targets = make_targets(labels, spec, map_size)
    picture, row, column, person = targets.cells.T
    points_px = people_points(labelled(labels), labels["keypoints_px"], labels, spec)[0][picture, person]
    cells_px = torch.stack([column, row], 1) * spec.stride + spec.cell_origin_px
    return KeypointOffsets(told_ways(points_px - cells_px[:, None]), cells_px, targets.weights * labels["trust"][picture, person])


def lifted_poses(network: KeypointNetwork, offsets: Tensor) -> dict[str, Tensor]:
    """Return raw heads and `auxiliary`, each (K, channels), of key-point offsets (K, 102) alone; without a picture, `centre` is 0."""
    raw = network.poses(network.lift(network.lift.latent(offsets.T[None, ..., None])))
    return {"centre": offsets.new_zeros(len(offsets), 1), **{name: values[0, ..., 0].T for name, values in raw.items()}}


def way_alignment_loss(latent: Tensor, labels: Mapping[str, Tensor], enter: Encode, spec: PoseSpec) -> Tensor:
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


def keypoint_cycle_loss(
    read: Mapping[str, Tensor], given: KeypointOffsets, enter: Encode, spec: PoseSpec, decode: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return how far the latents of lifted people, projected to key points again, are from those of the key points they were lifted from.

    Args:
        read: raw heads (K, channels), see `lifted_poses`.
        given: the offsets that `read` was lifted from.
        enter: makes latents of offsets (1, 102, K, 1); the gradient reaches `read` through it.
        spec, decode: as for `pose_losses`.
    """
    people = read_readings(read, given.cells_px, spec, decode)
    with torch.no_grad():
        goal = _latents(enter, given.offsets)
    return latent_distance(_latents(enter, told_ways(project_people(people, spec) - given.cells_px[:, None])), goal, given.weights)


def latent_distance(latents: Tensor, goal: Tensor, weights: Tensor) -> Tensor:
    """Return how far latents (K, C) are from others, as a share of the latter's size; readings count by weights (K,)."""
    apart, size = ((part.abs() * weights[:, None]).sum() for part in (latents - goal, goal))
    return apart / size.clamp(min=1e-3)


def _latents(enter: Encode, offsets: Tensor) -> Tensor:
    return enter(offsets.T[None, ..., None])[0, ..., 0].T.float()


def cycle_loss(
    raw: Mapping[str, Tensor],
    maps: Tensor,
    labels: Mapping[str, Tensor],
    encode: Encode,
    spec: PoseSpec,
    decode: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return how far the people that heads say are in scenes of skeletons, drawn and encoded again, are from the scenes they were read from.

    Args:
        raw: raw heads (B, C, h, w) of the scenes.
        maps: (B, 115, h / 2, w / 2) the pose maps that they were read from.
        labels: packed labels of the scenes; say where the people are and what of them can be seen.
        encode: makes latent maps of pose maps; the gradient reaches the heads through it.
        spec, decode: as for `pose_losses`.
    """
    drawn = people_maps(read_people(raw, labels["centres_px"], spec, decode), None, labels, spec)
    with torch.no_grad():
        goal = encode(maps).float()
    return distance(encode(drawn).float(), goal, maps)
