"""Two modalities with one latent space: images, and the offsets from a cell to the key points of its person.

After Kundu et al., ECCV 2020: an alignment loss between the latent of an image and the latent of its people's
key points, and a cycle loss from latents to poses, to their projected key points, and back to latents.
Latents are those of the lifting head of a `KeypointNetwork`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ...network.heads import to_units
from ...network.keypoints import encode_offsets
from ...network.network import KeypointNetwork
from ...network.torch_kinematics import rotation_from_6d
from ...runtime.pose import MUPOTS17, PoseSpec
from ..pictures.dataset import PERSON
from ..pictures.people import KEYPOINT_JOINTS
from .losses import posed_joints
from .skeleton_points import FACE_POINTS, face_points
from .targets import make_targets

# Encoded offsets (1, 102, K, 1) to latents (1, 256, K, 1).
Encoder = Callable[[Tensor], Tensor]


class PosedPeople(NamedTuple):
    """Poses and places of people; the leading dimensions are those of the heads."""

    joints_m: Tensor  # (..., 17, 3) in the viewing ray's frame, pelvis at 0
    rotation: Tensor  # (..., 3, 3) the torso's axes as columns
    px_per_m: Tensor  # (...)
    centres_px: Tensor  # (..., 2) in the input


class EncodedKeypoints(NamedTuple):
    """Key points as the lifting head takes them."""

    offsets: Tensor  # (K, 102) encoded offsets from a cell
    cells_px: Tensor  # (K, 2) places of the cells in the input
    weights: Tensor  # (K,)


def people_of_heads(
    raw: Mapping[str, Tensor], cells_px: Tensor, spec: PoseSpec, *, decode: Callable[[Tensor], Tensor]
) -> PosedPeople:
    """Return the people of raw heads (K, channels) in cells at `cells_px` (K, 2).

    `decode` as for `pose_losses`.
    """
    maps = to_units(dict(raw))
    rotation = rotation_from_6d(maps.rotation)
    return PosedPeople(
        joints_m=posed_joints(maps.embedding, rotation, decode),
        rotation=rotation,
        px_per_m=spec.reference_px_per_m * torch.exp(-maps.depth[:, 0]),
        centres_px=cells_px + maps.offset * spec.stride,
    )


def project_people(people: PosedPeople, spec: PoseSpec) -> Tensor:
    """Return COCO's 17 key points (..., 17, 2) in pixels of the input; faces look where torsos do."""
    joints, rotation = people.joints_m.flatten(0, -3), people.rotation.flatten(0, -3)
    face_m = face_points(joints, rotation).points_m.unflatten(0, people.px_per_m.shape)
    points_m = torch.cat([face_m, people.joints_m[..., KEYPOINT_JOINTS, :]], -2)
    centre_joints = [MUPOTS17.index(joint) for joint in spec.centre_joints]
    centre_m = people.joints_m[..., centre_joints, :].mean(-2, keepdim=True)
    return people.centres_px[..., None, :] + people.px_per_m[..., None, None] * (points_m - centre_m)[..., :2]


def labelled_points(labels: Mapping[str, Tensor], spec: PoseSpec) -> Tensor:
    """Return COCO's 17 key points (B, P, 17, 2) of labelled people in pixels of the input.

    Visible key points of the body are as labelled, the others and the face are projected. Rows without a
    person are 0.
    """
    people = PosedPeople(labels["joints_m"], labels["rotation"], labels["px_per_m"], labels["centres_px"])
    face_px, body_px = project_people(people, spec).split((FACE_POINTS, len(KEYPOINT_JOINTS)), -2)
    body_px = torch.where(labels["visible"][..., None] > 0, labels["keypoints_px"], body_px)
    person = (labels["status"] == PERSON)[..., None, None]
    return torch.where(person, torch.cat([face_px, body_px], -2), 0.0)


def labelled_offsets(
    labels: Mapping[str, Tensor], spec: PoseSpec, map_size: tuple[int, int]
) -> EncodedKeypoints:
    """Return the encoded offsets from the cells around centres to the labelled key points.

    Args:
        labels: packed labels of a batch, see `dataset.pack`.
        spec: specification of the network.
        map_size: (height, width) of its maps in cells.
    """
    targets = make_targets(labels, spec, map_size)
    picture, row, column, person = targets.cells.T
    points_px = labelled_points(labels, spec)[picture, person]
    cells_px = torch.stack([column, row], 1) * spec.stride + spec.cell_origin_px
    return EncodedKeypoints(
        offsets=encode_offsets(points_px - cells_px[:, None]),
        cells_px=cells_px,
        weights=targets.weights * labels["trust"][picture, person],
    )


def lifted_poses(network: KeypointNetwork, offsets: Tensor) -> dict[str, Tensor]:
    """Return raw heads and `auxiliary` (K, channels), lifted from encoded offsets (K, 102) without an image.

    `centre` needs an image and is 0.
    """
    raw = network.poses(network.lifting_head(network.lifting_head.latent(offsets.T[None, ..., None])))
    poses = {name: values[0, ..., 0].T for name, values in raw.items()}
    return {"centre": offsets.new_zeros(len(offsets), 1), **poses}


def alignment_loss(
    latent: Tensor, labels: Mapping[str, Tensor], encoder: Encoder, *, spec: PoseSpec
) -> Tensor:
    """Return the distance of image latents from the latents of the labelled key points, around centres.

    Args:
        latent: (B, C, h, w).
        labels: packed labels of the batch.
        encoder: receives no gradient.
        spec: specification of the network.
    """
    height, width = latent.shape[2:]
    picture, row, column, _ = make_targets(labels, spec, (height, width)).cells.T
    if not len(picture):
        return 0 * latent.sum()
    with torch.no_grad():
        keypoints = labelled_offsets(labels, spec, (height, width))
        wanted = _latents(encoder, keypoints.offsets)
    return latent_distance(latent[picture, :, row, column].float(), wanted, keypoints.weights)


def cycle_loss(
    raw: Mapping[str, Tensor],
    keypoints: EncodedKeypoints,
    encoder: Encoder,
    *,
    spec: PoseSpec,
    decode: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the distance between the latents of key points and of the projected people lifted from them.

    Args:
        raw: raw heads (K, channels) lifted from `keypoints`, see `lifted_poses`.
        keypoints: the input of the lifting.
        encoder: the gradient reaches `raw` through it.
        spec: specification of the network.
        decode: as for `pose_losses`.
    """
    people = people_of_heads(raw, keypoints.cells_px, spec, decode=decode)
    with torch.no_grad():
        wanted = _latents(encoder, keypoints.offsets)
    projected = encode_offsets(project_people(people, spec) - keypoints.cells_px[:, None])
    return latent_distance(_latents(encoder, projected), wanted, keypoints.weights)


def latent_distance(latents: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Return the L1 distance of latents (K, C) relative to the L1 norm of those wanted, weighted by (K,)."""
    distance, norm = ((part.abs() * weights[:, None]).sum() for part in (latents - wanted, wanted))
    return distance / norm.clamp(min=1e-3)


def _latents(encoder: Encoder, offsets: Tensor) -> Tensor:
    return encoder(offsets.T[None, ..., None])[0, ..., 0].T.float()
