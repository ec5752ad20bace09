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

from ..network.keypoint_network import told_ways
from ..network.kinematics import rotation_from_6d
from ..network.maps import JOINTS
from ..network.pose_network import to_units, twice
from ..runtime.pose import MUPOTS17, PoseSpec
from .dataset import PERSON
from .losses import posed_joints
from .map_rendering import draw_maps
from .map_scenes import face_points
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


def people_points(people: ReadPeople, keypoints_px: Tensor | None, labels: Mapping[str, Tensor], spec: PoseSpec) -> tuple[Tensor, Tensor]:
    """Return COCO's 17 key points (B, P, 17, 2) of people, in pixels of the input, and which can be seen (B, P, 17).

    Args:
        people: whose key points are asked for; their faces are where their heads are.
        keypoints_px: (B, P, 12, 2) their body's key points, for those that can be seen; None for the projected joints.
        labels: packed labels, which say who is a person and which key points can be seen.
        spec: of the network.
    """
    size = (spec.input_size[1], spec.input_size[0])
    middle = people.joints_m[:, :, [MUPOTS17.index(joint) for joint in spec.centre_joints]].mean(2, keepdim=True)

    def project(points_m: Tensor) -> Tensor:
        return people.centres_px[:, :, None] + people.px_per_m[..., None, None] * (points_m - middle)[..., :2]

    shape = people.px_per_m.shape
    face_m, turned = (part.unflatten(0, shape) for part in face_points(people.joints_m.flatten(0, 1), people.rotation.flatten(0, 1)))
    face_px, body_px = project(face_m), project(people.joints_m[:, :, KEYPOINT_JOINTS])
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


def way_alignment_loss(latent: Tensor, labels: Mapping[str, Tensor], enter: Encode, spec: PoseSpec) -> Tensor:
    """Return how far pictures' latents (B, C, h, w) are from those of the ways to the labelled key points, around centres.

    `enter` makes latents of ways (1, 102, K, 1); no gradient goes through it.
    """
    targets = make_targets(labels, spec, (latent.shape[2], latent.shape[3]))
    picture, row, column, person = targets.cells.T
    with torch.no_grad():
        points_px = people_points(labelled(labels), labels["keypoints_px"], labels, spec)[0][picture, person]
        cells_px = torch.stack([column, row], 1) * spec.stride + spec.cell_origin_px
        goal = enter(told_ways(points_px - cells_px[:, None]).T[None, ..., None])[0, ..., 0].T.float()
    sure = (targets.weights * labels["trust"][picture, person])[:, None]
    away = (latent[picture, :, row, column].float() - goal).abs()
    return (away * sure).sum() / (goal.abs() * sure).sum().clamp(min=1e-3)


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
