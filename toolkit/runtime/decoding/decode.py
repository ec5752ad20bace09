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
from .keypoints import Matches, find_keypoints
from .kinematics import Layers, decode_embeddings, paths_mm, ray_rotation, rotation_from_6d, torso_mm
from .refine import Bodies, refine, snap

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
    at = read_cells(heads, cells)
    bodies = _bodies(at, cells, spec, decoder=decoder)
    found = _posed(
        scores,
        bodies,
        spec,
        origin=Origin(at["embedding"], bodies.bones, np.empty((len(cells), 0), np.float32)),
    )
    found = found.distinct(spec, options.duplicates)
    if options.refinement is not None and spec.keypoints is not None:
        found = _refined(found, heads, spec=spec, refinement=options.refinement)
        # Two detections that were apart may have been fitted to one place.
        found = found.distinct(spec, options.duplicates)
    if camera is None:
        size = letterbox.picture_size
        camera = pinhole(spec.focal_default * max(size), size)
    return _placed(found, letterbox, camera)


class _Detections(NamedTuple):
    """N people before they are placed in the camera's frame.

    Points are J joints, then the root, then the centre. Snapping to key points moves the joints alone.

    Attributes:
        scores: (N,) float32.
        bodies: N people in the frame of the viewing ray.
        places_m: (N, 3, J + 2) float32, points relative to the centre, in the frame of the viewing ray.
        points: (N, 2, J + 2) float32, in pixels of the input.
        origin: what the heads state of them.
    """

    scores: np.ndarray
    bodies: Bodies
    places_m: np.ndarray
    points: np.ndarray
    origin: Origin

    def distinct(self, spec: PoseSpec, duplicates: Duplicates) -> "_Detections":
        """Return them without duplicates."""
        torsos_px = torso_mm(spec.skeleton) / 1000 * self.bodies.px_per_m
        kept = distinct(self.bodies.centres, self.points[..., :-2], torsos_px, duplicates=duplicates)
        if kept.all():
            return self
        scores, bodies, places_m, points, origin = self
        parts = bodies.take(kept), places_m[kept], points[kept], origin.take(kept)
        return _Detections(scores[kept], *parts)


def _bodies(at: Mapping[str, np.ndarray], cells: np.ndarray, spec: PoseSpec, *, decoder: Layers) -> Bodies:
    """Return the bodies of the heads' values at cells (N, 2), row and column."""
    centres = np.add(cells[:, ::-1], at["offset"], dtype=np.float32, casting="same_kind")
    centres *= spec.stride
    centres += spec.cell_origin_px
    px_per_m = spec.reference_px_per_m * np.exp(-at["depth"][:, 0])
    directions = decode_embeddings(at["embedding"], decoder).transpose(0, 2, 1)
    return Bodies(rotation_from_6d(at["rotation"]) @ directions, px_per_m, centres)


def _posed(scores: np.ndarray, bodies: Bodies, spec: PoseSpec, *, origin: Origin) -> _Detections:
    """Return bodies with their points, by scaled orthographic projection."""
    places_m = bodies.bones @ _paths_from_centre_m(spec.skeleton, spec.centre_joints)
    points = places_m[:, :2] * bodies.px_per_m[:, None, None]
    points += bodies.centres[..., None]
    return _Detections(scores, bodies, places_m, points, origin)


def _refined(
    found: _Detections, heads: Mapping[str, np.ndarray], *, spec: PoseSpec, refinement: Refinement
) -> _Detections:
    """Return detections fitted to the key points of the heads, best first; joints lie on near key points."""
    keypoints = find_keypoints(heads, spec, refinement.least_heat)
    bodies, matches = refine(found.bodies, keypoints, spec, settings=refinement)
    scores, origin = found.scores, found.origin._replace(pulls=matches.pull)
    if refinement.evidence:
        beyond_usual = matches.pull.sum(axis=1) - refinement.usual
        scores = np.clip(scores + refinement.evidence * beyond_usual, 0, 1)
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] > spec.centre_threshold]
        scores, bodies, origin = scores[order], bodies.take(order), origin.take(order)
        matches = Matches(*(values[order] for values in matches))
    found = _posed(scores, bodies, spec, origin=origin)
    snap(found.points, bodies.px_per_m, matches, spec=spec, settings=refinement)
    return found


@lru_cache(maxsize=8)
def _paths_from_centre_m(skeleton: Skeleton, centre_joints: Tuple[str, ...]) -> np.ndarray:
    """Return (B, J + 2) float32, from bone directions to points relative to the mean of the centre's joints.

    Points are as in `_Detections`, in metres.
    """
    paths = paths_mm(skeleton) / 1000
    middle = paths[[skeleton.index(name) for name in centre_joints]].mean(axis=0)
    points = np.concatenate([paths, paths[[skeleton.root]], middle[None]]) - middle
    return np.ascontiguousarray(points.T)


def _placed(found: _Detections, letterbox: Letterbox, camera: Intrinsics) -> DecodedPeople:
    """Return people in the picture and in the camera's frame."""
    scores, bodies, places_m, points, origin = found
    points = letterbox.to_picture(points.transpose(0, 2, 1))
    rays = camera.rays(points[:, -2:].reshape(-1, 2)).reshape(-1, 2, 3)  # of roots and centres
    turned = ray_rotation(rays[:, 1])
    turned *= 1000
    joints_mm = turned @ (places_m[..., :-2] - places_m[..., -2:-1])
    px_per_m = bodies.px_per_m / letterbox.scale  # of the picture
    roots_mm = (1000 * camera.mean_focal_px / px_per_m)[:, None] * rays[:, 0]
    frame = (scores, points[:, -1], joints_mm.transpose(0, 2, 1), roots_mm, points[:, :-2])
    people = PoseFrame(*(np.ascontiguousarray(values, np.float32) for values in frame))
    evidence = (origin.embeddings, origin.poses, bodies.bones, rays[:, 1], px_per_m, origin.pulls)
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
    ends, end = {}, 0
    for name in HEADS[1:]:
        ends[name] = (end, end + len(heads[name]))
        end += len(heads[name])
    values = np.empty((end, len(cells)), np.float32)
    for name, (first, last) in ends.items():
        values[first:last] = heads[name][:, rows, columns]
    at = {name: values[first:last].T for name, (first, last) in ends.items()}
    if not np.isfinite(np.add.reduce(values, axis=None)):
        broken = next(name for name, found in at.items() if not np.isfinite(found.sum()))
        raise HeadError(
            f"head '{broken}' is not finite where a person is; the arithmetic overflowed: build with float32"
        )
    return at
