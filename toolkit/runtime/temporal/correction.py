"""Corrections: the output of the temporal network, applied to a record."""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np

from ..decoding.kinematics import EPSILON, forward_kinematics, paths_mm, ray_rotation
from ..pose import PoseSpec
from ..pose_frame import PoseFrame
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
    """Return the number of outputs for one person."""
    return 3 * len(spec.skeleton.bones) + 2 * len(spec.skeleton.names) + 4


def correction_of(outputs: np.ndarray, spec: PoseSpec) -> Correction:
    """Return the correction that outputs (N, O) hold, in the order of its fields."""
    count, bones, joints = len(outputs), len(spec.skeleton.bones), len(spec.skeleton.names)
    ends = np.cumsum([3 * bones, 2 * joints, 2, 1])
    turned, moved, centres, distances, confidence = np.split(outputs, ends, axis=1)
    return Correction(
        turned.reshape(count, 3, bones),
        moved.reshape(count, joints, 2),
        np.clip(centres, -_LARGEST_CHANGE, _LARGEST_CHANGE),
        np.clip(distances[:, 0], -_LARGEST_CHANGE, _LARGEST_CHANGE),
        1 / (1 + np.exp(-np.clip(confidence[:, 0], -30, 30))),
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
    joints_mm = ray_rotation(rays) @ forward_kinematics(bones.transpose(0, 2, 1), spec.skeleton).transpose(
        0, 2, 1
    )
    # The root lies on the ray through the projected pelvis, as in decoding.
    px_per_m = record.px_per_m * np.exp(-change.log_distances)
    root = _root_path_m(spec)
    pelvis_px = (
        moved_px + px_per_m[:, None] * (bones @ root)[:, :2] - record.px_per_m[:, None] * _flat(record, root)
    )
    roots = record.roots_mm / np.maximum(record.roots_mm[:, 2:], EPSILON)
    roots[:, :2] += pelvis_px / record.focal_px[:, None]
    roots_mm = (record.roots_mm[:, 2] * np.exp(change.log_distances))[:, None] * roots
    frame = (record.scores, centres_px, joints_mm.transpose(0, 2, 1), roots_mm, joints_px)
    return PoseFrame(*(np.ascontiguousarray(values, np.float32) for values in frame))


def _flat(record: Record, path_m: np.ndarray) -> np.ndarray:
    return (record.bones @ path_m)[:, :2]


def _root_path_m(spec: PoseSpec) -> np.ndarray:
    """Return (B,), from bone directions to the root relative to the person's centre, in metres."""
    paths = paths_mm(spec.skeleton) / 1000
    middle = [spec.skeleton.index(name) for name in spec.centre_joints]
    path: np.ndarray = paths[spec.skeleton.root] - paths[middle].mean(axis=0)
    return path


def sizes(spec: PoseSpec) -> Tuple[int, int]:
    """Return the numbers of inputs and outputs of the temporal network of a specification."""
    skeleton = spec.skeleton
    keypoints = sum(bool(joint) for joint in spec.keypoints.joints) if spec.keypoints else 0
    inputs = 6 * len(skeleton.bones) + 2 * len(skeleton.names) + keypoints + 9
    return inputs, output_size(spec)
