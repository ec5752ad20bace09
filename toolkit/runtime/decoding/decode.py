"""Heads to people: detect centres, decode poses, fit them to key points, place them in the camera's frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from ..errors import HeadError
from ..pose import HEADS, PoseFrame, PoseSpec, Skeleton
from ..preprocess import Letterbox
from ..temporal.evidence import DecodedPeople, Evidence, Origin, no_evidence
from .bone_prior import REFINEMENT, Refinement
from .centres import find_centres
from .duplicates import Duplicates, distinct
from .intrinsics import Intrinsics, pinhole
from .keypoints import find_keypoints
from .kinematics import Layers, decode_embeddings, paths_mm, ray_rotation, rotation_from_6d, torso_mm
from .refine import Bodies, Matches, refine, snap

MOST_PEOPLE = 64


@dataclass(frozen=True)
class DecodeOptions:
    """Settings of `decode_heads`.

    Attributes:
        most: number of peaks of the centre map that are used, best first.
        duplicates: limits at which two detections are one person.
        refinement: settings of the fit to key points, if the network has such heads; None skips it.
    """

    most: int = MOST_PEOPLE
    duplicates: Duplicates = field(default_factory=Duplicates)
    refinement: Optional[Refinement] = REFINEMENT


DECODING = DecodeOptions()


def decode_heads(
    heads: Mapping[str, np.ndarray],
    spec: PoseSpec,
    decoder: Layers,
    *,
    letterbox: Letterbox,
    camera: Optional[Intrinsics] = None,
    options: DecodeOptions = DECODING,
) -> PoseFrame:
    """Return the people that a network's heads describe, best first.

    `joints_px` are by scaled orthographic projection about the person's centre. Joints near their key points
    lie on them (`Refinement.snap_m`). The root lies on the ray through the projected pelvis. See
    `decode_people` for arguments and errors.
    """
    return decode_people(heads, spec, decoder, letterbox=letterbox, camera=camera, options=options).people


def decode_people(
    heads: Mapping[str, np.ndarray],
    spec: PoseSpec,
    decoder: Layers,
    *,
    letterbox: Letterbox,
    camera: Optional[Intrinsics] = None,
    options: DecodeOptions = DECODING,
) -> DecodedPeople:
    """Return the people that a network's heads describe, best first, with their evidence.

    Args:
        heads: head name → (C, h, w) float32, see PoseSpec.
        spec: contract of the network.
        decoder: from embeddings to bone directions, see `kinematics.layers`.
        letterbox: place of the picture in the network's input.
        camera: of pictures of this size; None assumes the specification's focal length.
        options: see DecodeOptions.

    Raises HeadError if a head has another shape than specified, or is not finite where a person is.
    """
    check_heads(heads, spec)
    cells, scores = find_centres(heads["centre"][0], spec.centre_threshold, options.most)
    if not len(cells):
        return DecodedPeople(no_people(spec), no_evidence(spec))
    bodies = _bodies(heads, spec, decoder, cells=cells)
    found = _posed(scores, bodies, Origin(cells, bodies.bones, _no_pulls(cells)), spec)
    kept = found.distinct(spec, options.duplicates)
    if options.refinement is not None and spec.keypoints is not None:
        found = found if kept.all() else found.take(kept)
        found = _refined(found, heads, spec=spec, refinement=options.refinement)
        # Two detections that were apart may have been fitted to one place.
        kept = found.distinct(spec, options.duplicates) & (found.scores > spec.centre_threshold)
    if camera is None:
        size = letterbox.picture_size
        camera = pinhole(spec.focal_default * max(size), size)
    found = found if kept.all() else found.take(kept)
    return _placed(found, heads, letterbox, root=spec.skeleton.root, camera=camera)


class _Detections(NamedTuple):
    """N people before they are placed in the camera's frame.

    Attributes:
        scores: (N,) float32.
        bodies: N people in the frame of the viewing ray.
        places_mm: (N, 3, J) float32, joints relative to the centre, in the frame of the viewing ray.
        joints: (N, J, 2) float32, in pixels of the input.
        origin: their cells and key points.
    """

    scores: np.ndarray
    bodies: Bodies
    places_mm: np.ndarray
    joints: np.ndarray
    origin: Origin

    def take(self, which: np.ndarray) -> "_Detections":
        """Return some of them, by a mask or by indices."""
        scores, bodies, places_mm, joints, origin = self
        parts = (bodies.take(which), places_mm[which], joints[which], origin.take(which))
        return _Detections(scores[which], *parts)

    def distinct(self, spec: PoseSpec, duplicates: Duplicates) -> np.ndarray:
        """Return (N,) bool, False for duplicates."""
        centres, px_per_mm, torso = self.bodies.centres, self.bodies.px_per_m / 1000, torso_mm(spec.skeleton)
        return distinct(centres, self.joints, px_per_mm, torso_mm=torso, duplicates=duplicates)


def _bodies(heads: Mapping[str, np.ndarray], spec: PoseSpec, decoder: Layers, *, cells: np.ndarray) -> Bodies:
    """Return the bodies at cells (N, 2), row and column."""
    at = read_cells(heads, cells)
    centres = spec.cell_origin_px + spec.stride * (cells[:, ::-1] + at["offset"])
    px_per_m = spec.reference_px_per_m * np.exp(-at["depth"][:, 0])
    directions = decode_embeddings(at["embedding"], decoder).transpose(0, 2, 1)
    return Bodies(rotation_from_6d(at["rotation"]) @ directions, px_per_m, centres)


def _posed(scores: np.ndarray, bodies: Bodies, origin: Origin, spec: PoseSpec) -> _Detections:
    """Return bodies with their joints, by scaled orthographic projection."""
    places_mm = bodies.bones @ _paths_from_centre_mm(spec.skeleton, spec.centre_joints)
    joints = bodies.centres[..., None] + (bodies.px_per_m / 1000)[:, None, None] * places_mm[:, :2]
    return _Detections(scores, bodies, places_mm, np.ascontiguousarray(joints.transpose(0, 2, 1)), origin)


def _no_pulls(cells: np.ndarray) -> np.ndarray:
    return np.zeros((len(cells), 0), np.float32)


def _refined(
    found: _Detections, heads: Mapping[str, np.ndarray], *, spec: PoseSpec, refinement: Refinement
) -> _Detections:
    """Return detections fitted to the key points of the heads, best first; joints lie on near key points."""
    keypoints = find_keypoints(heads, spec, refinement.least_heat)
    scores, origin = found.scores, found.origin
    bodies, matches = refine(found.bodies, keypoints, spec, settings=refinement)
    if refinement.evidence:
        beyond_usual = matches.pull.sum(axis=1) - refinement.usual
        scores = np.clip(scores + refinement.evidence * beyond_usual, 0, 1)
        order = np.argsort(-scores, kind="stable")
        scores, bodies, origin = scores[order], bodies.take(order), origin.take(order)
        matches = Matches(*(values[order] for values in matches))
    found = _posed(scores, bodies, origin._replace(pulls=matches.pull), spec)
    snap(found.joints, bodies.px_per_m, matches, spec=spec, settings=refinement)
    return found


@lru_cache(maxsize=8)
def _paths_from_centre_mm(skeleton: Skeleton, centre_joints: Tuple[str, ...]) -> np.ndarray:
    """Return (B, J) float32, from bone directions to joints relative to the mean of the centre's joints."""
    paths = paths_mm(skeleton)
    middle = [skeleton.index(name) for name in centre_joints]
    return np.ascontiguousarray((paths - paths[middle].mean(axis=0)).T)


def _placed(
    found: _Detections,
    heads: Mapping[str, np.ndarray],
    letterbox: Letterbox,
    *,
    root: int,
    camera: Intrinsics,
) -> DecodedPeople:
    """Return people in the picture and in the camera's frame; `root` is the index of the pelvis."""
    scores, bodies, places_mm, joints, origin = found
    count = len(scores)
    roots = bodies.centres + (bodies.px_per_m / 1000)[:, None] * places_mm[:, :2, root]
    # One call for all points: centres, roots, then joints.
    points = letterbox.to_picture(np.concatenate([bodies.centres[:, None], roots[:, None], joints], axis=1))
    rays = camera.rays(points[:, :2].reshape(-1, 2)).reshape(count, 2, 3)
    joints_mm = ray_rotation(rays[:, 0]) @ (places_mm - places_mm[:, :, root, None])
    px_per_m = bodies.px_per_m / letterbox.scale  # of the picture
    roots_mm = (1000 * camera.mean_focal_px / px_per_m)[:, None] * rays[:, 1]
    frame = (scores, points[:, 0], joints_mm.transpose(0, 2, 1), roots_mm, points[:, 2:])
    people = PoseFrame(*(np.ascontiguousarray(values, np.float32) for values in frame))
    rows, columns = origin.cells.T
    embeddings = heads["embedding"][:, rows, columns].T
    evidence = (embeddings, origin.poses, bodies.bones, rays[:, 0], px_per_m, origin.pulls)
    return DecodedPeople(people, Evidence(*evidence, focal_px=camera.mean_focal_px))


def no_people(spec: PoseSpec) -> PoseFrame:
    """Return a PoseFrame without people."""
    joints = len(spec.skeleton.names)
    shapes = ((0,), (0, 2), (0, joints, 3), (0, 3), (0, joints, 2))
    return PoseFrame(*(np.zeros(shape, np.float32) for shape in shapes))


def check_heads(heads: Mapping[str, np.ndarray], spec: PoseSpec) -> None:
    """Raise HeadError unless every head has the shape in the specification, and the centre map is finite."""
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
    """Return each head except the centre at cells (N, 2), row and column: name → (N, C).

    Raises HeadError if one is not finite.
    """
    rows, columns = cells[:, 0], cells[:, 1]
    at = {name: heads[name][:, rows, columns].T for name in HEADS[1:]}
    if not np.isfinite(sum(float(values.sum()) for values in at.values())):
        broken = next(name for name, values in at.items() if not np.isfinite(values.sum()))
        raise HeadError(
            f"head '{broken}' is not finite where a person is; the arithmetic overflowed: build with float32"
        )
    return at
