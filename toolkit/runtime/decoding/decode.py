"""Heads to people: centres, embeddings, poses, and their places in the picture and before the camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Dict, Mapping, Optional, Tuple

import numpy as np

from ..errors import HeadError
from ..pose import HEADS, PoseFrame, PoseSpec, Skeleton
from ..preprocess import Letterbox
from .centres import find_centres
from .intrinsics import Intrinsics, pinhole
from .keypoints import find_keypoints
from .kinematics import Layers, decode_embeddings, paths_mm, ray_rotation, rotation_from_6d
from .refine import REFINEMENT, Bodies, Matches, Refinement, refine, snap

MOST_PEOPLE = 64


@dataclass(frozen=True)
class Duplicates:
    """When two detections are one person seen twice; the better one stays. Lengths are in torsos of the better one.

    Attributes:
        centre_torsos: centres nearer than this, of bodies of like size, are one: two people side by side stand a
            shoulder's width apart, 0.7 torsos; one behind the other they differ in size or the farther one is hidden.
        size_ratio: what "like size" means; a child before an adult may share the adult's centre.
        joints_torsos: a mean joint distance below this is one person whatever the centres say: a wide blob of the
            centre map yields the same limbs from two of its cells, while two people in one place differ in their limbs.
    """

    centre_torsos: float = 0.35
    size_ratio: float = 2.0
    joints_torsos: float = 0.28


def decode_heads(
    heads: Mapping[str, np.ndarray],
    spec: PoseSpec,
    decoder: Layers,
    letterbox: Letterbox,
    focal_px: Optional[float] = None,
    most: int = MOST_PEOPLE,
    duplicates: Duplicates = Duplicates(),
    refinement: Optional[Refinement] = REFINEMENT,
    camera: Optional[Intrinsics] = None,
) -> PoseFrame:
    """Return the people that a network's heads describe, best first.

    Args:
        heads: head name → (C, h, w) float32, see PoseSpec.
        spec: what the heads mean.
        decoder: from embeddings to bone directions, see `kinematics.layers`.
        letterbox: where the picture lies in the network's input.
        focal_px: focal length in picture pixels; None takes `spec.focal_default` of the picture's longer side.
        most: look at no more peaks than this.
        duplicates: when two detections are one person.
        refinement: how poses are fitted to key points, where the network tells of them; None leaves them as the other heads say.
        camera: of pictures of this size, in place of `focal_px`, whose principal point is the middle of the picture.

    `joints_px` are by scaled orthographic projection about the person's centre, and on their key points where these
    are near (`Refinement.snap_m`); the root lies on the ray through the projected pelvis.

    Raises HeadError where a head has another shape than promised, or is not a number where a person is.
    """
    check_heads(heads, spec)
    cells, scores = find_centres(heads["centre"][0], spec.centre_threshold, most)
    if not len(cells):
        return nobody(spec)
    at = read_cells(heads, cells)
    centres = spec.cell_origin_px + spec.stride * (cells[:, ::-1] + at["offset"])
    px_per_m = spec.reference_px_per_m * np.exp(-at["depth"][:, 0])
    directions = decode_embeddings(at["embedding"], decoder).transpose(0, 2, 1)
    bodies = Bodies(rotation_from_6d(at["rotation"]) @ directions, px_per_m, centres)
    places_mm, joints = _pose(bodies, spec)
    kept = distinct(bodies.centres, joints, px_per_m / 1000, torso_mm(spec.skeleton), duplicates)
    if refinement is not None and spec.keypoints is not None:
        bodies = bodies if kept.all() else bodies.take(kept)
        bodies, matches = refine(bodies, find_keypoints(heads, spec, refinement.least_heat), spec, refinement)
        scores = scores[kept]
        if refinement.evidence:
            scores = np.clip(
                scores + refinement.evidence * (matches.pull.sum(axis=1) - refinement.usual), 0, 1
            )
            order = np.argsort(-scores, kind="stable")
            scores, bodies, matches = (
                scores[order],
                bodies.take(order),
                Matches(*(values[order] for values in matches)),
            )
        places_mm, joints = _pose(bodies, spec)
        snap(joints, bodies.px_per_m, matches, spec, refinement)
        # Two that were apart may have been drawn to one place.
        kept = distinct(bodies.centres, joints, bodies.px_per_m / 1000, torso_mm(spec.skeleton), duplicates)
        kept &= scores > spec.centre_threshold
    if not kept.all():
        scores, bodies, places_mm, joints = scores[kept], bodies.take(kept), places_mm[kept], joints[kept]
    if camera is None:
        size = letterbox.picture_size
        camera = pinhole(spec.focal_default * max(size) if focal_px is None else focal_px, size)
    return _placed(
        scores, bodies, places_mm, joints=joints, letterbox=letterbox, root=spec.skeleton.root, camera=camera
    )


def _pose(bodies: Bodies, spec: PoseSpec) -> Tuple[np.ndarray, np.ndarray]:
    """Return joints (N, 3, J) in mm from the centre, in the frame of the viewing ray, and (N, J, 2) in pixels of the input."""
    places_mm = bodies.bones @ _paths_from_centre_mm(spec.skeleton, spec.centre_joints)
    joints = bodies.centres[..., None] + (bodies.px_per_m / 1000)[:, None, None] * places_mm[:, :2]
    return places_mm, np.ascontiguousarray(joints.transpose(0, 2, 1))


@lru_cache(maxsize=8)
def _paths_from_centre_mm(skeleton: Skeleton, centre_joints: Tuple[str, ...]) -> np.ndarray:
    """Return (B, J) float32 that takes bone directions to joints from the mean of the centre's joints."""
    paths = paths_mm(skeleton)
    return np.ascontiguousarray(
        (paths - paths[[skeleton.index(name) for name in centre_joints]].mean(axis=0)).T
    )


def _placed(
    scores: np.ndarray,
    bodies: Bodies,
    places_mm: np.ndarray,
    *,
    joints: np.ndarray,
    letterbox: Letterbox,
    root: int,
    camera: Intrinsics,
) -> PoseFrame:
    """Return people in the picture and before the camera from `_pose`'s places and joints, which key points may have moved."""
    count = len(scores)
    roots = bodies.centres + (bodies.px_per_m / 1000)[:, None] * places_mm[:, :2, root]
    # One call for all points: centres, roots, then joints.
    points = letterbox.to_picture(np.concatenate([bodies.centres[:, None], roots[:, None], joints], axis=1))
    rays = camera.rays(points[:, :2].reshape(-1, 2)).reshape(count, 2, 3)
    joints_mm = ray_rotation(rays[:, 0]) @ (places_mm - places_mm[:, :, root, None])
    roots_mm = (1000 * camera.mean_focal_px * letterbox.scale / bodies.px_per_m)[:, None] * rays[:, 1]
    frame = (scores, points[:, 0], joints_mm.transpose(0, 2, 1), roots_mm, points[:, 2:])
    return PoseFrame(*(np.ascontiguousarray(values, np.float32) for values in frame))


def nobody(spec: PoseSpec) -> PoseFrame:
    """Return the people of an empty picture."""
    joints = len(spec.skeleton.names)
    return PoseFrame(
        *(np.zeros(shape, np.float32) for shape in ((0,), (0, 2), (0, joints, 3), (0, 3), (0, joints, 2)))
    )


def check_heads(heads: Mapping[str, np.ndarray], spec: PoseSpec) -> None:
    """Raise HeadError unless every head is there in the shape that the spec promises, and the centre map is finite."""
    for name in spec.head_names:
        shape = spec.head_shape(name)
        if name not in heads or heads[name].shape != shape:
            found = f"has shape {heads[name].shape}" if name in heads else "is missing"
            raise HeadError(
                f"head '{name}' must have shape {shape} and {found}; the model does not fit its specification"
            )
    if not np.isfinite(heads["centre"].sum()):
        raise HeadError(
            "head 'centre' is not finite somewhere; the arithmetic overflowed: build with float32"
        )


def read_cells(heads: Mapping[str, np.ndarray], cells: np.ndarray) -> Dict[str, np.ndarray]:
    """Return the heads but the centre at cells (N, 2), row and column, as (N, C). Raises HeadError where one is not finite."""
    rows, columns = cells[:, 0], cells[:, 1]
    at = {name: heads[name][:, rows, columns].T for name in HEADS[1:]}
    if not np.isfinite(sum(float(values.sum()) for values in at.values())):
        broken = next(name for name, values in at.items() if not np.isfinite(values.sum()))
        raise HeadError(
            f"head '{broken}' is not finite where a person is; the arithmetic overflowed: build with float32"
        )
    return at


@lru_cache(maxsize=8)
def torso_mm(skeleton: Skeleton) -> float:
    """Return how far a skeleton's neck is from its root along the bones."""
    length_mm, joint = 0.0, skeleton.index("neck")
    while joint != skeleton.root:
        length_mm += skeleton.bone_lengths_mm[skeleton.bones.index(joint)]
        joint = skeleton.parents[joint]
    return length_mm


def distinct(
    centres: np.ndarray, joints: np.ndarray, px_per_mm: np.ndarray, torso: float, duplicates: Duplicates
) -> np.ndarray:
    """Return which of the detections (N,), best first, are no duplicates of a better one that stays.

    Args:
        centres: (N, 2) and joints: (N, J, 2) in one picture.
        px_per_mm: (N,) scale of the bodies in that picture.
        torso: length in mm.
        duplicates: when two are one.

    Returns:
        (N,) bool.
    """
    count = len(centres)
    stays = np.ones(count, bool)
    if count < 2:
        return stays
    # The mean distance of joints is at least the distance of their means, which rules out nearly all pairs cheaply.
    points = np.stack([centres, joints.sum(axis=1) / joints.shape[1]])
    limits = np.array([[duplicates.centre_torsos], [duplicates.joints_torsos]], np.float32) * (
        torso * px_per_mm
    )
    apart = points[:, :, None] - points[:, None]
    apart *= apart
    near = apart[..., 0] + apart[..., 1] < np.square(limits)[..., None]
    near.reshape(2, -1)[:, :: count + 1] = False  # nobody is a duplicate of themselves
    if not near.any():
        return stays
    logs = np.log(px_per_mm)
    same = near[0] & (np.abs(logs[:, None] - logs) < np.log(duplicates.size_ratio))
    first, second = np.nonzero(near[1])
    first, second = first[first < second], second[first < second]
    if len(first):
        difference = joints[first] - joints[second]
        same[first, second] |= np.sqrt((difference * difference).sum(-1)).mean(-1) < limits[1, first]
    for better in np.flatnonzero(same.any(axis=1)):
        if stays[better]:
            stays[better + 1 :] &= ~same[better, better + 1 :]
    return stays
