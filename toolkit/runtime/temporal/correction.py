"""Corrections: the output of the temporal network, applied to a record."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, Tuple

import numpy as np

from ..decoding.kinematics import EPSILON, paths_mm, ray_rotation
from ..pose import PoseSpec, Skeleton
from ..pose_frame import PoseFrame
from .filters import FILTERS, filtered
from .record import Record

_LARGEST_CHANGE = 1.0  # of the log distance and of the centre in metres


class Correction(NamedTuple):
    """Changes of N people; see `Record`.

    Attributes:
        bones: (N, 3, B), added to the unit directions before they are normalised.
        joints_m: (N, J, 2) in the picture relative to the centre, in metres.
        centres_m: (N, 2) in the picture, in metres.
        log_distances: (N,).
        confidences: (N,) in 0..1, the expected share of joints within 150 mm.
    """

    bones: np.ndarray
    joints_m: np.ndarray
    centres_m: np.ndarray
    log_distances: np.ndarray
    confidences: np.ndarray


def output_size(spec: PoseSpec) -> int:
    """Return the length of a correction: the filtered numbers, and the confidence."""
    return 3 * len(spec.skeleton.bones) + 2 * len(spec.skeleton.names) + 4


def correction_of(outputs: np.ndarray, spec: PoseSpec) -> Correction:
    """Return the correction that outputs (N, O) hold, in the order of its fields."""
    count, bones, joints = len(outputs), len(spec.skeleton.bones), len(spec.skeleton.names)
    first, second = 3 * bones, 3 * bones + 2 * joints
    places = np.minimum(np.maximum(outputs[:, second : second + 3], -_LARGEST_CHANGE), _LARGEST_CHANGE)
    return Correction(
        outputs[:, :first].reshape(count, 3, bones),
        outputs[:, first:second].reshape(count, joints, 2),
        places[:, :2],
        places[:, 2],
        1 / (1 + np.exp(-outputs[:, second + 3])),
    )


def corrected(record: Record, change: Correction, spec: PoseSpec) -> PoseFrame:
    """Return the people of a record after a correction, in the picture and in the camera's frame."""
    bones = record.bones + change.bones
    bones = bones / np.maximum(np.sqrt((bones * bones).sum(axis=1, keepdims=True)), EPSILON)
    moved_px = record.px_per_m[:, None] * change.centres_m
    centres_px = record.centres_px + moved_px
    joints_px = record.joints_px + (moved_px[:, None] + record.px_per_m[:, None, None] * change.joints_m)
    rays = record.rays.copy()
    rays[:, :2] += moved_px / record.focal_px[:, None]
    joints_mm = ray_rotation(rays) @ (bones @ _joint_paths_mm(spec.skeleton))
    # The root lies on the ray through the projected pelvis, as in decoding.
    px_per_m = record.px_per_m * np.exp(-change.log_distances)
    root = _root_path_m(spec.skeleton, spec.centre_joints)
    pelvis_px = moved_px + px_per_m[:, None] * (bones[:, :2] @ root)
    pelvis_px -= record.px_per_m[:, None] * (record.bones[:, :2] @ root)
    roots = record.roots_mm / np.maximum(record.roots_mm[:, 2:], EPSILON)
    roots[:, :2] += pelvis_px / record.focal_px[:, None]
    roots_mm = (record.roots_mm[:, 2] * np.exp(change.log_distances))[:, None] * roots
    frame = (record.scores, centres_px, joints_mm.transpose(0, 2, 1), roots_mm, joints_px)
    return PoseFrame(*(np.ascontiguousarray(values, np.float32) for values in frame))


@lru_cache(maxsize=8)
def _joint_paths_mm(skeleton: Skeleton) -> np.ndarray:
    """Return (B, J), from bone directions to joints relative to the root."""
    return np.ascontiguousarray(paths_mm(skeleton).T)


@lru_cache(maxsize=8)
def _root_path_m(skeleton: Skeleton, centre_joints: Tuple[str, ...]) -> np.ndarray:
    """Return (B,), from bone directions to the root relative to the person's centre, in metres."""
    paths = paths_mm(skeleton) / 1000
    middle = [skeleton.index(name) for name in centre_joints]
    path: np.ndarray = paths[skeleton.root] - paths[middle].mean(axis=0)
    return path


def keypoint_count(spec: PoseSpec) -> int:
    """Return the number of key points that are joints of the skeleton."""
    return sum(bool(joint) for joint in spec.keypoints.joints) if spec.keypoints else 0


def sizes(spec: PoseSpec) -> Tuple[int, int]:
    """Return the numbers of inputs and outputs of the temporal network of a specification."""
    skeleton = spec.skeleton
    keypoints = keypoint_count(spec)
    inputs = 6 * len(skeleton.bones) + 2 * len(skeleton.names) + keypoints + 9
    return inputs, output_size(spec) + FILTERS * filtered(spec, keypoints).groups
